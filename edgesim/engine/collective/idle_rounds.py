"""How long rounds of messages take where nothing else is on the wires: in closed form, without events."""

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
    """What rounds of messages cost.

    Attributes
    ----------
    seconds
        From the first message's beginning to the last one's arrival.
    tx_s, rx_s
        By device, time for which it sends and receives; switches on the way as well.
    handling_s
        By device, time for which it handles messages at either end.
    at_ends_s
        Of `seconds`: time that the last message of every round spends at its ends, handled, in line
        or delayed.
    """

    seconds: float
    tx_s: Mapping[str, float]
    rx_s: Mapping[str, float]
    handling_s: Mapping[str, float]
    at_ends_s: float = 0.0


class IdleRounds:
    """Plays rounds of messages over idle wires: every message at its stations in the order of arrival.

    The same stations in the same order as :class:`edgesim.engine.network.transport.Transport` has them (an
    end's cost, hop after hop, the other end's cost), so the same instants; a test shows it.
    """

    def __init__(
        self, network: Network, devices: Mapping[str, Device], hops: Mapping[tuple[str, str], Hop]
    ) -> None:
        self._network, self._devices, self._hops = network, devices, hops

    def of(self, rounds: list[Messages]) -> Rounds:
        """Play rounds, each beginning when all of the one before has arrived.

        Raises
        ------
        InputError
            If a message's way has a link that may fail, or whose rate is not constant.
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
        """How long a round takes, and how much of it the message that arrives last is at its ends."""
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
        """Stations on the way: a device's end or a hop's two; their service, and the latency behind."""
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
                "may fail, and a group's pass cannot be interrupted: leave out the failures, or sum elsewhere"
            )
        if hop.link.radio is not None or hop.s_per_byte is None:
            raise InputError(
                f"all-reduce by messages: the link between {sender!r} and {peer!r} has no constant rate; sum "
                "over wires, or use an all_reduce of a radio link (aircomp, digital, uncoded_fdma)"
            )
        return hop.s_per_byte
