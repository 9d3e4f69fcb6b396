"""Offloaders' estimates of a task's time over each of their own links, and which links are down."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgesim.strategies.early_exit.state import RunState
from edgesim.strategy import Cluster
from edgesim.units import bits
from edgesim.world.fleet import Fleet

__all__ = ["LinkWatch"]

Floats = NDArray[np.float64]

_WEIGHT = 0.25  # of a new observation, which averages fading over several rounds
_TIMES_WORST = 10.0  # cost of a link that is down, relative to the largest known times


class LinkWatch:
    """Observes links as the device that sends over them.

    Routes of several links are not observed: their planned time is kept.
    """

    def __init__(self, state: RunState, fleet: Fleet) -> None:
        network = state.network
        self._transfer_s = network.transfer_s.copy()
        self._state = state
        self._direct: dict[int, tuple[str, str, float, float]] = {}
        self._seen: dict[str, list[tuple[int, str, float, float, float]]] = {}
        for link, (tail, head) in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
            sender, peer = state.devices[tail], state.devices[head]
            if not state.is_direct[link]:
                continue
            size_bytes, n_messages = (
                each[int(network.stage[tail])] for each in (state.hop_bytes, state.n_messages)
            )
            ends_s = sum(fleet.device(end).endpoint.passing_s(size_bytes) for end in (sender, peer))
            self._seen.setdefault(sender, []).append((link, peer, bits(size_bytes), ends_s, n_messages))
            self._direct[link] = (sender, peer, size_bytes, ends_s)

    def seconds(self, cluster: Cluster, link: int) -> float:
        """Return the time of a task over a link from now, after its queue; inf if the link is down."""
        if link not in self._direct:
            return float(self._state.network.transfer_s[link])
        sender, peer, size_bytes, ends_s = self._direct[link]
        return ends_s + cluster.observe(at=sender).link(sender, peer).seconds(size_bytes)

    def look(self, cluster: Cluster) -> Floats:
        """Return a task's smoothed time over each link without queueing; prohibitive if the link is down."""
        is_down = np.zeros(len(self._transfer_s), np.bool_)
        for sender, links in self._seen.items():
            own = cluster.observe(at=sender)
            for link, peer, n_bits, ends_s, n_messages in links:
                seen = own.link(sender, peer)
                is_down[link] = not seen.is_up
                if seen.is_up and seen.rate_bps > 0:
                    on_air_s = n_bits * seen.n_attempts / seen.rate_bps
                    now_s = n_messages * (ends_s + seen.access_s + on_air_s + seen.latency_s)
                    before_s = self._transfer_s[link]
                    if not math.isclose(now_s, before_s, rel_tol=1e-9):
                        self._transfer_s[link] = before_s + _WEIGHT * (now_s - before_s)
        if not is_down.any():
            return self._transfer_s.copy()
        worst_s = _TIMES_WORST * (float(self._transfer_s.max()) + float(self._state.network.service_s.max()))
        return np.where(is_down, worst_s, self._transfer_s)
