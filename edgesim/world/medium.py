"""Shared media, as values: how the transfers of a cell share its band, and the radio links that use it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgesim.errors import InputError
from edgesim.radio.access.duplex import Duplex, Fdd
from edgesim.radio.access.resource_grid import ResourceGrid
from edgesim.radio.access.wifi_mac import WifiMac
from edgesim.radio.radio_link import RadioLink

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
    * ``dcf``: 802.11's contention, exchange by exchange (:mod:`edgesim.engine.network.wifi.contention`).
      Cells of one band contend with one another.

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
    key
        What backoffs are drawn from under ``dcf``: of the seed, the replication and the cell.
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
    key: int = 0
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

    @property
    def is_contended(self) -> bool:
        """Whether its transmitters contend frame by frame, as Wi-Fi's do."""
        return self.access == "dcf"

    def alone_bps(self, rate_bps: float, mac: WifiMac, *, uplink: bool) -> float:
        """Gross rate over time of a transfer that has the cell to itself, given the rate while it sends.

        Under time-division duplex its direction is not always open; under ``dcf`` a part of the time goes
        into backoff, preambles, headers and acknowledgements.
        """
        if self.is_contended:
            return mac.alone_bps(rate_bps)
        return max(0.0, rate_bps) * (self.duplex if self.grid is None else self.grid).share(uplink=uplink)


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
    mac
        Under ``dcf``: frames, aggregates and access category.
    """

    link: RadioLink
    terminal: str
    station: str
    medium: str
    key: int
    weight: float = 1.0
    request_key: int = 0
    first_slot: FirstSlot | None = None
    mac: WifiMac = field(default_factory=WifiMac)

    def __post_init__(self) -> None:
        if not 0.0 < self.weight < math.inf:
            raise InputError(f"radio link: found a weight of {self.weight:g}; expected one above 0")
