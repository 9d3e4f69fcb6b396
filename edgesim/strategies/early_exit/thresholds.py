"""Thresholds before time zero, fixed or to be chosen by planners, from measured answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import PlacementError
from edgesim.planning.offloading.channel_exit import channel_threshold
from edgesim.planning.offloading.exit_table import ExitTable, Levels
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.thresholds import Objective
from edgesim.strategies.early_exit.layout import Layout
from edgesim.world.fleet import Fleet

__all__ = [
    "channel_levels",
    "exit_table",
    "idle_delay_s",
    "levels_of",
    "objective_of",
    "one_each",
    "per_stage",
]

Floats = NDArray[np.float64]

_IDLE_DELAYS_PER_UNIT = 10.0  # so a point of accuracy is worth a tenth of the idle network's delay
_QUANTILES = tuple(round(0.05 * step, 2) for step in range(1, 21))  # with the last, all measured tasks leave


def exit_table(
    layout: Layout, fleet: Fleet, *, by_entropy: bool, fixed: Sequence[float] = ()
) -> ExitTable | None:
    """Return the table of thresholds at the exits of a layout; None if it has no inner exits.

    Parameters
    ----------
    by_entropy
        Whether thresholds are largest entropies, at every 5 % quantile of those measured, or least
        confidences.
    fixed
        Thresholds that the grid must contain.
    """
    records = fleet.exits
    if records is None or not layout.exit_blocks:
        return None
    blocks = tuple(part.last for part in layout.parts)
    kept = tuple(records.blocks.index(block) for block in blocks if block in records.blocks)
    if by_entropy and records.entropy is None:
        raise PlacementError("exit_rule: entropy, but these measured answers have no entropies")
    if fixed:
        grid = sorted({*fixed, -np.inf if by_entropy else np.inf})
    elif by_entropy:
        assert records.entropy is not None
        values = np.quantile(records.entropy[:, kept[:-1]], _QUANTILES)
        grid = [-np.inf, *sorted(set(values.tolist()))]
    else:
        table = ExitTable.of_records(records, blocks)
        return _without_closed(table, layout)
    return _without_closed(
        ExitTable.of_records(records, blocks, by="entropy" if by_entropy else "confidence", grid=grid), layout
    )


def _without_closed(table: ExitTable, layout: Layout) -> ExitTable:
    """Return the table with no task leaving where the layout has no exit."""
    certainty = table.certainty.copy()
    certainty[:, [not has_exit for has_exit in layout.has_exit]] = -np.inf
    return ExitTable(certainty, table.is_correct, table.grid, table.sign)


def one_each(layout: Layout, fixed: Sequence[float]) -> tuple[float, ...]:
    """Return fixed thresholds, given once for all inner exits or one each, as one for each exit."""
    n_exits = len(layout.exit_blocks)
    if len(fixed) not in (1, n_exits):
        stand = f"exit after block {layout.exit_blocks[0]}"
        if n_exits > 1:
            stand = f"exits after blocks {', '.join(map(str, layout.exit_blocks))}"
        raise PlacementError(
            f"thresholds: {len(fixed)} for {n_exits} {stand}; expected one for all, or one for each"
        )
    return tuple(fixed) * n_exits if len(fixed) == 1 else tuple(fixed)


def levels_of(table: ExitTable, layout: Layout, fixed: Sequence[float]) -> Levels:
    """Return fixed thresholds, given once for all inner exits or one each, as levels of the table's grid."""
    each = iter(one_each(layout, fixed))
    wanted = [next(each) if has_exit else table.sign * np.inf for has_exit in layout.has_exit[:-1]]
    return tuple(int(np.searchsorted(table.grid, table.sign * value)) for value in wanted)


def per_stage(table: ExitTable | None, levels: Levels, layout: Layout) -> tuple[float | None, ...]:
    """Return the thresholds of a placement: [n_stages - 1], None where there is no exit."""
    if table is None:
        return (None,) * (layout.n_stages - 1)
    values = table.thresholds(levels).tolist()
    return tuple(
        value if has_exit else None for value, has_exit in zip(values, layout.has_exit[:-1], strict=True)
    )


def objective_of(network: OffloadingNetwork, exchange_s: float | None, floor: float) -> Objective:
    """Return the objective: the given exchange, or ten times the idle network's least mean delay."""
    if exchange_s is None:
        exchange_s = _IDLE_DELAYS_PER_UNIT * idle_delay_s(network)
    return Objective(exchange_s, floor)


def idle_delay_s(network: OffloadingNetwork) -> float:
    """Return the mean delay through all stages by the fastest paths of the idle network [s]."""
    least_s = network.service_s.copy()
    for links in reversed(network.links_of_stage):
        best_s = np.full(network.n_nodes, np.inf)
        np.minimum.at(best_s, network.tail[links], network.transfer_s[links] + least_s[network.head[links]])
        least_s += np.where(np.isfinite(best_s), best_s, 0.0)
    return float(network.arrivals_per_s @ least_s) / network.total_per_s


def channel_levels(
    table: ExitTable, network: OffloadingNetwork, plan: Floats, costs_s: Floats, objective: Objective
) -> Levels:
    """Return the levels nearest to the channel-aware rule's thresholds at the planned costs of continuing.

    Parameters
    ----------
    costs_s : [n_links]
        Cost of a task by each link: its transfer, and everything after it.
    """
    accuracy = float(table.is_correct[:, -1].mean())
    rate = np.bincount(network.stage[network.tail], plan * costs_s, network.n_stages)
    nodes = np.bincount(network.stage, network.n_hops > 0, network.n_stages)
    onward_s = (rate / np.maximum(nodes, 1))[1:-1]
    wanted = [channel_threshold(accuracy, cost_s, objective.exchange_s) for cost_s in onward_s.tolist()]
    finite = np.where(np.isfinite(table.grid), table.grid, 2.0)
    return tuple(int(np.argmin(np.abs(finite - value))) for value in wanted)
