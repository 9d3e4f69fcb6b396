"""The chain of least latency, with memory respected exactly.

EdgeShard (Zhang et al. 2024, arXiv 2405.14371) minimises the sum of compute and transfer times along a chain
of devices by a dynamic programme over (block, device). Its state does not include the memory already used on
a device, so memory is checked only along the paths that the programme keeps. Where memory binds, it can miss
the best chain, or find none (see `edgesim.planning.edgeshard`, kept for comparison).

The exact problem contains the shortest Hamiltonian path, so no algorithm is fast in every case. `latency` is
exact nevertheless, by best-first search over (blocks done, last device, devices used), with
`edgesim.planning.lattice.Relaxation` as its lower bound. Identical devices are counted by class, so twelve
equal boards are no harder than two. A state is dropped if

- its bound reaches the cost of the best chain known (a beam search finds a good one first),
- the unused devices could not hold the remaining blocks, or
- the same blocks, last device and devices used were reached at less cost.

Also dropping states that have used more devices than another and cost more was tried: the comparisons took
longer than the expansions they saved.

**Complexity.** The bound takes O(C N (N + C)) for N blocks and C classes of devices, once for each of some
hundred price steps. The search visits the states whose bound lies below the optimum: hundreds or thousands
for 20 devices and 80 blocks with memory to spare, and for 15 devices that hold hardly more than the model. In
the worst case they are exponentially many; 20 devices, all different, reach it when memory is that tight.
Beyond ``max_states`` it raises `PlacementError` with the best chain found and an upper bound of its gap to
the optimum. A returned chain is proved optimal, to within rounding.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from functools import cache
from itertools import count, islice
from typing import NamedTuple

from edgesim.errors import PlacementError
from edgesim.planning.chain import Chain, ChainStage, LatencyProblem
from edgesim.planning.lattice import Lattice, Relaxation, Step, best_relaxation, exchangeable_groups
from edgesim.planning.shortage import no_room

__all__ = ["latency"]

MAX_STATES = 500_000  # kept at once: takes some ten seconds and a few hundred megabytes
BEAM_WIDTH = 32
BEAM_STEPS = 24
ROUNDING = 1e-12  # relative: chains closer than this count as equally good


def latency(problem: LatencyProblem, *, max_states: int = MAX_STATES) -> Chain:
    """Find the chain of least latency among all that fit.

    Without a starter, every device is tried as the starter.

    Raises
    ------
    PlacementError
        If no chain fits, or the search reaches ``max_states`` before it can prove a chain the best.
    """
    if problem.starter is None:
        starters = [group[0] for group in exchangeable_groups(problem, range(problem.n_devices))]
    else:
        starters = [problem.starter]
    roughs = [Relaxation.at(lattice, lattice.free) for lattice in (Lattice.of(problem, i) for i in starters)]
    best: Chain | None = None
    for rough in sorted(roughs, key=lambda rough: rough.bound_s):
        better = _best_chain(rough, math.inf if best is None else best.cost_s, max_states)
        best = problem.chain(better) if better else best
    if best is None:
        raise PlacementError(no_room(problem, "latency"))
    return best


class _State(NamedTuple):
    """A partial chain. ``used`` has one bit per device, set from the low end of each class's bit field."""

    bound_s: float  # no completion costs less; for a complete chain, its cost
    done: int
    last: int
    used: int
    paid_s: float  # prices of the devices used
    room: int  # blocks that the unused devices can hold at most
    before: _State | None


def _best_chain(rough: Relaxation, below_s: float, max_states: int) -> tuple[ChainStage, ...] | None:
    """Return the best chain from one starter, or None if none costs less than ``below_s``."""
    known = _beam(_Graph(rough, below_s), below_s) if math.isinf(below_s) else None
    relaxation = best_relaxation(rough, known.bound_s if known else below_s)
    if relaxation.bound_s >= _just_below(below_s):
        return None
    below_now_s = known.bound_s if known else below_s
    graph = _Graph(relaxation, below_now_s)
    known = _beam(graph, below_now_s) or known
    best = _best_first(graph, known, below_s, max_states)
    return graph.stages(best) if best else None


class _Graph:
    """States of one search and the transitions between them."""

    def __init__(self, relaxation: Relaxation, below_s: float) -> None:
        self.n_blocks = relaxation.lattice.n_blocks
        self._relaxation = relaxation
        self._members = relaxation.lattice.members
        self._capacity = relaxation.lattice.capacity
        self._price_s = [float(price_s) for price_s in relaxation.price_s]
        offsets = [sum(map(len, self._members[:index])) for index in range(len(self._members))]
        self._lowest = [1 << offset for offset in offsets]
        self._field = [
            ((1 << len(group)) - 1) << at for group, at in zip(self._members, offsets, strict=True)
        ]
        self._largest_excess_s = below_s - relaxation.bound_s
        self._steps = cache(self._list_steps)

    def starts(self, below_s: float) -> Iterator[_State]:
        """Yield the states after the starter's blocks whose bound is below a ceiling, least bound first."""
        others = zip(self._capacity[1:], self._members[1:], strict=True)
        room = sum(capacity * len(group) for capacity, group in others)
        root = _State(0.0, 0, 0, 0, 0.0, room, None)
        for step in self._relaxation.starts():
            state = self._advance(root, step, self._lowest[0], 0.0, room)
            if state is not None and state.bound_s < below_s:
                yield state._replace(before=None)

    def expand(self, state: _State, below_s: float) -> Iterator[_State]:
        """Yield the states one stage further whose bound is below a ceiling."""
        for step in self._steps(state.done, state.last):
            if state.bound_s + step.excess_s >= below_s:
                return
            field, to = self._field[step.to], step.to
            taken = state.used & field
            if taken == field:
                continue
            used = state.used | self._lowest[to] | (taken << 1 & field)
            paid_s, room = state.paid_s + self._price_s[to], state.room - self._capacity[to]
            following = self._advance(state, step, used, paid_s, room)
            if following is not None and following.bound_s < below_s:
                yield following

    def _advance(self, state: _State, step: Step, used: int, paid_s: float, room: int) -> _State | None:
        if room < self.n_blocks - step.done:
            return None
        bound_s = state.bound_s + step.excess_s
        if step.done == self.n_blocks:
            # The refund for devices that stay unused belongs to the bound, not to the cost.
            bound_s += self._relaxation.refund_s - paid_s
        return _State(bound_s, step.done, step.to, used, paid_s, room, state)

    def _list_steps(self, done: int, last: int) -> list[Step]:
        return self._relaxation.steps(done, last, self._largest_excess_s)

    def stages(self, state: _State) -> tuple[ChainStage, ...]:
        """Return the stages of a complete chain; any unused member of a class may serve."""
        free = [list(group) for group in self._members]
        walk: list[_State] = []
        at: _State | None = state
        while at is not None:
            walk.insert(0, at)
            at = at.before
        firsts = [0, *(before.done for before in walk)]
        return tuple(
            ChainStage(free[here.last].pop(0), first, here.done)
            for here, first in zip(walk, firsts, strict=False)
        )


def _beam(graph: _Graph, below_s: float) -> _State | None:
    """Find a good chain quickly by a beam search: expand the best states at each number of blocks done."""
    levels: list[dict[tuple[int, int], _State]] = [{} for _ in range(graph.n_blocks + 1)]

    def keep(state: _State) -> None:
        level, key = levels[state.done], (state.last, state.used)
        if key not in level or state.bound_s < level[key].bound_s:
            level[key] = state

    for state in graph.starts(below_s):
        keep(state)
    for level in levels[:-1]:
        for state in heapq.nsmallest(BEAM_WIDTH, level.values(), key=_bound_s):
            for following in islice(graph.expand(state, below_s), BEAM_STEPS):
                keep(following)
    return min(levels[-1].values(), key=_bound_s, default=None)


def _best_first(graph: _Graph, known: _State | None, below_s: float, max_states: int) -> _State | None:
    """Expand states in order of their bound until none is below the cost of the best chain known."""
    best, ceiling_s = known, _just_below(known.bound_s if known else below_s)
    heap: list[tuple[float, int, int, _State]] = []
    order = count()
    reached: dict[tuple[int, int, int], float] = {}
    arriving = graph.starts(ceiling_s)
    while True:
        for state in arriving:
            if state.bound_s >= ceiling_s:  # the ceiling may have fallen since the state was yielded
                continue
            if state.done == graph.n_blocks:
                best, ceiling_s = state, _just_below(state.bound_s)
                continue
            place = (state.done, state.last, state.used)
            if state.bound_s < reached.get(place, math.inf):
                reached[place] = state.bound_s
                # Of equal bounds, the one with more blocks done is expanded first: it ends the search sooner.
                heapq.heappush(heap, (state.bound_s, -state.done, next(order), state))
        if not heap or heap[0][0] >= ceiling_s:
            return best
        if len(reached) > max_states:
            raise PlacementError(_gave_up(heap[0][0], best, graph, max_states))
        state = heapq.heappop(heap)[-1]
        overtaken = reached[state.done, state.last, state.used] < state.bound_s
        arriving = iter(()) if overtaken else graph.expand(state, ceiling_s)


def _bound_s(state: _State) -> float:
    return state.bound_s


def _just_below(cost_s: float) -> float:
    return cost_s * (1 - ROUNDING)


def _gave_up(bound_s: float, best: _State | None, graph: _Graph, max_states: int) -> str:
    found = "no chain that fits was found yet"
    if best is not None:
        runs = [f"{first}-{last - 1} on device {device}" for device, first, last in graph.stages(best)]
        found = (
            f"the best chain found takes {best.bound_s:.6g} s, at most {best.bound_s / bound_s - 1:.1%} more "
            f"than the optimum (blocks {', '.join(runs)})"
        )
    return (
        f"latency partition: {max_states} states were not enough to prove a chain the fastest; {found}; "
        "expected fewer devices that differ, or more memory: give the partition as an explicit list, "
        "leave devices out, or choose another partition"
    )
