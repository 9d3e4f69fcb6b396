"""Randomness of a strategy's own: named streams, the same whatever else draws."""

from __future__ import annotations

import numpy as np

from edgesim.rng import Streams

__all__ = ["OwnStreams"]


class OwnStreams:
    """The streams that a strategy has asked for in one run, each where its draws have come to.

    A stream depends on the scenario's seed, the replication, the name and the request, and on nothing else:
    neither on what draws before, nor on which strategy asks. Strategies that use one name meet the same
    numbers (common random numbers).
    """

    def __init__(self, seed: int, replication: int) -> None:
        self._streams = Streams(seed, replication)
        self._open: dict[int, dict[str, np.random.Generator]] = {}  # by request; -1 is the run

    def of(self, name: str, request_id: int = -1) -> np.random.Generator:
        """The stream of this name, of a request or of the run."""
        mine = self._open.setdefault(request_id, {})
        stream = mine.get(name)
        if stream is None:
            # The number stands first and the name last, so that no two pairs have one name.
            stream = mine[name] = self._streams[f"strategy {request_id} {name}"]
        return stream

    def close(self, request_id: int) -> None:
        """Forget the streams of a request that has ended."""
        self._open.pop(request_id, None)
