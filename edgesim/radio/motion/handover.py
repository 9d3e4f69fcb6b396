"""Serving cell of a terminal and its handovers: event A3 of 3GPP, as a pure function of time.

The terminal measures the power received from every cell once a period. A neighbour that is better than the
serving cell by an offset and a hysteresis, in every measurement of a time to trigger, becomes the serving
cell (TS 38.331, clause 5.5.4.4; not re-read in the printed standard). After that, nothing is sent or
received for the interruption.

The powers are large-scale powers, without fast fading, which the physical layer averages out.

Not modelled: measurement errors, the time of reports and commands (part of the interruption), lost commands,
radio link failure and re-establishment, load balancing, conditional handover.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError

__all__ = ["A3", "Handover", "Measure", "ServingCell", "handovers"]

Measure = Callable[[str, NDArray[np.float64]], NDArray[np.float64]]
"""Returns the power received from a cell at given instants [dBm], without fast fading; pure."""

_N_AT_ONCE = 256  # measurements per evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class A3:
    """Parameters of event A3: a neighbour becomes better than the serving cell by an offset.

    Parameters
    ----------
    hysteresis_db, offset_db
        Margin by which the neighbour must be better, the sum of both [dB]; 3 dB and 0 dB.
    time_to_trigger_s
        Time for which it must be better [s]; 160 ms, one of the values that TS 38.331 allows.
    interruption_s
        Time after the decision without transmission or reception [s]; 40 ms, between the usual 30 ms and 50
        ms.
    period_s
        Time between measurements [s]; 40 ms.
    filter_coefficient
        k of the layer-3 filter F = (1 - a) F + a M with a = 1 / 2^(k / 4), on decibels (TS 38.331, clause
        5.5.3.2). The standard defines it for measurements every 200 ms; for other periods a is adapted to
        keep the filter's time constant. 0: unfiltered.
    """

    hysteresis_db: float = 3.0
    offset_db: float = 0.0
    time_to_trigger_s: float = 0.16
    interruption_s: float = 0.04
    period_s: float = 0.04
    filter_coefficient: float = 0.0

    def __post_init__(self) -> None:
        facts = {
            "hysteresis": self.hysteresis_db,
            "time to trigger": self.time_to_trigger_s,
            "interruption": self.interruption_s,
            "filter coefficient": self.filter_coefficient,
        }
        for name, value in facts.items():
            if not 0.0 <= value < math.inf:
                raise InputError(f"handover: found a {name} of {value:g}; expected 0 or more")
        if not 0.0 < self.period_s < math.inf:
            raise InputError(f"handover: found a period of {self.period_s:g} s; expected a duration above 0")

    @property
    def margin_db(self) -> float:
        """Margin by which a neighbour must be better [dB]."""
        return self.hysteresis_db + self.offset_db

    @property
    def n_to_trigger(self) -> int:
        """Periods for which a neighbour must stay better, after its first better measurement."""
        # The tolerance makes 160 ms four periods of 40 ms despite rounding of the quotient.
        return math.ceil(self.time_to_trigger_s / self.period_s - 1e-9)

    @property
    def n_interrupted(self) -> int:
        """Measurements skipped after a handover because they fall within the interruption."""
        return max(0, math.ceil(self.interruption_s / self.period_s - 1e-9) - 1)

    @property
    def weight(self) -> float:
        """The filter's a, adapted to this period."""
        at_200_ms = 0.5 ** (self.filter_coefficient / 4)
        return 1.0 - (1.0 - at_200_ms) ** (self.period_s / 0.2) if self.filter_coefficient else 1.0


class Handover(NamedTuple):
    """A change of the serving cell at ``at_s``; the new cell serves after the interruption."""

    at_s: float
    source: str
    target: str
    interruption_s: float

    @property
    def ends_at_s(self) -> float:
        """Instant at which the new cell begins to serve [s]."""
        return self.at_s + self.interruption_s


class _Watch:
    """A terminal's measurements, evaluated chunk by chunk, and the resulting handovers."""

    def __init__(self, measure: Measure, cells: Sequence[str], rule: A3) -> None:
        self._measure, self._cells, self._rule = measure, cells, rule
        self._n_measured = 0
        self._filtered: NDArray[np.float64] | None = None
        self._n_better = [0] * len(cells)  # consecutive measurements in which each was better by the margin
        self._n_skip = 0
        self._serving = 0
        self.first = ""  # the cell that serves at time zero
        self.found: list[Handover] = []
        self.go_on()

    @property
    def known_until_s(self) -> float:
        """Instant before which all handovers have been found [s]."""
        return self._n_measured * self._rule.period_s

    def go_on(self) -> None:
        """Evaluate the next chunk."""
        # Multiples of the period, so that instants do not depend on how far callers ask at once.
        times_s = np.arange(self._n_measured, self._n_measured + _N_AT_ONCE, dtype=float)
        times_s *= self._rule.period_s
        measured: list[NDArray[np.float64]] = [self._measure(cell, times_s) for cell in self._cells]
        powers_dbm = self._filter(np.stack(measured, axis=1))
        if not self._n_measured:
            self._serving = int(np.argmax(powers_dbm[0]))
            self.first = self._cells[self._serving]
        self._n_measured += _N_AT_ONCE
        is_calm = bool((powers_dbm.max(axis=1) <= powers_dbm[:, self._serving] + self._rule.margin_db).all())
        if is_calm and self._rule.margin_db >= 0:
            self._n_better = [0] * len(self._cells)
            self._n_skip = max(0, self._n_skip - _N_AT_ONCE)
            return
        for at_s, powers in zip(times_s.tolist(), powers_dbm.tolist(), strict=True):
            self._judge(at_s, powers)

    def _judge(self, at_s: float, powers_dbm: list[float]) -> None:
        if self._n_skip:
            self._n_skip -= 1
            return
        enough_dbm = powers_dbm[self._serving] + self._rule.margin_db
        best = -1
        for cell, power_dbm in enumerate(powers_dbm):
            if cell == self._serving or power_dbm <= enough_dbm:
                self._n_better[cell] = 0
                continue
            self._n_better[cell] += 1
            has_triggered = self._n_better[cell] > self._rule.n_to_trigger
            if has_triggered and (best < 0 or power_dbm > powers_dbm[best]):
                best = cell
        if best >= 0:
            source, target = self._cells[self._serving], self._cells[best]
            self.found.append(Handover(at_s, source, target, self._rule.interruption_s))
            self._serving, self._n_skip = best, self._rule.n_interrupted
            self._n_better = [0] * len(self._cells)

    def _filter(self, powers_dbm: NDArray[np.float64]) -> NDArray[np.float64]:
        weight = self._rule.weight
        if weight == 1.0:
            return powers_dbm
        last = powers_dbm[0] if self._filtered is None else self._filtered
        smooth = np.empty_like(powers_dbm)
        for number, powers in enumerate(powers_dbm):
            smooth[number] = last = (1.0 - weight) * last + weight * powers
        self._filtered = last
        return smooth


def handovers(measure: Measure, cells: Sequence[str], rule: A3, until_s: float) -> tuple[Handover, ...]:
    """Return a terminal's handovers from time zero to an instant.

    At time zero the strongest cell serves (the first of equal ones). If several cells trigger the event
    simultaneously, the strongest becomes the serving cell. Measurements during an interruption are skipped.

    Parameters
    ----------
    measure
        Received power over instants.
    cells
        Cells to which the terminal may attach.
    until_s
        Last instant to include [s].
    """
    serving = ServingCell(measure, cells, rule)
    found = []
    change = serving.next_handover(-math.inf, until_s)
    while change is not None:
        found.append(change)
        change = serving.next_handover(change.at_s, until_s)
    return tuple(found)


class ServingCell:
    """The serving cell of a terminal over time; pure, and evaluated as far as requested.

    Parameters
    ----------
    measure
        Received power over instants.
    cells
        Cells to which the terminal may attach.
    rule
        Rule of handovers; None: the strongest cell at time zero serves permanently.
    moves
        Whether anything changes over time. If terminal and cells stay, the strongest cell at time zero serves
        permanently, without further measurements.
    """

    def __init__(
        self, measure: Measure, cells: Sequence[str], rule: A3 | None = None, *, moves: bool = True
    ) -> None:
        if not cells:
            raise InputError("handover: no cells to attach to; expected one or more")
        self.cells = tuple(cells)
        self._watch: _Watch | None = None
        self._instants_s: list[float] = []
        if len(cells) == 1:
            self._first = self.cells[0]
        elif rule is None or not moves:
            at_start = [float(measure(cell, np.zeros(1))[0]) for cell in self.cells]
            self._first = self.cells[int(np.argmax(at_start))]
        else:
            self._watch = _Watch(measure, self.cells, rule)
            self._first = self._watch.first
            self._instants_s = [change.at_s for change in self._watch.found]

    @property
    def is_constant(self) -> bool:
        """Whether one cell serves permanently."""
        return self._watch is None

    def cell(self, at_s: float) -> str:
        """Return the serving cell at an instant; from the instant of a handover on, the new one."""
        last = self._last(at_s)
        return self._first if last is None else last.target

    def ready_s(self, at_s: float) -> float:
        """Return the first instant, not before the given one, outside all interruptions [s]."""
        last = self._last(at_s)
        return at_s if last is None else max(at_s, last.ends_at_s)

    def next_handover(self, after_s: float, until_s: float) -> Handover | None:
        """Return the first handover after ``after_s`` and up to ``until_s`` [s]; None if there is none."""
        if self._watch is None:
            return None
        number = bisect_right(self._instants_s, after_s)
        while number == len(self._instants_s) and self._watch.known_until_s <= until_s:
            self._go_on(self._watch)
        if number < len(self._instants_s) and self._instants_s[number] <= until_s:
            return self._watch.found[number]
        return None

    def _last(self, at_s: float) -> Handover | None:
        if self._watch is None:
            return None
        while self._watch.known_until_s <= at_s:
            self._go_on(self._watch)
        number = bisect_right(self._instants_s, at_s)
        return self._watch.found[number - 1] if number else None

    def _go_on(self, watch: _Watch) -> None:
        watch.go_on()
        self._instants_s += [change.at_s for change in watch.found[len(self._instants_s) :]]
