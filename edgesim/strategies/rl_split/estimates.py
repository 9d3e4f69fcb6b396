"""Expected cost of each split for a request from now on, computed from channel, queues and quality table."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.model.architecture import Architecture, Slice
from edgesim.strategies.rl_split.options import Weights
from edgesim.strategies.rl_split.split_moves import Mover
from edgesim.strategy import Cluster, Fleet, LiveRequest

__all__ = ["Estimates", "Reach"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reach:
    """Remaining passes of a request that a decision affects."""

    n_new: int
    n_context: int
    n_more: int
    """Decode steps after the next pass."""


@dataclass(frozen=True, eq=False)
class Estimates:
    """Expected utility of splits if channel, queues and loads stay as they are.

    Not modelled: earlier losses of the request, which continue to impair its answer until all blocks have
    recomputed all positions.
    """

    model: Architecture
    fleet: Fleet
    mover: Mover
    weights: Weights
    kind: str

    def quality(self, loss: float, splits: tuple[int, ...]) -> Floats:
        """Return the expected rise of the negative log likelihood by split [nats]; 0 without a table."""
        table = self.fleet.quality
        if table is None:
            return np.zeros(len(splits))
        n_blocks = self.model.n_blocks
        depth = (table.n_blocks or n_blocks) / n_blocks
        level = np.array([loss])
        rises = [
            table.impairment(self.kind, level, block=split * depth)[0].item() if 0 < split < n_blocks else 0.0
            for split in splits
        ]
        found: Floats = np.array(rises, np.float64)
        return found

    def greedy(self, loss: float, splits: tuple[int, ...]) -> Floats:
        """Return the published reward by split: quality and load only, without time and energy."""
        load = np.array(splits) / self.model.n_blocks
        worth: Floats = -self.weights.quality * self.quality(loss, splits) - self.weights.load * load
        return worth

    def utility(
        self,
        cluster: Cluster,
        request: LiveRequest,
        edge: str,
        split: int,
        splits: tuple[int, ...],
        reach: Reach,
    ) -> Floats:
        """Return the full utility by split, at the present rates, errors, queues and loads."""
        loss = cluster.observe().route(request.source, edge).unacknowledged_loss
        costs = [self._cost(cluster, request, edge, split, one, reach) for one in splits]
        worth: Floats = self.greedy(loss, splits) - np.array(costs)
        return worth

    def _cost(
        self, cluster: Cluster, request: LiveRequest, edge: str, old: int, new: int, reach: Reach
    ) -> float:
        view, device, weights = cluster.observe(), request.source, self.weights
        n_blocks, power = self.model.n_blocks, self.fleet.device(device).power
        middle = reach.n_context + reach.n_new + reach.n_more // 2
        busy_s = sent_s = behind_s = 0.0
        total_s = self.mover.seconds(cluster, request, edge, old, new, reach.n_context)
        if new:
            part = Slice(0, new, embedding=True, head=new == n_blocks)
            busy_s += self._passes_s(device, part, reach, middle)
            total_s += view.work_s(device)
        if new < n_blocks:
            up, back = view.route(device, edge), view.route(edge, device)
            unit_bytes = self.model.activation_bytes(1) if new else request.token_bytes
            sent_s += up.seconds(reach.n_new * unit_bytes)
            if new and reach.n_more:
                sent_s += reach.n_more * up.seconds(unit_bytes)
            part = Slice(new, n_blocks, embedding=new == 0, head=True)
            behind_s = self._passes_s(edge, part, reach, middle)
            total_s += view.work_s(edge) + behind_s
            total_s += back.seconds(request.token_bytes) * (reach.n_more + 1 if new else 1)
        total_s += busy_s + sent_s
        if math.isinf(total_s):  # the link is down: such a split is excluded whatever the weights
            return math.inf
        spent_j = busy_s * power.active_w + behind_s * self.fleet.device(edge).power.active_w
        return weights.latency_per_s * total_s + weights.energy_per_j * (spent_j + sent_s * power.tx_w)

    def _passes_s(self, device: str, part: Slice, reach: Reach, middle: int) -> float:
        first_s = self.fleet.seconds(device, part, n_new=reach.n_new, n_context=reach.n_context)
        if not reach.n_more:
            return first_s
        return first_s + reach.n_more * self.fleet.seconds(device, part, n_new=1, n_context=middle)
