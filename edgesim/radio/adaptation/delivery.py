"""Delivery of a message block by block: attempts, ARQ repetitions, losses.

The number of blocks that fail an attempt is binomial among those that remain. Each draw is a function of
the key and the number of the draw alone, independent of other senders.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from edgesim.radio.adaptation.air_interface import Arq
from edgesim.rng import keyed_uniform

__all__ = ["BlocksDelivered", "binomial", "deliver"]

_AT_ONCE = 256  # blocks per draw: the inversion begins at (1 - p)^n, which must not underflow


class BlocksDelivered(NamedTuple):
    """Result of sending a message of several blocks."""

    n_sent: int
    """Blocks sent in total, repetitions included."""
    n_lost: int
    """Blocks that no attempt delivered; if above 0 the message is lost."""
    n_attempts: int
    """Attempts of the block that needed most."""
    delay_s: float
    """Total round-trip time that the message waited between attempts."""


def deliver(
    n_blocks: int,
    errors: tuple[float, ...],
    round_trip_s: float,
    arq: Arq,
    key: int,
    again: Callable[[float], tuple[float, ...]] | None = None,
) -> BlocksDelivered:
    """Draw the outcome of sending ``n_blocks`` blocks.

    Parameters
    ----------
    errors
        Probability that each attempt fails, given that all attempts before it failed.
    round_trip_s
        Time from one attempt to the next.
    arq
        Retransmission of blocks that have failed all attempts.
    key
        Key of the message.
    again
        Returns the errors of an ARQ repetition, given how long the block has waited for round trips [s];
        None: the same errors as at first.
    """
    left = n_sent = n_blocks
    n_attempts, delay_s, draw = 1, 0.0, 0
    for repetition in range(arq.limit + 1):
        if repetition and again is not None:
            errors = again(delay_s + arq.round_trip_s)
        for attempt, error in enumerate(errors):
            if repetition or attempt:  # every attempt but the first repeats the failed blocks
                n_sent += left
                n_attempts += 1
                delay_s += round_trip_s if attempt else arq.round_trip_s
            left, draw = binomial(left, error, key, draw)
            if not left:
                return BlocksDelivered(n_sent, 0, n_attempts, delay_s)
    return BlocksDelivered(n_sent, left, n_attempts, delay_s)


def binomial(n: int, p: float, key: int, draw: int = 0) -> tuple[int, int]:
    """Draw a binomial number by inversion; return it and the number of the next draw."""
    if p <= 0.0 or n == 0:
        return 0, draw
    if p >= 1.0:
        return n, draw
    if n == 1:
        return int(keyed_uniform(key, draw) > 1.0 - p), draw + 1
    found = 0
    while n > 0:
        some = min(n, _AT_ONCE)
        found += _inverted(some, p, keyed_uniform(key, draw))
        n -= some
        draw += 1
    return found, draw


def _inverted(n: int, p: float, uniform: float) -> int:
    """Return the quantile of Binomial(n, p), summed from 0."""
    if p > 0.5:  # start the sum at the likelier end
        return n - _inverted(n, 1.0 - p, 1.0 - uniform)
    odds = p / (1.0 - p)
    term = math.exp(n * math.log1p(-p))
    total, k = term, 0
    while uniform > total and k < n:
        term *= odds * (n - k) / (k + 1)
        total += term
        k += 1
    return k
