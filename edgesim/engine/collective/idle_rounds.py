"""Duration of rounds of messages over otherwise idle wires: in closed form, without events."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from edgesim.engine.collective.all_reduce import Messages
from edgesim.engine.network.hop import Hop
from edgesim.errors import InputError
from edgesim.world.device import Device
from edgesim.world.routes import Network

__all__ = ["IdleRounds", "Rounds"]


class Rounds(NamedTuple):
    """Cost of rounds of messages.

    Attributes
    ----------
    seconds
        From the start of the first message to the arrival of the last one.
    tx_s, rx_s
        By device, time spent sending and receiving; includes switches on the route.
    handling_s
        By device, time spent handling messages at either end.
    at_ends_s
        Part of `seconds` that the last message of every round spends at its ends: handling, queueing or
        delay.
    """

    seconds: float
    tx_s: Mapping[str, float]
    rx_s: Mapping[str, float]
    handling_s: Mapping[str, float]
    at_ends_s: float = 0.0


class IdleRounds:
    """Simulate rounds of messages over idle wires: each station serves messages in the order of arrival.

    The stations and their order are those of :class:`edgesim.engine.network.transport.Transport` (one end's
    cost, hop after hop, the other end's cost), so the instants are the same, as a test verifies.
    """

    def __init__(
        self, network: Network, devices: Mapping[str, Device], hops: Mapping[tuple[str, str], Hop]
    ) -> None:
        self._network, self._devices, self._hops = network, devices, hops

    def of(self, rounds: list[Messages]) -> Rounds:
        """Simulate rounds, each of which begins when all messages of the one before have arrived.

        Raises
        ------
        InputError
            If a message's route has a link that may fail, or whose rate is not constant.
        """
        tx_s: dict[str, float] = defaultdict(float)
        rx_s: dict[str, float] = defaultdict(float)
        handling_s: dict[str, float] = defaultdict(float)
        seconds = at_ends_s = 0.0
        for messages in rounds:
            round_s, ends_s = self._round_s(messages)
            seconds += round_s
            at_ends_s += ends_s
            for source, target, size_bytes in messages:
                for end in (source, target):
                    handling_s[end] += self._devices[end].endpoint.seconds(size_bytes)
                for sender, peer in pairwise(self._network.path(source, target)):
                    service_s = size_bytes * self._s_per_byte(sender, peer)
                    tx_s[sender] += service_s
                    rx_s[peer] += service_s
        return Rounds(seconds, tx_s, rx_s, handling_s, at_ends_s)

    def _round_s(self, messages: Messages) -> tuple[float, float]:
        """Return a round's duration, and how much of it its last message to arrive spends at its ends [s]."""
        ways = [self._way(*message) for message in messages]
        free_at_s: dict[object, float] = defaultdict(float)
        arrivals = [(0.0, number, number, 0) for number in range(len(ways))]
        heapq.heapify(arrivals)
        n_events, last_s, last = len(ways), 0.0, 0
        at_ends_s = [0.0] * len(ways)
        while arrivals:
            at_s, _, number, stage = heapq.heappop(arrivals)
            if stage == len(ways[number]):
                if at_s > last_s:
                    last_s, last = at_s, number
                continue
            station, service_s, latency_s = ways[number][stage]
            free_at_s[station] = max(at_s, free_at_s[station]) + service_s
            if isinstance(station, str):
                at_ends_s[number] += free_at_s[station] + latency_s - at_s
            heapq.heappush(arrivals, (free_at_s[station] + latency_s, n_events, number, stage + 1))
            n_events += 1
        return last_s, at_ends_s[last] if ways else 0.0

    def _way(self, source: str, target: str, size_bytes: float) -> list[tuple[object, float, float]]:
        """Return the stations on a route: endpoint or hop, service time, and the latency after it."""
        ends = [
            (end, self._devices[end].endpoint.seconds(size_bytes), self._devices[end].endpoint.latency_s)
            for end in (source, target)
        ]
        hops = [
            (ends_of_hop, size_bytes * self._s_per_byte(*ends_of_hop), self._hops[ends_of_hop].latency_s)
            for ends_of_hop in pairwise(self._network.path(source, target))
        ]
        return [step for step in (ends[0], *hops, ends[1]) if step[1] or step[2]]

    def _s_per_byte(self, sender: str, peer: str) -> float:
        hop = self._hops[sender, peer]
        if hop.can_fail and hop.link.radio is None:
            raise InputError(
                f"all-reduce by messages: the link between {sender!r} and {peer!r}, or a device at its ends, "
                "may fail, and a group's pass cannot be interrupted: remove the failures, or sum elsewhere"
            )
        if hop.link.radio is not None or hop.s_per_byte is None:
            raise InputError(
                f"all-reduce by messages: the link between {sender!r} and {peer!r} has no constant rate; sum "
                "over wires, or use an all_reduce of a radio link (aircomp, digital, uncoded_fdma)"
            )
        return hop.s_per_byte
