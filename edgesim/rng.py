"""Random draws that depend only on their purpose, not on the order in which they are made.

There are two kinds. :class:`Streams` gives generators by name, for draws in a natural order, such as
arrivals. Keyed draws are functions of a key and a counter, for draws made in any order or repeatedly, such as
the fading of a link in its n-th block. Adding a consumer of random numbers therefore changes no other draws,
and all strategies have the same arrivals and channels: the common random numbers that paired comparisons
rely on.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Streams", "key_of", "keyed_normals", "keyed_uniform", "keyed_uniforms", "link_key"]

Counters = NDArray[np.unsignedinteger[Any]] | NDArray[np.signedinteger[Any]]

# The increment of SplitMix64 (2^64 over the golden ratio, made odd) and the multipliers and shifts of its
# output function, variant 13 of Stafford's: Steele, Lea and Flood 2014, "Fast splittable pseudorandom
# number generators", OOPSLA, figure 16.
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WORD = 0xFFFF_FFFF_FFFF_FFFF
_UNIT = 2.0**-52


class Streams:
    """The random streams of one replication of one seeded scenario.

    Each access ``Streams(seed, replication)["arrivals"]`` returns a new generator at the start of that
    stream, so two consumers of one name get the same draws.

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
        # A cryptographic digest of the name, since Python's hash() is salted per process.
        digest = hashlib.sha256(name.encode()).digest()
        words = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
        sequence = np.random.SeedSequence(self.seed, spawn_key=(self.replication, *words))
        return np.random.Generator(np.random.PCG64(sequence))

    def __repr__(self) -> str:
        return f"Streams(seed={self.seed}, replication={self.replication})"


def key_of(*parts: str | int) -> int:
    """Return the 64-bit key of a purpose of draws, such as (seed, replication, link, direction).

    The key depends on each part's type and length: ("ab", "c") and ("a", "bc") have different keys, as do
    1 and "1".
    """
    digest = hashlib.sha256()
    for part in parts:
        kind, text = ("s", part) if isinstance(part, str) else ("i", str(int(part)))
        digest.update(f"{kind}{len(text)}:{text}".encode())
    return int.from_bytes(digest.digest()[:8], "little")


def link_key(seed: int, replication: int, one: str, other: str, *purpose: str | int) -> int:
    """Return the key of a link's draws, independent of the order of its ends: the channel is reciprocal."""
    return key_of(seed, replication, min(one, other), max(one, other), *purpose)


def keyed_uniforms(key: int, counters: Counters) -> NDArray[np.float64]:
    """Return uniform draws in the open interval (0, 1), each a function of the key and its counter.

    The output function of SplitMix64 is applied twice: to the counter's position in the key's sequence, and
    to the result with the key added again. Otherwise the draws of two keys would be shifted copies of one
    sequence. A draw has 52 bits; the smallest is 2^-53.

    Parameters
    ----------
    key
        From :func:`key_of`.
    counters
        Integer array of any shape; may be negative. Different counters give independent draws.
    """
    words = np.asarray(counters).astype(np.uint64)
    with np.errstate(over="ignore"):  # arithmetic is modulo 2^64 on purpose, also for zero-dimensional arrays
        words = _mixed(words * np.uint64(_GOLDEN) + np.uint64(key & _WORD))
        words = _mixed(words + np.uint64(key & _WORD))
    # A word's upper 52 bits plus a half are exact in a float, so 1 is never reached by rounding.
    uniforms: NDArray[np.float64] = ((words >> np.uint64(12)).astype(np.float64) + 0.5) * _UNIT
    return uniforms


def keyed_uniform(key: int, counter: int) -> float:
    """Return one draw of :func:`keyed_uniforms`, bit for bit, without the overhead of an array."""
    word = _mixed_word(counter * _GOLDEN + key & _WORD)
    word = _mixed_word(word + key & _WORD)
    return ((word >> 12) + 0.5) * _UNIT


def keyed_normals(key: int, counters: Counters) -> NDArray[np.float64]:
    """Return standard normal draws by inversion, each a function of the key and its counter.

    Inversion uses one counter per draw, and is computed elementwise: a draw does not depend on the shape of
    the array. The range is ±8.2.
    """
    from scipy.special import ndtri  # takes 0.25 s to import, and not every run has a radio

    normals: NDArray[np.float64] = ndtri(keyed_uniforms(key, counters))
    return normals


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(_FIRST)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(_SECOND)
    return words ^ (words >> np.uint64(31))


def _mixed_word(word: int) -> int:
    word = (word ^ (word >> 30)) * _FIRST & _WORD
    word = (word ^ (word >> 27)) * _SECOND & _WORD
    return word ^ (word >> 31)
