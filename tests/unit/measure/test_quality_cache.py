"""Answers are measured once, kept under what decides them, and found again without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tiny_language_models import save_tiny  # noqa: E402

from edgesim.errors import InputError  # noqa: E402
from edgesim.measure import answer_quality  # noqa: E402
from edgesim.measure.cache import CACHE_VARIABLE  # noqa: E402
from edgesim.measure.model_folder import folder_digest, model_folder  # noqa: E402
from edgesim.measure.quality_cache import MeasuredAnswers, ensure_answers, kept_answers  # noqa: E402
from edgesim.model.answers.impairment import AllReduceNoise, Impairment  # noqa: E402

QUICK = 600  # tokens: two windows


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_tiny(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("What is kept is not measured again. " * 20)
    return tmp_path / "text.txt"


@pytest.fixture
def grids(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A grid of two points; how often one was asked for."""
    asked: list[int] = []

    def few(n_blocks: int, **_: int) -> list[Impairment]:
        asked.append(n_blocks)
        return [AllReduceNoise(0.01), AllReduceNoise(0.1)]

    monkeypatch.setattr(answer_quality, "standard_grid", few)
    return asked


def same(one: MeasuredAnswers, other: MeasuredAnswers) -> bool:
    return one.table.rows == other.table.rows and bool((one.exits.is_correct == other.exits.is_correct).all())


def test_what_was_measured_is_kept_with_where_it_comes_from(
    model: Path, text: Path, grids: list[int]
) -> None:
    assert kept_answers(model, text) is None
    measured = ensure_answers(model, text, n_tokens=QUICK, seed=3)
    assert grids == [2]
    kept = kept_answers(model, text)
    assert kept is not None
    assert same(kept, measured)
    assert [row.name for row in kept.table.rows] == ["clean", "noise", "noise"]

    told = kept.table.provenance
    assert told["model_sha256"] == folder_digest(model)
    assert (told["model"], told["text"], told["seed"]) == ("model", "text.txt", 3)
    assert (told["n_blocks"], told["n_tokens_asked"], told["repeats"]) == (2, QUICK, 1)
    assert told["exits"] == "logit lenses"
    assert "torch" in told["versions"]
    assert kept.exits.provenance == told


def test_it_is_measured_again_only_where_something_else_is_asked_for(
    model: Path, text: Path, grids: list[int]
) -> None:
    first = ensure_answers(model, text, n_tokens=QUICK)
    assert same(ensure_answers(model, text), first)
    assert same(ensure_answers(model, text, n_tokens=QUICK, repeats=1, seed=1), first)
    assert len(grids) == 1

    other = ensure_answers(model, text, seed=2)
    assert len(grids) == 2
    assert other.table.rows[0] == first.table.rows[0]  # nothing is drawn for the clean row
    assert other.table.rows[1] != first.table.rows[1]
    ensure_answers(model, text, refresh=True)
    assert len(grids) == 3


def test_another_model_or_text_is_another_entry(model: Path, text: Path, grids: list[int]) -> None:
    ensure_answers(model, text, n_tokens=QUICK)
    text.write_text(text.read_text() + "More.")
    assert kept_answers(model, text) is None
    ensure_answers(model, text, n_tokens=QUICK)
    (model / "exits.json").write_text(json.dumps({"blocks": [1], "temperatures": [2.0, 1.0]}))
    assert kept_answers(model, text) is None
    assert len(grids) == 2


def test_a_cache_that_cannot_be_written_is_told_before_anything_is_measured(
    model: Path, text: Path, grids: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(InputError, match="EDGESIM_CACHE_DIR"):
        ensure_answers(model, text, n_tokens=QUICK)
    assert grids == []


def test_what_is_kept_is_found_without_importing_torch(model: Path, text: Path, grids: list[int]) -> None:
    ensure_answers(model, text, n_tokens=QUICK)
    program = (
        "import sys\n"
        "from edgesim.measure.quality_cache import kept_answers\n"
        f"assert kept_answers({str(model)!r}, {str(text)!r}).table.names == ('noise',)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_ships_is_of_the_model_that_ships() -> None:
    kept = kept_answers("bundled")
    assert kept is not None
    assert kept.table.provenance["model_sha256"] == folder_digest(model_folder("bundled"))
    assert kept.exits.provenance == kept.table.provenance
    assert kept.exits.blocks == (2, 4, 6, 8)
    assert kept.exits.nll is not None
    # Whole windows, the same for both where all of the text was judged.
    assert kept.exits.n_tokens == kept.table.rows[0].n_tokens
    assert kept.exits.at_exit(8).nll == pytest.approx(kept.table.clean.nll, rel=2e-2)  # its temperature's
