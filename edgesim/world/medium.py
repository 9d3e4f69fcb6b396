"""Shared radio media: access schemes of cells, and parameters of the radio links in them."""

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
    """One cell: a station, and the band shared by its terminals.

    Rates change only at events (a transfer begins or ends, a channel changes, a cell of the same band becomes
    active or idle); in between, rates are constant and transfers progress in proportion. Uplink and downlink
    each share the band among their own transfers only, except under ``dcf``, where all transmitters contend.

    * ``equal``, ``weighted``: OFDMA or FDMA. Each transfer permanently has its share of the band; noise
      is proportional to the share. Exact processor sharing.
    * ``tdma``: the whole band, for an equal share of the time; the limit of short slots.
    * ``round-robin``, ``proportional-fair``: the whole band, slot by slot. Slots are simulated only while
      two or more transfers wait.
    * ``max-rate``: the whole band to the transfer with the best rate, until that changes.
    * ``dcf``: 802.11 contention, exchange by exchange (:mod:`edgesim.engine.network.wifi.contention`).
      Cells of one band contend with one another.

    Under time-division duplex, the transfers of a direction progress only in its own slots.

    With a ``grid`` (5G NR), allocation is in whole slots and whole resource blocks: shares are rounded to
    blocks, a message that needs fewer than its share leaves the rest to the others, under ``tdma`` a slot
    belongs to one terminal, and under the slot-by-slot rules and ``max-rate`` the part of a slot that the
    first transfer does not need goes to the next.

    Not modelled: frequency-selective scheduling, priorities, control channels.

    Parameters
    ----------
    name
        The station's id, with a suffix that distinguishes its bands.
    duplex
        Separate bands per direction, one band alternating between directions, or one band shared by both in
        order of arrival.
    band
        Name of the band; cells of one band interfere while they are active. None: a separate band.
    across
        In a band with several cells: channel between every terminal of the band and this station.
    load
        Share of the time in which this cell interferes with others, regardless of its traffic: 1 is the full
        buffer of link-level studies. None: only while it is active.
    grid
        5G NR slots and resource blocks, and the uplink grant procedure. None: any part of the band for any
        time.
    slot_s
        Scheduler slot without a grid [s].
    window
        Number of slots over which proportional fairness averages.
    key
        Random key of backoffs under ``dcf``, from the seed, the replication and the cell.
    give_up_s
        Time that a transfer over a link out of reach waits before it is lost [s].
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
        """Whether transmitters contend frame by frame, as in Wi-Fi."""
        return self.access == "dcf"

    def alone_bps(self, rate_bps: float, mac: WifiMac, *, uplink: bool) -> float:
        """Long-run gross rate of the only transfer in a cell [bit/s], given its rate while it sends.

        Accounts for the share of its direction under time-division duplex, and under ``dcf`` for backoff,
        preambles, headers and acknowledgements.
        """
        if self.is_contended:
            return mac.alone_bps(rate_bps)
        return max(0.0, rate_bps) * (self.duplex if self.grid is None else self.grid).share(uplink=uplink)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSlot:
    """Planning values for the first slot of a message on a slotted radio link.

    Parameters
    ----------
    up_s, down_s
        Mean time from a message's arrival to the end of its first slot [s]: uplink after an idle period
        (including scheduling request and grant), and downlink.
    n_bits
        Mean number of bits in a slot with the whole band, in the weaker direction.
    """

    up_s: float
    down_s: float
    n_bits: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioChannel:
    """Radio parameters of a link.

    Parameters
    ----------
    link
        Channel over time.
    terminal, station
        Ids of the two ends.
    medium
        Name of the cell.
    key
        Random key of transmission attempts and repetitions, from :func:`edgesim.rng.link_key`.
    weight
        Share of the band under ``weighted``, relative to the other links.
    request_key
        Random key of the terminal's scheduling request opportunities.
    first_slot
        In a cell with a grid: planning values for the first slot of a message; the rest is sent at the
        link's mean rate.
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
