"""The engine's network beside ns-3's recorded figures, and what the comparison itself says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.validate.network.against_ns3 import TANDEM_LIMIT, WIFI_LIMIT, compare_wifi
from edgesim.validate.network.estimates import SampledMean, TheoryComparison, exactly, mean_of
from edgesim.validate.network.ns3_tools import _flags, find_ns3
from edgesim.validate.network.records import Records, shipped_records
from edgesim.validate.network.tandem import Journeys, Tandem, delays_by_recursion, delays_in_engine, tandems
from edgesim.validate.network.wifi_cases import wifi_cases
from edgesim.validate.network.wifi_theory import frames_per_s_by_theory

RECORDS = shipped_records()
CASES = {(c.phy.generation, c.ampdu_bytes, c.payload_bytes, c.n_stations): c for c in wifi_cases()}
# A few that together take seconds, long enough for intervals below half the limit.
SHORT = {
    ("n", 0, 1500, 2): 1.5,
    ("ax", 16_383, 1500, 5): 4.0,
    ("ax", 65_535, 1500, 1): 0.5,
}


def ignore(_: str) -> None:
    """Say nothing of the progress."""


@pytest.mark.parametrize("key", SHORT, ids=lambda key: "-".join(map(str, key)))
def test_saturated_wifi_is_that_of_ns3(key: tuple[str, int, int, int]) -> None:
    (found,) = compare_wifi(RECORDS, [CASES[key]], ignore, SHORT[key])
    assert found.verdict == "agrees", found


@pytest.mark.parametrize("row", tandems(), ids=lambda row: row.name)
def test_wires_are_those_of_ns3_and_of_the_recursion(row: Tandem) -> None:
    """Every packet's delay by Lindley's recursion, on the same draws; ns-3's means to its nanoseconds."""
    journeys = Journeys.of(row)
    ours_s = delays_in_engine(row, journeys)
    np.testing.assert_allclose(ours_s, delays_by_recursion(row, journeys), rtol=1e-9)
    theirs_s = [one.mean for one in RECORDS.row(row)]
    np.testing.assert_allclose(journeys.means(ours_s), theirs_s, rtol=TANDEM_LIMIT)


def test_every_case_is_recorded_well_enough() -> None:
    """Within half of the limit that figures are held to; one station's within that of its closed form."""
    for case in wifi_cases():
        told = RECORDS.wifi(case)
        assert told.half_width < WIFI_LIMIT / 2 * told.mean, case.name
        if case.n_stations == 1:
            theory = frames_per_s_by_theory(case)
            assert abs(told.mean - theory) < max(2.0 * told.half_width, 0.0075 * theory), case.name


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in wifi_cases()}) == len(wifi_cases())


# --- the comparison itself -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "truth", "verdict"),
    [
        (SampledMean(1.02, 0.005), exactly(1.0), "agrees"),
        (SampledMean(0.96, 0.005), exactly(1.0), "misses"),
        (SampledMean(1.0, 0.016), exactly(1.0), "too noisy"),
        (SampledMean(1.0, 0.011), SampledMean(1.0, 0.011), "too noisy"),
        (exactly(1.031), exactly(1.0), "misses"),
    ],
)
def test_a_wide_interval_proves_nothing(ours: SampledMean, truth: SampledMean, verdict: str) -> None:
    assert TheoryComparison("x", ours, truth, 0.03).verdict == verdict


def test_intervals_are_students() -> None:
    values = [3.0, 4.0, 8.0, 5.0]
    low, high = stats.t.interval(0.95, 3, loc=5.0, scale=np.std(values, ddof=1) / 2.0)
    assert mean_of(values).mean == pytest.approx(5.0)
    assert mean_of(values).half_width == pytest.approx((high - low) / 2)


def test_a_ratio_of_two_estimates_has_the_error_of_both() -> None:
    """Against the spread of drawn ratios."""
    draw = np.random.default_rng(1)
    ours, truth = SampledMean(0.98, 0.01), SampledMean(1.0, 0.02)
    z = stats.norm.ppf(0.975)
    drawn = draw.normal(0.98, 0.01 / z, 200_000) / draw.normal(1.0, 0.02 / z, 200_000)
    assert TheoryComparison("x", ours, truth, 0.03).half_width == pytest.approx(z * drawn.std(), rel=0.01)


# --- records -----------------------------------------------------------------------------------------------


def test_records_are_read_as_they_were_written() -> None:
    again = Records.read(RECORDS.text())
    assert again == RECORDS
    assert "ns-3" in again.provenance["simulator"]


def test_a_case_that_was_never_recorded_is_named() -> None:
    other = replace(wifi_cases()[0], n_stations=7)
    with pytest.raises(InputError, match="7 stations"):
        RECORDS.wifi(other)


def test_theory_of_one_station_by_hand() -> None:
    """802.11n, 1500 bytes: 232 us of data, SIFS, 28 us of acknowledgement, AIFS 43 us and 7.5 slots."""
    assert 1e6 / frames_per_s_by_theory(CASES["n", 0, 1500, 1]) == pytest.approx(232 + 16 + 28 + 43 + 67.5)


def test_without_a_compiler_there_is_no_ns3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert find_ns3() == "g++ is not installed"


def test_of_pkg_configs_flags_ns3s_own_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "-I/usr\\; -I/usr/include -L/usr/lib -lns3-wifi -lns3-core -lns3-core /usr/lib/libgsl.so"

    class Done:
        stdout = said

    monkeypatch.setattr("subprocess.run", lambda *_, **__: Done)
    assert _flags(["ns3-wifi"]) == ["-I/usr/include", "-L/usr/lib", "-lns3-wifi", "-lns3-core"]
