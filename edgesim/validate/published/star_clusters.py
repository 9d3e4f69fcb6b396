"""distributed-llama's boards round a switch: fitted to one and two nodes, predicted for four and eight.

Each row has two columns, computing and transfer, as the root saw them. Computing of one node and of two
gives the share that is not divided; two models on one board tell what the head costs, which the root
computes alone. Transfers of two, less the wires and what messages occupy their ends for, give what a sum
waits for. What that is two nodes do not tell: it is shared out at random, every way as likely as any other,
between the readings of :class:`~edgesim.validate.published.sharded_token.ShardedToken`. What a message
occupies an end for is bounded by the quickest sums of such a board, or of a slower one.
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
"""Standard deviation, relative, of a published time over repetitions. None is published with one: assumed."""

_MODEL_SPREAD = 0.05
"""How far one node's time of a model is off that by another's on the same board, as a logarithm. The one
board with two is what the head's cost is fitted to, so that nothing tells: assumed."""

_LEAST_END_S = 2e-6
"""Of a message of a few packets, on any of these: two system calls and a copy. Assumed; four and eight nodes
do not depend on it, for their wires take 35 microseconds."""

_SLOWER = {"raspberry-pi-5": ("raspberry-pi-5", "raspberry-pi-4b")}
"""Boards whose cores are no quicker: what a message occupies an end for there is no less than here."""


@dataclass(frozen=True)
class StarCluster:
    """One row of the testbed: what one and two nodes took [s].

    Attributes
    ----------
    one_s, two_s
        What the root computed of a token; None where one node has no room.
    transfer_s
        What transfers took, by number of nodes.
    total_s
        As published, by number of nodes.
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
        """Sums of a token: two in every block."""
        return 2 * self.model.n_blocks

    @property
    def wire_s(self) -> float:
        """What a message occupies a wire for."""
        return bits(self.model.hidden_size * self.value_bytes) / self.rate_bps

    @property
    def rest_s(self) -> float:
        """What a sum of two takes beside its messages' wires."""
        return self.transfer_s[2] / self.n_sums - 4.0 * self.wire_s

    def undivided(self, cost: float) -> float | None:
        """What its columns say of the share of the blocks' computing that is not divided.

        Parameters
        ----------
        cost
            What a weight of the head costs over one of a block.
        """
        if self.one_s is None:
            return None
        head_s = ends_share(self.model, cost) * self.one_s
        return undivided_share(self.one_s - head_s, self.two_s - head_s)


@cache
def star_clusters() -> tuple[StarCluster, ...]:
    """Return the testbed's rows."""
    told = published_groups()["distributed-llama"]
    return tuple(
        StarCluster(
            board=row["board"],
            model=known_model(row["model"]).architecture("float16"),
            rate_bps=parse(row.get("link_rate", told["link_rate"]), DATA_RATE),
            value_bytes=told["value_bytes"],
            one_s=1e-3 * row["computing"][1] if 1 in row["computing"] else None,
            two_s=1e-3 * row["computing"][2],
            transfer_s={n: 1e-3 * ms for n, ms in row["transfer"].items()},
            total_s={n: 1e-3 * ms for n, ms in row["total"].items()},
        )
        for row in told["rows"]
    )


def star_cluster_rows() -> list[GroupRow]:
    """Predict every row: one and two nodes as fitted and left out, four and eight from them."""
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
    """Sets of parameters that a row's one and two nodes allow."""
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
    """Sets of parameters that a row's one node and the other rows allow, without what its two nodes took.

    What a sum waits for is that of the board's other rows, with the spread of such rows about one another.
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
    """Share what a sum of two takes beside its wires between all its readings."""
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
    """Mean and spread of one more row's undivided share, from rows that tell it."""
    cost = float(np.median(_ends_costs()))
    told = [other.undivided(cost) for other in star_clusters() if with_own or other is not row]
    shares = [share for share in told if share is not None]
    return float(np.mean(shares)), float(np.std(shares, ddof=1)) * math.sqrt(1.0 + 1.0 / len(shares))


@cache
def _rest_spread() -> float:
    """Spread of the logarithm of what sums wait for, between rows of one board."""
    squares, n_free = 0.0, 0
    for board in {row.board for row in star_clusters()}:
        logs = [math.log(row.rest_s) for row in star_clusters() if row.board == board]
        squares += float(np.var(logs)) * len(logs)
        n_free += len(logs) - 1
    return math.sqrt(squares / n_free)


def _one_by_model_s(row: StarCluster) -> Floats:
    """Computing of one node, by that of another model on the same board."""
    known = next(other for other in _of_board(row) if other.one_s is not None and other is not row)
    assert known.one_s is not None
    costs = _ends_costs()
    return known.one_s * relative_work(row.model, costs) / relative_work(known.model, costs)


@cache
def _ends_costs() -> Floats:
    """What a weight of the head costs over one of a block: from one board's times of two models."""
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
