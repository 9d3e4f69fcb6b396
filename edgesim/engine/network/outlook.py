"""What a hop, and the air that it shares, tell of the instant; worked out anew, and without a trace."""

from __future__ import annotations

import math
from typing import NamedTuple

from edgesim.radio.adaptation.air_interface import Arq
from edgesim.radio.radio_link import RadioState as ChannelState

__all__ = ["Blocks", "Outlook", "Prospect", "fate"]


class Blocks(NamedTuple):
    """What a radio hop's blocks meet."""

    sinr: float
    """Over the whole band, linear."""
    n_bits: int
    loss: float
    n_attempts: float
    unacknowledged_loss: float = 0.0
    """Of a message whose blocks the ARQ does not repeat."""


class Outlook(NamedTuple):
    """A hop now."""

    rate_bps: float
    queued_bytes: float
    queued_s: float
    down: str | None = None
    blocks: Blocks | None = None


class Prospect(NamedTuple):
    """What the air has for one more transfer of a hop, beside all that are on it."""

    whole: ChannelState
    """The hop's channel over the whole band."""
    state: ChannelState
    """Its channel over the part that the hop would have."""
    rate_bps: float
    """Over time, of the hop's transfers together."""


def fate(errors: tuple[float, ...], arq: Arq) -> tuple[float, float]:
    """Probability that a block is lost for good, and the mean number of its transmissions.

    Of M attempts with conditional error probabilities p1, …, pM, gone through up to L + 1 times: it is lost
    with P^(L + 1), P = p1 … pM, and is sent (1 + p1 + p1 p2 + …) (1 + P + … + P^L) times.
    """
    undelivered, n_each = 1.0, 0.0
    for error in errors:
        n_each += undelivered
        undelivered *= error
    n_rounds = arq.limit + 1
    return undelivered**n_rounds, n_each * math.fsum(undelivered**number for number in range(n_rounds))
