"""What it takes to deliver a message block by block: attempts, repetitions above them, losses.

The number of blocks that fail an attempt is binomial among those that remain; each draw is a function of
(key, number of the draw) alone. Nothing here depends on who else sends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from edgesim.radio.adaptation.air_interface import Arq
from edgesim.rng import keyed_uniform

__all__ = ["BlocksDelivered", "binomial", "deliver"]

_AT_ONCE = 256  # blocks drawn together: the inversion begins at (1 - p)^n, which must not underflow


class BlocksDelivered(NamedTuple):
    """How a message of several blocks fared."""

    n_sent: int
    """Blocks on the air in all, repetitions included."""
    n_lost: int
    """Blocks that no attempt delivered; above 0 the message is lost."""
    n_attempts: int
    """Attempts that the unluckiest block took."""
    delay_s: float
    """Round trips that its attempts waited for."""


def deliver(
    n_blocks: int,
    errors: tuple[float, ...],
    round_trip_s: float,
    arq: Arq,
    key: int,
    again: Callable[[float], tuple[float, ...]] | None = None,
) -> BlocksDelivered:
    """Draw how blocks fare.

    Parameters
    ----------
    errors
        Probability that each attempt fails, given that all before it have.
    round_trip_s
        Time from one attempt to the next.
    arq
        What happens to blocks that have failed all attempts.
    key
        Which message this is.
    again
        Errors of a repetition by ARQ, given how long its block has waited for round trips [s]; None: as at
        first.
    """
    left = n_sent = n_blocks
    n_attempts, delay_s, draw = 1, 0.0, 0
    for repetition in range(arq.limit + 1):
        if repetition and again is not None:
            errors = again(delay_s + arq.round_trip_s)
        for attempt, error in enumerate(errors):
            if repetition or attempt:  # all but the first go over what has failed
                n_sent += left
                n_attempts += 1
                delay_s += round_trip_s if attempt else arq.round_trip_s
            left, draw = binomial(left, error, key, draw)
            if not left:
                return BlocksDelivered(n_sent, 0, n_attempts, delay_s)
    return BlocksDelivered(n_sent, left, n_attempts, delay_s)


def binomial(n: int, p: float, key: int, draw: int = 0) -> tuple[int, int]:
    """Draw a binomial number by inversion; returns it and the number of the next draw."""
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
    """The quantile of Binomial(n, p), summed up from 0."""
    if p > 0.5:  # so that the sum begins at the likelier end
        return n - _inverted(n, 1.0 - p, 1.0 - uniform)
    odds = p / (1.0 - p)
    term = math.exp(n * math.log1p(-p))
    total, k = term, 0
    while uniform > total and k < n:
        term *= odds * (n - k) / (k + 1)
        total += term
        k += 1
    return k
