"""Parsing and formatting of quantities with units, and unit conversions.

All values inside edgesim are in SI units. In files, a dimensioned value is text with its unit
(``20 MHz``, ``8 GB``, ``5 ms``); :func:`parse` converts it to a number in the base unit of its dimension.
The set of units is closed on purpose: ``20 mbit/s`` must not be read as millibits, nor ``Mb`` as megabarns.
Bits and bytes are separate dimensions, so that one cannot be used for the other; :func:`bits` is the only
conversion between them.
"""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BOLTZMANN_J_PER_K",
    "BYTE_RATE",
    "COMPUTE_RATE",
    "DATA_RATE",
    "DATA_SIZE",
    "DECIBELS",
    "DECIBELS_ISOTROPIC",
    "DECIBELS_MILLIWATT",
    "DIMENSIONS",
    "DISTANCE",
    "ENERGY",
    "FREQUENCY",
    "LONGEST_RUN_S",
    "POWER",
    "SPEED",
    "SPEED_OF_LIGHT_M_PER_S",
    "TIME",
    "Dimension",
    "UnitError",
    "bits",
    "db_to_linear",
    "dbm_to_w",
    "is_finite_number",
    "linear_to_db",
    "parse",
    "w_to_dbm",
    "written",
]

FloatLike = TypeVar("FloatLike", float, NDArray[np.float64])

BOLTZMANN_J_PER_K = 1.380649e-23
"""Boltzmann constant [J/K]; exact since the 2019 redefinition (SI Brochure, 9th edition, table 1)."""

SPEED_OF_LIGHT_M_PER_S = 299_792_458.0
"""Speed of light in vacuum [m/s]; exact by the definition of the metre (SI Brochure, 9th edition)."""

LONGEST_RUN_S = 1e8
"""Longest duration of a simulated run [s], about three years. Instants then have a resolution of 15 ns, far
below any time that is charged. Unix timestamps are 17 times as large."""


class UnitError(ValueError):
    """A text is not a quantity of the required dimension.

    The message states what was found and expected; the caller adds the place in the file.
    """


@dataclass(frozen=True, slots=True)
class Dimension:
    """A physical dimension: its name, permitted units and range of values.

    The ranges are wide: both ends lie far beyond simulated values, yet allow exact arithmetic. A value out of
    range is a typing error, such as a power of ten too many or a Unix timestamp.

    Attributes
    ----------
    name
        Name with its article, for messages.
    example
        Text of a valid quantity, for messages.
    base_unit
        Unit of parsed numbers.
    units
        Units that a text may have.
    least, most
        Smallest non-zero and largest magnitude, in the base unit. A field may have a narrower range.
    """

    name: str
    example: str
    base_unit: str
    units: tuple[str, ...]
    least: float
    most: float

    @property
    def pattern(self) -> str:
        """Regular expression, valid in ECMAScript too, that every text of this dimension matches."""
        return rf"^\s*{_NUMBER}\s*({'|'.join(self.units)})\s*$"

    def holds(self, value: float) -> bool:
        """Whether a number in the base unit is permitted: zero, or of a magnitude in the range."""
        return value == 0.0 or self.least <= abs(value) <= self.most

    @property
    def range_text(self) -> str:
        """The range as text for messages."""
        return f"{self.least:g} to {self.most:g} {self.base_unit}"


_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"

TIME = Dimension("a duration", "5 ms", "s", ("ns", "us", "µs", "ms", "s", "min", "h", "d"), 1e-12, 1e10)
FREQUENCY = Dimension(
    "a frequency", "20 MHz", "Hz", ("Hz", "kHz", "MHz", "GHz", "/s", "/min", "/h"), 1e-9, 1e13
)
DATA_SIZE = Dimension(
    "a data size", "8 GB", "B", ("B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"), 1.0, 1e16
)
DATA_RATE = Dimension(
    "a data rate",
    "100 Mbit/s",
    "bit/s",
    ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "bps", "kbps", "Mbps", "Gbps", "Tbps"),
    1.0,
    1e15,
)
BYTE_RATE = Dimension(
    "a byte rate",
    "68 GB/s",
    "B/s",
    ("B/s", "kB/s", "MB/s", "GB/s", "TB/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"),
    1.0,
    1e15,
)
POWER = Dimension("a power", "5 W", "W", ("uW", "µW", "mW", "W", "kW"), 1e-12, 1e9)
ENERGY = Dimension("an energy", "40 kJ", "J", ("uJ", "µJ", "mJ", "J", "kJ", "MJ", "Wh", "kWh"), 1e-15, 1e15)
DISTANCE = Dimension("a distance", "60 m", "m", ("mm", "cm", "m", "km"), 1e-6, 1e9)
SPEED = Dimension("a speed", "1.4 m/s", "m/s", ("m/s", "km/h"), 1e-6, SPEED_OF_LIGHT_M_PER_S)
# Logarithmic units are not multiples of one another: each is a separate dimension with one unit.
DECIBELS = Dimension("a ratio in decibels", "9 dB", "dB", ("dB",), 0.0, 400.0)
DECIBELS_MILLIWATT = Dimension("a power in dBm", "23 dBm", "dBm", ("dBm",), 0.0, 400.0)
DECIBELS_ISOTROPIC = Dimension("an antenna gain", "8 dBi", "dBi", ("dBi",), 0.0, 400.0)
COMPUTE_RATE = Dimension(
    "a compute rate",
    "1.3 TFLOP/s",
    "FLOP/s",
    ("FLOP/s", "MFLOP/s", "GFLOP/s", "TFLOP/s", "PFLOP/s"),
    1.0,
    1e21,
)

DIMENSIONS = (
    TIME,
    FREQUENCY,
    DATA_SIZE,
    DATA_RATE,
    BYTE_RATE,
    POWER,
    ENERGY,
    DISTANCE,
    SPEED,
    DECIBELS,
    DECIBELS_MILLIWATT,
    DECIBELS_ISOTROPIC,
    COMPUTE_RATE,
)

# Units by base unit, each with its factor. Prefixes are spelled out: none combines freely.
_FACTORS: Mapping[str, Mapping[str, int | str]] = {
    "s": {"s": 1, "ns": "1e-9", "us": "1e-6", "µs": "1e-6", "ms": "1e-3", "min": 60, "h": 3600, "d": 86400},
    "Hz": {"Hz": 1, "kHz": "1e3", "MHz": "1e6", "GHz": "1e9"},
    "B": {
        **{"B": 1, "kB": "1e3", "MB": "1e6", "GB": "1e9", "TB": "1e12"},
        **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40},
    },
    "bit": {"bit": 1, "kbit": "1e3", "Mbit": "1e6", "Gbit": "1e9", "Tbit": "1e12"},
    "bit/s": {"bps": 1, "kbps": "1e3", "Mbps": "1e6", "Gbps": "1e9", "Tbps": "1e12"},
    "W": {"W": 1, "uW": "1e-6", "µW": "1e-6", "mW": "1e-3", "kW": "1e3"},
    "J": {
        **{"J": 1, "uJ": "1e-6", "µJ": "1e-6", "mJ": "1e-3", "kJ": "1e3", "MJ": "1e6"},
        **{"Wh": 3600, "kWh": "3.6e6"},
    },
    "dB": {"dB": 1},
    "dBm": {"dBm": 1},
    "dBi": {"dBi": 1},
    "m": {"m": 1, "mm": "1e-3", "cm": "1e-2", "km": "1e3"},
    "FLOP": {"FLOP": 1, "MFLOP": "1e6", "GFLOP": "1e9", "TFLOP": "1e12", "PFLOP": "1e15"},
}
_UNITS: Mapping[str, tuple[Decimal, str]] = MappingProxyType(
    {unit: (Decimal(times), base) for base, of in _FACTORS.items() for unit, times in of.items()}
)

_PER_SECOND = MappingProxyType({"": "Hz", "J": "W"})  # rates with an own name

_QUANTITY = re.compile(rf"\s*(?P<number>{_NUMBER})\s*(?P<unit>[A-Za-zµμ]*(?:\s*/\s*[A-Za-zµμ]+)?)\s*")
_AMBIGUOUS = re.compile(r"(?P<prefix>[kKmMgGtT]i?)b(?P<rate>/s)?")


def parse(text: object, dimension: Dimension) -> float:
    """Parse a quantity such as ``'20 MHz'`` to a number in ``dimension.base_unit``.

    Arithmetic is decimal, so that ``'0.3 ms'`` gives the float nearest to 3e-4, without rounding errors of
    factors.

    Raises
    ------
    UnitError
        If the text has no unit, an unknown unit, or one of another dimension, or if the number is not finite
        or out of the dimension's range.
    """
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) and len(text) <= 100 else None
    if match is None or not match["unit"]:
        raise UnitError(_expected(dimension, text) + _bare_hint(text, dimension))
    number, unit = Decimal(match["number"]), match["unit"].replace(" ", "").replace("μ", "µ")
    for name in filter(None, unit.split("/")):
        if name not in _UNITS:
            raise UnitError(f"{_expected(dimension, text)}; {_unknown_unit(unit, dimension)}")
    times, per, base = _in_base_units(unit)
    if base != dimension.base_unit:
        raise UnitError(_expected(dimension, text) + _other_dimension(number, unit, dimension))
    value = float(number * times / per)
    if not dimension.holds(value):
        near = "large" if abs(value) > dimension.most else "small"
        raise UnitError(f"{_expected(dimension, text)}; too {near} a number, expected {dimension.range_text}")
    if value == 0.0 and number != 0:  # underflow
        raise UnitError(f"{_expected(dimension, text)}; too small a number, expected {dimension.range_text}")
    return value


def written(value: float, dimension: Dimension) -> str:
    """Format a number in the base unit as the shortest text that :func:`parse` converts to the same number.

    >>> written(0.005, TIME)
    '5 ms'

    Raises
    ------
    UnitError
        If the number is not finite, or out of the dimension's range.
    """
    if not math.isfinite(value) or not dimension.holds(value):
        raise UnitError(f"{value!r} {dimension.base_unit} is not {dimension.name} of {dimension.range_text}")
    texts = [f"{_digits(Decimal(repr(value)))} {dimension.base_unit}"]
    if value != 0:
        units = (unit for unit in dimension.units if unit[0] not in "/µ" and not unit.endswith("bps"))
        ratios = ((unit, Decimal(repr(value)) / _factor(unit, dimension)) for unit in units)
        texts += [f"{_digits(ratio)} {unit}" for unit, ratio in ratios]
    return min((text for text in texts if _reads_as(text, value, dimension)), key=len)


def is_finite_number(value: object) -> TypeGuard[int | float]:
    """Whether a value of untrusted origin is a number that fits a finite float; truth values are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def bits(size_bytes: float) -> float:
    """Convert bytes to bits, or bytes per second to bits per second."""
    return 8 * size_bytes


def db_to_linear(ratio_db: FloatLike) -> FloatLike:
    """Convert a power ratio in decibels to a linear ratio: 10^(dB / 10)."""
    ratio: FloatLike = 10.0 ** (ratio_db / 10.0)
    return ratio


def linear_to_db(ratio: FloatLike) -> FloatLike:
    """Convert a linear power ratio to decibels: 10 log10(ratio)."""
    ratio_db: FloatLike = 10.0 * np.log10(ratio)
    return ratio_db


def dbm_to_w(power_dbm: FloatLike) -> FloatLike:
    """Convert a power from dBm to watts."""
    return db_to_linear(power_dbm - 30.0)


def w_to_dbm(power_w: FloatLike) -> FloatLike:
    """Convert a power from watts to dBm."""
    return linear_to_db(power_w) + 30.0


def _in_base_units(unit: str) -> tuple[Decimal, Decimal, str]:
    """Return a unit's factor, as numerator and denominator, and its base unit."""
    above, _, below = unit.partition("/")
    times, base = _UNITS[above] if above else (Decimal(1), "")
    if not below:
        return times, Decimal(1), base
    per, below_base = _UNITS[below]
    if below_base != "s":
        return times, per, f"{base}/{below_base}"
    return times, per, _PER_SECOND.get(base, f"{base}/s")


@cache
def _factor(unit: str, dimension: Dimension) -> Decimal:
    return Decimal(repr(parse(f"1 {unit}", dimension)))


def _digits(number: Decimal) -> str:
    """Format a number, without an exponent if that takes at most 20 characters."""
    plain = f"{number.normalize():f}"
    return plain if len(plain) <= 20 else f"{number.normalize()}"


def _reads_as(text: str, value: float, dimension: Dimension) -> bool:
    try:
        return parse(text, dimension) == value
    except UnitError:  # the text is too long
        return False


def _expected(dimension: Dimension, found: object) -> str:
    return f"expected {dimension.name} such as '{dimension.example}', got {found!r}"


def _bare_hint(found: object, dimension: Dimension) -> str:
    if isinstance(found, bool):
        return ""
    bare = isinstance(found, int | float) or (isinstance(found, str) and re.fullmatch(_NUMBER, found.strip()))
    if not bare:
        return ""
    return f"; write the unit, for instance '{found} {dimension.base_unit}'"


def _unknown_unit(unit: str, dimension: Dimension) -> str:
    ambiguous = _AMBIGUOUS.fullmatch(unit)
    if ambiguous:
        prefix, rate = ambiguous["prefix"].capitalize().replace("K", "k"), ambiguous["rate"] or ""
        return f"'{unit}' may be bits or bytes: write '{prefix}bit{rate}' or '{prefix}B{rate}'"
    folded = {known.casefold(): known for known in dimension.units}
    near = difflib.get_close_matches(unit.casefold(), folded, n=1)
    hint = f"did you mean '{folded[near[0]]}'?" if near else f"known are {', '.join(dimension.units)}"
    return f"unknown unit '{unit}'; {hint}"


def _other_dimension(number: Decimal, unit: str, dimension: Dimension) -> str:
    other = next((d for d in DIMENSIONS if unit in d.units), None)
    if other is None:
        return f"; write it in one of {', '.join(dimension.units)}"
    if (other, dimension) == (BYTE_RATE, DATA_RATE) and "i" not in unit:
        return f", a byte rate; in bits it is '{bits(float(number)):g} {unit.replace('B', 'bit')}'"
    return f", which is {other.name}"
