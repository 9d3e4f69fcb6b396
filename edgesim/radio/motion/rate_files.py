"""Files of recorded rates: Mahimahi's lists and CSV, recognised by their contents.

Mahimahi's lists contain delivery opportunities (Netravali et al. 2015, USENIX ATC). A line is a whole
number of milliseconds at which one packet of 1500 bytes can be delivered; the list repeats from its last
instant on.

CSV has a column ``t`` [s] (or ``t_ms``) and one of rates, each of which is valid from its instant to the
next. The name of the rate column states its unit (``rate_bps``, ``rate_kbps``, ``rate_mbps``, ``rate_gbps``
or ``rate [Mbit/s]``), or the scenario does. Published recordings also have a column called only ``rate``,
in any of these units: if its mean is plausible for a link in bit/s, it is read as bit/s, with a note;
otherwise it is refused. If the two directions differ, there are two columns, ``up_mbps`` and ``down_mbps``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesim.errors import RecordingError
from edgesim.files import lines_of
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.radio.motion.recording_file import header_of, number_in, opened, refuse, rows_of, start_of
from edgesim.units import DATA_RATE, LONGEST_RUN_S, UnitError, parse

__all__ = ["read_mahimahi", "read_rate_csv", "read_rates"]

EXPECTED = "expected CSV with a header such as 't,rate_mbps', or Mahimahi's whole milliseconds, one a line"
NAMES_WITH_UNIT = "rate_bps, rate_kbps, rate_mbps or rate_gbps"

LEAST_LENGTH_S = 1e-6

LEAST_UNNAMED_BPS = 1e5
"""Least mean of rates without a unit that are read as bit/s. Published ones in Mbit/s are far below, those
in kbit/s are below up to 100 Mbit/s; rates in bit/s that can carry a model's hidden states are above."""

_SUFFIXES = {"bps": "bps", "kbps": "kbps", "mbps": "Mbps", "gbps": "Gbps", "tbps": "Tbps"}
_COLUMN = re.compile(
    r"(?P<what>rate|up|down)(?:_(?P<suffix>[kmgt]?bps)|_(?P<unit>[a-z]+/s)|\s*[\[(](?P<braced>[^\])]*)[\])])?",
    re.IGNORECASE,
)
_TIMES = {"t": 1.0, "t_s": 1.0, "t_ms": 1e-3}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of rates: its name, its direction, and bit/s per unit if the name states a unit."""

    name: str
    what: str
    unit_bps: float | None


def read_rates(path: Path, *, unit: str | None = None) -> tuple[RecordedRate, RecordedRate]:
    """Read the recorded rates of a link: up, then down; the same object twice if the file has one.

    Parameters
    ----------
    unit
        Unit of a CSV file's rates if its columns do not state it, such as ``Mbit/s``.

    Raises
    ------
    RecordingError
        With the number of the wrong line.
    """
    start = start_of(path)
    if start.isascii() and start.isdigit():
        if unit is not None:
            raise RecordingError(
                f"{path}: is a Mahimahi list, whose lines are milliseconds; leave 'unit' out"
            )
        rate = read_mahimahi(path)
        return rate, rate
    if start[:1] in ("<", "{", "["):
        refuse(path, 1, f"found {start[:40]!r}; {EXPECTED}")
    return read_rate_csv(path, unit=unit)


def read_mahimahi(path: Path) -> RecordedRate:
    """Read a list of delivery opportunities, one per line, in milliseconds and in order.

    Raises
    ------
    RecordingError
        With the number of the wrong line.
    """
    last_ms = 0
    times_s = []
    with opened(path) as lines:
        for number, line in enumerate(lines_of(lines), 1):
            text = line.strip()
            if not text:
                continue
            if not (text.isascii() and text.isdigit() and len(text) <= 15):
                refuse(path, number, f"found {text[:40]!r}, expected whole milliseconds, such as 17")
            if int(text) < last_ms:
                refuse(path, number, f"found {text} ms after {last_ms} ms; expected instants in order")
            last_ms = int(text)
            times_s.append(last_ms / 1e3)
    if last_ms == 0:
        raise RecordingError(
            f"{path}: no delivery after 0 ms; expected a line for each packet, in milliseconds"
        )
    return _sound(path, RecordedRate.of_packets(times_s))


def read_rate_csv(path: Path, *, unit: str | None = None) -> tuple[RecordedRate, RecordedRate]:
    """Read rates over time: a header such as ``t,rate_mbps``, then instants and rates.

    The first line's instant becomes time zero. The last line's instant is the end of the recording, and its
    rate is not used.

    Raises
    ------
    RecordingError
        With the number of the wrong line.
    """
    header = header_of(path)
    time = _time_column(path, header)
    named = _rate_columns(path, header)
    columns = [(column.name, _unit_bps(path, column, unit)) for column in named]
    times_s: list[float] = []
    rates_bps: list[list[float]] = [[] for _ in columns]
    for line, row in rows_of(path, (time, *(name for name, _ in columns))):
        at_s = number_in(path, line, row, time) * _TIMES[time.strip().casefold()]
        if times_s and at_s <= times_s[-1]:
            refuse(path, line, f"found t = {at_s:g} s after {times_s[-1]:g} s; expected rising instants")
        times_s.append(at_s)
        for (name, unit_bps), rates in zip(columns, rates_bps, strict=True):
            rate_bps = number_in(path, line, row, name) * unit_bps
            if not 0 <= rate_bps <= DATA_RATE.most:
                refuse(path, line, f"found a rate of {rate_bps:g} bit/s; expected 0 to {DATA_RATE.most:g}")
            rates.append(rate_bps)
    if len(times_s) < 2 or not all(any(rates[:-1]) for rates in rates_bps):
        raise RecordingError(f"{path}: expected two lines or more, and a rate above 0 before the last")
    made = []
    for column, rates in zip(named, rates_bps, strict=True):
        is_guessed = column.unit_bps is None and unit is None
        if is_guessed and any(other.unit_bps is not None for other in named):
            refuse(path, 1, f"the column {column.name!r} does not state its unit, as the other does")
        rate = _sound(path, RecordedRate.of_rates(times_s, rates, is_guessed=is_guessed))
        if is_guessed and rate.mean_bps < LEAST_UNNAMED_BPS:
            refuse(
                path,
                1,
                f"the column {column.name!r} does not state its unit, and in bit/s its mean would be "
                f"{rate.mean_bps:.3g}; rename it {_with_units(column.what)}, or give its unit beside 'file', "
                "such as 'unit: Mbit/s'",
            )
        made.append(rate)
    return made[0], made[-1]


def _sound(path: Path, rate: RecordedRate) -> RecordedRate:
    """Refuse a recording whose length or mean rate is out of range."""
    if not LEAST_LENGTH_S <= rate.length_s <= LONGEST_RUN_S:
        raise RecordingError(
            f"{path}: lasts {rate.length_s:g} s; expected {LEAST_LENGTH_S:g} to {LONGEST_RUN_S:g} s: "
            "correct the unit of its instants"
        )
    if not DATA_RATE.least <= rate.mean_bps <= DATA_RATE.most:
        raise RecordingError(
            f"{path}: a mean rate of {rate.mean_bps:g} bit/s; expected {DATA_RATE.range_text}: correct its "
            "unit"
        )
    return rate


def _time_column(path: Path, header: Sequence[str]) -> str:
    found = [name for name in header if name.strip().casefold() in _TIMES]
    if len(found) != 1:
        refuse(
            path,
            1,
            f"{'two columns' if found else 'no column'} of instants in the header {_shown(header)}; expected "
            f"one, 't' (seconds), 't_s' or 't_ms'; {EXPECTED}",
        )
    return found[0]


def _rate_columns(path: Path, header: Sequence[str]) -> list[_Column]:
    """Return the column of rates, or those of the two directions, up first."""
    columns: dict[str, _Column] = {}
    for name in header:
        column = _column(path, name)
        if column is None:
            continue
        if column.what in columns:
            refuse(
                path,
                1,
                f"two columns of rates, {columns[column.what].name!r} and {name!r}; expected one, or up and "
                "down",
            )
        columns[column.what] = column
    if set(columns) == {"rate"}:
        return [columns["rate"]]
    if set(columns) == {"up", "down"}:
        return [columns["up"], columns["down"]]
    refuse(
        path,
        1,
        f"no column of rates in the header {_shown(header)}; expected one, named {NAMES_WITH_UNIT} by its "
        "unit, or one for each direction, such as up_mbps and down_mbps",
    )


def _column(path: Path, name: str) -> _Column | None:
    """Parse a column's name; None if it is not a column of rates."""
    found = _COLUMN.fullmatch(name.strip())
    if found is None:
        unit_bps = _parsed(name)
        return None if unit_bps is None else _Column(name, "rate", unit_bps)
    unit = found["unit"] or found["braced"]
    if found["suffix"] is not None:
        if found["suffix"].endswith("Bps"):  # but not MBPS, which is in capitals throughout
            refuse(
                path,
                1,
                f"the column {name!r} seems to be in bytes per second; give bits per second, 8 times as "
                f"many, and name it {NAMES_WITH_UNIT}",
            )
        unit = _SUFFIXES[found["suffix"].casefold()]
    unit_bps = None if unit is None else _parsed(unit)
    if unit is not None and unit_bps is None:
        refuse(path, 1, f"the column {name!r} has no unit of a data rate; name it {NAMES_WITH_UNIT}")
    return _Column(name, found["what"].casefold(), unit_bps)


def _unit_bps(path: Path, column: _Column, unit: str | None) -> float:
    """Return bit/s per unit of a column, from its name or the scenario; 1 if neither states a unit."""
    given_bps = None if unit is None else _parsed(unit)
    if column.unit_bps is not None and given_bps is not None and column.unit_bps != given_bps:
        refuse(path, 1, f"the column {column.name!r} contradicts 'unit: {unit}'; leave 'unit' out")
    return column.unit_bps or given_bps or 1.0


def _with_units(what: str) -> str:
    return NAMES_WITH_UNIT.replace("rate_", f"{what}_")


def _parsed(unit: str) -> float | None:
    """Return bit/s per unit; None if it is not a unit of data rates."""
    try:
        return parse(f"1 {unit.strip()}", DATA_RATE)
    except UnitError:
        return None


def _shown(header: Sequence[str]) -> str:
    return repr(",".join(header)[:60])
