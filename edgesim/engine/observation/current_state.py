"""Current state of devices and links as frozen values, read without changing anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from edgesim.engine.causality.begun_verb import Begun
from edgesim.engine.device.host import Host
from edgesim.engine.energy.discharge import Discharge
from edgesim.engine.memory.memory import DeviceMemory
from edgesim.engine.network.hop import Hop
from edgesim.engine.network.transport import Transport
from edgesim.engine.observation.device_state import DeviceState
from edgesim.engine.observation.link_state import LinkState, RouteState
from edgesim.engine.process.clock import Clock
from edgesim.engine.request import LiveRequest
from edgesim.errors import ContractError
from edgesim.nearest import suggest
from edgesim.units import linear_to_db
from edgesim.world.link import Link
from edgesim.world.routes import kind_of
from edgesim.world.world import World

__all__ = ["Looking"]

_PASSES = ("compute", "compute_together")


class Looking:
    """The current state of devices and links.

    Parameters
    ----------
    discharges
        By device, the discharge of its battery.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        hosts: Mapping[str, Host],
        memories: Mapping[str, DeviceMemory],
        discharges: Mapping[str, Discharge],
        transport: Transport,
    ) -> None:
        self._world, self._clock, self._transport = world, clock, transport
        self._hosts, self._memories, self._discharges = hosts, memories, discharges
        self._peers: dict[str, list[str]] = {device: [] for device in hosts}
        for sender, peer in transport.hops:
            self._peers[sender].append(peer)

    @property
    def now_s(self) -> float:
        """The current simulated time [s]."""
        return self._clock._now

    def check(self, device: str) -> None:
        """Raise ContractError if there is no such device."""
        if device not in self._hosts:
            raise ContractError(f"observe: no device {device!r}; {suggest(device, self._hosts)}")

    # --- devices ----------------------------------------------------------------------------------

    def device(self, device: str) -> DeviceState:
        """Return the current state of a device."""
        self.check(device)
        return DeviceState(
            at_s=self._clock._now,
            device=device,
            is_up=self.is_up(device),
            backlog_s=self.backlog_s(device),
            work_s=self.work_s(device),
            n_passes=self.n_passes(device),
            n_requests=self.n_requests(device),
            free_bytes=self.free_bytes(device),
            battery_j=self.battery_j(device),
            speed=self._hosts[device].device.speed_at(self._clock._now),
        )

    def is_up(self, device: str) -> bool:
        """Whether a device is up."""
        return self._hosts[device].down is None

    def backlog_s(self, device: str) -> float:
        """Time until all work booked ahead is done [s]."""
        return max(0.0, self._hosts[device].booked_until_s - self._clock._now)

    def work_s(self, device: str) -> float:
        """Remaining work under any discipline [s]."""
        shared = self._hosts[device].shared
        return self.backlog_s(device) if shared is None else shared.work_s(self._clock._now)

    def n_passes(self, device: str) -> int:
        """Number of passes requested and not done."""
        memory = self._memories.get(device)
        if memory is None:
            return 0
        return sum(self._n_passes(request, device) for request in memory.holders)

    def n_requests(self, device: str) -> int:
        """Number of requests that occupy memory there or wait for it."""
        return self._hosts[device].n_requests

    def free_bytes(self, device: str) -> int:
        """Memory that is not occupied [byte]."""
        memory = self._memories[device]
        return memory.capacity_bytes - memory.used_bytes

    def battery_j(self, device: str) -> float | None:
        """Energy left in a battery [J]; None without one."""
        discharge = self._discharges.get(device)
        return None if discharge is None else discharge.left_j

    def _n_passes(self, request: LiveRequest, device: str) -> int:
        """Count a request's passes on a device; a request that computes there has a cache there."""
        trail = request.trail
        if trail.under_way is not None:
            return sum(self._is_pass(begun, device) for begun in trail.under_way)
        move = trail.move
        if move.name not in _PASSES or trail.until_s <= self._clock._now:
            return 0
        return int(_is_at(device, move.arguments))

    def _is_pass(self, begun: Begun, device: str) -> bool:
        is_pass = begun.call.verb in _PASSES and begun.effect is not None  # else waiting for memory
        return is_pass and not begun.has_ended(self._clock._now) and _is_at(device, begun.call.arguments)

    # --- links ------------------------------------------------------------------------------------

    def link(self, sender: str, peer: str) -> LinkState:
        """Return the current state of one direction of a link.

        Raises
        ------
        ContractError
            If the two are not linked; the message lists the sender's links and suggests the route.
        """
        self.check(sender)
        self.check(peer)
        hop = self._transport.hops.get((sender, peer))
        if hop is None:
            ways = ", ".join(map(repr, self._peers[sender]))
            raise ContractError(
                f"observe: no link leads from {sender!r} to {peer!r}; {sender!r} is linked to "
                f"{ways or 'nothing'}; call route({sender!r}, {peer!r}), which may take several links"
            )
        return self._state(hop)

    def path(self, source: str, target: str) -> list[str]:
        """Return the devices on the route of a message that begins now, both ends included.

        From or to a terminal that changes cells, the route uses the serving cell.
        """
        self.check(source)
        self.check(target)
        if source == target:
            return [source]
        roaming = self._world.roaming
        here = self._serving(source) if source in roaming else source
        there = self._serving(target) if target in roaming else target
        path = self._transport.network.path(here, there) if here != there else [here]
        return [*([source] if here != source else []), *path, *([target] if there != target else [])]

    def route(self, source: str, target: str) -> RouteState:
        """Return all links that a message begun now would take."""
        hops = tuple(self.link(*ends) for ends in pairwise(self.path(source, target)))
        return self.routed(source, target, hops)

    def routed(self, source: str, target: str, hops: tuple[LinkState, ...]) -> RouteState:
        """Combine these links into a route."""
        ends = (source, target) if hops else ()
        endpoints = tuple(self._hosts[end].device.endpoint for end in ends)
        return RouteState(source=source, target=target, hops=hops, endpoints=endpoints)

    def peers(self, device: str) -> list[str]:
        """Return the devices that a device is linked to, in the order of the scenario's links."""
        return self._peers[device]

    def _serving(self, terminal: str) -> str:
        return self._world.roaming[terminal].serving.cell(self._clock._now)

    def _state(self, hop: Hop) -> LinkState:
        now_s, link, outlook = self._clock._now, hop.link, hop.outlook(self._clock._now)
        failed = next((end for end in (hop.sender, hop.peer) if self._hosts[end].down is not None), None)
        down = outlook.down if failed is None else f"{failed} down"
        station, serving, wait_s = self._cell(hop)
        state = LinkState(
            at_s=now_s,
            sender=hop.sender,
            peer=hop.peer,
            via=hop.via,
            kind=kind_of(link),
            down=down,
            rate_bps=outlook.rate_bps if down is None else 0.0,
            queued_bytes=outlook.queued_bytes,
            queued_s=outlook.queued_s + wait_s,
            latency_s=hop.latency_s,
            access_s=_access_s(link, hop.sender),
            block_loss=0.0 if down is None else 1.0,
            unacknowledged_loss=0.0 if down is None else 1.0,
            station=station,
            serving=serving,
        )
        blocks = outlook.blocks
        if blocks is None:
            return state
        return replace(
            state,
            block_bits=blocks.n_bits,
            block_loss=blocks.loss if down is None else 1.0,
            unacknowledged_loss=blocks.unacknowledged_loss if down is None else 1.0,
            n_attempts=blocks.n_attempts,
            snr_db=float(linear_to_db(blocks.sinr)) if blocks.sinr > 0.0 else -math.inf,
        )

    def _cell(self, hop: Hop) -> tuple[str | None, str | None, float]:
        """Return the cell of a link, the serving cell, and the rest of an interruption [s]."""
        for terminal, cell in ((hop.sender, hop.peer), (hop.peer, hop.sender)):
            roams = self._world.roaming.get(terminal)
            if roams is not None and cell in roams.serving.cells:
                serving, now_s = self._serving(terminal), self._clock._now
                wait_s = roams.serving.ready_s(now_s) - now_s if cell == serving else 0.0
                return cell, serving, max(0.0, wait_s)
        station = None if hop.link.radio is None else hop.link.radio.station
        return station, station, 0.0


def _access_s(link: Link, sender: str) -> float:
    """Time that planners assume for a message in addition to its bits [s]."""
    if link.radio is None or link.radio.first_slot is None:
        return link.access_s
    first = link.radio.first_slot
    return first.up_s if sender == link.radio.terminal else first.down_s


def _is_at(device: str, arguments: tuple[object, ...]) -> bool:
    """Whether a pass with these arguments is on a device; the first argument is the device or its group."""
    where = arguments[0] if arguments else None
    return device in where if isinstance(where, tuple) else device == where
