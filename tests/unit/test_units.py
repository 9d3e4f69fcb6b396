"""Units: exact decimal conversion at the door, and no confusion of bits, bytes, milli and mega."""

from __future__ import annotations

import math
import re
import sys
from decimal import Decimal

import numpy as np
import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim import units


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("20 MHz", units.FREQUENCY, 2e7),
        ("0.4 Hz", units.FREQUENCY, 0.4),
        ("24 /min", units.FREQUENCY, 0.4),
        ("0.3 ms", units.TIME, 3e-4),
        ("5ms", units.TIME, 5e-3),
        ("1e-3 s", units.TIME, 1e-3),
        ("10 min", units.TIME, 600.0),
        ("7 µs", units.TIME, 7e-6),
        ("8 GB", units.DATA_SIZE, 8e9),
        ("8 GiB", units.DATA_SIZE, 8 * 2**30),
        ("1 Gbit/s", units.DATA_RATE, 1e9),
        ("54 Mbps", units.DATA_RATE, 5.4e7),
        ("204.8 GB/s", units.BYTE_RATE, 2.048e11),
        ("1.33 TFLOP/s", units.COMPUTE_RATE, 1.33e12),
        ("200 mW", units.POWER, 0.2),
        ("1 Wh", units.ENERGY, 3600.0),
        ("60 m", units.DISTANCE, 60.0),
        ("-3 m", units.DISTANCE, -3.0),
    ],
)
def test_a_quantity_is_the_float_nearest_to_its_decimal_value(
    text: str, dimension: units.Dimension, value: float
) -> None:
    assert units.parse(text, dimension) == value
    assert re.fullmatch(dimension.pattern, text)


def test_every_listed_unit_parses_and_every_example_matches_its_pattern() -> None:
    for dimension in units.DIMENSIONS:
        assert re.fullmatch(dimension.pattern, dimension.example)
        for unit in dimension.units:
            assert units.parse(f"2 {unit}", dimension) == pytest.approx(
                2 * units.parse(f"1 {unit}", dimension), rel=4 * sys.float_info.epsilon
            )


@pytest.mark.parametrize(
    ("text", "dimension", "message"),
    [
        (
            20,
            units.FREQUENCY,
            "expected a frequency such as '20 MHz', got 20; write the unit, for instance '20 Hz'",
        ),
        ("20", units.FREQUENCY, "expected a frequency such as '20 MHz', got '20'; write the unit"),
        (True, units.TIME, "expected a duration such as '5 ms', got True"),
        ("8 GB", units.DATA_RATE, "got '8 GB', which is a data size"),
        ("5 m", units.TIME, "got '5 m', which is a distance"),
        ("100 MB/s", units.DATA_RATE, "a byte rate; in bits it is '800 Mbit/s'"),
        ("100 Mbit/s", units.BYTE_RATE, "which is a data rate"),
        ("8 Gb", units.DATA_SIZE, "'Gb' may be bits or bytes: write 'Gbit' or 'GB'"),
        ("8 mb/s", units.DATA_RATE, "'mb/s' may be bits or bytes: write 'Mbit/s' or 'MB/s'"),
        ("20 mbit/s", units.DATA_RATE, "unknown unit 'mbit/s'; did you mean 'Mbit/s'?"),
        ("20 mhz", units.FREQUENCY, "did you mean 'MHz'?"),
        ("3 furlong", units.DISTANCE, "known are mm, cm, m, km"),
        ("9**9**9 s", units.TIME, "expected a duration"),
        ("nan s", units.TIME, "expected a duration"),
        ("inf s", units.TIME, "expected a duration"),
        ("1e999 s", units.TIME, "too large a number, expected 1e-12 to 1e+10 s"),
        ("1,000 ms", units.TIME, "expected a duration"),
        ("1e999999999 s", units.TIME, "expected a duration"),
        ("5 ds", units.TIME, "unknown unit 'ds'"),
        ("8 GBs", units.DATA_SIZE, "unknown unit 'GBs'; did you mean 'GB'?"),
        (None, units.TIME, "got None"),
    ],
)
def test_what_is_not_such_a_quantity_is_refused_with_the_reason(
    text: object, dimension: units.Dimension, message: str
) -> None:
    with pytest.raises(units.UnitError, match=re.escape(message)):
        units.parse(text, dimension)


def test_bits_are_eight_per_byte() -> None:
    assert units.bits(125) == 1000


@given(st.floats(-200, 200))
def test_decibels_and_linear_are_inverse(ratio_db: float) -> None:
    # Both directions round a few times: n ulp of the ratio are 10/ln(10) n eps in dB, and 200 dB round, too.
    tolerance_db = (10 / math.log(10) + 200) * 4 * sys.float_info.epsilon
    assert units.linear_to_db(units.db_to_linear(ratio_db)) == pytest.approx(ratio_db, abs=tolerance_db)
    assert units.w_to_dbm(units.dbm_to_w(ratio_db)) == pytest.approx(ratio_db, abs=2 * tolerance_db)


def test_decibel_anchors() -> None:
    assert units.db_to_linear(30.0) == 1000.0
    assert units.dbm_to_w(0.0) == pytest.approx(1e-3, rel=1e-15)
    assert np.array_equal(units.linear_to_db(np.array([1.0, 10.0, 100.0])), np.array([0.0, 10.0, 20.0]))


def test_every_factor_is_that_of_another_library() -> None:
    """Pint's own definitions (CODATA, SI, IEC); a FLOP is none of its units, and counts as one here."""
    registry = pint.UnitRegistry(non_int_type=Decimal)
    names = {"B": "byte", "kB": "kilobyte", "d": "day", "h": "hour", "min": "minute", "Hz": "1/second"}
    assert all("FLOP" in unit for unit in units.COMPUTE_RATE.units)
    n_compared = 0
    for dimension in units.DIMENSIONS:
        if dimension.base_unit.startswith("dB"):
            assert units.parse(f"7 {dimension.base_unit}", dimension) == 7.0
            continue
        for unit in dimension.units:
            written = unit.replace("FLOP", "count")
            for short in ("kbps", "Mbps", "Gbps", "Tbps", "bps"):
                written = written.replace(short, f"{short[:-3]}bit/s")
            if written.endswith("Hz") and written != "Hz":
                written = {"k": "1e3", "M": "1e6", "G": "1e9"}[written[0]] + "/second"
            above, _, below = names.get(written, written).partition("/")
            per = names.get(below, below) or "dimensionless"
            above, to = names.get(above, above) or "1", dimension.base_unit.replace("FLOP", "count")
            there = registry.parse_expression(f"3.7 * {above} / {per}") if below else registry("3.7 " + above)
            expected = there.to(registry.parse_expression(names.get(to, to).replace("B", "byte")).units)
            assert units.parse(f"3.7 {unit}", dimension) == float(expected.magnitude), unit
            n_compared += 1
    assert n_compared > 60


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("7200 FLOP/h", units.COMPUTE_RATE, 2.0),
        ("120 kbit/min", units.DATA_RATE, 2000.0),
        ("5 J/s", units.POWER, 5.0),
        ("1 kWh/h", units.POWER, 1000.0),
        ("6 /ms", units.FREQUENCY, 6000.0),
        ("18 km/h", units.SPEED, 5.0),
    ],
)
def test_a_quotient_by_any_time_is_read_too(text: str, dimension: units.Dimension, value: float) -> None:
    assert units.parse(text, dimension) == value
