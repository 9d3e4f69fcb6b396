"""Capacity with a gap against its formula and published constants."""

from __future__ import annotations

import math

import pytest

from edgesim.radio.adaptation.air_interface import OUT_OF_REACH
from edgesim.radio.adaptation.shannon import Shannon, gap_of_bit_error_rate, truncated_shannon


def test_capacity_of_an_awgn_channel() -> None:
    # log2(1 + SNR) at 0, 10, 20 and 30 dB, to the digits of the usual tables.
    found = [Shannon().efficiency(10.0 ** (0.1 * db)) for db in (0.0, 10.0, 20.0, 30.0)]
    assert [round(value, 3) for value in found] == [1.0, 3.459, 6.658, 9.967]


def test_a_gap_is_a_loss_of_ratio() -> None:
    assert Shannon(gap_db=3.0).efficiency(10.0) == pytest.approx(Shannon().efficiency(10.0 * 10.0**-0.3))


def test_gap_by_hand_and_its_limit() -> None:
    # −ln(5·5e-5)/1.5 = 8.294/1.5
    assert gap_of_bit_error_rate(5e-5) == pytest.approx(5.529366, rel=1e-6)
    assert gap_of_bit_error_rate(0.2 * math.exp(-1.5) * (1 - 1e-9)) == pytest.approx(1.0, rel=1e-6)
    for outside in (0.0, 0.05, -1.0):
        with pytest.raises(ValueError, match="expected above 0 and below"):
            gap_of_bit_error_rate(outside)


def test_truncated_bound() -> None:
    bound = truncated_shannon()
    assert bound.efficiency(10.0**-1.0001) == 0.0
    assert bound.efficiency(0.1) == pytest.approx(0.6 * math.log2(1.1))
    assert bound.efficiency(10.0) == pytest.approx(0.6 * math.log2(11.0))
    assert bound.efficiency(1e6) == 4.4
    low_db, high_db = bound.reach_db(1e6)
    assert low_db == -10.0
    assert bound.efficiency(10.0 ** (0.1 * high_db)) == pytest.approx(4.4)
    assert bound.efficiency(10.0 ** (0.1 * high_db - 0.01)) < 4.4


def test_a_grant_holds_what_a_slot_bears_and_fails_in_outage_only() -> None:
    air = Shannon()
    grant = air.grant(3.0, 1e6)
    assert grant == (0, 2.0, 2000, 1e-3)
    assert air.errors(grant, 3.0) == (0.0,)
    assert air.errors(grant, 2.999) == (1.0,)
    assert air.errors(OUT_OF_REACH, 1e9) == (1.0,)


def test_less_than_a_bit_is_out_of_reach() -> None:
    assert Shannon().grant(0.0, 1e6) == OUT_OF_REACH
    assert Shannon().grant(1e-9, 1e6) == OUT_OF_REACH


@pytest.mark.parametrize("keywords", [{"attenuation": 0.0}, {"cap": 0.0}, {"slot_s": 0.0}])
def test_settings_outside_the_model_are_refused(keywords: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Shannon(**keywords)  # type: ignore[arg-type]
