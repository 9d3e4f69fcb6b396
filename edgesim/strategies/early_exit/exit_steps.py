"""Threshold adaptation of DTO-EE during a run: every server adjusts its own exit, by received messages.

A server knows the cost of a task after it (from prices), and, from messages, the thresholds of exits before
and after it, as means over the servers from which it receives tasks or to which it sends them. It replays the
measured answers at its own threshold and at the neighbouring ones, estimates the delay to first order in the
continuation share, and takes the best. The estimate includes the head of an open exit: with D a queue's
marginal price of a task and S its time, a head of time s costs every arriving task s D / S (for M/M/1:
s / (1 - rho)^2). A third of the servers adjusts in each round, so that not all servers of a stage answer one
price at once. A higher order is not possible, since the responses of the other servers are unknown.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.exit_table import ExitTable, Levels, ThresholdOutcome
from edgesim.planning.offloading.thresholds import Objective, threshold_step
from edgesim.strategies.early_exit.state import RunState

__all__ = ["ExitSteps"]

Floats = NDArray[np.float64]

_TURNS = 3
_REACHES = (
    1,
    1,
    1,
    2,
    2,
    2,
    4,
    4,
    4,
)  # levels to either side, by round: accuracy is not a smooth function of thresholds


class ExitSteps:
    """Thresholds as levels of a table's grid.

    Attributes
    ----------
    view : [n_nodes, n_stages - 1]
        Level of each exit as last received by each node; for its own exit, the actual level.
    onward : [n_nodes]
        Share of the tasks at each node that continues, by its view.
    """

    def __init__(self, state: RunState, table: ExitTable, objective: Objective, levels: Levels) -> None:
        network = state.network
        self._state, self._table, self._objective = state, table, objective
        self._head_s = np.zeros(network.n_nodes) if network.heads is None else network.heads.head_s
        self._known: dict[Levels, ThresholdOutcome] = {}
        self._stage = network.stage.tolist()
        self._movable = [
            node
            for node, stage in enumerate(self._stage)
            if 0 < stage < network.n_stages - 1 and state.thresholds[node] is not None
        ]
        self.view = np.tile(np.array(levels, np.float64), (network.n_nodes, 1))
        self.onward = network.onward.copy()

    def step(self, round_number: int, after_s: Floats, load: Floats) -> None:
        """Let a third of the servers take their best neighbouring threshold.

        Parameters
        ----------
        after_s : [n_nodes]
            Cost after each node of a task that continues.
        load : [n_nodes]
            Marginal price of a task per second of its work at each node: D / S, at least 1.
        """
        reach = _REACHES[round_number % len(_REACHES)]
        for node in self._movable:
            exit_ = self._stage[node] - 1
            levels: Levels = tuple(int(level) for level in np.rint(self.view[node]))
            if (round_number + node) % _TURNS == 0:
                delay_of = partial(
                    _delay_s, exit_, float(after_s[node]), float(load[node] * self._head_s[node])
                )
                levels = threshold_step(
                    self._table, levels, self._objective, delay_of, exits=[exit_], reach=reach
                )
                own = self._table.closed(levels)[exit_]
                levels = (*levels[:exit_], own, *levels[exit_ + 1 :])
                self.view[node, exit_] = own
                self._state.thresholds[node] = float(self._table.thresholds(levels)[exit_])
            if levels not in self._known:
                self._known[levels] = self._table.outcome(levels)
            self.onward[node] = self._known[levels].continues[exit_]


def _delay_s(exit_: int, onward_s: float, head_s: float, outcome: ThresholdOutcome) -> float:
    """Return the mean delay over all tasks due to an exit's head and to continuing, to first order."""
    comes = float(math.prod(outcome.continues[:exit_].tolist()))
    asks = head_s if outcome.leaves[exit_] > 0 else 0.0
    return comes * (asks + float(outcome.continues[exit_]) * onward_s)
