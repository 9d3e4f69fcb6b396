"""Generation is measured once, kept, found without torch, and printed with what each way loses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402
from tiny_language_models import save_tiny  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from edgesim.cli import app  # noqa: E402
from edgesim.measure import answer_quality  # noqa: E402
from edgesim.measure.cache import CACHE_VARIABLE  # noqa: E402
from edgesim.measure.generation import exit_paths, generation_cache  # noqa: E402
from edgesim.measure.generation.generation_cache import ensure_generation, kept_generation  # noqa: E402
from edgesim.measure.quality_cache import ensure_answers  # noqa: E402
from edgesim.model.answers.exit_paths import CacheFill, path_in_records  # noqa: E402
from edgesim.model.answers.exit_rule import ExitRule  # noqa: E402
from edgesim.model.answers.impairment import AllReduceNoise, Erasure, Impairment  # noqa: E402
from edgesim.report.answers.generation import GenerationReport, generation_as_rows  # noqa: E402

TOKENS = 600  # two windows


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def few(n_blocks: int, **_: int) -> list[Impairment]:
        lost = [Erasure(p, 1, unit=unit) for p in (0.1, 0.3) for unit in ("element", "packet")]
        return [AllReduceNoise(0.01), *lost]

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(answer_quality, "standard_grid", few)
    monkeypatch.setattr(
        exit_paths, "standard_rules", lambda _: [ExitRule((0.1,)), ExitRule((5.0,), "entropy")]
    )
    monkeypatch.setattr(generation_cache, "_WRITTEN_AT", (0.1,))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two blocks, an exit between them, which is where states are sent."""
    save_tiny(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("What is kept is not measured again. " * 20)
    return tmp_path / "text.txt"


def test_it_is_measured_once_and_belongs_to_the_exit_records(model: Path, text: Path) -> None:
    assert kept_generation(model, text, n_tokens=TOKENS) is None
    told: list[str] = []
    measured = ensure_generation(
        model, text, n_tokens=TOKENS, progress=lambda _done, _of, what: told.append(what)
    )
    assert any(what.startswith("writing") for what in told)
    again = ensure_generation(model, text, n_tokens=TOKENS, progress=lambda *_: pytest.fail("measured again"))
    assert again.paths.rules == measured.paths.rules
    answered = ensure_answers(model, text, n_tokens=TOKENS)
    again.paths.check_fits(answered.exits)

    rows = generation_as_rows(again, answered.exits, answered.table)
    rule = ExitRule.uniform(0.1, 2)
    forced = {row["fill"]: row for row in rows["teacher_forced"] if row["rule"] == str(rule)}
    assert answered.exits.nll is not None
    for fill in CacheFill:
        path = (
            again.paths.path(rule)
            if fill is CacheFill.PROPAGATE
            else path_in_records(fill, rule, answered.exits)
        )
        assert forced[fill]["mean_block"] == path.mean_block()
        assert forced[fill]["nll"] == path.answers().nll
    assert forced["recompute"]["nll_rise"] == 0
    assert {row["kind"] for row in rows["impaired"]} == {"packet-erasure", "erasure"}

    console = Console(width=110)
    with console.capture() as captured:
        console.print(GenerationReport(again, answered.exits, answered.table))
    page = captured.get()
    assert "confidence (0.1)" in page
    assert "same-path" in page


def test_the_command_prints_and_saves_it(model: Path, text: Path, tmp_path: Path) -> None:
    asked = ["quality", str(model), "--text", str(text), "--tokens", str(TOKENS), "--generation", "--quiet"]
    done = CliRunner().invoke(app, [*asked, "--json", "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)["generation"]
    assert {"teacher_forced", "free_running", "impaired"} == set(told)
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"exit_paths.parquet", "free_running.parquet", "impaired_exits.parquet"} <= names


def test_what_ships_is_read_without_torch() -> None:
    code = (
        "import sys\n"
        "from edgesim.measure.generation.generation_cache import kept_generation\n"
        "kept = kept_generation('bundled')\n"
        "assert kept is not None and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
