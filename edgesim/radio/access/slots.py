"""The slots of a 5G carrier in which a direction carries data: a time grid that begins at instant 0.

A grant is at least one resource block for one slot; this module states when grants may begin and end. Under
time-division duplex the downlink has its D slots and the downlink part of S slots. The uplink has its U
slots, and the uplink part of S slots if that is long enough for data (:data:`LEAST_SYMBOLS`).

Not modelled: grants shorter than a slot (mini-slots), data in the guard period, timing advance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edgesim.errors import InputError
from edgesim.radio.access.duplex import N_SYMBOLS, Duplex, TddPattern

__all__ = ["LEAST_SYMBOLS", "Slots", "in_time_s", "slots_of"]

LEAST_SYMBOLS = 4
"""Shortest PUSCH of mapping type A, which begins with its slot (TS 38.214 table 6.1.2.1-1; not re-read). The
two uplink symbols of the usual 10:2:2 special slot are left to sounding and control."""

_ROUNDING = 8  # units in the last place by which an accumulated instant may miss the beginning of a slot


def in_time_s(at_s: float) -> float:
    """Return the earliest beginning of a slot for a message at an instant, with tolerance for rounding."""
    return at_s - _ROUNDING * math.ulp(at_s)


@dataclass(frozen=True, slots=True)
class Slots:
    """A direction's slots, numbered from 0 in order of time.

    Parameters
    ----------
    slot_s
        Length of a whole slot.
    n_pattern
        Slots of the repeated pattern, including those of the other direction; 1 without a pattern.
    places
        Of each of the direction's slots within a pattern: position, first symbol, number of symbols.
    """

    slot_s: float
    n_pattern: int = 1
    places: tuple[tuple[int, int, int], ...] = ((0, 0, N_SYMBOLS),)
    _from_place: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _before: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _edges: tuple[tuple[float, float], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.slot_s < math.inf:
            raise InputError(f"slots: a slot is {self.slot_s:g} s; expected more than 0: at 30 kHz, 0.5 ms")
        firsts = tuple(
            sum(place < earliest for place, _, _ in self.places) for earliest in range(self.n_pattern)
        )
        object.__setattr__(self, "_from_place", firsts)
        before = [0]
        for _, _, n_symbols in self.places:
            before.append(before[-1] + n_symbols)
        object.__setattr__(self, "_before", tuple(before))
        edges = tuple(
            (slot + first / N_SYMBOLS, slot + (first + n_symbols) / N_SYMBOLS)
            for slot, first, n_symbols in self.places
        )
        object.__setattr__(self, "_edges", edges)

    def slot(self, number: int) -> int:
        """Return the number of a direction's slot among all slots of the carrier, counted from instant 0."""
        pattern, place = divmod(number, len(self.places))
        return pattern * self.n_pattern + self.places[place][0]

    def begin_s(self, number: int) -> float:
        """Return when a slot begins."""
        pattern, place = divmod(number, len(self.places))
        return (pattern * self.n_pattern + self._edges[place][0]) * self.slot_s

    def end_s(self, number: int) -> float:
        """Return when a slot ends."""
        pattern, place = divmod(number, len(self.places))
        return (pattern * self.n_pattern + self._edges[place][1]) * self.slot_s

    def from_slot(self, slot: int) -> int:
        """Return the number of the direction's first slot that is not before a slot of the carrier."""
        pattern, place = divmod(slot, self.n_pattern)
        return pattern * len(self.places) + self._from_place[place]

    def next(self, at_s: float) -> int:
        """Return the number of the first slot that begins at or after an instant."""
        # Called for every message, hence inlined.
        slot_s, n_pattern, edges = self.slot_s, self.n_pattern, self._edges
        pattern, slot = divmod(int(at_s / slot_s), n_pattern)
        place = self._from_place[slot]
        earliest_s = at_s - _ROUNDING * math.ulp(at_s)
        while True:
            if place == len(edges):
                pattern, place = pattern + 1, 0
            if (pattern * n_pattern + edges[place][0]) * slot_s >= earliest_s:
                return pattern * len(edges) + place
            place += 1

    def part(self, number: int) -> float:
        """Return the length of a slot in whole slots: 1, or less for the direction's part of an S slot."""
        return self.places[number % len(self.places)][2] / N_SYMBOLS

    def parts(self, first: int, end: int) -> float:
        """Return the total length of the slots ``first`` … ``end - 1`` in whole slots."""
        return (self._symbols(end) - self._symbols(first)) / N_SYMBOLS

    def airtime_s(self, first: int, end: int, until_s: float) -> float:
        """Return how much time of the slots ``first`` … ``end - 1`` has passed by an instant."""
        if until_s >= self.end_s(end - 1):
            return self.parts(first, end) * self.slot_s
        begun = min(end, max(first + 1, self.next(until_s)))  # all slots before number begun - 1 have ended
        passed_s = min(until_s, self.end_s(begun - 1)) - self.begin_s(begun - 1)
        return self.parts(first, begun - 1) * self.slot_s + max(0.0, passed_s)

    def _symbols(self, number: int) -> int:
        pattern, place = divmod(number, len(self.places))
        return pattern * self._before[-1] + self._before[place]


def slots_of(duplex: Duplex, slot_s: float, *, uplink: bool) -> Slots:
    """Return the slots in which a direction carries data.

    Raises
    ------
    InputError
        If a pattern has no such slot.
    """
    if not isinstance(duplex, TddPattern):
        return Slots(slot_s)
    down, guard, up = duplex.special
    special = (down + guard, up) if uplink else (0, down)
    places = []
    for place, letter in enumerate(duplex.slots):
        if letter == ("U" if uplink else "D"):
            places.append((place, 0, N_SYMBOLS))
        elif letter == "S" and special[1] >= LEAST_SYMBOLS:
            places.append((place, *special))
    if not places:
        way = "U" if uplink else "D"
        raise InputError(
            f"tdd: pattern '{duplex.slots}' has no slot for data {'up' if uplink else 'down'}; expected a "
            f"slot {way}, or S slots with at least {LEAST_SYMBOLS} symbols that way: add a slot {way}"
        )
    return Slots(slot_s, len(duplex.slots), tuple(places))
