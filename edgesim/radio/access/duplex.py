"""Duplexing: when each direction of a radio may send.

- :class:`TddPattern`: both directions in one band, alternating by a repeated pattern of slots.
- :class:`Fdd`: a separate band for each direction, always open.
- :class:`HalfDuplex`: one band, open to the direction that starts first (Wi-Fi).

All implement :class:`Duplex` and are pure functions of time.

Not modelled: timing advance, switching times other than the special slot's guard, interference between
directions (self-interference, cross-link interference), patterns that follow the traffic (dynamic TDD).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Protocol

from edgesim.errors import InputError

__all__ = ["Duplex", "Fdd", "HalfDuplex", "TddPattern"]

N_SYMBOLS = 14
"""OFDM symbols in an NR slot with normal cyclic prefix (TS 38.211 table 4.3.2-1)."""

DIRECTIONS = (False, True)


class Duplex(Protocol):
    """Rule that states when a direction may use the band."""

    @property
    def takes_turns(self) -> bool:
        """Whether transfers in one direction block those in the other, because they share one medium."""
        ...

    def share(self, *, uplink: bool) -> float:
        """Return the share of time for which a direction is open."""
        ...

    def next_s(self, at_s: float, *, uplink: bool) -> float:
        """Return the first instant, not before the given one, at which a direction is open."""
        ...

    def until_s(self, at_s: float, *, uplink: bool) -> float:
        """Return the end of the opening at or next after an instant; infinite if it never ends."""
        ...

    def open_s(self, start_s: float, end_s: float, *, uplink: bool) -> float:
        """Return for how much of an interval a direction is open [s]."""
        ...

    def finish_s(self, start_s: float, airtime_s: float, *, uplink: bool) -> float:
        """Return when a transmission of the given airtime ends, if it begins as soon as it may."""
        ...

    def mean_wait_s(self, *, uplink: bool) -> float:
        """Return the mean time until a direction is open, from an instant independent of the pattern."""
        ...


class _AlwaysOpen:
    """Duplexing with both directions open all of the time."""

    __slots__ = ()

    def share(self, *, uplink: bool) -> float:
        """Return 1."""
        del uplink
        return 1.0

    def next_s(self, at_s: float, *, uplink: bool) -> float:
        """Return the given instant."""
        del uplink
        return at_s

    def until_s(self, at_s: float, *, uplink: bool) -> float:
        """Return infinity."""
        del at_s, uplink
        return math.inf

    def open_s(self, start_s: float, end_s: float, *, uplink: bool) -> float:
        """Return the length of the interval."""
        del uplink
        return end_s - start_s

    def finish_s(self, start_s: float, airtime_s: float, *, uplink: bool) -> float:
        """Return the start plus the airtime."""
        del uplink
        return start_s + airtime_s

    def mean_wait_s(self, *, uplink: bool) -> float:
        """Return 0."""
        del uplink
        return 0.0


@dataclass(frozen=True, slots=True)
class Fdd(_AlwaysOpen):
    """Frequency-division duplex: a separate band for each direction, open all of the time."""

    takes_turns: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class HalfDuplex(_AlwaysOpen):
    """One band for both directions, with radios that either send or receive: one shared medium."""

    takes_turns: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class TddPattern:
    """Time-division duplex by a repeated pattern of slots: D down, U up, S special (down, guard, up).

    The pattern begins at instant 0 and is the same in all cells (synchronised TDD). While it is open, a
    direction has the whole band. Over times much longer than the pattern it has its share of the rate.

    Parameters
    ----------
    slots
        For instance "DDDSU".
    slot_s
        Length of a slot: 1 ms at 15 kHz, halved with each doubling of the subcarrier spacing.
    special
        Symbols of an S slot for downlink, guard and uplink: 14 in all. European regulators recommend the
        default, 10:2:2, with DDDSU (ECC Recommendation (20)03; not re-read).
    """

    takes_turns: ClassVar[bool] = False

    slots: str
    slot_s: float
    special: tuple[int, int, int] = (10, 2, 2)
    period_s: float = field(init=False, repr=False, compare=False)
    _openings: tuple[tuple[tuple[float, float], ...], ...] = field(init=False, repr=False, compare=False)
    _per_period_s: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.slots or set(self.slots) - set("DSU"):
            raise InputError(
                f"tdd: pattern '{self.slots}'; expected slots D (down), U (up) and S (special), "
                "for instance DDDSU"
            )
        if not 0.0 < self.slot_s < math.inf:
            raise InputError(f"tdd: a slot is {self.slot_s:g} s; expected more than 0: at 30 kHz, 0.5 ms")
        if min(self.special) < 0 or sum(self.special) != N_SYMBOLS:
            raise InputError(
                f"tdd: a special slot of {':'.join(map(str, self.special))} symbols; expected {N_SYMBOLS} "
                "in all, for down, guard and up: for instance 10:2:2"
            )
        object.__setattr__(self, "period_s", len(self.slots) * self.slot_s)
        object.__setattr__(self, "_openings", tuple(self._opened(uplink=uplink) for uplink in DIRECTIONS))
        for uplink, word in zip(DIRECTIONS, ("down", "up"), strict=True):
            if not self._openings[uplink]:
                raise InputError(
                    f"tdd: pattern '{self.slots}' is never open {word}; expected both directions: "
                    f"add a slot {word[0].upper()}"
                )
        each_s = tuple(sum(end_s - begin_s for begin_s, end_s in way) for way in self._openings)
        object.__setattr__(self, "_per_period_s", each_s)

    def share(self, *, uplink: bool) -> float:
        """Return the share of time for which a direction is open."""
        return self._per_period_s[uplink] / self.period_s

    def next_s(self, at_s: float, *, uplink: bool) -> float:
        """Return the first instant, not before the given one, at which a direction is open."""
        return max(at_s, self._opening(at_s, uplink)[0])

    def until_s(self, at_s: float, *, uplink: bool) -> float:
        """Return the end of the opening at or next after an instant; the next pattern may continue it."""
        return self._opening(at_s, uplink)[1]

    def open_s(self, start_s: float, end_s: float, *, uplink: bool) -> float:
        """Return for how much of an interval a direction is open [s]."""
        return self._opened_by_s(end_s, uplink) - self._opened_by_s(start_s, uplink)

    def finish_s(self, start_s: float, airtime_s: float, *, uplink: bool) -> float:
        """Return when a transmission of the given airtime ends, if it begins as soon as it may.

        It pauses while its direction is closed. With an airtime of 0 it ends at the first opening.
        """
        per_period_s = self._per_period_s[uplink]
        # Skip whole patterns, all but the last: the remainder takes at most two more.
        n_periods = max(0, math.ceil(airtime_s / per_period_s) - 1)
        at_s, left_s = start_s + n_periods * self.period_s, airtime_s - n_periods * per_period_s
        while True:
            begin_s, end_s = self._opening(at_s, uplink)
            at_s = max(at_s, begin_s)
            if left_s <= end_s - at_s:
                return at_s + left_s
            left_s -= end_s - at_s
            at_s = end_s

    def mean_wait_s(self, *, uplink: bool) -> float:
        """Return the mean time until a direction is open, from an instant independent of the pattern.

        A gap of length g is hit with probability g / period and then lasts another g / 2 on average.
        """
        openings = self._openings[uplink]
        first_s, last_s = openings[0][0], openings[-1][1]
        edges_s = [*openings, (first_s + self.period_s, last_s)]
        gaps_s = [after[0] - before[1] for before, after in pairwise(edges_s)]
        return sum(gap_s * gap_s for gap_s in gaps_s) / (2.0 * self.period_s)

    def _opened(self, *, uplink: bool) -> tuple[tuple[float, float], ...]:
        """Return the intervals of a pattern in which a direction is open, adjacent slots merged."""
        openings: list[tuple[float, float]] = []
        down, guard, _ = self.special
        for place, slot in enumerate(self.slots):
            first, last = 0, N_SYMBOLS
            if slot == "S":
                first, last = (down + guard, N_SYMBOLS) if uplink else (0, down)
            elif (slot == "U") != uplink:
                continue
            if first == last:
                continue
            begin_s = (place + first / N_SYMBOLS) * self.slot_s
            end_s = (place + last / N_SYMBOLS) * self.slot_s
            if openings and openings[-1][1] == begin_s:
                begin_s = openings.pop()[0]
            openings.append((begin_s, end_s))
        return tuple(openings)

    def _opening(self, at_s: float, uplink: bool) -> tuple[float, float]:
        """Return the first opening that ends after an instant."""
        start_s = math.floor(at_s / self.period_s) * self.period_s
        number = math.floor(at_s / self.period_s) - (start_s > at_s)
        while True:
            start_s = number * self.period_s
            for begin_s, end_s in self._openings[uplink]:
                if start_s + end_s > at_s:
                    return start_s + begin_s, start_s + end_s
            number += 1

    def _opened_by_s(self, at_s: float, uplink: bool) -> float:
        """Return for how long a direction has been open since instant 0."""
        number = math.floor(at_s / self.period_s)
        into_s = at_s - number * self.period_s
        partly_s = 0.0
        for begin_s, end_s in self._openings[uplink]:
            if into_s > begin_s:
                partly_s += min(into_s, end_s) - begin_s
        return number * self._per_period_s[uplink] + partly_s
