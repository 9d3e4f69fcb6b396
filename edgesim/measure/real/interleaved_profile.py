"""Measure a profile pass by pass, interleaved with real generation in the same process.

On a shared host the speed of a core varies by a tenth and more, for tenths of a second or for seconds. A
measurement before or after a real run therefore does not represent it to a few percent; one between its
tokens does. In use a decoding step follows another one, and finds its weights and code in the caches: every
timed one here therefore follows an untimed one of the same shape. (For the blocks of a small model on a
two-core host, the first step behind a prompt took 1 to 5 % longer than those after it.) A prompt follows the
decoding of another answer; hence here, too.
"""

from __future__ import annotations

import random
from itertools import cycle
from time import sleep

import torch

from edgesim.measure.grid import Grid, PassShape
from edgesim.measure.timing import Measuring
from edgesim.model.architecture import Architecture
from edgesim.model.profile import Profile
from edgesim.model.timing import Phase

__all__ = ["Gauge"]

_DECODES_TO_A_STEP = 3  # a step outside the model is short, and so is its variation


class Gauge:
    """Timed modules of a model on the CPU, of which each call makes one visit.

    Parameters
    ----------
    architecture
        The model.
    grid
        What to measure, of whole blocks, and prompts of one length; all of it is called once for warming up.
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
            # A prompt of gpt2-124m takes 19.3 ms for its first block and 18.4 for others, and has one first
            # block in twelve, an excerpt one in five; a stage of the bundled model has one in four.
            first_apart=(Phase.DECODE, Phase.PREFILL),
            # Of two blocks, the second would lie partly in the cache, from the decoding step before.
            calls_all=True,
        )
        with torch.inference_mode():
            self._measuring.warm_up()
        self._random = random.Random(seed)
        visits = self._measuring.rounds.visits
        prompts = [at for at, steps in visits if not steps and at.phase is Phase.PREFILL]
        decodes = [at for at, steps in visits if not steps and at.phase is Phase.DECODE]
        steps = [at for at, steps in visits if steps]
        self._prompts = cycle((at, False) for at in prompts)
        self._decodes = cycle((at, False) for at in decodes)
        self._steps = cycle([(at, True) for at in steps])
        self._before_prompts = decodes[0]
        self._n_decodes, self._n_rounds = 0, 0

    def prompt(self, rest_s: float = 0.0) -> None:
        """Time a pass of a prompt.

        Parameters
        ----------
        rest_s
            How long to sleep just before [s], as a process does in which the prompt arrives.
        """
        self._visit(*next(self._prompts), rest_s)

    def after_token(self) -> None:
        """Time a decoding step, or in every fourth call a generation step outside the model."""
        self._n_decodes += 1
        is_step = self._n_decodes % (_DECODES_TO_A_STEP + 1) == 0
        self._visit(*next(self._steps if is_step else self._decodes))

    def round(self, rest_s: float = 0.0) -> None:
        """Time every pass once, in random order, and generation steps outside the model in every fourth call.

        Parameters
        ----------
        rest_s
            As for :meth:`prompt`.
        """
        has_steps = self._n_rounds % (_DECODES_TO_A_STEP + 1) == 0
        self._n_rounds += 1
        visits = [visit for visit in self._measuring.rounds.visits if has_steps or not visit[1]]
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
