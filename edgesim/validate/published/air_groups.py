"""AirComp's emulation: fitted to LLaMA2 on one and two devices; predicts four, eight and another model.

Table I has one number for two devices, which contains everything except an even share of computing. Part of
it is time on the air, given by the channel uses of two messages in a band that is not published: at most the
widest of 5G NR, 100 MHz (3GPP TS 38.101-1, table 5.3.5-1), and at least the band that leaves no time for the
other parts. The rest is divided at random, with equal probability for every division, between undivided
computing, a delay of every sum, lateness, unlike speeds, and handling per member (pilots, synchronising
devices).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from edgesim.model.architecture import Architecture
from edgesim.rng import Streams
from edgesim.scenario.catalogue import model as known_model
from edgesim.validate.published.division import form_spread
from edgesim.validate.published.group_row import Floats, GroupRow, Role, interval, largest_parts
from edgesim.validate.published.groups_data import published_groups
from edgesim.validate.published.sharded_token import ShardedToken
from edgesim.validate.published.star_clusters import REPEATABILITY

__all__ = ["air_group_rows", "air_sets"]

N_SETS = 8_000
_ROLES: Mapping[int, Role] = MappingProxyType({2: "fitted", 4: "predicted", 8: "predicted"})
_MOST_HZ = 100e6


def air_group_rows() -> list[GroupRow]:
    """Predict the table's rows: the model of one and two devices, and one without published group times."""
    data = published_groups()["aircomp"]
    models = {row["model"]: known_model(row["model"]).architecture(data["dtype"]) for row in data["rows"]}
    (fitted_name, fitted_ms), (other_name, other_ms) = ((row["model"], row["total"]) for row in data["rows"])
    sets = air_sets()
    ones_s = sets.head_s + sets.blocks_s
    found = [_row(fitted_name, 1, fitted_ms.get(1), "fitted", ones_s, ones_s, "")]
    for n, role in _ROLES.items():
        named = largest_parts(_named_parts(sets, n))
        found.append(_row(fitted_name, n, fitted_ms.get(n), role, sets.total_s(n), ones_s / n, named))
    fitted, other = models[fitted_name], models[other_name]
    by_bytes_s = ones_s * (_read_bytes(other) / _read_bytes(fitted))
    found.append(_row(other_name, 1, other_ms[1], "left out", by_bytes_s, by_bytes_s, ""))
    carried = _carried(sets, fitted, other, 1e-3 * other_ms[1])
    ones_s = carried.head_s + carried.blocks_s
    for n in (2, 4, 8):
        named = largest_parts(_named_parts(carried, n))
        found.append(_row(other_name, n, other_ms.get(n), "predicted", carried.total_s(n), ones_s / n, named))
    return found


def air_sets() -> ShardedToken:
    """Return the parameter sets that are consistent with the times of one and two devices.

    The time on the air is part of `delay_s`, since it is the same for any number of devices.
    """
    data = published_groups()["aircomp"]
    row = data["rows"][0]
    model = known_model(row["model"]).architecture(data["dtype"])
    rng = Streams(0)["groups aircomp"]
    one_s, two_s = (
        1e-3 * row["total"][n] * np.exp(0.5 * REPEATABILITY * rng.standard_normal(N_SETS)) for n in (1, 2)
    )
    n_sums = 2 * model.n_blocks
    excess_s = (two_s - one_s / 2.0) / n_sums
    least_air_s = 2.0 * math.ceil(model.hidden_size / data["streams"]) / _MOST_HZ
    air_s = least_air_s * (excess_s / least_air_s) ** rng.random(N_SETS)
    undivided_s, delay_s, late_s, unlike_s, per_member_s = rng.dirichlet(np.ones(5), N_SETS).T * (
        excess_s - air_s
    )
    return ShardedToken(
        head_s=np.zeros(N_SETS),  # unknown whether the vocabulary is divided; counted as undivided computing
        blocks_s=one_s,
        undivided=2.0 * n_sums * undivided_s / one_s,
        form=rng.standard_normal(N_SETS),
        form_spread={n: form_spread(n) for n in (4, 8)},
        n_sums=n_sums,
        wire_s=0.0,
        end_s=np.zeros(N_SETS),
        delay_s=air_s + delay_s,
        late_s=late_s,
        unlike_s=unlike_s,
        per_member_s=per_member_s,
        is_systematic=rng.random(N_SETS),
        is_tree=rng.random(N_SETS),
        spread=0.5 * 4.0 ** rng.random(N_SETS),
        is_lognormal=(rng.random(N_SETS) < 0.5).astype(np.float64),
    )


def _carried(sets: ShardedToken, fitted: Architecture, other: Architecture, one_s: float) -> ShardedToken:
    """Return the sets for the same devices with another model: its own single-device time, sums and sizes."""
    ones_s = one_s * np.exp(0.5 * REPEATABILITY * Streams(0)["groups aircomp other"].standard_normal(N_SETS))
    slower = (ones_s / other.n_blocks) / (sets.blocks_s / fitted.n_blocks)  # computing between two sums
    return replace(
        sets,
        blocks_s=ones_s,
        n_sums=2 * other.n_blocks,
        delay_s=sets.delay_s * (other.hidden_size / fitted.hidden_size),
        unlike_s=sets.unlike_s * slower,
    )


def _named_parts(sets: ShardedToken, n_nodes: int) -> dict[str, Floats]:
    """Return the parts of a token's time under this testbed's names."""
    names = {"delays": "on the air and delays"}
    return {names.get(name, name): part for name, part in sets.parts_s(n_nodes).items() if name != "messages"}


def _read_bytes(model: Architecture) -> float:
    return float(model.weight_bytes(model.whole)) - model.vocab_size * model.hidden_size * model.dtype_bytes


def _row(
    model: str,
    n_nodes: int,
    published_ms: float | None,
    role: Role,
    seconds: Floats,
    ideal_s: Floats,
    mechanisms: str,
) -> GroupRow:
    median, low, high = interval(1e3 * seconds)
    return GroupRow(
        testbed="AirComp",
        device="emulated node",
        model=model,
        n_nodes=n_nodes,
        unit="ms per token",
        published=published_ms,
        role=role,
        predicted=median,
        low=low,
        high=high,
        ideal=1e3 * float(np.median(ideal_s)),
        mechanisms=mechanisms,
    )
