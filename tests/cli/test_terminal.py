"""What reaches the terminal: nothing in a name acts on it, and no name costs the result."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from rich.table import Table

from edgesim.cli import main
from edgesim.cli.terminal import Console, printable

EVIL = "\x1b[31mred\x1b]0;title\x07 [bold]b[/bold] [link=http://x]y[/link] :smile: \u202eabc \x9b2J"
SHOWN = "\\x1b[31mred\\x1b]0;title\\x07 [bold]b[/bold] [link=http://x]y[/link] :smile: \\u202eabc \\x9b2J"

SCENARIO = """\
name: named
description: "{evil}"
profile: analytic
model: {{architecture: edgesim-tiny, dtype: float32}}
topology:
  devices:
    - {{id: user, kind: raspberry-pi-5}}
workload: {{arrivals: {{poisson: 1 Hz}}, prompt_tokens: 8, output_tokens: 4, requests: 5}}
strategies:
  - {{use: local, label: "{label}"}}
"""


def test_controls_become_escapes_and_text_stays_text() -> None:
    assert printable(EVIL) == SHOWN
    assert printable(SHOWN) == SHOWN
    assert printable("tab\tline\ncafé \U0001f600 ⟨x⟩") == "tab\tline\ncafé \U0001f600 ⟨x⟩"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_console_shows_texts_as_they_are_wherever_they_stand(is_terminal: bool) -> None:
    """Printed, in a table's cells and headings, and styled: of escapes, rich's own alone are left."""
    stream = io.StringIO()
    console = Console(
        file=stream, force_terminal=is_terminal, width=400, color_system="standard" if is_terminal else None
    )
    table = Table(EVIL)
    table.add_row(EVIL)
    console.print(EVIL)
    console.print(table)
    console.print(EVIL, style="dim")
    text = stream.getvalue()
    assert text.count(SHOWN) == 4
    assert "\x1b[31mred" not in text
    assert not {"\x07", "\x9b", "\u202e"} & set(text)
    assert ("\x1b[2m" in text) is is_terminal


def call(
    *words: str, encoding: str = "utf-8", cwd: Path, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONIOENCODING": encoding, "COLUMNS": "200"} | variables
    return subprocess.run(
        [sys.executable, "-m", "edgesim", *words], cwd=cwd, capture_output=True, env=environment, check=False
    )


def test_an_ascii_terminal_gets_the_result_and_escapes_for_what_it_cannot_show(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SCENARIO.format(evil="caf\\u00e9 \\e[31m", label="x"), encoding="utf-8")
    done = call("run", "s.yaml", "--out", "out", encoding="ascii:strict", cwd=tmp_path)
    assert (done.returncode, done.stdout.isascii(), done.stderr.isascii()) == (0, True, True)
    assert json.loads((tmp_path / "out/run.json").read_text())["status"] == "complete"


def test_messages_repeat_no_escape_of_a_file_or_of_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = SCENARIO.format(evil="x", label="x").replace("kind: raspberry-pi-5", 'kind: "\\e[31m[red]x[/red]"')
    Path("s.yaml").write_text(bad, encoding="utf-8")
    Path("t.csv").write_text("\x1b[31mt,id\n", encoding="utf-8")
    for words in (
        ["check", "s.yaml"],
        ["run", "\x1b[31mx"],
        ["fly\x1b[31m"],
        ["run", "s.yaml", "--fly\x1b[31m"],
        ["list", "\x9b2J"],
        ["calibrate", "t.csv"],
    ):
        monkeypatch.setattr(sys, "argv", ["edgesim", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert ended.value.code == 2, words
        assert not {"\x1b", "\x9b"} & set(told.out + told.err), words
    assert "[red]x[/red]" not in told.err


def test_plug_ins_that_shout_leave_or_fall_over_cost_nothing_but_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "shouts.py").write_text(
        'from edgesim.strategies.local import Local\nclass Loud(Local):\n    """\x1b[31m[red]x[/red]."""\n'
    )
    (tmp_path / "falls.py").write_text("raise RuntimeError('\x1b[2Jgone\\nand more')\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint(name, value, "edgesim.strategies")
        for name, value in (
            ("local", "edgesim.strategies.local:Local"), ("leaves", "leaves:S"), ("loud", "shouts:Loud"),
            ("falls", "falls:S"),
        )
    ]  # fmt: skip
    monkeypatch.setattr("edgesim.plugins.entry_points", lambda group: points)
    for words in (["list", "strategies"], ["schema"]):
        monkeypatch.setattr(sys, "argv", ["edgesim", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert ended.value.code == 0
        assert "\x1b" not in told.out + told.err
        shown = "".join((told.out + told.err).split())
        assert "itendstheprogramwhenimported" in shown
        assert "\\x1b[2Jgone;repair" in shown
        assert "local" in told.out
