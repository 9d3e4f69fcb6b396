"""Tensor parallelism: a group of devices shares every block, with sums over wires or over the air."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from edgesim.errors import InputError, PlacementError
from edgesim.model.architecture import Architecture, Slice
from edgesim.model.profile import Timing
from edgesim.planning.group_shares import check_budget, half_joules, least_error_shares
from edgesim.planning.shares import compute_proportional, share_limits
from edgesim.planning.transceiver import DesignerName
from edgesim.radio.collective.errors_by_scheme import InversionName
from edgesim.strategy import (
    Cluster,
    Fleet,
    LiveRequest,
    Placement,
    Scaling,
    Serving,
    Stage,
    Strategy,
    Summing,
    TensorShard,
    to_heads,
)
from edgesim.units import ENERGY, TIME, UnitError, parse

__all__ = ["GroupPlacement", "TensorParallel", "Unsharded"]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _seconds(text: object) -> object:
    return _parsed(text, TIME)


def _joules(text: object) -> object:
    return _parsed(text, ENERGY)


def _parsed(text: object, dimension: object) -> object:
    if isinstance(text, bool):
        raise ValueError("expected a quantity with its unit")  # noqa: TRY004  # pydantic reports ValueErrors
    try:
        return parse(text, dimension) if isinstance(text, str) else text  # type: ignore[arg-type]
    except UnitError as error:
        raise ValueError(str(error)) from None


Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Energy = Annotated[
    float, BeforeValidator(_joules, json_schema_input_type=str), Field(gt=0, allow_inf_nan=False)
]


def _timing(fleet: Fleet, member: str) -> Timing:
    timing = fleet.device(member).timing
    assert timing is not None  # `select` and `devices` return only devices that compute
    return timing


@dataclass(frozen=True)
class GroupPlacement(Placement):
    """A group of devices that share every block.

    Attributes
    ----------
    shard_of
        Shard of every block, by member.
    summing
        How the group sums.
    """

    shard_of: Mapping[str, TensorShard] = field(default_factory=dict)
    summing: Summing | None = None

    @property
    def shards(self) -> Mapping[str, TensorShard]:
        """Shard of every block, by member."""
        return self.shard_of

    @property
    def groups(self) -> Mapping[tuple[str, ...], Summing]:
        """The single group, with how it sums."""
        return {} if self.summing is None else {self.devices: self.summing}

    @property
    def remark(self) -> str:
        """Shares of the members, if they are unequal; else empty."""
        shares = [f"{shard.block_share:.0%}" for shard in self.shard_of.values()]
        return "" if len(set(shares)) == 1 else f"shares of every block: {', '.join(shares)}"


class Unsharded(BaseModel):
    """Part of every block's computation that a runtime does not divide (Amdahl 1967)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="Fraction of a whole block's time on the device that computes it"
    )
    where: Literal["root", "everywhere"] = Field(
        "everywhere",
        description="Where it is computed: by the root for all, or by every member for itself. For "
        "`everywhere`, times of measured or scaled shards contain their own share, which is used instead",
    )


class TensorParallel(Strategy):
    """Cut every block by heads and MLP columns over a group, and sum twice in every block.

    Shoeybi et al. 2019 (Megatron-LM, arXiv 1909.08053) cut blocks in this way; Zhang et al. 2025 (arXiv
    2502.12559) sum over the air. The group's first device is its root: it receives the requests, holds
    embedding and head whole and computes them alone, and sends the tokens. Each pass occupies the whole
    group.

    Not modelled: a vocabulary that is also divided, and what `edgesim.engine.collective.tensor_group` and
    `edgesim.radio.collective.band` leave out.
    """

    cuts_blocks: ClassVar[bool] = True

    over: Annotated[
        tuple[str, ...],
        BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...]),
        Field(min_length=1),
    ] = Field((), validate_default=False, description="Members: devices, groups, or a list of either; "
                                                      "default: all that compute")  # fmt: skip
    size: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Number of members that take part, from the first; default: all"
    )
    all_reduce: Literal["ring", "star", "aircomp", "digital", "uncoded_fdma"] = Field(
        "star", description="How the group sums: by messages over wires, or in a band of a radio station"
    )
    shares: Literal["even", "compute", "ssca"] | tuple[Share, ...] = Field(
        "even",
        description="Share of every block by member: equal, in proportion to speed, of least error of "
        "sums over the air within a budget (ssca), or given as numbers",
    )
    value_bytes: Annotated[float, Field(gt=0, le=64)] | None = Field(
        None,
        description="Bytes of one value in transfer; default: the model's number format over wires, and "
        "1 (8 bits) in a digital band",
    )
    per_sum: Annotated[
        float, BeforeValidator(_seconds, json_schema_input_type=str), Field(ge=0, allow_inf_nan=False)
    ] = Field(0.0, description="Additional time of every sum, such as '0.1 ms', to synchronise the group")
    unsharded: Unsharded | None = Field(
        None,
        description="Part of every block's computation that is not divided, such as {share: 0.1, where: "
        "root}; default: as in the devices' own times of shards",
    )
    transceiver: DesignerName | InversionName = Field(
        "first-order",
        description="For aircomp: design of the station's combiner or, with single antennas, of the "
        "members' powers",
    )
    truncation: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.1,
        description="For the transceiver truncated-inversion: fading gain (1 in the mean) below which a "
        "member does not transmit",
    )
    budget: Energy | None = Field(
        None,
        description="For analog sums: most energy that a member may spend on computing and sending its part "
        "of one token's sum; default: limited by its radio alone",
    )
    energy: Energy | None = Field(
        None,
        description="For analog sums: most energy that a member may spend on sending its part of one "
        "token's sum, however long that takes; default: limited by its radio's power alone",
    )
    scaling: Scaling = Field(
        "parts",
        description="For analog sums: whether values are scaled to parts of variance 1, or to a sum of "
        "variance 1, in which n parts have 1/n each and errors count n times as much",
    )

    def place(self, model: Architecture, fleet: Fleet) -> GroupPlacement:
        """Divide the model over the group."""
        members = fleet.select(self.over) if self.over else tuple(device.id for device in fleet.devices)
        if self.size is not None:
            if self.size > len(members):
                raise PlacementError(
                    f"tensor_parallel: 'size' requests {self.size} devices of {len(members)}; name more in "
                    "'over', or take fewer"
                )
            members = members[: self.size]
        for member in members:
            device = fleet.device(member)
            for what, stands in (("serving discipline", device.serving), ("battery", device.battery)):
                if stands is not None:
                    raise PlacementError(
                        f"tensor_parallel: {member!r} has a {what}, but a group's pass occupies each device "
                        "until it ends; leave that out, or use other devices"
                    )
        for source in fleet.sources:
            fleet.check_reach(source, members[0])
        try:
            shards = self._shards(model, fleet, members)
        except InputError as error:
            raise PlacementError(f"tensor_parallel: {error}") from None
        blocks = Slice(0, model.n_blocks)
        stages = [Stage(members[0], model.whole), *(Stage(member, blocks) for member in members[1:])]
        value_bytes = self.value_bytes or (1.0 if self.all_reduce == "digital" else float(model.dtype_bytes))
        summing = Summing(
            scheme=self.all_reduce,
            value_bytes=value_bytes,
            is_rounded=value_bytes < model.dtype_bytes,
            overhead_s=self.per_sum if len(members) > 1 else 0.0,
            transceiver=self.transceiver,
            truncation=self.truncation,
            budget_j=self.budget,
            energy_j=self.energy,
            scaling=self.scaling,
        )
        return GroupPlacement(tuple(stages), shards, summing)

    def serve(self, request: LiveRequest, cluster: Cluster, placement: GroupPlacement) -> Serving:
        """Reserve the group's caches, send the prompt to the root, and compute on all members together."""
        root, *_ = members = placement.devices
        assert placement.summing is not None
        yield from cluster.admit(request, members)
        yield from cluster.send(request, request.source, root, request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute_together(request, members, token, placement.summing)
            yield from cluster.emit(request, root, token)

    # --- shares -----------------------------------------------------------------------------------

    def _shards(self, model: Architecture, fleet: Fleet, members: tuple[str, ...]) -> dict[str, TensorShard]:
        """Return whole heads and columns for every member; computed shares respect its memory."""
        at_most: Sequence[float] | None = None
        if self.shares in ("compute", "ssca"):
            limits = self._limits(model, fleet, members)
            is_fast = self.shares == "compute"
            chosen = (self._by_speed if is_fast else self._least_error)(model, fleet, members, limits)
            wanted, at_most = chosen.tolist(), limits.tolist()
        else:
            wanted = [1.0] * len(members) if self.shares == "even" else list(map(float, self.shares))
        if len(wanted) != len(members):
            raise PlacementError(
                f"'shares' has {len(wanted)} numbers for {len(members)} devices; give one for each"
            )
        parts = to_heads(wanted, model, at_most=at_most)
        shards = {m: self._undivided(fleet, m, members, s) for m, s in zip(members, parts, strict=True)}
        for member, shard in shards.items():
            if shard.is_empty:
                raise PlacementError(f"{member!r} has room for no part of a block; leave it out of 'over'")
            if self.budget is not None:
                device, timing = fleet.device(member), _timing(fleet, member)
                spent_j = half_joules(timing, shard, device.power.active_w, self._n_context(fleet))
                check_budget(member, spent_j, self.budget)
        return shards

    def _undivided(
        self, fleet: Fleet, member: str, members: tuple[str, ...], shard: TensorShard
    ) -> TensorShard:
        """Return a member's shard, including the computation that is not divided."""
        if self.unsharded is None or len(members) == 1:
            return shard
        if self.unsharded.where == "root":
            is_root = member == members[0]
            return replace(shard, undivided=self.unsharded.share, computes_undivided=is_root)
        if _timing(fleet, member).origin != "analytic":  # times of measured shards include it
            return shard
        return replace(shard, undivided=self.unsharded.share, computes_undivided=True)

    def _by_speed(
        self, model: Architecture, fleet: Fleet, members: tuple[str, ...], at_most: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        blocks = Slice(0, model.n_blocks)
        speeds = [1.0 / fleet.request_seconds(member, blocks) for member in members]
        return compute_proportional(speeds, at_most)

    def _limits(self, model: Architecture, fleet: Fleet, members: tuple[str, ...]) -> NDArray[np.float64]:
        """Return the largest share that fits each member's memory, while loading weights and with caches."""
        blocks_bytes = float(model.weight_bytes(Slice(0, model.n_blocks)))
        ends_bytes = model.weight_bytes(model.whole) - blocks_bytes
        own = [ends_bytes * (member == members[0]) for member in members]
        loading = [fleet.weight_room_bytes(m) - ends for m, ends in zip(members, own, strict=True)]
        serving = [fleet.room_bytes(m) - ends for m, ends in zip(members, own, strict=True)]
        both_bytes = blocks_bytes + fleet.kv_bytes(model.n_blocks)
        n = len(members)
        return share_limits(n, (loading, [blocks_bytes] * n), (serving, [both_bytes] * n))

    def _least_error(
        self, model: Architecture, fleet: Fleet, members: tuple[str, ...], at_most: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        band = fleet.band(members)
        if self.all_reduce != "aircomp" or self.budget is None or band is None:
            raise PlacementError(
                "shares 'ssca' are those with the least error of sums over the air within a budget; "
                "give 'all_reduce: aircomp' with a 'budget', in a band that all members have, or choose "
                "'even' or 'compute'"
            )
        return least_error_shares(
            model,
            band,
            members,
            [_timing(fleet, member) for member in members],
            [fleet.device(member).power.active_w for member in members],
            budget_j=self.budget,
            n_context=self._n_context(fleet),
            at_most=at_most,
        )

    @staticmethod
    def _n_context(fleet: Fleet) -> int:
        return max(0, fleet.extent.n_tokens - 1)
