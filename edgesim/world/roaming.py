"""Handover of terminals between cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgesim.radio.motion.handover import ServingCell

__all__ = ["Roaming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roaming:
    """Serving cell of a terminal over time, and the effect of a handover on messages in transmission.

    The terminal needs a link to each of the cells. Its messages use the link to the serving cell only, and do
    not start during an interruption.

    Parameters
    ----------
    serving
        The serving cell over time.
    in_flight
        ``keep``: bits sent before the handover count, and the rest is sent over the new cell after the
        interruption (lossless handover, with data forwarding between the cells). ``lose``: the message is
        lost at the handover.
    """

    serving: ServingCell
    in_flight: Literal["keep", "lose"] = "keep"
