"""Control messages between nodes of neighbouring stages, over the cluster's reports.

What a node says of a link goes to the node at its other end; what is known of a link at either end is the
last message that has arrived there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from edgesim.strategies.early_exit.state import RunState
from edgesim.strategy import Cluster

__all__ = ["Entry", "Mail"]

Entry = tuple[float, ...]


class Mail:
    """Sends and reads.

    A device may have several parts in one network; its message to another says the newest of all of them. To
    itself it says things at once, and for nothing.

    Parameters
    ----------
    hear_down, hear_up
        Take what has been heard of a link, at its end and at its beginning.
    """

    def __init__(
        self,
        state: RunState,
        size_bytes: float,
        *,
        hear_up: Callable[[int, Entry], None],
        hear_down: Callable[[int, Entry], None] | None = None,
    ) -> None:
        network = state.network
        self._size_bytes, self._hear_up, self._hear_down = size_bytes, hear_up, hear_down
        self._tail = [state.devices[node] for node in network.tail.tolist()]
        self._head = [state.devices[node] for node in network.head.tolist()]
        self._said: dict[tuple[str, str], dict[int, Entry]] = defaultdict(dict)

    def down(self, cluster: Cluster, links: slice, entries: Iterable[Entry]) -> None:
        """Say something of each link to the node that it leads to."""
        for link, entry in zip(range(links.start, links.stop), entries, strict=True):
            self._say(cluster, self._tail[link], self._head[link], link, entry)

    def up(self, cluster: Cluster, links: slice, entries: Iterable[Entry]) -> None:
        """Say something of each link to the node that it comes from."""
        for link, entry in zip(range(links.start, links.stop), entries, strict=True):
            self._say(cluster, self._head[link], self._tail[link], ~link, entry)

    def read_at_heads(self, cluster: Cluster, links: slice) -> None:
        """Let the nodes to which links lead look at what has arrived."""
        self._read(cluster, self._head[links], self._tail[links])

    def read_at_tails(self, cluster: Cluster, links: slice) -> None:
        """Let the nodes from which links lead look at what has arrived."""
        self._read(cluster, self._tail[links], self._head[links])

    def _say(self, cluster: Cluster, source: str, target: str, key: int, entry: Entry) -> None:
        if source == target:
            self._hear(key, entry)
            return
        said = self._said[source, target]
        said[key] = entry
        cluster.report(source, target, self._size_bytes, payload=tuple(said.items()), links=(), wait=False)

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
                        self._hear(key, entry)

    def _hear(self, key: int, entry: Entry) -> None:
        """Take note of an entry: of a link if it goes down, of its complement if it goes up."""
        if key < 0:
            self._hear_up(~key, entry)
        elif self._hear_down is not None:
            self._hear_down(key, entry)
