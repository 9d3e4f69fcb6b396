"""The threshold half of DTO-EE during a run: every server nudges its own exit, by what it has heard.

A server knows what a task that goes on costs after it (by prices), and from messages the thresholds of exits
before and behind it, as means over the servers from which, or to which, its tasks go. It replays the measured
answers at its own threshold and at the neighbouring ones, foresees the delay to first order in the share that
goes on, and takes the best. An open exit's head counts, too: with D a queue's marginal price of a task and S
its time, a head of time s costs every task that comes s D / S (for M/M/1: s / (1 - rho)^2). A third of the
servers moves in each round, so that not all of a stage answer one price at once; a first order is all there
is to go by here, since what other servers would answer is unknown.
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
)  # levels to either side, by round: accuracy is no smooth function of them


class ExitSteps:
    """Thresholds as levels of a table's grid.

    Attributes
    ----------
    view : [n_nodes, n_stages - 1]
        Level of each exit as each node believes it; of its own, as it is.
    onward : [n_nodes]
        Share of the tasks at each node that goes on, by its view.
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
        """Let the servers whose turn it is take their best neighbouring threshold.

        Parameters
        ----------
        after_s : [n_nodes]
            What a task that goes on costs after each node.
        load : [n_nodes]
            Marginal price of a task at each node, of one more second of its work: D / S, at least 1.
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
    """Mean delay over all tasks that an exit's head and going on past it cause, to first order."""
    comes = float(math.prod(outcome.continues[:exit_].tolist()))
    asks = head_s if outcome.leaves[exit_] > 0 else 0.0
    return comes * (asks + float(outcome.continues[exit_]) * onward_s)
