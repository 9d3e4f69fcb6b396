"""Random streams of a strategy: named, and independent of all other draws."""

from __future__ import annotations

import numpy as np

from edgesim.rng import Streams

__all__ = ["OwnStreams"]


class OwnStreams:
    """The random streams that a strategy has requested in one run, each at its current position.

    A stream depends only on the scenario's seed, the replication, the name and the request: not on earlier
    draws, nor on the strategy. Strategies that use the same name get the same numbers (common random
    numbers).
    """

    def __init__(self, seed: int, replication: int) -> None:
        self._streams = Streams(seed, replication)
        self._open: dict[int, dict[str, np.random.Generator]] = {}  # by request; -1 is the run

    def of(self, name: str, request_id: int = -1) -> np.random.Generator:
        """Return the stream with this name, of a request or of the run."""
        mine = self._open.setdefault(request_id, {})
        stream = mine.get(name)
        if stream is None:
            # The number precedes the name, so that no two pairs give the same string.
            stream = mine[name] = self._streams[f"strategy {request_id} {name}"]
        return stream

    def close(self, request_id: int) -> None:
        """Drop the streams of a request that has ended."""
        self._open.pop(request_id, None)
