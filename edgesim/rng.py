"""Named random streams: a draw depends on (seed, name), never on who drew before.

Adding a consumer of randomness therefore disturbs no other, and every strategy meets the same
arrivals: the common random numbers that paired comparisons stand on.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["Streams"]


class Streams:
    """The random streams of one replication of one seeded scenario.

    ``Streams(seed, replication)["arrivals"]`` is a fresh generator at the start of its stream, each
    time it is asked for: two readers of one name see the same draws.

    Parameters
    ----------
    seed
        The scenario's seed.
    replication
        Index of the replication; different replications are independent.
    """

    def __init__(self, seed: int, replication: int = 0) -> None:
        self.seed = seed
        self.replication = replication

    def __getitem__(self, name: str) -> np.random.Generator:
        # The name goes in by a cryptographic digest: Python's own hash() is salted per process.
        digest = hashlib.sha256(name.encode()).digest()
        words = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
        sequence = np.random.SeedSequence(self.seed, spawn_key=(self.replication, *words))
        return np.random.Generator(np.random.PCG64(sequence))

    def __repr__(self) -> str:
        return f"Streams(seed={self.seed}, replication={self.replication})"
