"""Measure a profile: rounds over all points in random order, until the time budget is spent.

A point-by-point sweep on a shared machine mistakes drift for structure: concurrent programs and the
clock frequency change from minute to minute, and neighbouring points differ by it. Here every round
visits all points, including held-out ones, in a new random order, so that drift affects all equally and
averages out between them.

Interference only ever adds time. On a shared two-core machine a disturbed pass takes up to twenty times as
long as an undisturbed one (a parallel loop waits for the one thread that was descheduled), and most passes
may be disturbed. The time of a point is therefore the median of the fastest quarter of its repeats, which is
robust as long as one pass in eight is undisturbed; on a quiet machine it differs from the plain median by
about one standard deviation of a repeat. Measured beside busy programs, fourteen rounds of TinyLlama-1.1B:

=================================================== ====== ====
held-out error                                      median  p95
=================================================== ====== ====
median of the fastest quarter                        1.8 %  9 %
median of the fastest quarter, after half the rounds 3.0 % 12 %
median of all, after half the rounds                 5.0 % 26 %
the same, less a drift common to each round (polish) 4.6 % 18 %
=================================================== ====== ====

What helps is therefore many rounds, not long passes. Where a pass of all blocks of an excerpt would be long,
it calls only a few of them, in rotation (:mod:`edgesim.measure.rotated_blocks`). Times of blocks do not
depend on that. TinyLlama's in bfloat16 beside busy programs, 24 passes of 15 blocks against 120 of one, in
milliseconds of one thread's own time:

==================== ============================= =============================
quartiles             blocks of passes of 15        blocks of passes of one
==================== ============================= =============================
a decoding step       10.2, 11.5, 14.3              9.9, 11.2, 14.7
a prompt of 16        11.4, 12.9, 14.5              11.5, 12.4, 14.5
a prompt of 64        18.9, 22.1, 31.7              18.5, 20.9, 29.9
==================== ============================= =============================

An exception, on a quiet machine, is the first block of a decoding step, behind embedding, step and head. It
took 4.4 ms of GPT-2 small in float32, and others 4.1. It is timed apart; what it takes longer counts once. A
prompt's takes 19.3 ms, and others 18.4. There a pass calls two of five blocks, whose mean makes twelve 2 %
too long; only for `edgesim validate local` are all called and the first timed apart. (Of two that are called,
the second lies partly in the cache: with the first apart, prompts came out 3 % too short.)
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from sys import maxsize
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
from edgesim.measure.trimmed_mean import typical
from edgesim.model.architecture import Architecture
from edgesim.model.parts import Component
from edgesim.model.profile import Point, Profile
from edgesim.model.surface import GridPoint, Surface
from edgesim.model.surface_timing import SurfaceKey
from edgesim.model.timing import Phase

__all__ = ["Measuring", "Progress", "Rounds", "measure_profile"]

_MIN_ROUNDS = 3  # fewer give no meaningful quartile; a smaller budget is exceeded
_EVEN_SHARE = 0.6  # largest share of the budget for full rounds; the rest is for the least certain points
_WORST_SHARE = 1 / 3  # share of the points visited in each of the remaining rounds
_STABLE = 0.005  # relative standard error at which a point needs no more repeats
_FASTEST = 4  # the median is taken over the fastest 1 / _FASTEST of the repeats
_VISIT_S = 0.05  # a visit repeats passes for this long, since in real use similar passes follow each other
_MAX_PASSES = 4  # but no more often than this
_PASS_S = 0.05  # a pass calls as many blocks as fit into this time, and at least one
_STEP_PASS_S = 0.01  # of the passes between timed generation steps, if blocks suffice: after shorter ones a
# step's code is still in the processor's caches, and it takes a fifth less than after a whole small model


class Progress(Protocol):
    """Callback that reports the progress of the measurement."""

    def __call__(self, done_s: float, total_s: float, what: str, /) -> None:
        """Report that `done_s` of about `total_s` seconds have passed, and that `what` is next."""
        ...


Key = tuple[Component, Phase, PassShape]
Floats = NDArray[np.float64]

_INSIDE = (Component.EMBEDDING, Component.BLOCK, Component.HEAD)  # their sum is a whole pass
_OUTSIDE = (Component.STEP,)
_DIVIDED = (Component.ATTENTION, Component.MLP, Component.BLOCK)  # components divided among tensor shards


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
        Threads of each operation; torch's own setting is restored afterwards.
    device
        ``cpu`` or ``cuda``.
    grid
        Which calls to time; it must lie :meth:`~edgesim.measure.grid.Grid.within` the architecture.
    budget_s
        Seconds for all measurements together: whole blocks and shards, warming up and the machine's own
        ceilings. Building the modules is extra, and at least three rounds are made however long they take.
    progress
        Called after every visit.
    between_rounds
        Called after every round, outside the budget, when the machine's own ceilings are measured: a caller
        that compares with another measurement takes it under the same conditions.
    fastest
        A point's time is the median of the fastest 1 / `fastest` of its repeats. 1: a mean of all,
        for a fair comparison with a mean under the same disturbance
        (:func:`edgesim.measure.trimmed_mean.typical`).
    seed
        Seed of the order in which points are visited.

    Raises
    ------
    ProfileError
        If the device does not exist.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ProfileError("device cuda: torch finds no GPU here; use device cpu")
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
    """A measurement in progress: the timed modules and the times found so far.

    Parameters
    ----------
    architecture, device, grid, fastest, seed
        As for :func:`measure_profile`.
    most_blocks
        Largest number of whole blocks to build: those that a device has, whose weights compete for the cache;
        None: all of the model.
    whole_passes
        As for :class:`Rounds`.

    Attributes
    ----------
    rounds
        Visits the points of the grid.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        device: str,
        grid: Grid,
        fastest: int,
        seed: int,
        most_blocks: int | None = None,
        whole_passes: bool = False,
    ) -> None:
        self._architecture, self._device, self._grid = architecture, device, grid
        cache_bytes = _cache_bytes(device)
        shards = {n_shards: architecture.shard(n_shards) for n_shards in grid.shards}
        excerpts = {
            n_shards: Excerpt(
                shard,
                n_blocks=min(
                    n_copies(shard, cache_bytes),
                    architecture.n_blocks if most_blocks is None or n_shards > 1 else most_blocks,
                ),
                device=device,
            )
            for n_shards, shard in shards.items()
        }
        self._probe = CeilingProbe(architecture, device=device, cache_bytes=cache_bytes)
        self.rounds = Rounds(excerpts, grid, seed, fastest, whole_passes=whole_passes)

    def warm_up(self, report: Callable[[], object] = lambda: None) -> None:
        """Call every operation once; the first product and pass are slow, and never the fastest."""
        self._probe.visit()
        self.rounds.warm_up(report)

    def probe_ceilings(self) -> None:
        """Measure this machine's ceilings once more."""
        self._probe.visit()

    def profile(self, *, threads: int, other_load_cores: float | None = None) -> Profile:
        """Return the profile of all measurements so far.

        Parameters
        ----------
        threads
            Threads of torch during the measurement.
        other_load_cores
            How many cores other programs kept busy during the measurement; None if not measured.
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
    """Visits points and stores the times of each visit.

    Parameters
    ----------
    excerpts
        The timed modules, by the number of shards in a block.
    grid, seed, fastest
        As for :func:`measure_profile`.
    whole_passes
        Whether a pass calls all blocks that were built, however long that takes, and the first block of a
        prompt is timed apart as well as a decoding step's. Prompts must then have one length (ValueError).
    """

    def __init__(
        self,
        excerpts: Mapping[int, Excerpt],
        grid: Grid,
        seed: int,
        fastest: int = _FASTEST,
        *,
        whole_passes: bool = False,
    ) -> None:
        if whole_passes and len({*grid.prompts, *grid.held_out_prompts}) > 1:
            raise ValueError("whole passes are measured of prompts of one length")
        self._fastest_part, self._whole_passes = fastest, whole_passes
        self._first_apart = tuple(Phase) if whole_passes else (Phase.DECODE,)
        self._excerpts = excerpts
        self._random = random.Random(seed)
        # The second element is True for a visit that times generation steps instead of a pass.
        self.visits: tuple[tuple[PassShape, bool], ...] = (
            *((shape, False) for shape in grid.shapes()),
            *((shape, True) for shape in grid.step_shapes()),
        )
        self._found: defaultdict[Key, list[float]] = defaultdict(list)
        self._fastest: dict[PassShape, Mapping[Component, float]] = {}  # fastest pass so far, by block time
        self._halves: defaultdict[Key, list[float]] = defaultdict(list)  # of decoding, one value per half
        self._first_longer_s: defaultdict[Phase, list[float]] = defaultdict(list)  # than the others' mean
        self._has_first_apart: set[PassShape] = set()  # shapes whose blocks leave the first one out

    def warm_up(self, report: Callable[[], object] = lambda: None) -> None:
        """Make every call once, so that kernels are chosen and memory is mapped; record how long passes take.

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
            Called after every round; the time of the first counts towards the budget.
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

    def settle(self, shape: PassShape) -> None:
        """Make one pass without recording it, which leaves the caches as a pass of its kind does."""
        excerpt = self._excerpts[shape.n_shards]
        excerpt.time_pass(shape, self._n_blocks(shape))

    def visit(self, shape: PassShape, generates: bool, *, most_passes: int = _MAX_PASSES) -> None:
        """Make one visit; short passes are repeated, up to `most_passes` times."""
        excerpt = self._excerpts[shape.n_shards]
        if generates:
            block_s = min(of[Component.BLOCK] for at, of in self._fastest.items() if at.n_shards == 1)
            first_s, further_s = excerpt.time_steps(shape, max(1, ceil(_STEP_PASS_S / block_s)))
            self._found[Component.STEP, Phase.PREFILL, shape].append(first_s)
            if further_s is not None:
                decoding = replace(shape, n_new=1, n_context=shape.n_new)
                self._found[Component.STEP, Phase.DECODE, decoding].append(further_s)
            return
        fastest, n_blocks = self._fastest[shape], self._n_blocks(shape)
        pass_s = fastest[Component.EMBEDDING] + n_blocks * fastest[Component.BLOCK] + fastest[Component.HEAD]
        for _ in range(max(1, min(most_passes, int(_VISIT_S / pass_s)))):
            times = excerpt.time_pass(shape, n_blocks)
            halves_s = excerpt.halves_s
            if shape.phase in self._first_apart and n_blocks > 1 and excerpt.has_like_blocks:
                first_s = sum(each_s[0] for each_s in halves_s.values())
                halves_s = {half: each_s[1:] for half, each_s in halves_s.items()}
                times |= {half: sum(each_s) / len(each_s) for half, each_s in halves_s.items()}
                times[Component.BLOCK] = times[Component.ATTENTION] + times[Component.MLP]
                if shape.n_shards == 1:
                    self._first_longer_s[shape.phase].append(first_s - times[Component.BLOCK])
                    self._has_first_apart.add(shape)
            self._fastest[shape] = min(times, self._fastest[shape], key=lambda each: each[Component.BLOCK])
            if shape.phase is Phase.DECODE and shape.batch == shape.n_shards == 1:
                for half, each_s in halves_s.items():
                    self._halves[half, shape.phase, shape] += each_s
            for component, seconds in times.items():
                if shape.n_shards == 1 or component in _DIVIDED:
                    self._found[component, shape.phase, shape].append(seconds)

    def points(self) -> tuple[Point, ...]:
        """Return every point with its time and, where it was held out, the time that the grid predicts."""
        measured = [
            self._with_first_block(_point(key, found, self._fastest_part), key)
            for key, found in self._found.items()
        ]
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

    def _with_first_block(self, point: Point, key: Key) -> Point:
        """Return the embedding of a pass with what its first block takes longer; other points unchanged.

        The first block follows the embedding, the step and the head, whose weights have passed through the
        caches, and takes longer than those that follow a block. An excerpt has fewer blocks than the model,
        which has one first block as well. One value for all shapes of a phase, assumed not to depend on them:
        that of a single shape would be lost in the noise.

        Not modelled: that the later stages of a model divided among devices have a first block, too
        (`edgesim validate local` charges theirs itself); that of a shard is shorter.
        """
        component, _, shape = key
        if component is not Component.EMBEDDING or shape not in self._has_first_apart:
            return point
        # The fastest quarter of the differences would be those of slow further blocks; hence their median.
        found_s = self._first_longer_s[shape.phase]
        longer_s = float(typical(found_s) if self._fastest_part == 1 else np.median(found_s))
        return replace(point, median_s=max(1e-9, point.median_s + longer_s))

    def late_s(self) -> Floats:
        """Return how much longer each half of a block took in decoding than its typical time, at least 0."""
        late = [
            np.maximum(0.0, np.array(halves) - _point(key, halves, self._fastest_part).median_s)
            for key, halves in self._halves.items()
        ]
        return np.concatenate(late) if late else np.zeros(0)

    def _n_blocks(self, shape: PassShape) -> int:
        """Return how many blocks a pass of this shape calls."""
        wanted = maxsize if self._whole_passes else int(_PASS_S / self._fastest[shape][Component.BLOCK])
        if shape.phase in self._first_apart and wanted == 1:
            wanted = 2  # so that the first one is timed apart; 0.35 ms are below 1 % of longer blocks
        return self._excerpts[shape.n_shards].n_called(wanted)

    def _is_stable(self) -> bool:
        return max(map(self._uncertainty, self.visits)) < _STABLE

    def _least_certain(self) -> list[tuple[PassShape, bool]]:
        ranked = sorted(self.visits, key=self._uncertainty, reverse=True)
        return ranked[: max(1, round(_WORST_SHARE * len(ranked)))]

    def _uncertainty(self, visit: tuple[PassShape, bool]) -> float:
        """Return the relative standard error of a visit's time, all its components together."""
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
    """Measures how many cores other programs keep busy, which may explain an inaccurate profile."""

    n_cores = 0.0

    def __enter__(self) -> _OtherLoad:
        self._began, self._busy_s = perf_counter(), self._others_busy_s()
        return self

    def __exit__(self, *_: object) -> None:
        busy_s = self._others_busy_s() - self._busy_s
        self.n_cores = round(max(0.0, busy_s / (perf_counter() - self._began)), 2)

    @staticmethod
    def _others_busy_s() -> float:
        system, own = psutil.cpu_times(), psutil.Process().cpu_times()
        idle_s = system.idle + getattr(system, "iowait", 0.0)
        return sum(system) - getattr(system, "guest", 0.0) - idle_s - own.user - own.system


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    """Set the number of threads that torch uses, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cache_bytes(device: str) -> int:
    """Return the size of the cache that weights might stay in: the CPU's last level, or the GPU's L2."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).L2_cache_size)
    return last_level_cache_bytes()
