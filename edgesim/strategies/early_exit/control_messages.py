"""Control messages between nodes of neighbouring stages, sent as reports of the cluster.

A message about a link is sent from the node at one end to the node at the other. Each end uses the last
message about the link that has arrived there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from edgesim.strategies.early_exit.state import RunState
from edgesim.strategy import Cluster

__all__ = ["Entry", "Mail"]

Entry = tuple[float, ...]


class Mail:
    """Sender and reader of control messages.

    A device may be several nodes of one network; its message to another device contains the newest entries of
    all of them. Entries from a device to itself are delivered at once and at no cost.

    Parameters
    ----------
    on_up, on_down
        Called with a link and an entry that was received at the link's beginning, and at its end.
    """

    def __init__(
        self,
        state: RunState,
        size_bytes: float,
        *,
        on_up: Callable[[int, Entry], None],
        on_down: Callable[[int, Entry], None] | None = None,
    ) -> None:
        network = state.network
        self._size_bytes, self._on_up, self._on_down = size_bytes, on_up, on_down
        self._tail = [state.devices[node] for node in network.tail.tolist()]
        self._head = [state.devices[node] for node in network.head.tolist()]
        self._sent: dict[tuple[str, str], dict[int, Entry]] = defaultdict(dict)

    def down(self, cluster: Cluster, links: slice, entries: Iterable[Entry]) -> None:
        """Send an entry about each link to the node that it enters."""
        for link, entry in zip(range(links.start, links.stop), entries, strict=True):
            self._send(cluster, self._tail[link], self._head[link], link, entry)

    def up(self, cluster: Cluster, links: slice, entries: Iterable[Entry]) -> None:
        """Send an entry about each link to the node that it leaves."""
        for link, entry in zip(range(links.start, links.stop), entries, strict=True):
            self._send(cluster, self._head[link], self._tail[link], ~link, entry)

    def read_at_heads(self, cluster: Cluster, links: slice) -> None:
        """Process what has arrived at the nodes that links enter."""
        self._read(cluster, self._head[links], self._tail[links])

    def read_at_tails(self, cluster: Cluster, links: slice) -> None:
        """Process what has arrived at the nodes that links leave."""
        self._read(cluster, self._tail[links], self._head[links])

    def _send(self, cluster: Cluster, source: str, target: str, key: int, entry: Entry) -> None:
        if source == target:
            self._receive(key, entry)
            return
        sent = self._sent[source, target]
        sent[key] = entry
        cluster.report(source, target, self._size_bytes, payload=tuple(sent.items()), links=(), wait=False)

    def _read(self, cluster: Cluster, readers: list[str], writers: list[str]) -> None:
        by_reader: dict[str, list[str]] = {}
        for reader, writer in dict.fromkeys(zip(readers, writers, strict=True)):
            if reader != writer:
                by_reader.setdefault(reader, []).append(writer)
        for reader, some in by_reader.items():
            known = cluster.observe(at=reader)
            for writer in some:
                payload = known.payload(writer) if known.knows(writer) else None
                if isinstance(payload, tuple):
                    for key, entry in payload:
                        self._receive(key, entry)

    def _receive(self, key: int, entry: Entry) -> None:
        """Pass an entry on; its key is the link's number for messages down, the complement for those up."""
        if key < 0:
            self._on_up(~key, entry)
        elif self._on_down is not None:
            self._on_down(key, entry)
