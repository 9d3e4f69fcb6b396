"""A terminal that changes cells, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgesim.radio.motion.handover import ServingCell

__all__ = ["Roaming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roaming:
    """Which of several cells a terminal is attached to, and what a handover does to messages on the air.

    The terminal needs a link to each of the cells. Its messages go over that of the serving cell alone, and
    wait for the end of an interruption before they are begun.

    Parameters
    ----------
    serving
        The serving cell over time.
    in_flight
        ``keep``: what has been sent by then counts, and the rest goes over the new cell after the
        interruption (lossless handover, with data forwarding between the cells). ``lose``: the message is
        lost at the handover.
    """

    serving: ServingCell
    in_flight: Literal["keep", "lose"] = "keep"
