"""The measuring itself: rounds over all points in random order, until the time budget is spent.

A point-by-point sweep on a shared machine takes drift for structure: what runs at the same time, or the
clock frequency, changes from minute to minute, and neighbouring points differ by it. Here every round
visits all points, those held out included, in a fresh random order, so that drift falls on all alike and
averages out between them.

Interference only ever adds time. On a shared two-core machine a disturbed pass takes up to twenty times as
long as it should (a parallel loop waits for the one thread that was sent away), and most passes may be
disturbed. So the time of a point is the median of the fastest quarter of its repeats, which stands firm as
long as one pass in eight is left alone; on a quiet machine it differs from the plain median by about one
standard deviation of a repeat. Measured beside busy programs, fourteen rounds of TinyLlama-1.1B:

=================================================== ====== ====
held-out error                                      median  p95
=================================================== ====== ====
median of the fastest quarter                        1.8 %  9 %
median of the fastest quarter, after half the rounds 3.0 % 12 %
median of all, after half the rounds                 5.0 % 26 %
the same, less a drift common to each round          4.6 % 18 %
=================================================== ====== ====

A drift common to a round (taken away by median polish of the logarithms) explains little: disturbance comes
and goes faster than a round passes.

What helps is therefore many rounds, not long passes. Where a pass of all blocks of an excerpt would be long,
it calls only a few of them, each pass the next (:mod:`edgesim.measure.rotation`). Times of blocks do not
depend on that. TinyLlama's in bfloat16 beside busy programs, 24 passes of 15 blocks against 120 of one, in
milliseconds of one thread's own time:

==================== ============================= =============================
quartiles             blocks of passes of 15        blocks of passes of one
==================== ============================= =============================
a decoding step       10.2, 11.5, 14.3              9.9, 11.2, 14.7
a prompt of 16        11.4, 12.9, 14.5              11.5, 12.4, 14.5
a prompt of 64        18.9, 22.1, 31.7              18.5, 20.9, 29.9
==================== ============================= =============================
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from time import perf_counter
from typing import Protocol

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from edgesim.errors import ProfileError
from edgesim.measure.blocks import Excerpt, n_copies
from edgesim.measure.ceilings import CeilingProbe
from edgesim.measure.grid import Grid, PassShape
from edgesim.measure.host import host_facts, last_level_cache_bytes, software_versions
from edgesim.measure.lateness import lateness_facts
from edgesim.measure.typical import typical
from edgesim.model.architecture import Architecture
from edgesim.model.parts import Component
from edgesim.model.profile import Point, Profile
from edgesim.model.surface import GridPoint, Surface
from edgesim.model.surface_timing import SurfaceKey
from edgesim.model.timing import Phase

__all__ = ["Measuring", "Progress", "Rounds", "measure_profile"]

_MIN_ROUNDS = 3  # below this a quartile means nothing; a smaller budget is overdrawn
_EVEN_SHARE = 0.6  # of the budget goes to full rounds at the most; the rest to the least certain points
_WORST_SHARE = 1 / 3  # of the points are visited in a round of the rest
_STABLE = 0.005  # relative standard error at which a point needs no more repeats
_FASTEST = 4  # the fastest of so many parts of the repeats is believed
_VISIT_S = 0.05  # a visit repeats shorter passes up to this, since in real use a pass follows its like,
_MAX_PASSES = 4  # but no more often than this
_PASS_S = 0.05  # a pass calls so many blocks as this allows, and at least one
_STEP_PASS_S = 0.01  # of the passes between timed generation steps, if there are the blocks: after shorter
# ones a step finds its code in the processor's caches, and takes a fifth less than after a whole small model


class Progress(Protocol):
    """Told now and then how far the measuring is."""

    def __call__(self, done_s: float, total_s: float, what: str, /) -> None:
        """`done_s` of about `total_s` seconds have passed, and `what` comes next."""
        ...


Key = tuple[Component, Phase, PassShape]
Floats = NDArray[np.float64]

_INSIDE = (Component.EMBEDDING, Component.BLOCK, Component.HEAD)  # together, a whole pass
_OUTSIDE = (Component.STEP,)
_DIVIDED = (Component.ATTENTION, Component.MLP, Component.BLOCK)  # what a tensor shard has a share of


def measure_profile(
    architecture: Architecture,
    *,
    threads: int,
    device: str,
    grid: Grid,
    budget_s: float,
    progress: Progress | None = None,
    between_rounds: Callable[[], object] | None = None,
    fastest: int = _FASTEST,
    seed: int = 0,
) -> Profile:
    """Measure a profile of an architecture on this machine.

    Parameters
    ----------
    architecture
        What to measure, with its number format.
    threads
        Of each operation; torch's own setting is restored afterwards.
    device
        ``cpu`` or ``cuda``.
    grid
        Which calls to time; it must lie :meth:`~edgesim.measure.grid.Grid.within` the architecture.
    budget_s
        Seconds for all that is measured together: whole blocks and shards, warming up and the machine's own
        ceilings. Building the modules comes on top, and three rounds are made whatever they take.
    progress
        Told after every visit.
    between_rounds
        Called after every round, outside the budget, as the machine's own ceilings are measured: who
        measures something else to compare it with does so under the same conditions.
    fastest
        A point's time is the median of the fastest one of so many parts of its repeats; 1: a mean of all,
        as is fair beside the mean of something else that was disturbed alike
        (:func:`edgesim.measure.typical.typical`).
    seed
        Of the order in which points are visited.

    Raises
    ------
    ProfileError
        If the device is not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ProfileError("asked to measure on device cuda, but torch finds no GPU here; use device cpu")
    report = progress or (lambda *_: None)
    with _threads(threads), torch.inference_mode():
        report(0.0, budget_s, "building modules")
        measuring = Measuring(architecture, device=device, grid=grid, fastest=fastest, seed=seed)
        with _OtherLoad() as other_load:
            began = perf_counter()
            measuring.warm_up(lambda: report(min(perf_counter() - began, budget_s), budget_s, "warming up"))
            warm_up_s = perf_counter() - began
            measuring.rounds.spend(
                budget_s, report, measuring.probe_ceilings, between_rounds, spent_s=warm_up_s
            )
    return measuring.profile(threads=threads, other_load_cores=other_load.n_cores)


class Measuring:
    """A profile in the making: modules to time, and what was found so far.

    Parameters
    ----------
    architecture, device, grid, fastest, seed
        As :func:`measure_profile` has them.

    Attributes
    ----------
    rounds
        Visits the points of the grid.
    """

    def __init__(
        self, architecture: Architecture, *, device: str, grid: Grid, fastest: int, seed: int
    ) -> None:
        self._architecture, self._device, self._grid = architecture, device, grid
        cache_bytes = _cache_bytes(device)
        shards = {n_shards: architecture.shard(n_shards) for n_shards in grid.shards}
        excerpts = {
            n_shards: Excerpt(shard, n_blocks=n_copies(shard, cache_bytes), device=device)
            for n_shards, shard in shards.items()
        }
        self._probe = CeilingProbe(architecture, device=device, cache_bytes=cache_bytes)
        self.rounds = Rounds(excerpts, grid, seed, fastest)

    def warm_up(self, report: Callable[[], object] = lambda: None) -> None:
        """Call everything once; the first product and pass are slow ones, and never the best."""
        self._probe.visit()
        self.rounds.warm_up(report)

    def probe_ceilings(self) -> None:
        """Measure once more how fast this machine multiplies and reads."""
        self._probe.visit()

    def profile(self, *, threads: int, other_load_cores: float | None = None) -> Profile:
        """Put together what was found.

        Parameters
        ----------
        threads
            Of torch, meanwhile.
        other_load_cores
            How many cores other programs kept busy meanwhile; None if that was not measured.
        """
        load = {} if other_load_cores is None else {"other_load_cores": other_load_cores}
        return Profile(
            architecture=self._architecture,
            device=self._device,
            threads=threads,
            ceilings=self._probe.ceilings(),
            host={
                **host_facts(self._device),
                **load,
                "lateness": lateness_facts(self.rounds.late_s()),
            },
            versions=software_versions(),
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
            grid=self._grid.facts(),
            points=self.rounds.points(),
        )


class Rounds:
    """Visits points and remembers what each visit found."""

    def __init__(
        self, excerpts: Mapping[int, Excerpt], grid: Grid, seed: int, fastest: int = _FASTEST
    ) -> None:
        self._fastest_part = fastest
        self._excerpts = excerpts  # by how many shards make up a block
        self._random = random.Random(seed)
        # A generation is a visit of another kind: marked by its place in this tuple, not by its shape.
        self.visits: tuple[tuple[PassShape, bool], ...] = (
            *((shape, False) for shape in grid.shapes()),
            *((shape, True) for shape in grid.step_shapes()),
        )
        self._found: defaultdict[Key, list[float]] = defaultdict(list)
        self._fastest: dict[PassShape, Mapping[Component, float]] = {}  # pass so far, by its blocks
        self._halves: defaultdict[Key, list[float]] = defaultdict(list)  # of decoding, one by one

    def warm_up(self, report: Callable[[], object] = lambda: None) -> None:
        """Call everything, so that kernels are chosen and memory mapped; learn how long passes take.

        One block is enough for that, since all choose the same kernels.
        """
        for shape, generates in self.visits:
            excerpt = self._excerpts[shape.n_shards]
            if generates:
                excerpt.time_steps(shape, 1)
            else:
                self._fastest[shape] = excerpt.time_pass(shape, 1)
            report()

    def spend(
        self,
        budget_s: float,
        report: Progress,
        within_budget: Callable[[], object],
        between_rounds: Callable[[], object] | None = None,
        *,
        spent_s: float = 0.0,
    ) -> None:
        """Make full rounds, then rounds over the least certain points, until the budget is spent.

        Parameters
        ----------
        budget_s
            Seconds, of which `spent_s` are spent already.
        report
            Called after every visit.
        within_budget, between_rounds
            Called after every round; the time of the first is spent, too.
        """
        n_rounds, evenly_until_s = 0, spent_s + _EVEN_SHARE * (budget_s - spent_s)
        while n_rounds < _MIN_ROUNDS or (spent_s < budget_s and not self._is_stable()):
            everything = n_rounds < _MIN_ROUNDS or spent_s < evenly_until_s
            visits = self.visits if everything else self._least_certain()
            for shape, generates in self._random.sample(visits, len(visits)):
                if n_rounds >= _MIN_ROUNDS and spent_s >= budget_s:
                    return
                began = perf_counter()
                self.visit(shape, generates)
                spent_s += perf_counter() - began
                report(min(spent_s, budget_s), budget_s, f"round {n_rounds + 1}")
            n_rounds += 1
            began = perf_counter()
            within_budget()
            spent_s += perf_counter() - began
            if between_rounds is not None:
                between_rounds()

    def visit(self, shape: PassShape, generates: bool, *, most_passes: int = _MAX_PASSES) -> None:
        """Time one of the visits once more; short passes are repeated, up to so many times."""
        excerpt = self._excerpts[shape.n_shards]
        if generates:
            block_s = min(of[Component.BLOCK] for at, of in self._fastest.items() if at.n_shards == 1)
            first_s, further_s = excerpt.time_steps(shape, max(1, ceil(_STEP_PASS_S / block_s)))
            self._found[Component.STEP, Phase.PREFILL, shape].append(first_s)
            if further_s is not None:
                decoding = replace(shape, n_new=1, n_context=shape.n_new)
                self._found[Component.STEP, Phase.DECODE, decoding].append(further_s)
            return
        fastest = self._fastest[shape]
        n_blocks = excerpt.n_called(int(_PASS_S / fastest[Component.BLOCK]))
        pass_s = fastest[Component.EMBEDDING] + n_blocks * fastest[Component.BLOCK] + fastest[Component.HEAD]
        for _ in range(max(1, min(most_passes, int(_VISIT_S / pass_s)))):
            times = excerpt.time_pass(shape, n_blocks)
            self._fastest[shape] = min(times, self._fastest[shape], key=lambda each: each[Component.BLOCK])
            if shape.phase is Phase.DECODE and shape.batch == shape.n_shards == 1:
                for half, each_s in excerpt.halves_s.items():
                    self._halves[half, shape.phase, shape] += each_s
            for component, seconds in times.items():
                if shape.n_shards == 1 or component in _DIVIDED:
                    self._found[component, shape.phase, shape].append(seconds)

    def points(self) -> tuple[Point, ...]:
        """Every point with its time, and what the grid predicts where a point was held out."""
        measured = [_point(key, found, self._fastest_part) for key, found in self._found.items()]
        on_grid: defaultdict[SurfaceKey, dict[GridPoint, float]] = defaultdict(dict)
        for point in measured:
            if not point.held_out:
                on_grid[point.of][point.at] = point.median_s
        surfaces = {key: Surface.through(values) for key, values in on_grid.items()}
        points = [
            replace(point, predicted_s=float(surfaces[point.of].at(*point.at))) if point.held_out else point
            for point in measured
        ]
        order = list(Component)
        return tuple(sorted(points, key=lambda p: (p.n_shards, order.index(p.component), p.phase, *p.at)))

    def late_s(self) -> Floats:
        """By how much each half of a block took longer in decoding than is believed of it; 0 at the least."""
        late = [
            np.maximum(0.0, np.array(halves) - _point(key, halves, self._fastest_part).median_s)
            for key, halves in self._halves.items()
        ]
        return np.concatenate(late) if late else np.zeros(0)

    def _is_stable(self) -> bool:
        return max(map(self._uncertainty, self.visits)) < _STABLE

    def _least_certain(self) -> list[tuple[PassShape, bool]]:
        ranked = sorted(self.visits, key=self._uncertainty, reverse=True)
        return ranked[: max(1, round(_WORST_SHARE * len(ranked)))]

    def _uncertainty(self, visit: tuple[PassShape, bool]) -> float:
        """Relative standard error of a visit's time, all its components together."""
        shape, generates = visit
        inside = _INSIDE if shape.n_shards == 1 else (Component.BLOCK,)
        keys = [(c, shape.phase, shape) for c in (_OUTSIDE if generates else inside)]
        points = [_point(key, self._found[key], self._fastest_part) for key in keys]
        error_s = sum(point.spread_s / point.n_repeats**0.5 for point in points)
        return float(error_s / sum(point.median_s for point in points))


def _point(key: Key, seconds: Sequence[float], fastest_part: int) -> Point:
    component, phase, shape = key
    lower, upper = np.quantile(seconds, [0.25, 0.75])
    return Point(
        component=component,
        phase=phase,
        batch=shape.batch,
        n_new=shape.n_new,
        n_context=shape.n_context,
        median_s=float(typical(seconds, fastest_part)),
        spread_s=float(upper - lower) / 2,
        n_repeats=len(seconds),
        held_out=shape.held_out,
        n_shards=shape.n_shards,
    )


class _OtherLoad:
    """How many cores other programs kept busy meanwhile: what a doubtful profile may be put down to."""

    n_cores = 0.0

    def __enter__(self) -> _OtherLoad:
        self._began, self._busy_s = perf_counter(), self._others_busy_s()
        return self

    def __exit__(self, *_: object) -> None:
        busy_s = self._others_busy_s() - self._busy_s
        self.n_cores = round(max(0.0, busy_s / (perf_counter() - self._began)), 2)

    @staticmethod
    def _others_busy_s() -> float:
        everybody, own = psutil.cpu_times(), psutil.Process().cpu_times()
        idle_s = everybody.idle + getattr(everybody, "iowait", 0.0)
        return sum(everybody) - getattr(everybody, "guest", 0.0) - idle_s - own.user - own.system


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    """Set how many threads torch uses, and put the number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cache_bytes(device: str) -> int:
    """Size of the cache that weights might stay in: the processor's last, or the GPU's only shared one."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).L2_cache_size)
    return last_level_cache_bytes()
