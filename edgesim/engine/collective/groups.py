"""The groups of a run: which devices may join one, and how it sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from edgesim.engine.collective.idle_rounds import IdleRounds
from edgesim.engine.collective.lateness import LatenessDraws
from edgesim.engine.collective.sums import AirSums, MessageSums, Summing
from edgesim.engine.collective.tensor_group import AllReduce, TensorGroup
from edgesim.engine.device.host import Host
from edgesim.engine.network.hop import Hop
from edgesim.engine.recording import Recording
from edgesim.errors import ContractError, InputError
from edgesim.planning.transceiver import designer
from edgesim.radio.collective.band import CollectiveBand
from edgesim.radio.collective.errors_by_scheme import Combined, InversionName, Inverted, Mse, uncoded_mse
from edgesim.radio.collective.over_the_air import OverTheAir
from edgesim.world.holdings import Holdings
from edgesim.world.routes import Network
from edgesim.world.world import World

__all__ = ["Groups"]


class Groups:
    """Groups of devices that share every block, formed at their first use."""

    def __init__(
        self,
        world: World,
        hosts: Mapping[str, Host],
        stored: Holdings,
        network: Network,
        hops: Mapping[tuple[str, str], Hop],
        recording: Recording,
    ) -> None:
        self._world, self._hosts, self._stored = world, hosts, stored
        self._network, self._hops, self._recording = network, hops, recording
        self._known: dict[tuple[tuple[str, ...], Summing], TensorGroup] = {}

    def of(self, members: tuple[str, ...], summing: Summing) -> TensorGroup:
        """Return the group of these members with this all-reduce.

        Raises
        ------
        ContractError
            If a member stores no shard.
        InputError
            If a member, or a link that the group sums over, may fail, or no station has a band for it.
        """
        known = self._known.get((members, summing))
        if known is None:
            known = self._known[members, summing] = self._formed(members, summing)
        return known

    def _formed(self, members: tuple[str, ...], summing: Summing) -> TensorGroup:
        for device in members:
            if device not in self._stored.shards:
                raise ContractError(
                    f"compute_together: {device!r} holds no shard; its placement gives it none"
                )
            if self._hosts[device].shared is not None:  # a group's passes would bypass a shared station
                raise InputError(
                    f"{device!r} is a member of a group and may fail, has a battery, a serving discipline, "
                    "a speed that changes, or service times that are drawn; a group's pass occupies all of "
                    "its devices to its end: remove those (of a recorded track: 'outside: parked'), or the "
                    "device"
                )
            if self._hosts[device].device.start_up_s:
                raise InputError(
                    f"{device!r} has a 'start_up', which is not modelled in a group's pass; set "
                    "'start_up: 0 s' there"
                )
        sums: AllReduce
        if summing.is_on_air and len(members) > 1:
            sums = self._air_sums(members, summing)
        else:
            by = "ring" if summing.is_on_air else summing.scheme  # a single member sends nothing
            wires = IdleRounds(self._network, self._world.devices, self._hops)
            sums = MessageSums(wires, members, by, summing.value_bytes)
        part, devices = self._stored.parts(members[0])[0], [self._hosts[device].device for device in members]
        lateness = None
        if len(members) > 1 and any(device.lateness is not None for device in devices):
            lateness = LatenessDraws(devices, part, self._world.seed, self._world.replication)
        return TensorGroup(
            [self._hosts[device] for device in members],
            self._stored.shards,
            part,
            sums,
            summing.overhead_s,
            self._recording,
            value_bytes=0.0 if summing.is_analog else summing.value_bytes,
            lateness=lateness,
        )

    def _air_sums(self, members: tuple[str, ...], summing: Summing) -> AirSums:
        band = self._world.band(members)
        if band is None:
            raise InputError(
                f"all_reduce {summing.scheme}: no station has a band for {', '.join(members)}; give "
                "their radio links 'over_the_air', or sum by messages (ring, star)"
            )
        self._check_lasting(band, members)
        model = self._world.model
        air = OverTheAir(
            band,
            members,
            summing.scheme,  # type: ignore[arg-type]
            value_bytes=summing.value_bytes,
            mse=_mse(summing),
            token_values=model.hidden_size,
            budget_j=summing.budget_j,
            energy_j=summing.energy_j,
            scaling=summing.scaling,
        )
        return AirSums(
            air,
            [self._world.devices[device].endpoint for device in members],
            value_bytes=model.dtype_bytes,
            latency_s=max(self._hops[device, band.station].latency_s for device in members),
            is_constant=band.is_constant,
        )

    def _check_lasting(self, band: CollectiveBand, members: tuple[str, ...]) -> None:
        faults = self._world.faults
        names = {"--".join(sorted((device, band.station))) for device in members}
        if faults is not None and (band.station in faults.devices or names & faults.links.keys()):
            raise InputError(
                f"all_reduce over the air: {band.station!r}, or a radio link of the group to it, may fail, "
                "and a group's pass cannot be interrupted: remove the failures, or sum elsewhere"
            )


def _mse(summing: Summing) -> Mse:
    if summing.scheme != "aircomp":
        return uncoded_mse
    if summing.transceiver in get_args(InversionName):
        return Inverted(summing.transceiver, summing.truncation)  # type: ignore[arg-type]
    return Combined(designer(summing.transceiver))
