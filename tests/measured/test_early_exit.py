"""Replayed records are what a model does that really stops early, token by token, on up to 2,048 tokens.

The model that stops (tests/support/early_exit.py) shares no code with the one that was recorded. Both compute
in single precision, in another order, so a token whose confidence lies within rounding of a threshold could
fall on either side: thresholds are put where none does.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from early_exit import Walk
from effort import sized

from edgesim.measure.exits import exit_records
from edgesim.measure.language_model import LanguageModel, load_language_model
from edgesim.measure.text import read_text, spread, tokens_of, windows
from edgesim.model.answers.exit_records import ExitRecords

pytestmark = [pytest.mark.measured, pytest.mark.slow]

N_TOKENS, LENGTH = sized(1024, 2048), 256
ROUNDING = 1e-5  # of a confidence or an entropy: some hundred times what single precision loses here


@pytest.fixture(scope="module")
def bundled() -> LanguageModel:
    return load_language_model("bundled")


@pytest.fixture(scope="module")
def records(bundled: LanguageModel) -> ExitRecords:
    return exit_records(bundled, read_text("bundled"), n_tokens=N_TOKENS)


@pytest.mark.parametrize(("kind", "wanted"), [("confidence", (0.4, 0.45, 0.4)), ("entropy", (2.5, 2.2, 2.2))])
def test_replaying_is_running_a_model_that_stops(
    bundled: LanguageModel, records: ExitRecords, kind: str, wanted: tuple[float, ...]
) -> None:
    recorded = getattr(records, kind)
    thresholds = [clear_of(recorded[:, number], near) for number, near in enumerate(wanted)]
    blocks, guesses, targets, in_time = really_run(bundled, kind, thresholds)

    replayed = records.leave(**{kind: thresholds})
    assert [records.blocks[number] for number in replayed] == blocks
    shares = records.shares(**{kind: thresholds})
    assert shares.tolist() == [blocks.count(block) / N_TOKENS for block in records.blocks]
    assert (shares > 0.01).all()  # every exit is put to the test
    right = np.array(guesses) == np.array(targets)
    assert records.accuracy(**{kind: thresholds}) == right.sum() / N_TOKENS
    assert in_time == sum(blocks) == round(records.mean_block(**{kind: thresholds}) * N_TOKENS)


def clear_of(values: np.ndarray[Any, Any], near: float) -> float:
    """The point next to one that is as far as can be from all values around."""
    around = np.sort(values[np.abs(values - near) < 0.02])
    gaps = np.diff(around)
    widest = int(gaps.argmax())
    assert gaps[widest] > 2 * ROUNDING
    return float((around[widest] + around[widest + 1]) / 2)


@torch.inference_mode()
def really_run(
    bundled: LanguageModel, kind: str, thresholds: list[float]
) -> tuple[list[int], list[int], list[int], int]:
    """By token, after which block it left, its guess, the right one; and how many blocks were waited for."""
    assert bundled.exits is not None
    weights = dict(bundled.model.state_dict())
    weights |= {f"exit.{name}": value for name, value in bundled.exits.state_dict().items()}
    by_block = dict(zip(bundled.exit_blocks, thresholds, strict=True))

    def leaves(block: int, confidence: float, entropy: float) -> bool:
        return confidence >= by_block[block] if kind == "confidence" else entropy <= by_block[block]

    blocks: list[int] = []
    guesses: list[int] = []
    targets: list[int] = []
    in_time = 0
    cut = windows(tokens_of(read_text("bundled"), bundled.tokenizer), LENGTH)
    for window in cut[spread(len(cut), N_TOKENS // LENGTH)].tolist():
        walk = Walk(weights, bundled.model.config, bundled.exit_blocks, bundled.temperatures)
        for token, target in pairwise(window):
            block, guess = walk.step(token, leaves)
            blocks.append(block)
            guesses.append(guess)
            targets.append(target)
        in_time += walk.n_blocks_in_time
    return blocks, guesses, targets, in_time
