"""The chain of highest throughput, whose slowest stage or hop is fastest, with memory respected exactly.

EdgeShard (Zhang et al. 2024, arXiv 2405.14371) minimises the bottleneck of a pipeline that is kept full, by
a dynamic programme over (blocks done i, set of devices used S, last device k)::

    g(m, S + {j}, j) = min over i < m, k in S of max{ g(i, S, k), hop(k, j), stage(j, i..m) }

A block range that does not fit has an infinite ``stage`` time, so this programme, unlike EdgeShard's for
latency, is exact in memory too. Three measures reduce its O(N^2 2^M M^2) for N blocks and M devices:
identical devices are counted by class (twelve equal boards have 13 sets, not 4096); states that cannot lead
below the best chain known are dropped; and a beam search finds that chain first.

If the programme would still take more than ``max_steps``, the beam's chain is returned with a lower bound on
every chain's bottleneck, proved by two relaxations. In the first, devices may be used repeatedly (a dynamic
programme over (block, class)). The second ignores the order of the devices, its hops and the positions of
their ranges (the smallest bottleneck within which the longest ranges of all devices add up to the model). If
links are alike and blocks are alike, the beam's chain usually meets the second bound and is proved the best
at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from edgesim.errors import PlacementError
from edgesim.planning.chain import ChainStage, FloatArray, IntArray, LatencyProblem
from edgesim.planning.lattice import Lattice, exchangeable_groups
from edgesim.planning.shortage import no_room

__all__ = ["Bottleneck", "bottleneck_s", "throughput"]

MAX_STEPS = 200_000  # takes some seconds
BEAM_WIDTH = 48
ROUNDING = 1e-12  # relative: bottlenecks closer than this count as equal

Used: TypeAlias = tuple[int, ...]
"""Number of devices used of each class."""


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """A chain, its bottleneck, and a lower bound of every chain's bottleneck.

    Attributes
    ----------
    stages
        Devices and their blocks, in the order in which an activation traverses them.
    bottleneck_s
        Time that the slowest stage or hop takes for one request; throughput is its inverse.
    bound_s
        Lower bound of every chain's bottleneck; equal to ``bottleneck_s`` if the chain is proved the best.
    """

    stages: tuple[ChainStage, ...]
    bottleneck_s: float
    bound_s: float

    @property
    def is_proved(self) -> bool:
        """Whether the chain is proved to have the highest throughput."""
        return self.bound_s >= self.bottleneck_s * (1 - ROUNDING)

    @property
    def gap(self) -> float:
        """Upper bound of the bottleneck's excess over the optimum, as a fraction of ``bound_s``."""
        return self.bottleneck_s / self.bound_s - 1 if self.bound_s > 0 else math.inf


def bottleneck_s(problem: LatencyProblem, message_s: FloatArray, stages: tuple[ChainStage, ...]) -> float:
    """Return the time of a chain's slowest stage or hop; :func:`throughput` describes the arguments."""
    starter = stages[0].device
    worst_s, before = 0.0, None
    for device, first, last in stages:
        stage_s = float(problem.block_s[device, first:last].sum())
        if device == starter:
            stage_s += float(problem.embedding_s[device])
        if device == (starter if problem.head_at == "starter" else stages[-1].device):
            stage_s += float(problem.head_s[device])
        if len(stages) > 1:
            stage_s += float(message_s[device])
        hop_s = 0.0 if before is None else problem.hand_over_s(before, device)
        worst_s, before = max(worst_s, stage_s, hop_s), device
    return max(worst_s, problem.hand_back_s(stages[-1].device, starter))


def throughput(
    problem: LatencyProblem, message_s: FloatArray | float = 0.0, *, max_steps: int = MAX_STEPS
) -> Bottleneck:
    """Find the chain with the least bottleneck among all that fit; of equal ones, one of few devices.

    Parameters
    ----------
    problem
        As for latency, except that ``hop_s`` is the time that a request's messages occupy the slowest link on
        the way. Propagation delay does not occupy a link. Without a starter, every device is tried as one.
    message_s : [n_devices]
        Time that the messages of a chain of several devices occupy the device itself, in addition to its
        blocks.
    max_steps
        Transitions of the programme after which the beam's chain is returned with its bound.

    Raises
    ------
    PlacementError
        If no chain fits, or neither the beam nor ``max_steps`` of the programme found one.

    Not modelled: links that several hops of one chain share; a device that several chains share.
    """
    messages_s = np.broadcast_to(np.asarray(message_s, np.float64), (problem.n_devices,))
    if problem.starter is None:
        starters = [group[0] for group in exchangeable_groups(problem, range(problem.n_devices))]
        starters += [d for d in range(problem.n_devices) if d not in starters and len(set(messages_s)) > 1]
    else:
        starters = [problem.starter]
    graphs = sorted((_Graph.of(problem, at, messages_s) for at in starters), key=lambda graph: graph.bound_s)
    best: tuple[ChainStage, ...] | None = None
    best_s, bound_s, steps_left = math.inf, math.inf, max_steps
    for graph in graphs:
        if graph.bound_s >= _just_below(best_s):
            bound_s = min(bound_s, graph.bound_s)
            continue
        rough = graph.beam(best_s)
        if rough is not None:
            best, best_s = rough, bottleneck_s(problem, messages_s, rough)
        if graph.bound_s >= _just_below(best_s):
            bound_s = min(bound_s, graph.bound_s)
            continue
        exact, n_steps, is_complete = graph.programme(best_s, steps_left)
        steps_left -= n_steps
        if exact is not None:
            best, best_s = exact, bottleneck_s(problem, messages_s, exact)
        bound_s = min(bound_s, best_s if is_complete else graph.bound_s)
    if best is None:
        if steps_left <= 0:
            raise PlacementError(
                f"throughput partition: {max_steps} steps of the programme found no chain that fits, and "
                "could not prove that there is none; expected fewer devices that differ, or more memory: "
                "give the partition as an explicit list, leave devices out, or choose another partition"
            )
        raise PlacementError(no_room(problem, "throughput"))
    return Bottleneck(best, best_s, min(bound_s, best_s))


class _Reached(NamedTuple):
    """Bottleneck of the best partial chain for each number of blocks done, and the state that precedes it."""

    worst_s: FloatArray  # [n_blocks + 1]
    from_done: IntArray  # [n_blocks + 1]
    from_last: IntArray  # [n_blocks + 1]


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    """The dynamic programme from one starter.

    Attributes
    ----------
    stage_s : [n_classes, n_blocks + 1, n_blocks + 1]
        Time of blocks ``[i, j)`` on a device of the class in a chain of several; ``inf`` where they do not
        fit.
    back_s : [n_classes]
        Time of the return to the starter.
    alone_s
        Bottleneck of the starter alone.
    bound_s
        Lower bound of every chain's bottleneck.
    rest_s : [n_blocks + 1, n_classes]
        Lower bound of the bottleneck of the rest of a chain, by blocks done and last class.
    """

    lattice: Lattice
    stage_s: FloatArray
    back_s: FloatArray
    alone_s: float
    rest_s: FloatArray
    bound_s: float

    @classmethod
    def of(cls, problem: LatencyProblem, starter: int, message_s: FloatArray) -> _Graph:
        lattice = Lattice.of(problem, starter, apart=message_s)
        first = [group[0] for group in lattice.members]
        stage_s = lattice.run_s + message_s[first][:, None, None]
        stage_s[0] += lattice.start_s
        n = lattice.n_blocks
        alone_s = float(lattice.run_s[0, 0, n]) + lattice.start_s
        if problem.head_at == "last":
            alone_s += float(problem.head_s[starter])
            stage_s[1:, :, n] += problem.head_s[first[1:], None]
        back_s = problem.back_s[first, starter]
        rest_s = _rest_s(lattice, stage_s, back_s)
        several_s = float(np.maximum(stage_s[0, 0], rest_s[:, 0]).min())
        bound_s = min(alone_s, max(several_s, _least_that_adds_up_s(lattice, stage_s)))
        return cls(lattice, stage_s, back_s, alone_s, rest_s, bound_s)

    def chain(self, walk: list[tuple[int, int]]) -> tuple[ChainStage, ...]:
        """Return the stages of a walk of (class, blocks done); members of a class are interchangeable."""
        free = [list(group) for group in self.lattice.members]
        firsts = [0, *(done for _, done in walk)]
        return tuple(
            ChainStage(free[to].pop(0), first, done) for (to, done), first in zip(walk, firsts, strict=False)
        )

    # --- the beam --------------------------------------------------------------------------------

    def beam(self, below_s: float) -> tuple[ChainStage, ...] | None:
        """Find a good chain by bisection over the bottlenecks that occur, filling devices up to each."""
        n = self.lattice.n_blocks
        found: tuple[ChainStage, ...] | None = None
        if self.alone_s < _just_below(below_s):
            found, below_s = self.chain([(0, n)]), self.alone_s
        times_s = np.concatenate([self.stage_s.ravel(), self.lattice.hop_s.ravel(), self.back_s])
        occurring_s = np.unique(
            times_s[(times_s >= _just_below(self.bound_s)) & (times_s < _just_below(below_s))]
        )
        low, high = 0, len(occurring_s)
        while low < high:
            middle = (low + high) // 2
            walk = self._fill(float(occurring_s[middle]))
            if walk is None:
                low = middle + 1
            else:
                found, high = self.chain(walk), middle
        return found

    def _fill(self, within_s: float) -> list[tuple[int, int]] | None:
        """Build a chain whose ranges are as long as a bottleneck allows, keeping the best partial chains."""
        n, sizes = self.lattice.n_blocks, [len(group) for group in self.lattice.members]
        fits = self.stage_s <= within_s
        # The furthest end of a range from each block; -1 where no range fits.
        ends = np.where(fits.any(axis=2), n - fits[:, :, ::-1].argmax(axis=2), -1).tolist()
        hops = (self.lattice.hop_s <= within_s).tolist()
        back = (self.back_s <= within_s).tolist()
        start = ends[0][0]
        if start < 0 or start == n:  # the starter alone is a separate case: it sends no messages
            start = min(start, n - 1)
            if start < 0 or not fits[0, 0, start]:
                return None
        level: dict[tuple[Used, int], list[tuple[int, int]]] = {(tuple([0] * len(sizes)), 0): [(0, start)]}
        while level:
            following: dict[tuple[Used, int], list[tuple[int, int]]] = {}
            for (used, last), walk in level.items():
                done = walk[-1][1]
                for to in range(1, len(sizes)):
                    end = ends[to][done]
                    if used[to] == sizes[to] or not hops[last][to] or end <= done:
                        continue
                    if end == n and back[to]:
                        return [*walk, (to, end)]
                    if end == n:
                        continue
                    key = ((*used[:to], used[to] + 1, *used[to + 1 :]), to)
                    if key not in following or following[key][-1][1] < end:
                        following[key] = [*walk, (to, end)]
            kept = sorted(following.items(), key=lambda item: -item[1][-1][1])[:BEAM_WIDTH]
            level = dict(kept)
        return None

    # --- the programme ---------------------------------------------------------------------------

    def programme(self, below_s: float, max_steps: int) -> tuple[tuple[ChainStage, ...] | None, int, bool]:
        """Find the best chain below a bottleneck: the chain or None, steps taken, whether this is proved."""
        n, n_classes = self.lattice.n_blocks, len(self.lattice.members)
        none = (0,) * n_classes
        opening = self._prune(self.stage_s[0, 0].copy(), 0, below_s)
        nowhere = np.full(n + 1, -1, dtype=np.int64)
        levels: list[dict[tuple[Used, int], _Reached]] = [{(none, 0): _Reached(opening, nowhere, nowhere)}]
        best: tuple[int, tuple[Used, int]] | None = None
        n_steps = 0
        while levels[-1]:
            following: dict[tuple[Used, int], _Reached] = {}
            for (used, last), reached in levels[-1].items():
                for to, hop_s in self._open(used, last, below_s):
                    n_steps += 1
                    if n_steps > max_steps:
                        return self._walk(levels, best), n_steps, False
                    key = ((*used[:to], used[to] + 1, *used[to + 1 :]), to)
                    known = following.get(key)
                    following[key] = self._merged(known, reached, last, to, hop_s, below_s)
            levels.append(following)
            for key, reached in following.items():
                ended_s = max(float(reached.worst_s[n]), float(self.back_s[key[1]]))
                if ended_s < _just_below(below_s):
                    best, below_s = (len(levels) - 1, key), ended_s
            levels[-1] = {
                key: reached for key, reached in following.items() if self._leads_on(reached, below_s)
            }
            if best is not None and best[0] == len(levels) - 1:
                levels[-1].setdefault(best[1], following[best[1]])
        return self._walk(levels, best), n_steps, True

    def _open(self, used: Used, last: int, below_s: float) -> Iterator[tuple[int, float]]:
        for to in range(1, len(used)):
            hop_s = float(self.lattice.hop_s[last, to])
            if used[to] < len(self.lattice.members[to]) and hop_s < _just_below(below_s):
                yield to, hop_s

    def _merged(
        self, known: _Reached | None, before: _Reached, last: int, to: int, hop_s: float, below_s: float
    ) -> _Reached:
        """Merge the transitions from one state into what is known of the next state."""
        worst_s = np.maximum(np.maximum(before.worst_s, hop_s)[:, None], self.stage_s[to])
        from_done = worst_s.argmin(axis=0)
        reached_s = self._prune(worst_s[from_done, np.arange(len(from_done))], to, below_s)
        from_last = np.full(len(from_done), last, dtype=np.int64)
        if known is None:
            return _Reached(reached_s, from_done, from_last)
        better = reached_s < known.worst_s
        return _Reached(
            np.where(better, reached_s, known.worst_s),
            np.where(better, from_done, known.from_done),
            np.where(better, from_last, known.from_last),
        )

    def _prune(self, worst_s: FloatArray, last: int, below_s: float) -> FloatArray:
        """Drop the entries that cannot lead to a complete chain below a bottleneck."""
        worst_s[np.maximum(worst_s, self.rest_s[:, last]) >= _just_below(below_s)] = math.inf
        return worst_s

    def _leads_on(self, reached: _Reached, below_s: float) -> bool:
        return bool((reached.worst_s[:-1] < _just_below(below_s)).any())

    def _walk(
        self, levels: list[dict[tuple[Used, int], _Reached]], best: tuple[int, tuple[Used, int]] | None
    ) -> tuple[ChainStage, ...] | None:
        """Trace a chain back to its starter."""
        if best is None:
            return None
        level, (used, to) = best
        done = self.lattice.n_blocks
        walk: list[tuple[int, int]] = []
        while level:
            walk.insert(0, (to, done))
            reached = levels[level][used, to]
            before = (*used[:to], used[to] - 1, *used[to + 1 :])
            done, to, used = int(reached.from_done[done]), int(reached.from_last[done]), before
            level -= 1
        return self.chain([(0, done), *walk])


def _rest_s(lattice: Lattice, stage_s: FloatArray, back_s: FloatArray) -> FloatArray:
    """Return the least bottleneck from each (blocks done, last class) to the end, with devices reusable."""
    n = lattice.n_blocks
    rest_s = np.full((n + 1, len(lattice.members)), math.inf)
    rest_s[n] = back_s
    for k in range(n - 1, -1, -1):
        enter_s = np.maximum(stage_s[:, k, k + 1 :], rest_s[k + 1 :].T).min(axis=1)
        rest_s[k] = np.maximum(lattice.hop_s, enter_s).min(axis=1)
    return rest_s


def _least_that_adds_up_s(lattice: Lattice, stage_s: FloatArray) -> float:
    """Return the least bottleneck at which the longest ranges of all devices add up to the whole model."""
    n = lattice.n_blocks
    quickest_s = np.full((len(lattice.members), n + 1), math.inf)  # by class and length of the range
    for length in range(n + 1):
        quickest_s[:, length] = np.diagonal(stage_s, offset=length, axis1=1, axis2=2).min(axis=1)
    quickest_s[1:, 0] = 0.0  # a device may be left out
    sizes = np.array([len(group) for group in lattice.members])
    candidates_s = np.unique(quickest_s[np.isfinite(quickest_s)])
    low, high = 0, len(candidates_s)
    while low < high:
        middle = (low + high) // 2
        if _adds_up(quickest_s, sizes, float(candidates_s[middle])) >= n:
            high = middle
        else:
            low = middle + 1
    return float(candidates_s[low]) if low < len(candidates_s) else math.inf


def _adds_up(quickest_s: FloatArray, sizes: npt.NDArray[np.int64], within_s: float) -> int:
    fits = quickest_s <= within_s
    lengths = np.where(fits.any(axis=1), fits.shape[1] - 1 - fits[:, ::-1].argmax(axis=1), 0)
    if not fits[0].any():
        return -1  # the starter itself takes longer
    return int(lengths @ sizes)


def _just_below(time_s: float) -> float:
    return time_s * (1 - ROUNDING)
