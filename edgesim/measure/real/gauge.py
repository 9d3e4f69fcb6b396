"""A profile measured a pass at a time, in turns with a model really at work in the same process.

On a shared host the speed of a core goes to and fro by a tenth and more, for tenths of a second or for
seconds. What is measured before or after a real run says little of it to a few percent; what is measured
between its tokens does.
"""

from __future__ import annotations

import random
from itertools import cycle

import torch

from edgesim.measure.grid import Grid, PassShape
from edgesim.measure.timing import Measuring
from edgesim.model.architecture import Architecture
from edgesim.model.profile import Profile
from edgesim.model.timing import Phase

__all__ = ["Gauge"]

_DECODES_TO_A_STEP = 3  # a step outside the model is short, and what it varies by, too


class Gauge:
    """Modules of a model to time, on the processor, a visit whenever it is asked for.

    Parameters
    ----------
    architecture
        The model.
    grid
        What to measure; all of it is called once at the beginning.
    fastest
        As :func:`edgesim.measure.timing.measure_profile` has it.
    seed
        Of the order of visits.
    """

    def __init__(self, architecture: Architecture, grid: Grid, *, fastest: int, seed: int) -> None:
        self._measuring = Measuring(architecture, device="cpu", grid=grid, fastest=fastest, seed=seed)
        with torch.inference_mode():
            self._measuring.warm_up()
        self._random = random.Random(seed)
        visits = self._measuring.rounds.visits
        prompts = [at for at, steps in visits if not steps and at.phase is Phase.PREFILL]
        decodes = [at for at, steps in visits if not steps and at.phase is Phase.DECODE]
        steps = [at for at, steps in visits if steps]
        self._prompts = cycle([(at, False) for at in prompts if at.n_shards == 1])
        self._decodes = cycle([(at, False) for at in decodes if at.n_shards == 1])
        self._steps = cycle([(at, True) for at in steps])
        self._n_decodes = 0

    def after_prompt(self) -> None:
        """Time a pass of a prompt."""
        self._visit(*next(self._prompts))

    def after_token(self) -> None:
        """Time a decoding step, or now and then what comes between two."""
        self._n_decodes += 1
        is_step = self._n_decodes % (_DECODES_TO_A_STEP + 1) == 0
        self._visit(*next(self._steps if is_step else self._decodes))

    def round(self) -> None:
        """Time all there is, once, in random order."""
        visits = self._measuring.rounds.visits
        for at, steps in self._random.sample(visits, len(visits)):
            self._visit(at, steps)

    @torch.inference_mode()
    def profile(self) -> Profile:
        """Put together what was found; ceilings are probed once more."""
        self._measuring.probe_ceilings()
        return self._measuring.profile(threads=torch.get_num_threads())

    @torch.inference_mode()
    def _visit(self, at: PassShape, steps: bool) -> None:
        self._measuring.rounds.visit(at, steps, most_passes=1)
