"""Search for the best thresholds under any planning rule: estimate all combinations, plan the best.

With fixed rows, the rates of stage l are those of a network without exits times the share of the tasks that
reaches it, ``S_l = I_1 .. I_(l-1)``. A stage's mean number of tasks is thus a function of one number, and the
cost of every combination of thresholds under that plan is a table lookup. If a rule minimises delay and plans
again for the new shares, its result is no worse: the estimate is then an upper bound. It is exact for rules
whose rows do not depend on shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.exit_table import ExitTable, Levels
from edgesim.planning.offloading.flow import flow_of
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.queue_cost import Barrier, queue_tasks
from edgesim.planning.offloading.thresholds import Objective

__all__ = ["Combinations", "Planned", "estimated_costs_s", "least_cost"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MOST_COMBINATIONS = 300_000  # e.g. four inner exits with all 23 levels; their table takes some 20 MB
_N_SHARES = 33


class Planned(Protocol):
    """Result of planning for given thresholds: the objective's value [s] and the plan [n_links]."""

    @property
    def cost_s(self) -> float: ...

    @property
    def plan(self) -> Floats: ...


Found = TypeVar("Found", bound=Planned)


@dataclass(frozen=True, eq=False)
class Combinations:
    """Combinations of thresholds, with the resulting shares and accuracy.

    Attributes
    ----------
    levels : [n, n_exits - 1]
        Level of each exit but the last.
    survival : [n, n_exits]
        Share of all tasks that reaches each sub-model; 1 at the first.
    accuracy : [n]
        Share of all tasks whose answer is correct.
    """

    levels: Ints
    survival: Floats
    accuracy: Floats

    @classmethod
    def of(cls, table: ExitTable, n_most: int = _MOST_COMBINATIONS) -> Combinations:
        """Replay all samples at every combination of the grid, thinned to at most `n_most` combinations.

        A sample is counted in the cell of the numbers of thresholds that its certainties meet. Cumulative
        sums over the cells give the results of all combinations at once.
        """
        n_inner = table.n_exits - 1
        kept = _thinned(table.n_levels, n_inner, n_most)
        met = np.searchsorted(kept, table.n_met, side="left")  # number of kept levels that are met
        shape = (len(kept) + 1,) * n_inner
        cells = np.ravel_multi_index(tuple(met.T), shape) if n_inner else np.zeros(len(met), np.int64)
        n_cells = int(np.prod(shape))
        left_by_stage, right_by_stage = [], []
        for number in range(table.n_exits):
            weights = table.is_correct[:, number].astype(np.float64)
            counts = np.bincount(cells, minlength=n_cells).reshape(shape)
            right = np.bincount(cells, weights, n_cells).reshape(shape)
            left_by_stage.append(_leaving(counts, number))
            right_by_stage.append(_leaving(right, number))
        leaves = np.stack([part.ravel() for part in left_by_stage], 1) / len(met)
        accuracy = np.stack([part.ravel() for part in right_by_stage], 1).sum(axis=1) / len(met)
        survival = 1 - np.concatenate([np.zeros((len(leaves), 1)), np.cumsum(leaves, axis=1)[:, :-1]], axis=1)
        axes = np.meshgrid(*[kept] * n_inner, indexing="ij")
        levels = np.stack([axis.ravel() for axis in axes], 1) if n_inner else np.zeros((1, 0), np.int64)
        return cls(levels, np.maximum(survival, 0.0), accuracy)

    def __len__(self) -> int:
        return len(self.levels)


def estimated_costs_s(
    network: OffloadingNetwork,
    plan: Floats,
    combinations: Combinations,
    objective: Objective,
    barrier: Barrier,
) -> Floats:
    """Return the objective at every combination, if the rows stay as they are: [n]."""
    lacking = np.maximum(0.0, objective.floor - combinations.accuracy)
    if network.work is not None:
        tasks = _tasks_of_work(network, plan, combinations, barrier)
        foreseen_s: Floats = tasks / network.total_per_s + objective.exchange_s * lacking
        return foreseen_s
    whole = network.with_shares(np.ones(network.n_stages - 2))
    flow = flow_of(whole, plan)
    link_stage = network.stage[network.tail]
    scv = np.zeros(network.n_links) if network.link_scv is None else network.link_scv
    tasks = np.zeros(len(combinations))
    for number in range(network.n_stages - 1):
        nodes = network.stage == number + 1
        links = (link_stage == number) & network.has_queue
        plain = (link_stage == number) & ~network.has_queue
        shares, where = np.unique(combinations.survival[:, number], return_inverse=True)
        found = shares * float(flow.link_utilisation[plain].sum())
        found += _queued(flow.link_utilisation[links], scv[links], shares, barrier)
        at_nodes = _queued(flow.utilisation[nodes], network.scv[nodes], shares, barrier)
        tasks += (found + at_nodes)[where]
        if network.heads is not None and number < network.n_stages - 2:
            added = 1 + network.heads.head_s[nodes] / network.heads.bare_s[nodes]
            with_head = _queued(added * flow.utilisation[nodes], network.scv[nodes], shares, barrier)
            is_open = combinations.survival[:, number + 1] < combinations.survival[:, number]
            tasks += np.where(is_open, (with_head - at_nodes)[where], 0.0)
    costs_s: Floats = tasks / network.total_per_s + objective.exchange_s * lacking
    return costs_s


def _tasks_of_work(
    network: OffloadingNetwork, plan: Floats, combinations: Combinations, barrier: Barrier
) -> Floats:
    """Return the tasks in the network at every combination, where exits reduce the demand per task: [n].

    A stage's tasks are computed at some shares and interpolated between them. The effect of a later exit on
    an earlier stage is neglected, which is accurate enough to select combinations to plan for.
    """
    shares = np.linspace(0.0, 1.0, _N_SHARES)
    by_stage = np.zeros((_N_SHARES, network.n_stages - 1))
    later = np.ones(max(0, network.n_stages - 3))
    for number, share in enumerate(shares.tolist()):
        there = network.with_shares([share, *later] if network.n_stages > 2 else [])
        flow = flow_of(there, plan)
        tasks, _, _ = queue_tasks(flow.utilisation, there.scv, barrier)
        on_links = np.bincount(there.stage[there.tail], flow.link_utilisation, there.n_stages)[:-1]
        by_stage[number] = np.bincount(there.stage, tasks, there.n_stages)[1:] + on_links
    total = np.zeros(len(combinations))
    for stage in range(network.n_stages - 1):
        total += np.interp(combinations.survival[:, stage], shares, by_stage[:, stage])
    return total


def least_cost(
    network: OffloadingNetwork,
    table: ExitTable,
    objective: Objective,
    judge: Callable[[Levels, Floats | None], Found],
    *,
    barrier: Barrier,
    starts: Sequence[Levels],
    n_tries: int = 12,
) -> tuple[Found, int]:
    """Plan for the combinations with the best estimates, from the best plan so far, until none improves it.

    Parameters
    ----------
    judge
        Function that plans for given levels, with a plan to start from.
    starts
        Levels to plan for first.
    n_tries
        Number of combinations to plan for under each plan, best estimate first.

    Returns
    -------
    tuple
        The best result, and the number of plans made.
    """
    combinations = Combinations.of(table)
    known: dict[Levels, Found] = {}
    best: Found | None = None

    def try_levels(levels: Levels) -> None:
        nonlocal best
        known[levels] = found = judge(levels, None if best is None else best.plan)
        if best is None or found.cost_s < best.cost_s:
            best = found

    for levels in dict.fromkeys(starts):
        try_levels(levels)
    assert best is not None
    while True:
        before = best
        costs_s = estimated_costs_s(network, best.plan, combinations, objective, barrier)
        promising = (levels for levels in _in_order(table, combinations, costs_s) if levels not in known)
        for levels in islice(promising, n_tries):
            try_levels(levels)
        if best is before:
            return best, len(known)


def _in_order(table: ExitTable, combinations: Combinations, costs_s: Floats) -> Iterator[Levels]:
    for number in np.argsort(costs_s, kind="stable").tolist():
        yield table.closed(tuple(combinations.levels[number].tolist()))


def _queued(utilisation: Floats, scv: Floats, shares: Floats, barrier: Barrier) -> Floats:
    """Return the total tasks in some queues if their rates were multiplied by each share: [n_shares]."""
    if not len(utilisation):
        return np.zeros(len(shares))
    tasks, _, _ = queue_tasks(
        shares[:, None] * utilisation, np.broadcast_to(scv, (len(shares), len(scv))), barrier
    )
    total: Floats = tasks.sum(axis=1)
    return total


def _thinned(n_levels: int, n_inner: int, n_most: int) -> Ints:
    """Return all levels, or evenly spaced ones including the strictest, to limit the combinations."""
    n_kept = n_levels
    while n_inner and n_kept > 2 and n_kept**n_inner > n_most:
        n_kept -= 1
    return np.unique(np.linspace(0, n_levels - 1, n_kept).round().astype(np.int64))


def _leaving(cells: NDArray[Any], number: int) -> NDArray[Any]:
    """Return the number of samples that leave at an exit, for every combination of levels.

    A sample meets levels 0 .. met - 1: it leaves at an exit of level c if met > c, and passes it otherwise.
    """
    found = cells
    for axis in range(cells.ndim):
        if axis < number:  # passes: met <= c
            found = np.delete(np.cumsum(found, axis=axis), -1, axis=axis)
        elif axis == number:  # leaves: met > c
            later = np.flip(np.cumsum(np.flip(found, axis), axis=axis), axis)
            found = np.delete(later, 0, axis=axis)
        else:  # later exits do not matter: sum over them
            total = found.sum(axis=axis, keepdims=True)
            found = np.repeat(total, cells.shape[axis] - 1, axis=axis)
    return found
