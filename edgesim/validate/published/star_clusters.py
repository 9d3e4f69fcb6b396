"""distributed-llama's boards around a switch: fitted to one and two nodes; predicts four and eight.

Each row has two columns, computing and transfer, as measured at the root. Computing of one node and of two
gives the undivided share; two models on one board give the cost of the head, which only the root
computes. The transfer time of two nodes, less the wires and the time that messages occupy their ends, is
the waiting time of sums. Times of two nodes do not determine its cause: it is divided at random, with equal
probability for every division, between the causes of
:class:`~edgesim.validate.published.sharded_token.ShardedToken`. The time that a message occupies an end is
bounded by the fastest sums of that board, or of a slower one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np

from edgesim.model.architecture import Architecture
from edgesim.rng import Streams
from edgesim.scenario.catalogue import model as known_model
from edgesim.units import DATA_RATE, bits, parse
from edgesim.validate.published.division import (
    ends_cost,
    ends_share,
    form_spread,
    relative_work,
    undivided_share,
)
from edgesim.validate.published.group_row import (
    Floats,
    GroupRow,
    Role,
    interval,
    largest_parts,
)
from edgesim.validate.published.groups_data import published_groups
from edgesim.validate.published.sharded_token import ShardedToken

__all__ = ["REPEATABILITY", "StarCluster", "fitted", "left_out", "star_cluster_rows", "star_clusters"]

N_SETS = 8_000

_ROLES: Mapping[int, Role] = MappingProxyType({2: "fitted", 4: "predicted", 8: "predicted"})

REPEATABILITY = 0.02
"""Relative standard deviation of a published time over repetitions. Assumed, since none is published."""

_MODEL_SPREAD = 0.05
"""Standard deviation of the logarithm of one node's time of a model, as predicted from another model on the
same board. Assumed: the head's cost is fitted to the only board with two models, so no data are left."""

_LEAST_END_S = 2e-6
"""Least time that a message of a few packets occupies an end of any board: two system calls and a copy.
Assumed; predictions for four and eight nodes do not depend on it, since their wires take 35 microseconds."""

_SLOWER = {"raspberry-pi-5": ("raspberry-pi-5", "raspberry-pi-4b")}
"""Boards with cores that are no faster, on which a message occupies an end for at least as long."""


@dataclass(frozen=True)
class StarCluster:
    """One row of the testbed: times of one and two nodes [s].

    Attributes
    ----------
    one_s, two_s
        The root's computing time per token with one and two nodes; None where one node lacks the memory.
    transfer_s
        Transfer time, by number of nodes.
    total_s
        Published total, by number of nodes.
    """

    board: str
    model: Architecture
    rate_bps: float
    value_bytes: float
    one_s: float | None
    two_s: float
    transfer_s: Mapping[int, float]
    total_s: Mapping[int, float]

    @property
    def n_sums(self) -> int:
        """Sums per token: two in every block."""
        return 2 * self.model.n_blocks

    @property
    def wire_s(self) -> float:
        """How long a message occupies a wire."""
        return bits(self.model.hidden_size * self.value_bytes) / self.rate_bps

    @property
    def rest_s(self) -> float:
        """Time of a sum of two nodes, without its messages' wires."""
        return self.transfer_s[2] / self.n_sums - 4.0 * self.wire_s

    def undivided(self, cost: float) -> float | None:
        """Return the undivided share of the blocks' computing, by this row; None without a time of one node.

        Parameters
        ----------
        cost
            Time per weight of the head over that of a block.
        """
        if self.one_s is None:
            return None
        head_s = ends_share(self.model, cost) * self.one_s
        return undivided_share(self.one_s - head_s, self.two_s - head_s)


@cache
def star_clusters() -> tuple[StarCluster, ...]:
    """Return the testbed's rows."""
    data = published_groups()["distributed-llama"]
    return tuple(
        StarCluster(
            board=row["board"],
            model=known_model(row["model"]).architecture("float16"),
            rate_bps=parse(row.get("link_rate", data["link_rate"]), DATA_RATE),
            value_bytes=data["value_bytes"],
            one_s=1e-3 * row["computing"][1] if 1 in row["computing"] else None,
            two_s=1e-3 * row["computing"][2],
            transfer_s={n: 1e-3 * ms for n, ms in row["transfer"].items()},
            total_s={n: 1e-3 * ms for n, ms in row["total"].items()},
        )
        for row in data["rows"]
    )


def star_cluster_rows() -> list[GroupRow]:
    """Predict every row: one and two nodes fitted and left out, and four and eight from them."""
    found = []
    for row in star_clusters():
        sets = fitted(row)
        if row.one_s is not None:
            one_s = (row.one_s + row.transfer_s[1]) * np.exp(
                REPEATABILITY * _rng(row).standard_normal(N_SETS)
            )
            found.append(_row(row, 1, "fitted", one_s, one_s, ""))
        ones_s = sets.head_s + sets.blocks_s
        for n_nodes, role in _ROLES.items():
            named = largest_parts(sets.parts_s(n_nodes))
            found.append(_row(row, n_nodes, role, sets.total_s(n_nodes), ones_s / n_nodes, named))
            if n_nodes == 2 and any(other is not row for other in _of_board(row)):
                others = left_out(row)
                found.append(_row(row, 2, "left out", others.total_s(2), ones_s / 2, named))
    return found


def fitted(row: StarCluster) -> ShardedToken:
    """Return the parameter sets that are consistent with a row's times of one and two nodes."""
    rng = _rng(row)
    two_s, transfer_s = (
        each * np.exp(REPEATABILITY * rng.standard_normal(N_SETS)) for each in (row.two_s, row.transfer_s[2])
    )
    mean, spread = _undivided_of_others(row, with_own=True)
    head = ends_share(row.model, _ends_costs())
    if row.one_s is None:
        undivided = np.clip(mean + spread * rng.standard_normal(N_SETS), 0.0, 0.95)
        one_s = two_s / (head + (1.0 - head) * (1.0 + undivided) / 2.0)
    else:
        one_s = row.one_s * np.exp(REPEATABILITY * rng.standard_normal(N_SETS))
        undivided = undivided_share((1.0 - head) * one_s, two_s - head * one_s)
    rest_s = transfer_s / row.n_sums - 4.0 * row.wire_s
    sets = _sets(row, one_s, undivided, rest_s, rng)
    weights = np.where((undivided >= 0.0) & (rest_s > 4.0 * sets.end_s), 1.0, 0.0)
    if row.one_s is None:
        off = np.log(one_s / _one_by_model_s(row)) / _MODEL_SPREAD
    else:
        off = (undivided - mean) / spread
    weights = weights * np.exp(-(off**2) / 2.0)
    return sets.taken(rng.choice(N_SETS, N_SETS, p=weights / weights.sum()))


def left_out(row: StarCluster) -> ShardedToken:
    """Return parameter sets from a row's one node and the other rows, without its times of two nodes.

    The waiting time of sums is that of the board's other rows, with the spread between such rows.
    """
    rng = _rng(row, "left out")
    others = [other for other in _of_board(row) if other is not row]
    mean, spread = _undivided_of_others(row, with_own=False)
    undivided = np.clip(mean + spread * rng.standard_normal(N_SETS), 0.0, 0.95)
    if row.one_s is None:
        one_s, off = _one_by_model_s(row), _MODEL_SPREAD
    else:
        one_s, off = np.full(N_SETS, row.one_s), REPEATABILITY
    ones_s = one_s * np.exp(off * rng.standard_normal(N_SETS))
    logs = [math.log(other.rest_s) for other in others]
    of_rest = _rest_spread() * math.sqrt(1.0 + 1.0 / len(logs))
    rest_s = np.exp(np.mean(logs) + of_rest * rng.standard_normal(N_SETS))
    sets = _sets(row, ones_s, undivided, rest_s, rng)
    return sets.taken(np.flatnonzero(rest_s > 4.0 * sets.end_s))


def _sets(
    row: StarCluster, one_s: Floats, undivided: Floats, rest_s: Floats, rng: np.random.Generator
) -> ShardedToken:
    """Divide the time of a sum of two nodes, without its wires, at random between its possible causes."""
    slower = _SLOWER.get(row.board, (row.board,))
    most_end_s = min(other.rest_s for other in star_clusters() if other.board in slower) / 4.0
    end_s = _LEAST_END_S * (most_end_s / _LEAST_END_S) ** rng.random(N_SETS)
    delay, late, unlike = rng.dirichlet(np.ones(3), N_SETS).T
    waits_s = np.maximum(0.0, rest_s - 4.0 * end_s)
    head = ends_share(row.model, _ends_costs())
    return ShardedToken(
        head_s=head * one_s,
        blocks_s=(1.0 - head) * one_s,
        undivided=undivided,
        form=rng.standard_normal(N_SETS),
        form_spread={n: form_spread(n) for n in (4, 8)},
        n_sums=row.n_sums,
        wire_s=row.wire_s,
        end_s=end_s,
        delay_s=delay * waits_s,
        late_s=late * waits_s,
        unlike_s=unlike * waits_s,
        per_member_s=np.zeros(N_SETS),
        is_systematic=rng.random(N_SETS),
        is_tree=rng.random(N_SETS),
        spread=0.5 * 4.0 ** rng.random(N_SETS),
        is_lognormal=(rng.random(N_SETS) < 0.5).astype(np.float64),
    )


def _undivided_of_others(row: StarCluster, *, with_own: bool) -> tuple[float, float]:
    """Return the mean and spread of a further row's undivided share, from the rows that determine it."""
    cost = float(np.median(_ends_costs()))
    by_row = [other.undivided(cost) for other in star_clusters() if with_own or other is not row]
    shares = [share for share in by_row if share is not None]
    return float(np.mean(shares)), float(np.std(shares, ddof=1)) * math.sqrt(1.0 + 1.0 / len(shares))


@cache
def _rest_spread() -> float:
    """Return the spread of the logarithm of the waiting time of sums, between rows of one board."""
    squares, n_free = 0.0, 0
    for board in {row.board for row in star_clusters()}:
        logs = [math.log(row.rest_s) for row in star_clusters() if row.board == board]
        squares += float(np.var(logs)) * len(logs)
        n_free += len(logs) - 1
    return math.sqrt(squares / n_free)


def _one_by_model_s(row: StarCluster) -> Floats:
    """Return one node's computing time, scaled from another model's on the same board."""
    known = next(other for other in _of_board(row) if other.one_s is not None and other is not row)
    assert known.one_s is not None
    costs = _ends_costs()
    return known.one_s * relative_work(row.model, costs) / relative_work(known.model, costs)


@cache
def _ends_costs() -> Floats:
    """Return the time per weight of the head over that of a block: from one board's times of two models."""
    rng = Streams(0)["groups ends"]
    known = [row for row in star_clusters() if row.one_s is not None]
    small, large = next((a, b) for a in known for b in known if a is not b and a.board == b.board)
    one_s, other_s = (
        row.one_s * np.exp(REPEATABILITY * rng.standard_normal(N_SETS)) for row in (small, large)
    )
    return ends_cost(small.model, one_s, large.model, other_s)


def _of_board(row: StarCluster) -> list[StarCluster]:
    return [other for other in star_clusters() if other.board == row.board]


def _rng(row: StarCluster, purpose: str = "fitted") -> np.random.Generator:
    return Streams(0)[f"groups {row.board} {row.model.name} {purpose}"]


def _row(
    row: StarCluster, n_nodes: int, role: Role, seconds: Floats, ideal_s: Floats, mechanisms: str
) -> GroupRow:
    median, low, high = interval(1e3 * seconds)
    published_s = row.total_s.get(n_nodes)
    return GroupRow(
        testbed="distributed-llama",
        device=row.board,
        model=row.model.name,
        n_nodes=n_nodes,
        unit="ms per token",
        published=None if published_s is None else 1e3 * published_s,
        role=role,
        predicted=median,
        low=low,
        high=high,
        ideal=1e3 * float(np.median(ideal_s)),
        mechanisms=mechanisms,
    )
