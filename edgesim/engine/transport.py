"""Transport: messages over any route, hop after hop, with what they cost at either end.

The verb ``send`` writes the commonest case out itself: one hop at a constant rate to a neighbour, free
at both ends. Everything else comes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from edgesim.engine.clock import Clock, Course
from edgesim.engine.compute import Host
from edgesim.engine.link import Hop, Network, via_of
from edgesim.engine.recording import Recording
from edgesim.engine.verb import DONE, Verb
from edgesim.engine.world import World
from edgesim.trace.buffer import Spot
from edgesim.trace.schema import SpanKind

__all__ = ["Transport"]


class Transport:
    """The links of a world at work, and the ends of their messages.

    Attributes
    ----------
    network
        Routes between devices.
    hops
        Both directions of every link that carries traffic, by sender and receiver.
    """

    def __init__(self, world: World, clock: Clock, hosts: Mapping[str, Host], recording: Recording) -> None:
        self._clock = clock
        self._hosts = hosts
        self._recording = recording
        self.network = Network(world.devices, world.links, world.model.activation_bytes(1))
        self._codes_of_ends = {
            device.id: recording.code(Spot(SpanKind.ENDPOINT, device.id, power_w=device.endpoint_power_w))
            for device in world.devices.values()
        }
        self.hops: dict[tuple[str, str], Hop] = {}
        for link in world.links:
            for sender, peer in (link.between, link.between[::-1]):
                if self.network.link(sender, peer) is link:
                    power_w = world.devices[sender].power.tx_w + world.devices[peer].power.rx_w
                    spot = Spot(SpanKind.SEND, sender, peer, via_of(link), power_w, link.latency_s)
                    self.hops[sender, peer] = Hop(link, sender, peer, recording.code(spot))

    def direct(self, source: str, target: str) -> Hop | None:
        """The one hop to a neighbour without endpoint costs; None where a message takes more."""
        path = self.network.path(source, target)
        free = all(self._hosts[end].device.endpoint.is_free for end in (source, target))
        hop = self.hops[source, target] if len(path) == 2 and free else None
        self._hosts[source].direct[target] = hop
        return hop

    def message(self, owner: int, source: str, target: str, size_bytes: float, token: int) -> Verb:
        """Begin a message over any route: its first booking is made now.

        Parameters
        ----------
        owner, token
            The request it is for, and its token; -1 where there is none.
        """
        if source == target:
            return DONE
        hops = [self.hops[pair] for pair in pairwise(self.network.path(source, target))]
        begun = self._handle(owner, self._hosts[source], size_bytes, token)
        if begun is DONE:
            begun = self._transmit(owner, hops.pop(0), size_bytes, token)
        if not hops and self._hosts[target].device.endpoint.is_free:
            return begun
        return self._carry_on(begun, owner, hops, target, size_bytes, token)

    def _carry_on(
        self, begun: Verb, owner: int, hops: list[Hop], target: str, size_bytes: float, token: int
    ) -> Course:
        yield from begun
        for hop in hops:
            yield from self._transmit(owner, hop, size_bytes, token)
        yield from self._handle(owner, self._hosts[target], size_bytes, token)

    def _transmit(self, owner: int, hop: Hop, size_bytes: float, token: int) -> Verb:
        """Book one hop of a message."""
        now_s = self._clock._now
        started_at_s, arrived_at_s = hop.send(now_s, size_bytes)
        self._recording.span(owner, token, hop.code, now_s, started_at_s, arrived_at_s, size_bytes=size_bytes)
        return (arrived_at_s,)

    def _handle(self, owner: int, host: Host, size_bytes: float, token: int) -> Verb:
        """Pay one end's cost of a message."""
        endpoint = host.device.endpoint
        if endpoint.is_free:
            return DONE
        now_s = self._clock._now
        started_at_s, ended_at_s = host.messaging.book(now_s, endpoint.seconds(size_bytes))
        code = self._codes_of_ends[host.device.id]
        self._recording.span(owner, token, code, now_s, started_at_s, ended_at_s, size_bytes=size_bytes)
        return (ended_at_s,)
