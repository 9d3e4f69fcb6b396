"""Wi-Fi against the standards' printed rates, and its code against a walk through the trellis."""

from __future__ import annotations

import math
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.radio.adaptation.air_interface import OUT_OF_REACH
from edgesim.radio.adaptation.bler_curve import error_of_all
from edgesim.radio.adaptation.wifi import Wifi
from edgesim.radio.adaptation.wifi_error import (
    CODE_SPECTRUM,
    nist_curve,
    sensitivity_curve,
    sensitivity_sinr_db,
    uncoded_bit_error,
)
from edgesim.radio.adaptation.wifi_rates import (
    GENERATIONS,
    WIFI_MCS,
    Generation,
    data_rate_bps,
    sensitivity_dbm,
)

# Mb/s at 20/40/80/160 MHz, one stream: HE with a guard of 0.8 µs (802.11ax-2021 clause 27.5), VHT with 0.4 µs
# (802.11-2020 clause 21.5). "-": no such combination.
PRINTED = {
    "ax": """8.6/17.2/36.0/72.1 17.2/34.4/72.1/144.1 25.8/51.6/108.1/216.2 34.4/68.8/144.1/288.2
        51.6/103.2/216.2/432.4 68.8/137.6/288.2/576.5 77.4/154.9/324.3/648.5 86.0/172.1/360.3/720.6
        103.2/206.5/432.4/864.7 114.7/229.4/480.4/960.8 129.0/258.1/540.4/1080.9 143.4/286.8/600.5/1201.0""",
    "ac": """7.2/15.0/32.5/65.0 14.4/30.0/65.0/130.0 21.7/45.0/97.5/195.0 28.9/60.0/130.0/260.0
        43.3/90.0/195.0/390.0 57.8/120.0/260.0/520.0 65.0/135.0/292.5/585.0 72.2/150.0/325.0/650.0
        86.7/180.0/390.0/780.0 -/200.0/433.3/866.7""",
    # HT: the same subcarriers as VHT at 20 and 40 MHz
    "n": """7.2/15.0 14.4/30.0 21.7/45.0 28.9/60.0 43.3/90.0 57.8/120.0 65.0/135.0 72.2/150.0""",
}


@pytest.mark.parametrize("generation", ["n", "ac", "ax"])
def test_rates_have_the_printed_digits(generation: Generation) -> None:
    rows = PRINTED[generation].split()
    assert len(rows) == GENERATIONS[generation].n_mcs
    for mcs, row in enumerate(rows):
        for width_mhz, printed in zip((20, 40, 80, 160), row.split("/"), strict=False):
            rate_bps = data_rate_bps(generation, mcs, width_mhz)
            if printed == "-":
                assert rate_bps is None
            else:
                assert rate_bps is not None
                found = Decimal(repr(round(rate_bps / 1e6, 9))).quantize(Decimal("0.1"), ROUND_HALF_UP)
                assert found == Decimal(printed), (mcs, width_mhz)


def test_streams_and_guards_by_hand() -> None:
    # n, MCS 7, 40 MHz, four streams, 0.4 µs: 108·6·5/6·4/3.6 µs; ax with 3.2 µs: 980·10·5/6/16 µs
    assert data_rate_bps("n", 7, 40, n_streams=4) == pytest.approx(600e6)
    assert data_rate_bps("ax", 11, 80, guard_s=3.2e-6) == pytest.approx(980 * 10 * 5 / 6 / 16e-6)


def test_combinations_that_vht_leaves_out() -> None:
    # 802.11-2020 tables 21-30 and on: at 20 MHz MCS 9 is there with three and six streams only.
    present = [n for n in range(1, 9) if data_rate_bps("ac", 9, 20, n_streams=n) is not None]
    assert present == [3, 6]
    assert data_rate_bps("ac", 6, 80, n_streams=3) is None
    assert data_rate_bps("ac", 6, 80, n_streams=2) is not None


def test_sensitivities() -> None:
    assert [sensitivity_dbm(mcs, 20) for mcs in range(12)] == [
        -82, -79, -77, -74, -70, -66, -65, -64, -59, -57, -54, -52,
    ]  # fmt: skip
    assert sensitivity_dbm(0, 160) == -73.0


@pytest.mark.parametrize("coding", list(CODE_SPECTRUM), ids=str)
def test_code_spectrum_against_a_walk_through_the_trellis(coding: Fraction) -> None:
    """Count the paths that leave the zero state and come back, by weight, over all phases of puncturing."""
    kept = {
        Fraction(1, 2): ("1", "1"),
        Fraction(2, 3): ("11", "10"),
        Fraction(3, 4): ("110", "101"),
        Fraction(5, 6): ("11010", "10101"),
    }[coding]  # 802.11-2020 §17.3.5.6 and §19.3.11.6
    k, free_distance, weights = CODE_SPECTRUM[coding]
    n_terms = 6
    limit = free_distance + n_terms
    found: dict[int, int] = defaultdict(int)
    for phase in range(len(kept[0])):
        paths = {(0, 0): (1, 0)}  # (state, weight) → paths, information ones on them
        step = 0
        while paths:
            after: dict[tuple[int, int], tuple[int, int]] = defaultdict(lambda: (0, 0))
            at = (phase + step) % len(kept[0])
            for (state, weight), (n_paths, n_ones) in paths.items():
                for bit in (0, 1):
                    if step == 0 and bit == 0:
                        continue
                    register = bit << 6 | state
                    coded = [(register & mask).bit_count() & 1 for mask in (0o133, 0o171)]
                    heavier = weight + sum(
                        out for out, pattern in zip(coded, kept, strict=True) if pattern[at] == "1"
                    )
                    if heavier >= limit:
                        continue
                    ones = n_ones + bit * n_paths
                    if register >> 1 == 0:
                        found[heavier] += ones
                    else:
                        before = after[register >> 1, heavier]
                        after[register >> 1, heavier] = (before[0] + n_paths, before[1] + ones)
            paths, step = after, step + 1
    assert k == coding.numerator
    assert min(distance for distance, ones in found.items() if ones) == free_distance
    assert [found[free_distance + d] for d in range(n_terms)] == list(weights[:n_terms])


@pytest.mark.parametrize("modulation_bits", [1, 2, 4])
def test_uncoded_errors_against_simulated_symbols(modulation_bits: int) -> None:
    # Gray-mapped PAM on each axis; nearest-neighbour errors are all but exact at this ratio.
    rng = np.random.default_rng(1)
    n, snr = 400_000, 10.0 ** (0.1 * {1: 4.0, 2: 7.0, 4: 14.0}[modulation_bits])
    per_axis = max(1, modulation_bits // 2)
    levels = np.arange(2**per_axis) * 2.0 - (2**per_axis - 1)
    gray = np.arange(2**per_axis) ^ (np.arange(2**per_axis) >> 1)
    n_axes = 1 if modulation_bits == 1 else 2
    scale = math.sqrt(n_axes * np.mean(levels**2))
    sent = rng.integers(0, levels.size, n)
    received = levels[sent] / scale + rng.normal(0.0, math.sqrt(0.5 / snr), n)
    decided = np.abs(received[:, None] * scale - levels[None, :]).argmin(axis=1)
    n_errors = int(np.bitwise_count(gray[sent] ^ gray[decided]).sum())
    expected = float(uncoded_bit_error(modulation_bits, np.array([snr]))[0])
    low, high = stats.binomtest(n_errors, n * per_axis).proportion_ci(0.9999)
    assert low <= expected <= high


@pytest.mark.parametrize("mcs", range(12))
def test_ten_percent_of_4096_octets_fail_at_the_sensitivity(mcs: int) -> None:
    # −82 dBm at 20 MHz over −174 dBm/Hz + 73.01 dB + 10 dB + 5 dB is 3.99 dB, and so on.
    at_db = sensitivity_dbm(mcs, 20) - (-174.0 + 73.0103 + 15.0)
    assert sensitivity_sinr_db(mcs) == pytest.approx(at_db, abs=1e-4)
    assert error_of_all(sensitivity_curve(mcs).at(sensitivity_sinr_db(mcs)), 32768) == pytest.approx(
        0.1, rel=1e-6
    )


def test_nists_curve_needs_more_where_the_code_does_less() -> None:
    # The standard's sensitivities leave a margin of 5 dB; hard decisions, with no other loss, need part of
    # it.
    for mcs in range(12):
        own_db = nist_curve(mcs).threshold_db(1.0 - 0.9 ** (1.0 / 32768))
        assert 0.0 <= own_db - sensitivity_sinr_db(mcs) <= 5.0


@pytest.mark.parametrize("generation", ["n", "ac", "ax"])
@pytest.mark.parametrize("curve", ["sensitivity", "nist"])
def test_a_grant_is_the_fastest_that_meets_the_target(generation: Generation, curve: str) -> None:
    air = Wifi(generation, curve=curve)  # type: ignore[arg-type]
    shape = sensitivity_curve if curve == "sensitivity" else nist_curve
    for sinr_db in range(-5, 45):
        sinr = 10.0 ** (0.1 * (sinr_db + 0.321))
        able = [
            mcs
            for mcs in range(GENERATIONS[generation].n_mcs)
            if air.rate_bps(mcs) is not None
            and error_of_all(shape(mcs).at(sinr_db + 0.321), 12_000) <= air.target_bler
        ]
        grant = air.grant(sinr, 20e6)
        assert grant.mcs == max(able, default=-1)
        if able:
            rate_bps = air.rate_bps(grant.mcs)
            assert rate_bps is not None
            assert grant.efficiency * 20e6 == pytest.approx(rate_bps)
            assert grant.slot_s == pytest.approx(12_000 / rate_bps)
            (error,) = air.errors(grant, sinr)
            assert error <= air.target_bler


def test_a_share_takes_longer_for_a_frame() -> None:
    whole, part = (Wifi().grant(1e4, width_hz) for width_hz in (20e6, 5e6))
    assert part == whole._replace(slot_s=4.0 * whole.slot_s)


def test_out_of_reach() -> None:
    assert Wifi().grant(1.0, 20e6) == OUT_OF_REACH
    assert Wifi().errors(OUT_OF_REACH, 1e9) == (1.0,)
    assert Wifi().errors(Wifi().grant(1e4, 20e6), 0.0) == (1.0,)


def test_every_mcs_is_a_gray_mapped_constellation() -> None:
    assert {scheme.coding for scheme in WIFI_MCS} == set(CODE_SPECTRUM)
    assert {scheme.modulation_bits for scheme in WIFI_MCS} == {1, 2, 4, 6, 8, 10}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"generation": "be"}, "expected one of n, ac, ax"),
        ({"channel_width_hz": 30e6}, "no 802.11ax channel of 30 MHz"),
        ({"guard_s": 0.4e-6}, "guard interval of 802.11ax is 0.4 us"),
        ({"n_streams": 9}, "expected 1 to 8"),
        ({"mpdu_bytes": 0}, "expected 1 to 11454"),
        ({"target_bler": 0.0}, "target BLER is 0"),
        ({"curve": "ldpc"}, "expected 'sensitivity' or 'nist'"),
    ],
)
def test_settings_outside_the_standard_are_refused(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Wifi(**keywords)  # type: ignore[arg-type]
