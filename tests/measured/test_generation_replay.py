"""Tokens that leave early in a run are those of a model that really leaves early, token by token.

What ships is replayed by the engine, in runs that generate along four stages on two devices. The model that
stops (tests/support/early_exit.py) shares no code with the engine, nor with what measured the tables. Both
compute in single precision, in another order: a confidence within rounding of its threshold could fall on
either side, and with propagated caches all later tokens of its window with it. Windows are compared up to the
first such token, and what was computed in them where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from early_exit import Walk
from miniature import Serve, device, model, run, world

from edgesim.measure.generation.generation_cache import kept_generation
from edgesim.measure.language_model import LanguageModel, load_language_model
from edgesim.measure.quality_cache import DEFAULT_TOKENS, kept_answers
from edgesim.measure.text import Tokens, read_text, spread, windows
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.architecture import Slice
from edgesim.strategies.early_exit.generation import generate
from edgesim.strategy import Stage
from edgesim.workload.requests import Request
from edgesim.world.link import Link
from edgesim.world.world import World

pytestmark = [pytest.mark.measured, pytest.mark.slow]

N_WINDOWS, LENGTH = 5, 256
LEAST_COMPARED = 1000
ROUNDING = 1e-5  # of a confidence: some hundred times what single precision loses here
LINKS = (Link(between=("a-0", "b-0"), rate_bps=1e9),)
RULE = ExitRule((0.3, 0.3, 0.3))
BLOCKS = (2, 4, 6, 8)


@dataclass
class Counted(Walk):
    """Counts tokens times blocks."""

    n_passed: int = 0

    def _pass(self, position: int, layer: int) -> None:
        self.n_passed += 1
        super()._pass(position, layer)


@dataclass(frozen=True)
class Left:
    """Where tokens of one window left, until one is within rounding of a threshold."""

    blocks: list[int]
    is_correct: list[bool]
    n_passed: int
    is_clear: bool


@torch.inference_mode()
def really_left(bundled: LanguageModel, window: list[int], fill: CacheFill, n_prompt: int) -> Left:
    assert bundled.exits is not None
    weights = dict(bundled.model.state_dict())
    weights |= {f"exit.{name}": value for name, value in bundled.exits.state_dict().items()}
    by_block = dict(zip(bundled.exit_blocks, RULE.thresholds, strict=True))
    is_clear = True

    def leaves(block: int, confidence: float, entropy: float) -> bool:
        nonlocal is_clear
        is_clear &= abs(confidence - by_block[block]) > ROUNDING
        return confidence >= by_block[block]

    walk = Counted(weights, bundled.model.config, bundled.exit_blocks, bundled.temperatures, fill=str(fill))
    blocks, right = [], []
    for position in range(n_prompt - 1, LENGTH):
        if position == n_prompt - 1 and fill is not CacheFill.PROPAGATE:
            block, guess = walk.prompt(window[:n_prompt], leaves)
        else:
            block, guess = walk.step(window[position], leaves)
        if not is_clear:
            break
        blocks.append(block)
        right.append(guess == window[position + 1])
    return Left(blocks, right, walk.n_passed, is_clear)


@dataclass(frozen=True)
class Given:
    """Requests that stand for windows of the text."""

    n_prompt: int
    is_closed: bool = field(default=False, init=False)

    def requests(self, streams: object) -> Iterator[Request]:
        for number in range(N_WINDOWS):
            sample = number * LENGTH + self.n_prompt - 1
            yield Request(number, "a-0", sample, float(number), self.n_prompt, LENGTH - self.n_prompt + 1)


def replayed(fill: CacheFill, n_prompt: int) -> tuple[dict[int, dict[int, tuple[int, bool]]], object]:
    """By request, where each token left in a run on two devices; and the run."""
    answers, generation = kept_answers("bundled"), kept_generation("bundled")
    assert answers is not None
    assert generation is not None
    there: World = world([device("a-0"), device("b-0")], architecture=model(n_blocks=8))
    there = replace(there, workload=Given(n_prompt), exits=answers.exits, paths=generation.paths, links=LINKS)
    path = [
        Stage("a-0" if last < 6 else "b-0", Slice(last - 2, last, embedding=last == 2, head=True))
        for last in BLOCKS
    ]
    found = {}

    def serve(request, cluster):
        yield from generate(request, cluster, path, RULE, fill)
        found[request.id] = dict(cluster.parts.answers.of(request).exits)

    return found, run(there, Serve(serve))


@pytest.fixture(scope="module")
def bundled() -> LanguageModel:
    return load_language_model("bundled")


@pytest.fixture(scope="module")
def cut(bundled: LanguageModel) -> Tokens:
    """The first windows of those that the shipped tables are of."""
    every = windows(bundled.tokens(read_text("bundled")), LENGTH)
    return every[spread(len(every), DEFAULT_TOKENS // LENGTH)][:N_WINDOWS]


@pytest.mark.parametrize(
    ("fill", "n_prompt"),
    [(CacheFill.PROPAGATE, 1), (CacheFill.RECOMPUTE, 8), (CacheFill.SAME_PATH, 2)],
)
def test_a_run_leaves_where_a_model_does_that_stops(
    bundled: LanguageModel, cut: Tokens, fill: CacheFill, n_prompt: int
) -> None:
    found, ran = replayed(fill, n_prompt)
    passes = ran.spans[(ran.spans["kind"] == "compute") & ~ran.spans["via"].str.startswith("keys")]
    ends = passes["via"].str.extract(r"(\d)-(\d)").astype(int)
    passed = (passes["n_tokens"] * (ends[1] - ends[0] + 1)).groupby(passes["request_id"]).sum()
    n_compared, taken = 0, set()
    for number, window in enumerate(cut.tolist()):
        really = really_left(bundled, window, fill, n_prompt)
        expected = list(zip(really.blocks, really.is_correct, strict=True))
        assert [found[number][token] for token in range(len(expected))] == expected
        n_compared += len(expected)
        taken.update(really.blocks)
        if really.is_clear:
            row = ran.requests[ran.requests["request_id"] == number].iloc[0]
            assert row.correct == pytest.approx(np.mean(really.is_correct))
            assert row.mean_exit_block == pytest.approx(np.mean(really.blocks))
            # As measured, no token of a text without a prompt passes all blocks for being the first.
            n_more = 8 - really.blocks[0] if fill is CacheFill.PROPAGATE else 0
            assert passed[number] == really.n_passed + n_more
    assert n_compared >= LEAST_COMPARED
    assert len(taken) > 1
