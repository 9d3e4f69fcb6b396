"""Measured answers against sums by hand, and against what must hold whatever the model."""

from __future__ import annotations

import math
from collections import Counter
from pydoc_data.topics import topics

import numpy as np
import pytest
from effort import sized

torch = pytest.importorskip("torch")

from tiny_language_models import tiny  # noqa: E402

from edgesim.measure.answer_quality import WINDOW_TOKENS, measure_answers, standard_grid  # noqa: E402
from edgesim.measure.impairments import impaired  # noqa: E402
from edgesim.measure.language_model import LanguageModel, load_language_model  # noqa: E402
from edgesim.measure.text import Text, tokens_of  # noqa: E402
from edgesim.model.answers.impaired_answers import CLEAN, QualityRow, QualityTable  # noqa: E402
from edgesim.model.answers.impairment import (  # noqa: E402
    AllReduceNoise,
    Erasure,
    FadedNoise,
    Impairment,
    Quantised,
)
from edgesim.rng import key_of  # noqa: E402

SEVERAL: list[Impairment] = [Erasure(0.2, 1), AllReduceNoise(0.05), Quantised(3), AllReduceNoise(0.5)]


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return tiny()


@pytest.fixture(scope="module")
def text() -> Text:
    letters = np.random.default_rng(3).integers(97, 123, 5 * WINDOW_TOKENS, dtype=np.uint8)
    return Text("letters", "", {"all": letters.tobytes().decode()})


def measured(model: LanguageModel, text: Text, impairments: list[Impairment], **how: int) -> list[QualityRow]:
    return measure_answers(model, text, impairments, **({"n_tokens": 3 * WINDOW_TOKENS} | how))


def by_hand(model: LanguageModel, window: np.ndarray, draws: int | None) -> tuple[list[float], list[bool]]:
    """Negative log likelihoods and whether tokens were right, of one window at one noise."""
    generator = torch.Generator().manual_seed(draws or 0)
    with torch.inference_mode(), impaired(model, AllReduceNoise(0.05 if draws else 0.0), generator):
        logits = model.model(torch.from_numpy(window[:-1])[None]).logits[0].double().numpy()
    losses = [
        math.log(np.exp(row - row.max()).sum()) + row.max() - row[right]
        for row, right in zip(logits, window[1:], strict=True)
    ]
    return losses, [int(np.argmax(row)) == right for row, right in zip(logits, window[1:], strict=True)]


def test_means_and_standard_errors_are_those_by_hand(model: LanguageModel, text: Text) -> None:
    clean, noisy = measured(model, text, [AllReduceNoise(0.05)], repeats=2, seed=7)
    tokens = tokens_of(text, model.tokenizer)
    chosen = [0, 1, 3]  # three of five windows, spread evenly
    cut = [tokens[w * WINDOW_TOKENS : (w + 1) * WINDOW_TOKENS + 1] for w in chosen]
    for row, repeats in ((clean, [None]), (noisy, [0, 1])):
        losses, rights = [], []
        for window, given in zip(chosen, cut, strict=True):
            answers = [
                by_hand(model, given, key_of("answers", 7, "noise", repeat, window) % 2**63)
                if repeat is not None
                else by_hand(model, given, None)
                for repeat in repeats
            ]
            losses.append(np.mean([each[0] for each in answers]))
            rights.append(np.mean([each[1] for each in answers]))
        assert row.nll == pytest.approx(np.mean(losses), rel=1e-5)
        assert row.nll_se == pytest.approx(np.std(losses, ddof=1) / math.sqrt(3), rel=1e-3)
        assert row.accuracy == pytest.approx(np.mean(rights))
        assert row.accuracy_se == pytest.approx(np.std(rights, ddof=1) / math.sqrt(3))
        assert (row.n_tokens, row.repeats) == (3 * WINDOW_TOKENS, len(repeats))
    assert noisy.nll_rise == pytest.approx(noisy.nll - clean.nll, abs=1e-9)


def test_neither_order_nor_choice_of_impairments_matters(model: LanguageModel, text: Text) -> None:
    clean, *rows = measured(model, text, SEVERAL)
    assert measured(model, text, SEVERAL[::-1])[1:] == rows[::-1]
    assert measured(model, text, SEVERAL[1:2]) == [clean, rows[1]]
    assert measured(model, text, SEVERAL, seed=2)[1] != rows[0]


def test_no_impairment_gives_the_clean_answers_to_the_bit(model: LanguageModel, text: Text) -> None:
    nothing = [Erasure(0.0, 1), AllReduceNoise(0.0), Quantised(math.inf)]
    clean, *rows = measured(model, text, nothing)
    assert clean.name == CLEAN
    for row in rows:
        assert (row.nll, row.nll_se, row.accuracy, row.accuracy_se) == (
            clean.nll,
            clean.nll_se,
            clean.accuracy,
            clean.accuracy_se,
        )
        assert (row.nll_rise, row.nll_rise_se) == (0, 0)


def test_progress_counts_every_pass(model: LanguageModel, text: Text) -> None:
    told: list[tuple[int, int]] = []
    measure_answers(
        model,
        text,
        [*SEVERAL, Erasure(0.0, 1)],
        n_tokens=WINDOW_TOKENS,
        repeats=2,
        progress=lambda done, total, _what: told.append((done, total)),
    )
    # One clean, three that draw twice each, rounding once; what is nothing counts as one.
    assert told[0] == (0, 9)
    assert told[-1] == (9, 9)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("n_blocks", [2, 3, 8, 9, 32, 80])
def test_the_grid_has_each_row_once_and_fits_every_model(n_blocks: int) -> None:
    grid = standard_grid(n_blocks)
    keys = Counter((each.name, each.level, each.block, each.n_devices) for each in grid)
    splits = sorted({each.block for each in grid if each.block is not None})

    assert max(keys.values()) == 1
    assert splits[0] == 1
    assert splits[-1] == n_blocks - 1
    assert len(splits) == min(n_blocks - 1, 7)
    assert len(grid) <= 170


def test_the_grid_leaves_out_more_devices_than_heads(model: LanguageModel) -> None:
    assert {each.n_devices for each in standard_grid(8, n_heads=4)} == {None, 1, 2, 4}
    assert {each.block for each in standard_grid(1)} == {None}  # one block has no inner split


# ---- the model that comes with edgesim

LEVELS: dict[Impairment, tuple[list[float], list[float]]] = {
    AllReduceNoise(0): ([0.001, 0.01, 0.1, 0.215, 0.464, 1.0], [0.03, 0.3, 0.68]),
    FadedNoise(0, 2): ([0.0464, 0.1, 0.215, 0.464, 1.0], [0.15, 0.3]),
    Erasure(0, 4): ([0.02, 0.05, 0.1, 0.2, 0.3], [0.15, 0.25]),
    Erasure(0, 1, unit="packet"): ([0.02, 0.05, 0.1, 0.2, 0.3], [0.15]),
}
"""Levels of the standard grid, from little harm to much; and levels that it leaves out."""


@pytest.fixture(scope="module")
def bundled_rows() -> list[QualityRow]:
    text = Text("topics", "", {name: topics[name] for name in ("assert", "bitwise", "formatstrings")})
    asked = [kind.at(level) for kind, (own, held_out) in LEVELS.items() for level in (*own, *held_out)]
    asked += [Quantised(bits) for bits in (8, 5, 4, 3, 2)]
    return measure_answers(load_language_model("bundled"), text, asked, n_tokens=sized(2, 4) * WINDOW_TOKENS)


def test_perplexity_rises_with_every_impairment(bundled_rows: list[QualityRow]) -> None:
    for kind in (*LEVELS, Quantised(math.inf)):
        own = [row for row in bundled_rows if (row.name, row.block) == (kind.name, kind.block)]
        own.sort(key=lambda row: row.level, reverse=kind.clean_level == math.inf)
        rises = [row.nll_rise for row in own]
        assert rises == sorted(rises)
        assert rises[-1] > 5 * own[-1].nll_rise_se


def test_a_table_is_within_three_percent_at_levels_that_were_held_out(bundled_rows: list[QualityRow]) -> None:
    held_out = {kind.at(level) for kind, (_, levels) in LEVELS.items() for level in levels}
    keys = {(each.name, each.level, each.block) for each in held_out}
    apart = {
        (row.name, row.level, row.block): row
        for row in bundled_rows
        if (row.name, row.level, row.block) in keys
    }
    table = QualityTable(tuple(row for row in bundled_rows if row not in apart.values()))
    for impairment in held_out:
        measured_nll = apart[impairment.name, impairment.level, impairment.block].nll
        assert table.answers(impairment).perplexity == pytest.approx(math.exp(measured_nll), rel=0.03)
