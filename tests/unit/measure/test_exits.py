"""Exits of small models: lenses, trained heads, temperatures and calibration, each against another way."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from scipy.optimize import minimize_scalar  # noqa: E402
from tiny_language_models import save_tiny, tiny  # noqa: E402

from edgesim.errors import InputError  # noqa: E402
from edgesim.measure.exits import (  # noqa: E402
    calibrated,
    exit_logits,
    exit_quality,
    exit_records,
    expected_calibration_error,
    save_exits,
    train_exits,
)
from edgesim.measure.language_model import LanguageModel, load_language_model  # noqa: E402
from edgesim.measure.text import Text, spread, tokens_of, windows  # noqa: E402

FAMILIES = ("llama", "gpt2", "opt", "phi", "gemma2")
WORDS = ("the sum of all parts", "is noisy", "an early exit", "guesses,", "and", "a late one\n", "knows")


@pytest.fixture(scope="module")
def text() -> Text:
    draws = np.random.default_rng(1)
    documents = {name: " ".join(draws.choice(WORDS, size=120)) for name in ("one", "two", "three")}
    return Text("words", "0" * 64, documents)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return tiny()


def cut(model: LanguageModel, text: Text, n_tokens: int | None = None) -> torch.Tensor:
    length = min(256, model.max_context)
    rows = windows(tokens_of(text, model.tokenizer), length)
    if n_tokens is not None:
        rows = rows[spread(len(rows), n_tokens // length)]
    return torch.from_numpy(rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_lens_after_a_block_is_a_model_without_the_blocks_that_follow(family: str) -> None:
    whole, short = tiny(family), tiny(family)
    parent, _, name = short.places.blocks.rpartition(".")
    blocks = short.model.get_submodule(short.places.blocks)
    setattr(short.model.get_submodule(parent), name, blocks[:1])
    short.model.config.num_hidden_layers = 1
    if getattr(short.model.config, "layer_types", None):
        short.model.config.layer_types = short.model.config.layer_types[:1]
    tokens = torch.arange(24).view(2, 12)
    lens, last = exit_logits(whole, tokens)

    # The shorter model computes the same numbers in the same order; its logits are of the order of ten.
    torch.testing.assert_close(lens, short.model(tokens, use_cache=False).logits, rtol=1e-6, atol=1e-6)
    assert torch.equal(last, whole.model(tokens, use_cache=False).logits)


def test_records_are_what_one_distribution_after_the_other_says(model: LanguageModel, text: Text) -> None:
    warm = replace(model, temperatures=(1.5, 0.8))
    records = exit_records(warm, text, n_tokens=600, provenance={"seed": 1})
    rows = cut(model, text, 600)

    assert records.blocks == (1, 2)
    assert records.provenance == {"seed": 1}
    assert records.n_tokens == rows[:, 1:].numel()
    assert records.entropy is not None
    assert records.nll is not None
    every = [logits.flatten(0, 1).double().numpy() for logits in exit_logits(model, rows[:, :-1])]
    targets = rows[:, 1:].flatten().tolist()
    for token in range(0, len(targets), 41):
        for number, temperature in enumerate(warm.temperatures):
            scores = every[number][token] / temperature
            p = np.exp(scores - scores.max())
            p /= p.sum()
            loss = math.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[targets[token]]
            # Single precision: 24 bits, of logits below a hundred and sums over some 300 words.
            near = {"rel": 1e-4, "abs": 1e-4}
            assert records.confidence[token, number] == pytest.approx(p.max(), **near)
            entropy = -(p * np.log(np.maximum(p, 1e-300))).sum()
            assert records.entropy[token, number] == pytest.approx(entropy, **near)
            assert records.nll[token, number] == pytest.approx(loss, **near)
            assert records.is_correct[token, number] == (p.argmax() == targets[token])


def test_a_temperature_is_that_which_a_search_finds_and_changes_no_guess(
    model: LanguageModel, text: Text
) -> None:
    # Heads that have learned a little: of the random model's own, the best temperature is infinite.
    trained = train_exits(model, text, [1], steps=30)
    warm = calibrated(trained, text)
    rows = cut(model, text)
    logits, targets = exit_logits(trained, rows[:, :-1])[0].flatten(0, 1).double(), rows[:, 1:].flatten()

    def loss(log_temperature: float) -> float:
        scaled = logits * math.exp(-log_temperature)
        return float(torch.nn.functional.cross_entropy(scaled, targets))

    found = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-8})
    assert abs(found.x) < 2.5
    # Near its least, the loss changes by less than single precision can tell.
    assert loss(math.log(warm.temperatures[0])) == pytest.approx(found.fun, rel=1e-6)
    assert loss(0.0) > found.fun * (1 + 1e-4)
    before, after = (exit_records(each, text, n_tokens=600) for each in (trained, warm))
    assert (before.is_correct == after.is_correct).all()


def test_training_helps_every_exit_and_leaves_the_model_alone(model: LanguageModel, text: Text) -> None:
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    told: list[tuple[int, int]] = []
    trained = train_exits(
        model, text, [1], steps=25, progress=lambda done, total, _: told.append((done, total))
    )

    assert trained.exit_blocks == (1,)
    assert trained.exits is not None
    assert trained.exits.blocks == (1,)
    assert told[:3] == [(0, 25), (10, 25), (20, 25)]
    assert all(torch.equal(value, before[name]) for name, value in trained.model.state_dict().items())
    lens, own = (exit_quality(each, text) for each in (model, trained))
    assert own[0].nll < lens[0].nll
    assert own[1] == lens[1]
    again = train_exits(model, text, [1], steps=25)
    assert again.exits is not None
    weights = trained.exits.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.exits.state_dict().items())


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_heads_begin_as_the_lens_where_the_norm_is_of_their_kind(family: str, text: Text) -> None:
    model = tiny(family)
    untrained = train_exits(model, text, [1], steps=0)
    tokens = torch.arange(12)[None]
    # The model's epsilon may be another than the heads' 1e-5, beside mean squares of about 1.
    torch.testing.assert_close(
        exit_logits(untrained, tokens)[0], exit_logits(model, tokens)[0], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("blocks", [[], [0], [2], [1, 3]])
def test_exits_stand_inside_the_model(model: LanguageModel, text: Text, blocks: list[int]) -> None:
    with pytest.raises(InputError, match="expected inner ones, 1 to 1"):
        train_exits(model, text, blocks)


def test_quality_counts_bits_over_all_bytes_of_the_text(model: LanguageModel, text: Text) -> None:
    rows = exit_quality(model, text)
    records = exit_records(model, text, n_tokens=10**9)
    assert records.nll is not None
    # Tokens are bytes here, and there is an end of text before each document.
    n_tokens = sum(1 + len(document.encode()) for document in text.documents.values())
    for number, row in enumerate(rows):
        assert row.block == records.blocks[number]
        assert row.accuracy == records.is_correct[:, number].mean()
        bits = records.nll[:, number].mean() / math.log(2) * n_tokens / text.n_bytes
        assert row.bits_per_byte == pytest.approx(bits, rel=1e-9)
        assert row.calibration_error == records.calibration_error(row.block)


def test_calibration_error_by_hand() -> None:
    # Bins of a fifth: (0, 0.2] holds one, wrong; (0.2, 0.4] two, one right; (0.8, 1] two, both right.
    confidence = np.array([0.2, 0.3, 0.4, 0.9, 1.0])
    right = np.array([False, True, False, True, True])
    expected = (abs(0.2 - 0) + 2 * abs(0.35 - 0.5) + 2 * abs(0.95 - 1)) / 5
    assert expected_calibration_error(confidence, right, bins=5) == pytest.approx(expected, rel=1e-12)


def test_the_sure_are_calibrated_if_always_right() -> None:
    assert expected_calibration_error(np.ones(10), np.ones(10, dtype=np.bool_)) == 0
    assert expected_calibration_error(np.ones(10), np.zeros(10, dtype=np.bool_)) == 1


def test_exits_are_saved_beside_a_model_that_then_loads_with_them(text: Text, tmp_path: Path) -> None:
    trained = calibrated(train_exits(save_tiny(tmp_path), text, [1], steps=5), text)
    save_exits(trained, tmp_path, note="by hand")
    loaded = load_language_model(tmp_path)
    record = json.loads((tmp_path / "exits.json").read_text())

    assert (record["kind"], record["note"], record["blocks"]) == ("trained", "by hand", [1])
    assert loaded.exit_blocks == (1,)
    assert loaded.temperatures == tuple(round(each, 6) for each in trained.temperatures)
    assert trained.exits is not None
    assert loaded.exits is not None
    weights = trained.exits.state_dict()
    for name, value in loaded.exits.state_dict().items():
        assert torch.equal(value, weights[name].half().float())


def test_temperatures_of_lenses_are_saved_without_heads(text: Text, tmp_path: Path) -> None:
    warm = calibrated(save_tiny(tmp_path), text)
    save_exits(warm, tmp_path)
    loaded = load_language_model(tmp_path)

    assert not (tmp_path / "exits.safetensors").exists()
    assert loaded.exits is None
    assert loaded.temperatures == pytest.approx(warm.temperatures, abs=1e-6)
