"""Every command of the page about figures runs, in the order of the page, and so does its Python."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from edgesim.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "make-a-figure.md"


@pytest.mark.slow
def test_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    drawn = []
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line)
            monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as ended:
                main()
            assert ended.value.code in (0, None), line
            drawn += [tmp_path / words[place + 1] for place, word in enumerate(words) if word == "-o"]
    assert drawn
    assert all(file.stat().st_size > 1000 for file in drawn)
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, "page", "exec"), {})
    assert (tmp_path / "ttft.pdf").is_file()
