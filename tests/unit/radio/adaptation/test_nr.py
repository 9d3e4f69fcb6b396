"""Link adaptation of 5G NR: what a grant promises, and what its errors are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.errors import InputError
from edgesim.radio.adaptation.air_interface import OUT_OF_REACH
from edgesim.radio.adaptation.bler import LTE_CQI_THRESHOLDS_DB, LteThresholds, SionnaTables
from edgesim.radio.adaptation.bler_curve import error_of_all
from edgesim.radio.adaptation.harq import Combining, combined_sinr
from edgesim.radio.adaptation.nr import Nr
from edgesim.radio.adaptation.nr_carrier import peak_rate_bps
from edgesim.radio.adaptation.nr_tables import CQI_TABLES, MCS_TABLES
from edgesim.radio.adaptation.transport_block import segmentation, transport_block_bits

CARRIER_HZ = 40e6
INTERFACES = [
    Nr(CARRIER_HZ),
    Nr(CARRIER_HZ, mcs_table=2),
    Nr(CARRIER_HZ, mcs_table=3),
    Nr(CARRIER_HZ, bler=LteThresholds()),
    Nr(CARRIER_HZ, mcs_table=3, bler=LteThresholds(), target_bler=1e-3),
    Nr(100e6, 120e3, 2),
]


def linear(db: float) -> float:
    return 10.0 ** (0.1 * db)


@pytest.mark.parametrize("air", INTERFACES, ids=range(len(INTERFACES)))
def test_a_grant_is_the_most_efficient_that_meets_the_target(air: Nr) -> None:
    # Against a search over every MCS, by its own definition and not by thresholds.
    for sinr_db in range(-20, 40):
        sinr = linear(sinr_db + 0.123)
        granted = air.grant(sinr, air.carrier_bandwidth_hz)
        best, best_bits = -1, 0
        for mcs, scheme in enumerate(MCS_TABLES[air.mcs_table]):
            bits = transport_block_bits(scheme, air.n_prb, air.re_per_prb)
            curve, n_parts = air.bler.curve(scheme, bits, air.mcs_table)
            if error_of_all(curve.at(sinr_db + 0.123), n_parts) <= air.target_bler and bits > best_bits:
                best, best_bits = mcs, bits
        if best < 0:
            assert granted == OUT_OF_REACH
        else:
            # Two schemes may have transport blocks of one size: then the one that needs less.
            assert granted.block_bits == best_bits
            assert air.errors(granted, sinr)[0] <= air.target_bler * (1.0 + 1e-9)


@pytest.mark.parametrize("air", INTERFACES, ids=range(len(INTERFACES)))
def test_efficiency_rises_with_the_estimate_and_stays_below_capacity(air: Nr) -> None:
    before = 0.0
    for step in range(-300, 500):
        sinr = linear(0.1 * step)
        now = air.grant(sinr, air.carrier_bandwidth_hz).efficiency
        assert before <= now < math.log2(1.0 + sinr)
        before = now
    low_db, high_db = air.reach_db(air.carrier_bandwidth_hz)
    assert air.grant(linear(low_db - 1e-6), air.carrier_bandwidth_hz) == OUT_OF_REACH
    assert air.grant(linear(low_db + 1e-6), air.carrier_bandwidth_hz) != OUT_OF_REACH
    assert air.grant(linear(high_db + 1e-6), air.carrier_bandwidth_hz).efficiency == before


def test_the_rate_is_the_peak_rate_but_for_rounding() -> None:
    # Elements per block are rounded down from 144.48 to 144, and the transport block to steps of
    # 1/64 to 1/32 of it.
    air = Nr(CARRIER_HZ)
    peak_bps = peak_rate_bps(MCS_TABLES[1][28], 106, 30e3, overhead_ratio=1.0 - 144.0 / 168.0)
    rate_bps = air.grant(1e6, CARRIER_HZ).efficiency * CARRIER_HZ
    assert rate_bps == 83976 / 0.5e-3
    assert abs(rate_bps / peak_bps - 1.0) <= 1.0 / 64.0


def test_shares_of_the_carrier_add_up() -> None:
    air = Nr(CARRIER_HZ)
    whole = air.grant(linear(15.0), CARRIER_HZ)
    for n in (2, 3, 5, 7, 200):
        part = air.grant(linear(25.0), CARRIER_HZ / n)
        assert part.efficiency == air.grant(linear(25.0), CARRIER_HZ).efficiency
        assert part.block_bits == transport_block_bits(MCS_TABLES[1][part.mcs], max(1, 106 // n), 144)
    assert whole.slot_s == 0.5e-3


def test_more_than_the_carrier_is_refused() -> None:
    with pytest.raises(InputError, match=r"100 MHz of a carrier of 40"):
        Nr(CARRIER_HZ).grant(1.0, 100e6)


@pytest.mark.parametrize("combining", ["chase", "incremental"])
def test_products_of_errors_are_the_curve_at_the_combined_ratio(combining: Combining) -> None:
    air = Nr(CARRIER_HZ, combining=combining)
    for granted_db in (-4.0, 5.0, 15.0):
        grant = air.grant(linear(granted_db), CARRIER_HZ)
        scheme = MCS_TABLES[1][grant.mcs]
        curve, n_parts = SionnaTables().curve(scheme, grant.block_bits, 1)
        n_fresh = scheme.rate_1024 / 1024.0 / segmentation(grant.block_bits, scheme).lowest_coding
        for below_db in (0.0, 1.0, 3.0, 4.5, 6.0, 8.0):
            sinr = linear(granted_db - below_db)
            errors = air.errors(grant, sinr)
            assert len(errors) == 4
            for m in range(1, 5):
                together = combined_sinr(sinr, m, combining, n_fresh)
                joint = error_of_all(curve.at(10.0 * math.log10(together)), n_parts)
                assert math.prod(errors[:m]) == pytest.approx(joint, rel=1e-9, abs=2e-9)


def test_without_combining_attempts_are_alike() -> None:
    air = Nr(CARRIER_HZ, combining="none", n_attempts=3)
    grant = air.grant(linear(10.0), CARRIER_HZ)
    sinr = linear(air.threshold_db(grant.mcs, CARRIER_HZ, 0.4))
    assert air.errors(grant, sinr) == pytest.approx((0.4,) * 3)


@given(
    estimate_db=st.floats(-30.0, 60.0),
    sinr_db=st.floats(-60.0, 60.0),
    share=st.floats(0.001, 1.0),
    combining=st.sampled_from(["none", "chase", "incremental"]),
)
def test_errors_are_probabilities_and_plain_floats(
    estimate_db: float, sinr_db: float, share: float, combining: Combining
) -> None:
    air = Nr(CARRIER_HZ, combining=combining)
    grant = air.grant(linear(estimate_db), share * CARRIER_HZ)
    errors = air.errors(grant, linear(sinr_db))
    assert len(errors) == air.n_attempts
    assert all(type(error) is float and 0.0 <= error <= 1.0 for error in errors)
    assert type(grant.efficiency) is float
    assert type(grant.block_bits) is int


def test_out_of_reach_fails_with_certainty() -> None:
    air = Nr(CARRIER_HZ)
    assert air.grant(0.0, CARRIER_HZ) == OUT_OF_REACH
    assert air.errors(OUT_OF_REACH, 1e9) == (1.0,) * 4
    assert air.errors(air.grant(10.0, CARRIER_HZ), 0.0) == (1.0,) * 4


def test_a_grant_does_not_depend_on_what_was_asked_before() -> None:
    fresh, used = Nr(CARRIER_HZ), Nr(CARRIER_HZ)
    for step in range(100):
        used.errors(used.grant(linear(0.5 * step), CARRIER_HZ / (1 + step % 7)), linear(0.3 * step))
    assert used == fresh
    assert hash(used) == hash(fresh)
    for sinr_db in (-3.0, 4.0, 17.0):
        grant = fresh.grant(linear(sinr_db), CARRIER_HZ)
        assert used.grant(linear(sinr_db), CARRIER_HZ) == grant
        assert used.errors(grant, linear(sinr_db - 1.0)) == fresh.errors(grant, linear(sinr_db - 1.0))


def test_a_reported_cqi_grants_no_more_than_it_says() -> None:
    exact, reported = Nr(CARRIER_HZ), Nr(CARRIER_HZ, cqi_table=1)
    granted = set()
    for step in range(-100, 300):
        sinr = linear(0.1 * step)
        told = reported.grant(sinr, CARRIER_HZ)
        assert told.efficiency <= exact.grant(sinr, CARRIER_HZ).efficiency
        granted.add(told.mcs)
    efficiencies = {scheme.efficiency for scheme in CQI_TABLES[1]}
    assert {MCS_TABLES[1][mcs].efficiency for mcs in granted - {-1}} <= efficiencies
    assert len(granted - {-1}) == 14  # all but CQI 1, below MCS 0


def test_a_terminal_reports_the_best_cqi_whose_published_threshold_is_met() -> None:
    air = Nr(CARRIER_HZ, bler=LteThresholds())
    # The logistic is kept at points 1/60 dB apart, which moves its 10 % point by 2.3e-6 dB.
    for index, threshold_db in enumerate(LTE_CQI_THRESHOLDS_DB, start=1):
        assert air.cqi(linear(threshold_db + 1e-5), CARRIER_HZ) == index
        assert air.cqi(linear(threshold_db - 1e-5), CARRIER_HZ) == index - 1
    assert air.cqi(0.0, CARRIER_HZ) == 0


def test_harq_round_trip_is_in_slots() -> None:
    assert Nr(CARRIER_HZ).round_trip_s == 4e-3
    assert Nr(20e6, 15e3).round_trip_s == 8e-3


def test_millimetre_waves_have_more_overhead() -> None:
    assert Nr(CARRIER_HZ).re_per_prb == 144  # ⌊168·0.86⌋
    assert Nr(100e6, 120e3, 2).re_per_prb == 137  # ⌊168·0.82⌋


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"mcs_table": 4}, "MCS table is 4"),
        ({"cqi_table": 3}, "CQI table is 3"),
        ({"combining": "magic"}, "HARQ combining is 'magic'"),
        ({"target_bler": 1.0}, "target BLER is 1"),
        ({"n_attempts": 0}, "HARQ attempts is 0"),
        ({"overhead_ratio": 1.0}, "overhead is 1"),
    ],
)
def test_settings_outside_the_model_are_refused(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Nr(CARRIER_HZ, **keywords)  # type: ignore[arg-type]
