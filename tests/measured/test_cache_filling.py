"""What is measured of each way to fill caches is what a model does that really leaves early, token by token.

The model that stops (tests/support/early_exit.py) keeps caches of its own, shares no code with what measures,
and enters no block behind the exit taken but for what its way asks. Both compute in single precision in
another order. A confidence within rounding of its threshold could fall on either side, and with propagated
caches all later tokens of its window with it: windows are compared up to the first such token, and at least
1,000 tokens under each rule altogether.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from early_exit import Walk
from effort import long_only

from edgesim.measure.exits import exit_records
from edgesim.measure.generation.exit_paths import standard_rules, teacher_forced
from edgesim.measure.language_model import LanguageModel, load_language_model
from edgesim.measure.text import Tokens, read_text, spread, windows
from edgesim.model.answers.exit_paths import CacheFill, path_in_records
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.exit_rule import ExitRule

pytestmark = [pytest.mark.measured, pytest.mark.slow]
LONG = long_only("minutes")

N_WINDOWS, LENGTH = 4, 256
LEAST_COMPARED = 1000
ROUNDING = 1e-5  # of a confidence, an entropy or a loss: some hundred times what single precision loses here
RULES = (
    ExitRule((0.3, 0.3, 0.3)),
    ExitRule((0.3, 2.0, 0.3)),
    ExitRule.uniform(0.1, 4),
    ExitRule.uniform(2.0, 4, kind="entropy"),
)


@pytest.fixture(scope="module")
def bundled() -> LanguageModel:
    return load_language_model("bundled")


@pytest.fixture(scope="module")
def records(bundled: LanguageModel) -> ExitRecords:
    return exit_records(bundled, read_text("bundled"), n_tokens=N_WINDOWS * LENGTH)


@pytest.fixture(scope="module")
def cut(bundled: LanguageModel) -> Tokens:
    every = windows(bundled.tokens(read_text("bundled")), LENGTH)
    return every[spread(len(every), N_WINDOWS)]


@dataclass(frozen=True)
class Token:
    """What the model that stops did with one token."""

    row: int
    block: int
    guess: int
    confidence: float
    nll: float


@torch.inference_mode()
def really_left(
    bundled: LanguageModel, cut: Tokens, rule: ExitRule, fill: CacheFill, *, n_prompt: int = 0
) -> Iterator[Token]:
    """Tokens of each window until one is within rounding of a threshold."""
    assert bundled.exits is not None
    weights = dict(bundled.model.state_dict())
    weights |= {f"exit.{name}": value for name, value in bundled.exits.state_dict().items()}
    by_block = dict(zip(bundled.exit_blocks, rule.thresholds, strict=True))
    margins: list[float] = []

    def leaves(block: int, confidence: float, entropy: float) -> bool:
        value = confidence if rule.kind == "confidence" else entropy
        margins.append(abs(value - by_block[block]))
        return value >= by_block[block] if rule.kind == "confidence" else value <= by_block[block]

    row = 0
    for window in cut.tolist():
        walk = Walk(weights, bundled.model.config, bundled.exit_blocks, bundled.temperatures, fill=str(fill))
        is_clear = True
        for position in range(max(0, n_prompt - 1), LENGTH):
            margins.clear()
            if position < n_prompt:
                block, guess = walk.prompt(window[:n_prompt], leaves)
            else:
                block, guess = walk.step(window[position], leaves)
            is_clear &= min(margins, default=np.inf) > ROUNDING
            if is_clear:
                confidence, nll = walk.said.max().exp(), -walk.said[window[position + 1]]
                yield Token(row, block, guess, float(confidence), float(nll))
            row += 1
        entered = walk.passed if fill is not CacheFill.SAME_PATH else [max(walk.passed)] * len(walk.passed)
        assert walk.passed == entered  # a token of the same path lacks nothing that another has


@LONG
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_propagated_paths_are_those_of_a_model_that_stops(
    bundled: LanguageModel, cut: Tokens, rule: ExitRule
) -> None:
    assert rule in standard_rules(4)
    (said,) = teacher_forced(bundled, cut, [rule], CacheFill.PROPAGATE)
    blocks = np.array([*bundled.exit_blocks, bundled.n_blocks])[said.exits]
    compared = list(really_left(bundled, cut, rule, CacheFill.PROPAGATE))
    assert len(compared) >= LEAST_COMPARED
    assert [token.block for token in compared] == blocks[[token.row for token in compared]].tolist()
    agree(compared, cut, said.confidence, said.nll, said.is_correct)


def agree(
    compared: list[Token], cut: Tokens, confidence: np.ndarray, nll: np.ndarray, is_correct: np.ndarray
) -> None:
    rows = [token.row for token in compared]
    assert np.abs([token.confidence for token in compared] - confidence[rows]).max() <= ROUNDING
    assert np.abs([token.nll for token in compared] - nll[rows]).max() <= 10 * ROUNDING
    right = np.array([token.guess for token in compared]) == cut[:, 1:].ravel()[rows]
    assert (right == is_correct[rows]).all()


@pytest.mark.parametrize("rule", RULES[:2], ids=str)
def test_recomputing_leaves_what_was_recorded_as_it_is_at_any_threshold(
    bundled: LanguageModel, records: ExitRecords, cut: Tokens, rule: ExitRule
) -> None:
    path = path_in_records(CacheFill.RECOMPUTE, rule, records)
    compared = list(really_left(bundled, cut, rule, CacheFill.RECOMPUTE))
    assert len(compared) >= LEAST_COMPARED
    rows = [token.row for token in compared]
    assert [token.block for token in compared] == [path.at(row, 0).block for row in rows]
    where = np.arange(records.n_tokens), path.exits
    assert records.nll is not None
    agree(compared, cut, records.confidence[where], records.nll[where], records.is_correct[where])
    (said,) = teacher_forced(bundled, cut, [rule], CacheFill.RECOMPUTE)  # as free-running text is made
    assert (said.exits == path.exits).all()
    assert np.abs(said.nll - records.nll[where]).max() <= 10 * ROUNDING


def test_requests_that_keep_their_path_are_those_of_the_records(
    bundled: LanguageModel, records: ExitRecords, cut: Tokens
) -> None:
    rule, n_prompt = RULES[0], 2
    path = path_in_records(CacheFill.SAME_PATH, rule, records)
    compared = list(really_left(bundled, cut, rule, CacheFill.SAME_PATH, n_prompt=n_prompt))
    assert len(compared) >= LEAST_COMPARED
    n_judged = LENGTH - n_prompt + 1
    blocks = set()
    for token in compared:
        window, number = divmod(token.row, n_judged)
        left = path.at(window * LENGTH + n_prompt - 1, number)
        assert (left.block, left.nll) == (token.block, pytest.approx(token.nll, abs=10 * ROUNDING))
        assert left.is_correct == (token.guess == cut[window, n_prompt + number])
        blocks.add(token.block)
    assert len(blocks) > 1  # windows take different paths


def test_a_prompt_is_read_in_all_blocks(bundled: LanguageModel, cut: Tokens) -> None:
    rule, n_prompt = RULES[0], 64
    (said,) = teacher_forced(bundled, cut[:2], [rule], CacheFill.PROPAGATE, n_prompt=n_prompt)
    compared = list(really_left(bundled, cut[:2], rule, CacheFill.PROPAGATE, n_prompt=n_prompt))
    blocks = np.array([*bundled.exit_blocks, bundled.n_blocks])[said.exits]
    rows = [token.row for token in compared]
    assert [token.block for token in compared] == blocks[rows].tolist()
    assert np.abs([token.nll for token in compared] - said.nll[rows]).max() <= 10 * ROUNDING
