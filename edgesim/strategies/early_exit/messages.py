"""Control messages between nodes: what one says of a link, and what the other has heard of it last.

An offloader says over each of its links at which rate it sends tasks now, at which it would, and by how much
that rate falls per second of price; a receiver answers with what a task costs with it and after it. What
is known of a link at either end is the last message that has arrived.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edgesim.strategies.early_exit.state import RunState
from edgesim.strategy import Cluster

__all__ = ["Messages"]

Floats = NDArray[np.float64]

_Entry = tuple[float, ...]


class Messages:
    """Sends and reads, over the cluster's reports.

    A device may have several parts in one network; its report to another says the newest of all of them.

    Attributes
    ----------
    sent_per_s, offered_per_s, response_per_s2 : [n_links]
        As known where the link ends.
    price_s : [n_links]
        As known where it begins.
    """

    def __init__(self, state: RunState, size_bytes: float, *, sent_per_s: Floats, price_s: Floats) -> None:
        network = state.network
        self._size_bytes, self._state = size_bytes, state
        devices = state.devices
        self._tail = [devices[node] for node in network.tail.tolist()]
        self._head = [devices[node] for node in network.head.tolist()]
        self.sent_per_s, self.offered_per_s = sent_per_s.copy(), sent_per_s.copy()
        self.response_per_s2 = np.zeros(network.n_links)
        self.price_s = price_s.copy()
        self._said: dict[tuple[str, str], dict[int, _Entry]] = defaultdict(dict)

    def offer(self, cluster: Cluster, links: slice, *values: Floats) -> None:
        """Say over links what is sent, offered, and how that responds."""
        entries = zip(*(each.tolist() for each in values), strict=True)
        for link, entry in zip(range(links.start, links.stop), entries, strict=True):
            self._say(cluster, self._tail[link], self._head[link], link, entry)

    def price(self, cluster: Cluster, links: slice, prices_s: Floats) -> None:
        """Say back over links what a task costs where they lead."""
        for link, price_s in zip(range(links.start, links.stop), prices_s.tolist(), strict=True):
            self._say(cluster, self._head[link], self._tail[link], ~link, (price_s,))

    def read_offers(self, cluster: Cluster, links: slice) -> None:
        """Let the nodes to which links lead look at what has arrived."""
        self._read(cluster, links, self._head, self._tail)

    def read_prices(self, cluster: Cluster, links: slice) -> None:
        """Let the nodes from which links lead look at what has arrived."""
        self._read(cluster, links, self._tail, self._head)

    def _say(self, cluster: Cluster, source: str, target: str, key: int, entry: _Entry) -> None:
        if source == target:
            self._hear(key, entry)
            return
        said = self._said[source, target]
        said[key] = entry
        cluster.report(source, target, self._size_bytes, payload=tuple(said.items()), links=(), wait=False)

    def _read(self, cluster: Cluster, links: slice, readers: list[str], writers: list[str]) -> None:
        pairs = dict.fromkeys(zip(readers[links], writers[links], strict=True))
        by_reader: dict[str, list[str]] = defaultdict(list)
        for reader, writer in pairs:
            if reader != writer:
                by_reader[reader].append(writer)
        for reader, some in by_reader.items():
            known = cluster.observe(at=reader)
            for writer in some:
                if known.knows(writer):
                    self._hear_all(known.payload(writer))

    def _hear_all(self, payload: object) -> None:
        if isinstance(payload, tuple):
            for key, entry in payload:
                self._hear(key, entry)

    def _hear(self, key: int, entry: Iterable[float]) -> None:
        """Take note of an entry: of a link if it is an offer, of its complement if it is a price."""
        if key >= 0:
            self.sent_per_s[key], self.offered_per_s[key], self.response_per_s2[key] = entry
        else:
            (self.price_s[~key],) = entry
