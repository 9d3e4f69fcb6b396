"""Shared media, as values: how the transfers of a cell share its band, and the radio links that use it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgesim.errors import InputError
from edgesim.radio.contention import Dcf, goodputs
from edgesim.radio.duplex import Duplex, Fdd
from edgesim.radio.link import RadioLink
from edgesim.radio.resource_grid import ResourceGrid

__all__ = ["Access", "FirstSlot", "Medium", "RadioChannel"]

Access = Literal["equal", "weighted", "tdma", "round-robin", "proportional-fair", "max-rate", "dcf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """One cell: a station, and the band that its terminals share.

    Whatever changes a rate (a transfer that begins or ends, a channel that changes, a cell of the same band
    that falls silent or begins) is met at its instant; between two such instants rates are constant, and
    transfers advance in proportion. Up and down share the band with themselves alone, except under ``dcf``,
    where everybody contends with everybody.

    * ``equal``, ``weighted``: OFDMA or FDMA. Each transfer has its share of the band all the time; noise
      shrinks with the share. Exact processor sharing.
    * ``tdma``: the whole band, for an equal share of the time; the limit of short slots.
    * ``round-robin``, ``proportional-fair``: the whole band, slot by slot. Slots are gone through only while
      two or more transfers wait.
    * ``max-rate``: the whole band to the transfer with the best rate, until that changes.
    * ``dcf``: 802.11's contention, by Bianchi's goodput for the number of senders that have something to
      send; a sender's transfers share its part. Stations at unlike rates win the channel equally often.

    Under time-division duplex a direction's transfers advance in its own slots, and only then.

    With a ``grid`` (5G NR) all of this happens in whole slots and whole resource blocks: shares are rounded
    to blocks, a message that needs fewer than its share leaves the rest to the others, under ``tdma`` a slot
    is one terminal's, and under the slot-by-slot rules and ``max-rate`` what the first leaves of a slot is
    the next one's.

    Not modelled: schedulers that choose parts of a band by frequency, priorities, control channels.

    Parameters
    ----------
    name
        The station's id, and what tells its bands apart.
    duplex
        Two bands, one in turns, or one for whoever comes first.
    band
        Cells of one band disturb each other while they are active; None: a band of its own.
    across
        Of a band with several cells: the channel between every terminal of the band and this station.
    load
        How much of the time this cell disturbs others, whoever sends: 1 is the full buffer of link-level
        studies. None: while it is active.
    grid
        Of 5G NR: slots and resource blocks, and how uplinks come to their grants. None: any part of the band
        for any time.
    slot_s
        Scheduler's slot, without a grid.
    window
        Slots over which proportional fairness averages.
    dcf
        Contention's timing.
    txop_s, most_frames
        Under ``dcf``: a sender that has won sends frames for so long, and no more than so many. The default
        access category has no limit of its own (802.11-2020 table 9-155); 2.5 ms is an estimate, 64
        frames are a block acknowledgement's window.
    give_up_s
        How long a transfer whose link is out of reach waits before it is lost.
    """

    name: str
    access: Access = "equal"
    duplex: Duplex = field(default_factory=Fdd)
    band: str | None = None
    across: Mapping[str, RadioLink] = field(default_factory=dict)
    load: float | None = None
    grid: ResourceGrid | None = None
    slot_s: float = 0.5e-3
    window: float = 100.0
    dcf: Dcf = field(default_factory=Dcf)
    txop_s: float = 2.5e-3
    most_frames: int = 64
    give_up_s: float = 10.0

    def __post_init__(self) -> None:
        if not (self.slot_s > 0 and self.give_up_s > 0 and self.window >= 1):
            raise InputError(
                f"medium {self.name}: found a slot of {self.slot_s:g} s, a window of {self.window:g} slots "
                f"and patience of {self.give_up_s:g} s; expected all above 0"
            )
        if self.load is not None and not 0.0 <= self.load <= 1.0:
            raise InputError(
                f"medium {self.name}: found a load of {self.load:g}; expected 0 (never) to 1 (always)"
            )

    def aggregate_bits(self, rate_bps: float, frame_bits: int) -> float:
        """Bits that a sender sends at once when it has won the channel: as many frames as it may."""
        n_frames = min(self.most_frames, int(rate_bps * self.txop_s / frame_bits))
        return float(max(1, n_frames) * frame_bits)

    def alone_bps(self, rate_bps: float, frame_bits: int, *, uplink: bool) -> float:
        """Gross rate over time of a transfer that has the cell to itself, given the rate while it sends.

        Under time-division duplex its direction is not always open; under ``dcf`` a part of the time goes
        into backoff, preambles and acknowledgements.
        """
        if not rate_bps > 0.0:
            return 0.0
        if self.access == "dcf":
            return goodputs((self.aggregate_bits(rate_bps, frame_bits),), (rate_bps,), self.dcf)[0]
        return rate_bps * (self.duplex if self.grid is None else self.grid).share(uplink=uplink)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSlot:
    """What the first slot of a message costs on a radio link with slots; planners count on it.

    Parameters
    ----------
    up_s, down_s
        Mean time from a message's coming until its first slot has ended: from the terminal after silence (the
        request for a grant and its answer among it), and to it.
    n_bits
        What a slot carries on average with the whole band, in the weaker direction.
    """

    up_s: float
    down_s: float
    n_bits: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioChannel:
    """What makes a link a radio link.

    Parameters
    ----------
    link
        Its channel over time.
    terminal, station
        Which end is which.
    medium
        Name of the cell.
    key
        What attempts and repetitions are drawn from: of :func:`edgesim.rng.link_key`.
    weight
        Part of the band under ``weighted``, relative to the others'.
    request_key
        What the terminal's opportunities to ask for a grant are drawn from.
    first_slot
        Of a cell with a grid: what planners count for the first slot of a message, before the rest of it
        goes at the link's mean rate.
    """

    link: RadioLink
    terminal: str
    station: str
    medium: str
    key: int
    weight: float = 1.0
    request_key: int = 0
    first_slot: FirstSlot | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.weight < math.inf:
            raise InputError(f"radio link: found a weight of {self.weight:g}; expected one above 0")
