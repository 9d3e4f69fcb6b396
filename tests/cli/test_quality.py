"""`edgesim quality` and `edgesim train-exits`: from a model's folder to tables, files and exits."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny_language_models import save_tiny  # noqa: E402

from edgesim.measure import answer_quality  # noqa: E402
from edgesim.measure.cache import CACHE_VARIABLE  # noqa: E402
from edgesim.measure.language_model import load_language_model  # noqa: E402
from edgesim.model.answers.exit_records import ExitRecords  # noqa: E402
from edgesim.model.answers.impaired_answers import QualityTable  # noqa: E402
from edgesim.model.answers.impairment import AllReduceNoise, Erasure, Impairment  # noqa: E402


def few(n_blocks: int, **_: int) -> list[Impairment]:
    return [AllReduceNoise(0.01), AllReduceNoise(0.1), Erasure(0.2, n_blocks - 1)]


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(answer_quality, "standard_grid", few)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_tiny(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Paragraphs of which those dealt to the three parts are alike, not the same."""
    draws = np.random.default_rng(1)
    words = ("a sum", "of parts", "is noisy,", "an exit", "guesses,", "and", "knows")
    paragraphs = [" ".join(draws.choice(words, size=90)) for _ in range(60)]
    (tmp_path / "text.txt").write_text("\n\n".join(paragraphs))
    return tmp_path / "text.txt"


def test_answers_are_measured_printed_drawn_saved_and_kept(
    edgesim, model: Path, text: Path, tmp_path: Path
) -> None:
    asked = ("quality", model, "--text", text, "--tokens", 600)
    said = edgesim(*asked, "-o", tmp_path / "out", "--plot", tmp_path / "a.png")
    assert said.status == 0
    table = QualityTable.load(tmp_path / "out" / "quality.parquet")
    records = ExitRecords.load(tmp_path / "out" / "exits.parquet")
    assert f"model on text.txt: perplexity {table.clean.perplexity:.2f}" in said.out
    assert table.names == ("noise", "erasure")
    assert (records.blocks, records.n_tokens) == ((1, 2), 512)
    assert re.search(rf"^ *1 +{records.at_exit(1).perplexity:.2f} ±", said.out, re.MULTILINE)
    assert "measuring 0 of 4 passes: clean" in said.err
    assert (tmp_path / "a.png").stat().st_size > 10_000

    again = edgesim(*asked, "--json")
    assert again.err == ""  # nothing was measured
    told = json.loads(again.out)
    assert [row["nll"] for row in told["rows"]] == [row.nll for row in table.rows]
    assert [row["block"] for row in told["exits"]] == [1, 2]


def test_exits_are_trained_into_a_folder_of_their_own(
    edgesim, model: Path, text: Path, tmp_path: Path
) -> None:
    before = {file.name: file.read_bytes() for file in model.iterdir()}
    out = tmp_path / "with-exits"
    said = edgesim("train-exits", model, "--text", text, "--blocks", "1", "--steps", 5, "-o", out)
    assert said.status == 0
    assert {file.name: file.read_bytes() for file in model.iterdir()} == before
    trained, plain = load_language_model(out), load_language_model(model)
    assert trained.exits is not None
    assert trained.exit_blocks == (1,)
    tokens = torch.arange(12)[None]
    assert torch.equal(trained.model(tokens).logits, plain.model(tokens).logits)
    measured = json.loads((out / "exits.json").read_text())["measured"]
    assert [row["block"] for row in measured] == [1, 2]
    assert f"{measured[0]['bits_per_byte']:.3f}" in said.out
    assert "not used in training" in said.out

    told = json.loads(edgesim("quality", out, "--text", text, "--tokens", 600, "--json").out)
    assert told["provenance"]["exits"] == "trained heads"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("quality", "no-such-model"), "no such folder; give 'bundled'"),
        (("quality", "MODEL", "--text", "missing.txt"), "no such file"),
        (("quality", "MODEL", "--text", "SHORT"), "too few for a window"),
        (("train-exits", "MODEL", "--text", "TEXT", "--blocks", "two", "-o", "x"), "expected numbers"),
        (("train-exits", "MODEL", "--text", "TEXT", "--blocks", "2", "-o", "x"), "inner ones, 1 to 1"),
        (("train-exits", "MODEL", "--text", "SHORT", "-o", "x"), "give a longer text"),
        (("train-exits", "MODEL", "--text", "TEXT", "--steps", "1", "-o", "TEXT"), "cannot be written"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_said_in_one_message(
    edgesim, model: Path, text: Path, tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    (tmp_path / "short.txt").write_text("Too short.")
    given = {"MODEL": str(model), "TEXT": str(text), "SHORT": str(tmp_path / "short.txt")}
    said = edgesim(*(given.get(word, word) for word in words))
    assert said.status == 2
    assert expected in said.err
    assert "Traceback" not in said.err
