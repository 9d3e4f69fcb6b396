"""A link from end to end against a budget written out in decibels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from airwaves import BAND_HZ, link
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import exp1

from edgesim.errors import InputError
from edgesim.radio.adaptation.air_interface import OUT_OF_REACH, Grant
from edgesim.radio.adaptation.shannon import Shannon
from edgesim.radio.channel.csi import ImperfectCsi
from edgesim.radio.channel.fading import BlockFading
from edgesim.radio.channel.fading_law import NoFading, Rayleigh
from edgesim.radio.channel.large_scale import LargeScale
from edgesim.radio.channel.path_loss.environments import UrbanMicro
from edgesim.radio.motion.mobility import Static
from edgesim.radio.radio_link import RadioLink, Transceiver, goodput

CELL_M = (0.0, 0.0)


def street(distance_m: float = 100.0, **facts: object) -> RadioLink:
    """A small cell at 3.5 GHz, in line of sight, without shadowing and fading."""
    large = LargeScale(
        UrbanMicro(), Static((distance_m, 0.0)), Static(CELL_M), carrier_hz=3.5e9, is_los=True, key=None
    )
    return RadioLink(
        large,
        terminal=Transceiver(power_dbm=23.0, noise_figure_db=9.0),
        station=Transceiver(power_dbm=33.0, gain_dbi=8.0, noise_figure_db=5.0),
        air=Shannon(),
        bandwidth_hz=40e6,
        **({"fading": BlockFading(NoFading(), 1, math.inf)} | facts),
    )


def test_the_budget_of_a_street() -> None:
    """Path loss 85.31 dB at 100 m (the tabulated value); noise of 40 MHz -97.98 dBm and the noise figure."""
    down, up = street().report(0.0, uplink=False), street().report(0.0, uplink=True)
    assert down.path_loss_db == pytest.approx(85.31, abs=0.01)
    assert down.received_dbm == pytest.approx(33.0 + 8.0 - 85.31, abs=0.01)
    assert down.sinr_db == pytest.approx(33.0 + 8.0 - 85.31 + 97.98 - 9.0, abs=0.02)
    assert up.sinr_db == pytest.approx(23.0 + 8.0 - 85.31 + 97.98 - 5.0, abs=0.02)
    assert up.rate_bps == pytest.approx(40e6 * math.log2(1.0 + 10.0 ** (up.sinr_db / 10.0)))
    assert (up.bler, up.goodput_bps) == (0.0, up.rate_bps)
    assert (up.distance_m, up.is_los, up.shadowing_db, up.fading_db) == (100.0, True, 0.0, 0.0)


def test_interference_adds_to_the_noise() -> None:
    noise_w = 10.0 ** ((-97.98 + 9.0 - 30.0) / 10.0)
    alone = street().state(0.0, uplink=False).sinr
    assert street().state(0.0, uplink=False, interference_w=noise_w).sinr == pytest.approx(
        alone / 2.0, rel=1e-3
    )


@given(share=st.floats(0.01, 1.0))
def test_a_share_concentrates_the_uplink_and_splits_the_downlink(share: float) -> None:
    whole_up, part_up = (street().state(0.0, uplink=True, band_share=s).sinr for s in (1.0, share))
    whole_down, part_down = (street().state(0.0, uplink=False, band_share=s).sinr for s in (1.0, share))
    assert part_up * share == pytest.approx(whole_up, rel=1e-12)
    assert part_down == whole_down


class Steps:
    """An interface of one scheme, from 0 dB on."""

    round_trip_s, arq = 0.0, Shannon().arq

    def grant(self, sinr_estimate: float, bandwidth_hz: float) -> Grant:
        return Grant(0, 1.0, 1000, 1e-3) if sinr_estimate >= 1.0 else OUT_OF_REACH

    def errors(self, grant: Grant, sinr: float) -> tuple[float, ...]:
        return (0.0,) if sinr >= 1.0 else (1.0,)


@pytest.mark.parametrize(("snr_db", "used"), [(0.1, 1.0), (-2.9, 0.5), (-5.9, 0.25), (-18.0, 1 / 64)])
def test_a_weak_terminal_narrows_its_share_to_what_it_reaches(snr_db: float, used: float) -> None:
    state = link(snr_db, air=Steps()).state(0.0, uplink=True)
    assert state.rate_bps == BAND_HZ * used
    assert state.errors == (0.0,)


def test_a_weak_station_and_a_terminal_too_weak_are_out_of_reach() -> None:
    for snr_db, uplink in ((-0.1, False), (-18.2, True)):
        state = link(snr_db, air=Steps()).state(0.0, uplink=uplink)
        assert (state.grant, state.rate_bps, state.errors) == (OUT_OF_REACH, 0.0, (1.0,))


def test_two_carriers_fade_each_for_itself_and_one_is_reciprocal() -> None:
    down, up = (BlockFading(Rayleigh(), key, 0.01) for key in (1, 2))
    one, two = link(10.0, fading=down), link(10.0, fading=down, uplink_fading=up)
    times_s = [0.005 + 0.01 * k for k in range(50)]
    assert [one.gain(t, uplink=True) for t in times_s] == [one.gain(t, uplink=False) for t in times_s]
    assert [two.gain(t, uplink=False) for t in times_s] == [one.gain(t, uplink=False) for t in times_s]
    mine, others = ([two.gain(t, uplink=way) for t in times_s] for way in (True, False))
    assert abs(stats.spearmanr(mine, others).statistic) < stats.norm.isf(1e-4) / math.sqrt(len(times_s) - 1)


def test_the_sender_decides_on_the_estimate_and_succeeds_on_the_truth() -> None:
    fading = BlockFading(Rayleigh(), 3, 0.01)
    channel = link(10.0, fading=fading, csi=ImperfectCsi(fading, 4, error=0.5))
    states = [channel.state(0.005 + 0.01 * k, uplink=False) for k in range(200)]
    for state in states:
        assert state.grant.efficiency == pytest.approx(math.log2(1.0 + state.sinr_estimate))
        assert state.errors == ((1.0,) if state.sinr_estimate > state.sinr else (0.0,))
    assert 0 < sum(state.errors[0] for state in states) < 200
    lowered = link(10.0, fading=fading, csi=ImperfectCsi(fading, 4, error=0.5), outer_offset_db=6.0)
    failed = sum(lowered.state(0.005 + 0.01 * k, uplink=False).errors[0] for k in range(200))
    assert failed < sum(state.errors[0] for state in states)


def test_the_state_holds_until_the_first_thing_changes() -> None:
    fading = BlockFading(Rayleigh(), 3, 0.01)
    assert link(10.0).state(5.0, uplink=True).until_s == math.inf
    assert link(10.0, fading=fading).state(0.013, uplink=True).until_s == pytest.approx(0.02)
    late = link(10.0, fading=fading, csi=ImperfectCsi(fading, 4, delay_s=0.004))
    assert late.state(0.013, uplink=True).until_s == pytest.approx(0.014)


def test_mean_goodput_is_the_ergodic_capacity_to_within_its_draws() -> None:
    """log2(e) e^(1/snr) E1(1/snr) bit/s/Hz; 256 draws."""
    mean_bps = link(10.0, fading=BlockFading(Rayleigh(), 9, 0.01)).mean_goodput_bps(uplink=False)
    capacity = math.log2(math.e) * math.exp(0.1) * float(exp1(0.1))
    rates = np.log2(1.0 + 10.0 * np.random.default_rng(1).exponential(size=100_000))
    assert mean_bps / BAND_HZ == pytest.approx(capacity, abs=4.0 * float(rates.std()) / 16.0)
    assert link(10.0).mean_goodput_bps(uplink=False) == pytest.approx(BAND_HZ * math.log2(11.0))


def test_goodput_takes_off_repetitions_and_losses() -> None:
    assert goodput(100.0, (0.0,)) == 100.0
    assert goodput(100.0, (0.5, 0.0)) == pytest.approx(100.0 / 1.5)
    # Four attempts, each failing with 1/2: residual 1/16, mean number of attempts 15/8.
    assert goodput(100.0, (0.5,) * 4) == pytest.approx(100.0 * (15 / 16) / (15 / 8))


def test_mistakes_are_told() -> None:
    with pytest.raises(InputError, match="bandwidth is 0 Hz"):
        RadioLink(
            street().large_scale,
            terminal=Transceiver(power_dbm=0.0),
            station=Transceiver(power_dbm=0.0),
            air=Shannon(),
            bandwidth_hz=0.0,
            fading=BlockFading(NoFading(), 1, math.inf),
        )
