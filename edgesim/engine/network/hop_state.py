"""Current state of a hop and of the air that it shares; computed on demand, without changing anything."""

from __future__ import annotations

import math
from typing import NamedTuple

from edgesim.radio.adaptation.air_interface import Arq
from edgesim.radio.radio_link import RadioState as ChannelState

__all__ = ["Blocks", "Outlook", "Prospect", "fate"]


class Blocks(NamedTuple):
    """Error statistics of a radio hop's blocks."""

    sinr: float
    """Over the whole band, linear."""
    n_bits: int
    loss: float
    n_attempts: float
    unacknowledged_loss: float = 0.0
    """For a message whose blocks the ARQ does not repeat."""


class Outlook(NamedTuple):
    """The current state of a hop."""

    rate_bps: float
    queued_bytes: float
    queued_s: float
    down: str | None = None
    blocks: Blocks | None = None


class Prospect(NamedTuple):
    """What one more transfer of a hop would get on the air, in addition to all that are on it."""

    whole: ChannelState
    """The hop's channel over the whole band."""
    state: ChannelState
    """The hop's channel over the part of the band that it would get."""
    rate_bps: float
    """Average over time, for all transfers of the hop together."""


def fate(errors: tuple[float, ...], arq: Arq) -> tuple[float, float]:
    """Return the probability that a block is lost permanently, and its mean number of transmissions.

    For M attempts with conditional error probabilities p1, …, pM, made up to L + 1 times: the block is lost
    with probability P^(L + 1), P = p1 … pM, and is sent (1 + p1 + p1 p2 + …) (1 + P + … + P^L) times on
    average.
    """
    undelivered, n_each = 1.0, 0.0
    for error in errors:
        n_each += undelivered
        undelivered *= error
    n_rounds = arq.limit + 1
    return undelivered**n_rounds, n_each * math.fsum(undelivered**number for number in range(n_rounds))
