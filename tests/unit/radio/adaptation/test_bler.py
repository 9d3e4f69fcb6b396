"""Block error curves: their laws, and the points that they must go through."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgesim.errors import InputError
from edgesim.radio.adaptation.bler import (
    LTE_CQI_THRESHOLDS_DB,
    LteThresholds,
    SionnaTables,
    bler_set,
    shannon_db,
    simulated_curve,
)
from edgesim.radio.adaptation.bler_curve import BlerCurve, error_of_all, error_of_one
from edgesim.radio.adaptation.nr_tables import CQI_TABLES, MCS_TABLES
from edgesim.radio.adaptation.transport_block import segmentation


def test_a_polygon_is_linear_in_the_logarithm() -> None:
    curve = BlerCurve(0.0, 2.0, [0.0, -1.0, -3.0])
    assert [curve.at(db) for db in (-5.0, 0.0)] == [1.0, 1.0]
    assert curve.at(1.0) == pytest.approx(10**-0.5, rel=1e-12)
    assert curve.at(2.0) == pytest.approx(0.1, rel=1e-12)
    assert curve.at(3.0) == pytest.approx(0.01, rel=1e-12)
    assert [curve.at(db) for db in (4.0, 9.0)] == [0.0, 0.0]
    assert curve.end_db == 4.0
    assert curve.threshold_db(0.1) == pytest.approx(2.0)
    assert curve.threshold_db(0.01) == pytest.approx(3.0)
    assert curve.threshold_db(1e-9) == 4.0
    assert curve.shifted(7.0).at(9.0) == pytest.approx(0.1)


def test_a_rising_polygon_is_refused() -> None:
    with pytest.raises(ValueError, match="never rises"):
        BlerCurve(0.0, 1.0, [-1.0, -0.5])


@pytest.mark.parametrize("n_parts", [1, 2, 10, 12000])
def test_a_block_of_parts_against_the_binomial(n_parts: int) -> None:
    for error in (1e-9, 1e-3, 0.3):
        whole = error_of_all(error, n_parts)
        assert whole == pytest.approx(1.0 - math.exp(n_parts * math.log1p(-error)), abs=1e-12)
        if whole < 0.999999:
            assert error_of_one(whole, n_parts) == pytest.approx(error, rel=1e-6)
    assert error_of_all(1.0, n_parts) == 1.0
    assert error_of_all(0.0, n_parts) == 0.0


@pytest.mark.parametrize("table", [1, 2, 3])
@pytest.mark.parametrize("bits", [24, 1000, 30_000])
def test_every_scheme_has_a_curve_that_falls_from_one_to_zero(table: int, bits: int) -> None:
    for scheme in MCS_TABLES[table]:
        curve, n_code_blocks = SionnaTables().curve(scheme, bits, table)
        assert n_code_blocks == segmentation(bits, scheme).n_code_blocks
        values = [curve.at(0.1 * step) for step in range(-300, 600)]
        assert values == sorted(values, reverse=True)
        assert (values[0], values[-1]) == (1.0, 0.0)
        assert curve.at(curve.threshold_db(0.1)) == pytest.approx(0.1, rel=1e-9)


@pytest.mark.parametrize("table", [1, 2, 3])
def test_no_scheme_beats_capacity(table: int) -> None:
    # A long code block that decodes with 90 % needs more than the Shannon limit of its efficiency.
    for scheme in MCS_TABLES[table]:
        curve, _ = SionnaTables().curve(scheme, 2000, table)
        assert curve.threshold_db(0.1) > shannon_db(scheme.efficiency)


def test_simulated_nodes_are_kept_to_the_digit() -> None:
    # Table 1, MCS 9, code blocks of 100 bits: 0.8314 and 0.0993 at nodes 4 and 5 of −5 … 20 dB in 15 nodes.
    curve = simulated_curve(1, 9, 100)
    assert curve is not None
    step_db = 25.0 / 14.0
    assert round(curve.at(-5.0 + 4 * step_db), 4) == 0.8314
    assert round(curve.at(-5.0 + 5 * step_db), 4) == 0.0993


def test_which_schemes_are_extrapolated() -> None:
    tables = SionnaTables()
    lacking = {
        table: [mcs for mcs, scheme in enumerate(schemes) if not tables.is_simulated(scheme)]
        for table, schemes in MCS_TABLES.items()
    }
    # Table 2's simulated MCS 2 is 308/1024; its 120 and 193 are MCS 0 and 2 of table 1, which begins at 251.
    assert lacking == {1: [0, 1, 2], 2: [0, 1], 3: [0, 1, 2, 3, 4, 5, 6, 7, 8]}


def test_an_extrapolated_scheme_keeps_its_distance_to_capacity() -> None:
    tables = SionnaTables()
    known, lower = MCS_TABLES[1][3], MCS_TABLES[1][0]
    near = tables.curve(known, 1000, 1)[0].threshold_db(0.1) - shannon_db(known.efficiency)
    far = tables.curve(lower, 1000, 1)[0].threshold_db(0.1) - shannon_db(lower.efficiency)
    assert far == pytest.approx(near, abs=1e-9)


def test_lte_thresholds_are_the_ten_percent_points() -> None:
    # BLER 10 % at the copied SINR, to what a polygon of 0.1 log-odds steps leaves.
    for scheme, threshold_db in zip(CQI_TABLES[1], LTE_CQI_THRESHOLDS_DB, strict=True):
        curve, n_parts = LteThresholds().curve(scheme, 10_000, 1)
        assert n_parts == 1
        assert curve.at(threshold_db) == pytest.approx(0.1, rel=2e-3)
        assert curve.at(threshold_db - 0.5) == pytest.approx(1 / (1 + math.exp(-3.0) * 9.0), rel=2e-3)


def test_lte_thresholds_between_two_cqis_lie_between_theirs() -> None:
    thresholds = [LteThresholds().threshold_db(scheme) for scheme in MCS_TABLES[3]]
    by_efficiency = [
        t for _, t in sorted(zip((s.efficiency for s in MCS_TABLES[3]), thresholds, strict=True))
    ]
    assert np.all(np.diff(by_efficiency) > 0.0)


def test_lte_thresholds_refuse_256_qam() -> None:
    with pytest.raises(InputError, match="use MCS table 1 or 3"):
        LteThresholds().curve(MCS_TABLES[2][-1], 10_000, 2)


def test_a_set_is_known_by_name() -> None:
    assert bler_set("sionna") == SionnaTables()
    with pytest.raises(InputError, match="did you mean 'lte-cqi'"):
        bler_set("lte-cqis")


def test_thresholds_that_do_not_rise_are_refused() -> None:
    with pytest.raises(InputError, match="15 values"):
        LteThresholds(thresholds_db=(1.0, 2.0))
