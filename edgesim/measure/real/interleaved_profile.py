"""Measure a profile pass by pass, interleaved with real generation in the same process.

On a shared host the speed of a core varies by a tenth and more, for tenths of a second or for seconds. A
measurement some seconds before or after a real run therefore does not represent it to a few percent; one
between its tokens, or many right beside many runs, do. In use a decoding step follows another one, and finds
its weights and code in the caches: every timed one here therefore follows an untimed one of the same shape.
(For the blocks of a small model on a two-core host, the first step behind a prompt took 1 to 5 % longer than
those after it.) A prompt follows the decoding of another answer, and where a process has waited for it, a
sleep; hence here, too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain, cycle
from time import sleep

import torch

from edgesim.measure.grid import Grid, PassShape
from edgesim.measure.timing import Measuring
from edgesim.model.architecture import Architecture
from edgesim.model.profile import Profile
from edgesim.model.timing import Phase

__all__ = ["Gauge"]

_Visited = tuple[PassShape, bool]  # as in :attr:`edgesim.measure.timing.Rounds.visits`
_PASSES_TO_AN_OTHER = 3  # steps outside the model are short, and so is their variation; test points are few


class Gauge:
    """Timed modules of a model on the CPU, of which each call makes one visit.

    Parameters
    ----------
    architecture
        The model.
    grid
        What to measure, of whole blocks, and prompts of one length; all of it is called once for warming up.
        Test points are visited as rarely as generation steps outside the model.
    fastest
        As for :func:`edgesim.measure.timing.measure_profile`.
    seed
        Seed of the order of visits.
    most_blocks
        As for :class:`edgesim.measure.timing.Measuring`.
    """

    def __init__(
        self,
        architecture: Architecture,
        grid: Grid,
        *,
        fastest: int,
        seed: int,
        most_blocks: int | None = None,
    ) -> None:
        self._measuring = Measuring(
            architecture,
            device="cpu",
            grid=grid,
            fastest=fastest,
            seed=seed,
            most_blocks=most_blocks,
            # A prompt of gpt2-124m takes 19.3 ms for its first block and 18.4 for others. Of the model's
            # twelve blocks one is the first, of the five that are built one as well: their mean is too long
            # for the model. If a pass called two of the five, the second would lie partly in the cache.
            whole_passes=True,
        )
        with torch.inference_mode():
            self._measuring.warm_up()
        self._random = random.Random(seed)
        visits = self._measuring.rounds.visits
        self._passes = [at for at, is_step in visits if not (is_step or at.held_out)]
        decodes = [at for at in self._passes if at.phase is Phase.DECODE]
        steps = [(at, True) for at, is_step in visits if is_step]
        test_points = [(at, False) for at, is_step in visits if at.held_out and not is_step]
        self._others = [*steps, *test_points]
        self._prompts = cycle(at for at in self._passes if at.phase is Phase.PREFILL)
        each_once = [*steps[:1], *((at, False) for at in decodes), *test_points]
        self._between_tokens = chain(each_once, _in_turns(decodes, self._others))
        self._before_prompts = decodes[0]
        self._n_rounds = 0

    def prompt(self) -> None:
        """Time a pass of a prompt."""
        self._visit(next(self._prompts), False)

    def after_token(self) -> None:
        """Time a decoding step, or in every fourth call a generation step outside the model or a test point.

        The first calls visit each once that a profile cannot do without.
        """
        self._visit(*next(self._between_tokens))

    def round(self, rest_s: float = 0.0) -> None:
        """Time every pass once, in random order; in the first of every four calls what is rarer as well.

        Parameters
        ----------
        rest_s
            How long to sleep just before a prompt [s], as a process does in which it arrives.
        """
        visits = [(at, False) for at in self._passes]
        if self._n_rounds % (_PASSES_TO_AN_OTHER + 1) == 0:
            visits += self._others
        self._n_rounds += 1
        for at, steps in self._random.sample(visits, len(visits)):
            self._visit(at, steps, rest_s)

    @torch.inference_mode()
    def profile(self) -> Profile:
        """Return the profile of all visits, after probing the ceilings once more."""
        self._measuring.probe_ceilings()
        return self._measuring.profile(threads=torch.get_num_threads())

    @torch.inference_mode()
    def _visit(self, at: PassShape, steps: bool, rest_s: float = 0.0) -> None:
        rounds = self._measuring.rounds
        if not steps:  # generation steps are timed within a generation, behind its passes
            rounds.settle(at)
            if at.phase is Phase.PREFILL:
                rounds.settle(self._before_prompts)
                sleep(rest_s)
        rounds.visit(at, steps, most_passes=1)


def _in_turns(decodes: Sequence[PassShape], others: Sequence[_Visited]) -> Iterator[_Visited]:
    """Yield decoding steps without end, and after every few another visit."""
    of_decodes, of_others = cycle(decodes), cycle(others)
    while True:
        for _ in range(_PASSES_TO_AN_OTHER):
            yield next(of_decodes), False
        yield next(of_others)
