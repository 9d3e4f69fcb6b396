"""Transport: messages over any route, hop after hop, with their costs at both ends.

The verb ``send`` inlines the commonest case: one hop at a constant rate to a neighbour, free at both ends.
All other cases are handled here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise

import simpy

from edgesim.engine.device.host import Host
from edgesim.engine.device.watched import Job
from edgesim.engine.network.block_losses import Holes
from edgesim.engine.network.cells import Pools
from edgesim.engine.network.changing_cells import Cells
from edgesim.engine.network.failing_hop import FailingHop
from edgesim.engine.network.hop import Hop
from edgesim.engine.network.radio_hop import RadioHop
from edgesim.engine.network.tcp import Connections
from edgesim.engine.network.wifi.wifi_hop import WifiHop
from edgesim.engine.process.clock import Clock, Course
from edgesim.engine.process.verb import DONE, Verb, WorkLost, begun, wait_for
from edgesim.engine.recording import Recording
from edgesim.trace.buffer import Spot
from edgesim.trace.schema import SpanKind
from edgesim.world.link import Link
from edgesim.world.routes import Network, kind_of, via_of
from edgesim.world.world import World

__all__ = ["Transport"]


class Transport:
    """The links of a run, and the handling of messages at their ends.

    Attributes
    ----------
    network
        Routes between devices; those of terminals that change cells begin and end at the serving cell.
    hops
        Both directions of every link that carries traffic, by sender and receiver.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        hosts: Mapping[str, Host],
        recording: Recording,
        can_fail: Collection[str] = (),
    ) -> None:
        self._clock = clock
        self._hosts = hosts
        self._recording = recording
        self._roaming = world.roaming
        reference_bytes = world.model.activation_bytes(1)
        whole = Network(world.devices, world.links, reference_bytes)
        legs = {(terminal, cell) for terminal, roams in world.roaming.items() for cell in roams.serving.cells}
        fixed = [link for link in world.links if legs.isdisjoint((link.between, link.between[::-1]))]
        self.network = Network(world.devices, fixed, reference_bytes) if legs else whole
        self._codes_of_ends = {
            device.id: recording.code(Spot(SpanKind.ENDPOINT, device.id, power_w=device.endpoint_power_w))
            for device in world.devices.values()
        }
        fragile = set() if world.faults is None else set(world.faults.links)
        self._pools = Pools(clock, world.media)
        self.hops: dict[tuple[str, str], Hop] = {}
        self._failing: dict[tuple[str, str], FailingHop | RadioHop] = {}  # hops that can lose messages
        for link in world.links:
            for ends in (link.between, link.between[::-1]):
                if whole.link(*ends) is link:
                    can_be_lost = not legs.isdisjoint((ends, ends[::-1])) or via_of(link) in fragile
                    watches = can_be_lost or not set(can_fail).isdisjoint(ends)
                    self.hops[ends] = self._hop(world, link, *ends, watches=watches)
        self._cells = Cells(
            clock,
            world.roaming,
            {ends: hop for ends, hop in self._failing.items() if not legs.isdisjoint((ends, ends[::-1]))},
        )
        stacks = {id_: host.device.endpoint.tcp for id_, host in hosts.items() if id_ not in world.roaming}
        self._connections = Connections(clock, stacks, self._carried, self._latency_s)
        for roams in world.roaming.values():  # any two serving cells must be connected
            for cell in roams.serving.cells:
                self.network.path(roams.serving.cells[0], cell)

    def _hop(self, world: World, link: Link, sender: str, peer: str, *, watches: bool) -> Hop:
        if link.radio is not None:
            on_air = self._radio_hop(world, link, sender, peer, is_watched=watches)
            self._failing[sender, peer] = on_air
            return on_air
        power_w = world.devices[sender].power.tx_w + world.devices[peer].power.rx_w
        code, lost = self._codes_of_hop(link, sender, peer, power_w)
        if not watches:
            return Hop(link, sender, peer, code)
        watched = FailingHop(link, sender, peer, (code, lost), self._clock, self._recording)
        self._failing[sender, peer] = watched
        return watched

    def _radio_hop(self, world: World, link: Link, sender: str, peer: str, *, is_watched: bool) -> RadioHop:
        assert link.radio is not None
        if world.media[link.radio.medium].is_contended:
            return self._wifi_hop(world, link, sender, peer, is_watched=is_watched)
        pool = self._pools.pool(link.radio.medium, is_uplink=sender == link.radio.terminal)
        powers_w = (world.devices[sender].power.tx_w, world.devices[peer].power.rx_w)
        code, lost = self._codes_of_hop(link, sender, peer, sum(powers_w))
        return RadioHop(
            link,
            sender,
            peer,
            (code, lost),
            powers_w,
            self._clock,
            self._recording,
            pool,
            is_watched=is_watched,
        )

    def _wifi_hop(self, world: World, link: Link, sender: str, peer: str, *, is_watched: bool) -> WifiHop:
        assert link.radio is not None
        here, there = world.devices[sender].power, world.devices[peer].power
        powers_w = (here.tx_w, there.rx_w, there.tx_w, here.rx_w)  # a response goes in the other direction
        return WifiHop(
            link,
            sender,
            peer,
            self._codes_of_hop(link, sender, peer, sum(powers_w)),
            powers_w,
            self._clock,
            self._recording,
            self._pools.contention(link.radio.medium),
            world.media[link.radio.medium],
            is_watched=is_watched,
        )

    def _codes_of_hop(self, link: Link, sender: str, peer: str, power_w: float) -> tuple[int, int]:
        """Return the span codes of a hop's messages: of those that arrive, and of those that are lost."""
        arrives, is_lost = (
            self._recording.code(
                Spot(SpanKind.SEND, sender, peer, via_of(link), power_w, tail_s, kind_of(link))
            )
            for tail_s in (link.way(sender).latency_s, 0.0)
        )
        return arrives, is_lost

    def direct(self, source: str, target: str) -> Hop | None:
        """Return the only hop to a neighbour without endpoint costs; None if a message takes more."""
        hop = None
        if source not in self._roaming and target not in self._roaming:
            path = self.network.path(source, target)
            free = all(self._hosts[end].device.endpoint.is_free for end in (source, target))
            hop = self.hops[source, target] if len(path) == 2 and free else None
        if hop is not None and (hop.can_fail or self._connections.join(source, target)):
            hop = None
        self._hosts[source].direct[target] = hop
        return hop

    def message(self, owner: int, source: str, target: str, size_bytes: float, token: int) -> Verb:
        """Begin a message over any route: its first booking is made now.

        Parameters
        ----------
        owner, token
            The request that it serves, and its token; -1 for none.
        """
        if source == target:
            return DONE
        if source in self._roaming or target in self._roaming:
            return begun(self._over_the_air(owner, source, target, size_bytes, token))
        if self._connections.join(source, target):
            return begun(self._over_tcp(owner, source, target, size_bytes, token))
        hops = [self.hops[pair] for pair in pairwise(self.network.path(source, target))]
        first = self._handle(owner, self._hosts[source], size_bytes, token)
        if first is DONE:
            first = self._transmit(owner, hops.pop(0), size_bytes, token)
        if not hops and self._hosts[target].device.endpoint.is_free:
            return first
        return self._carry_on(first, owner, hops, target, size_bytes, token)

    def unacknowledged(self, owner: int, source: str, target: str, size_bytes: float, token: int) -> Verb:
        """Begin a message that arrives even with losses; the verb's value is the missing share.

        On radio hops that draw block errors only the physical layer's attempts are made; on others nothing is
        lost.
        """
        return begun(self._with_holes(owner, source, target, size_bytes, token))

    def lose(self, device: str, error: WorkLost) -> None:
        """Lose the messages that a failed device is sending or receiving; those that left it still arrive."""
        for (sender, peer), hop in self._failing.items():
            if device in (sender, peer):
                hop.lose(error, spares_sent=device == sender)

    def links_named(self, via: str) -> list[FailingHop | RadioHop]:
        """Both directions of a link that may fail."""
        return [hop for hop in self._failing.values() if hop.via == via]

    def owners(self) -> set[int]:
        """Ids of requests with spans still to be recorded."""
        return set().union(*(hop.owners() for hop in self._failing.values()))

    def close(self, at_s: float) -> None:
        """Record the messages in transit at the end of the run."""
        for hop in self._failing.values():
            hop.close(at_s)

    def _over_tcp(self, owner: int, source: str, target: str, size_bytes: float, token: int) -> Course:
        """Write a message to a connection whose segments may wait."""
        yield from self._handle(owner, self._hosts[source], size_bytes, token)
        yield from self._connections.write(owner, source, target, size_bytes, token)
        yield from self._handle(owner, self._hosts[target], size_bytes, token)

    def _carried(self, owner: int, source: str, target: str, size_bytes: float, token: int) -> Course:
        """Carry segments between two devices, without their costs at the ends."""
        yield from self._along(owner, source, target, size_bytes, token)

    def _latency_s(self, source: str, target: str) -> float:
        """Sum of the latencies on the route [s]."""
        hops = (self.hops[ends] for ends in pairwise(self.network.path(source, target)))
        return sum(hop.link.way(hop.sender).latency_s for hop in hops)

    def _with_holes(self, owner: int, source: str, target: str, size_bytes: float, token: int) -> Course:
        holes = Holes(size_bytes)
        yield from self._over_the_air(owner, source, target, size_bytes, token, holes)
        return holes.share

    def _over_the_air(
        self,
        owner: int,
        source: str,
        target: str,
        size_bytes: float,
        token: int,
        holes: Holes | None = None,
    ) -> Course:
        """Carry a message from or to a terminal that changes cells, or one that is not acknowledged."""
        yield from self._handle(owner, self._hosts[source], size_bytes, token)
        here = source
        if source in self._roaming:
            here = yield from self._up(owner, source, size_bytes, token, holes)
        if target in self._roaming:
            yield from self._down(owner, here, target, size_bytes, token, holes)
        else:
            yield from self._along(owner, here, target, size_bytes, token, holes)
        yield from self._handle(owner, self._hosts[target], size_bytes, token)

    def _up(
        self, owner: int, terminal: str, size_bytes: float, token: int, holes: Holes | None = None
    ) -> Course:
        """Send a message up to the serving cell; return the cell at which its last bit has arrived."""
        while True:
            yield from self._cells.ready(terminal)
            cell = self._cells.serving(terminal)
            sent = yield from self._leg(owner, terminal, cell, terminal, size_bytes, token, holes)
            if sent is None:
                if holes is not None:
                    holes.next_hop()
                return cell
            size_bytes *= 1.0 - sent

    def _down(
        self,
        owner: int,
        here: str,
        terminal: str,
        size_bytes: float,
        token: int,
        holes: Holes | None = None,
    ) -> Course:
        """Send a message down from the serving cell; it follows the terminal from cell to cell."""
        while True:
            cell = self._cells.serving(terminal)
            if here != cell:
                yield from self._along(owner, here, cell, size_bytes, token, holes)
                here = cell
                continue  # another cell may serve by now
            yield from self._cells.ready(terminal)
            if here != self._cells.serving(terminal):
                continue
            sent = yield from self._leg(owner, here, terminal, terminal, size_bytes, token, holes)
            if sent is None:
                return
            size_bytes *= 1.0 - sent

    def _leg(
        self,
        owner: int,
        sender: str,
        peer: str,
        terminal: str,
        size_bytes: float,
        token: int,
        holes: Holes | None,
    ) -> Course:
        self._hosts[sender].demand_up()
        self._hosts[peer].demand_up()
        leg = self._cells.leg(sender, peer, terminal)
        return (yield leg.begin(owner, token, size_bytes, holes))

    def _along(
        self,
        owner: int,
        source: str,
        target: str,
        size_bytes: float,
        token: int,
        holes: Holes | None = None,
    ) -> Course:
        """Carry a message over fixed links."""
        if source != target:
            for ends in pairwise(self.network.path(source, target)):
                yield from self._transmit(owner, self.hops[ends], size_bytes, token, holes)
                if holes is not None:
                    holes.next_hop()

    def _carry_on(
        self, first: Verb, owner: int, hops: list[Hop], target: str, size_bytes: float, token: int
    ) -> Course:
        yield from first
        for hop in hops:
            yield from self._transmit(owner, hop, size_bytes, token)
        yield from self._handle(owner, self._hosts[target], size_bytes, token)

    def _transmit(
        self, owner: int, hop: Hop, size_bytes: float, token: int, holes: Holes | None = None
    ) -> Verb:
        """Book one hop of a message."""
        failing = self._failing.get((hop.sender, hop.peer))
        if failing is not None:
            if failing.is_watched:
                self._hosts[hop.sender].demand_up()
                self._hosts[hop.peer].demand_up()
            return failing.carry(owner, token, size_bytes, holes)
        now_s = self._clock._now
        started_at_s, arrived_at_s = hop.send(now_s, size_bytes)
        self._recording.span(owner, token, hop.code, now_s, started_at_s, arrived_at_s, size_bytes=size_bytes)
        return (arrived_at_s,)

    def _handle(self, owner: int, host: Host, size_bytes: float, token: int) -> Verb:
        """Handle a message at one end; its span ends with the occupation of the end, before the latency."""
        endpoint = host.device.endpoint
        if endpoint.is_free:
            return DONE
        code = self._codes_of_ends[host.device.id]
        if host.watched_messaging is not None:
            host.demand_up()
            job = Job(owner, token, code, self._clock.event(), size_bytes=size_bytes)
            done = host.watched_messaging.take(job, endpoint.seconds(size_bytes))
            return self._later(done, endpoint.latency_s) if endpoint.latency_s else wait_for(done)
        now_s = self._clock._now
        started_at_s, ended_at_s = host.messaging.book(now_s, endpoint.seconds(size_bytes))
        self._recording.span(owner, token, code, now_s, started_at_s, ended_at_s, size_bytes=size_bytes)
        return (ended_at_s + endpoint.latency_s,)

    def _later(self, done: simpy.Event, latency_s: float) -> Course:
        yield done
        yield self._clock._now + latency_s
