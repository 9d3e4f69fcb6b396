"""Fading with a direct path that comes and goes: it is the one fading or the other, state by state."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgesim.radio.channel.fading import BlockFading, JakesFading
from edgesim.radio.channel.fading_by_line_of_sight import FadingByLineOfSight
from edgesim.radio.channel.fading_law import Rayleigh, Rician
from edgesim.radio.channel.large_scale import LargeScale
from edgesim.radio.channel.path_loss.environments import UrbanMicro
from edgesim.radio.motion.mobility import Static
from edgesim.radio.motion.tracks import RecordedTrack

LAW = Rician(9.0)


def made(key: int) -> tuple[LargeScale, FadingByLineOfSight]:
    """A terminal that walks 400 m out from a station, in 200 s."""
    way = RecordedTrack([(0.0, 10.0, 0.0), (200.0, 410.0, 0.0)])
    large = LargeScale(UrbanMicro(), way, Static((0.0, 0.0)), carrier_hz=3.5e9, key=key)
    los, nlos = (JakesFading(law, key, 20.0) for law in (LAW, Rayleigh()))
    return large, FadingByLineOfSight(large, (los, LAW), (nlos, Rayleigh()))


@pytest.mark.parametrize("key", [3, 4, 5])
def test_it_is_the_fading_of_the_state_at_each_instant_in_any_order(key: int) -> None:
    times_s = np.random.default_rng(key).uniform(0, 200, 400).tolist()
    large, fading = made(key)
    los, nlos = (JakesFading(law, key, 20.0) for law in (LAW, Rayleigh()))
    expected = [(los if large.at(t).is_los else nlos).gain(t) for t in times_s]
    assert [fading.gain(t) for t in times_s] == expected
    assert [made(key)[1].gain(t) for t in reversed(times_s[:20])] == expected[:20][::-1]
    assert {large.at(t).is_los for t in times_s} == {True, False}


def test_a_gain_holds_until_it_may_change() -> None:
    _, fading = made(3)
    at_s = 0.0
    for _ in range(3000):
        until_s = fading.until_s(at_s)
        assert until_s > at_s
        assert fading.gain(0.5 * (at_s + until_s)) == fading.gain(at_s)
        at_s = until_s
    assert at_s > 6.0  # 3000 steps of at most a tenth of 0.423 / 20 Hz


def test_gains_of_a_state_follow_its_law() -> None:
    # One gain of each of many links at one instant is an independent sample, given the state there.
    gains: dict[bool, list[float]] = {True: [], False: []}
    for key in range(3000):
        large, fading = made(1000 + key)
        gains[large.at(20.0).is_los].append(fading.gain(20.0))
    assert min(map(len, gains.values())) > 500
    assert stats.kstest(gains[False], "expon").pvalue > 1e-4
    k = 10**0.9  # the power of a Rician amplitude is a noncentral chi-square of 2 degrees of freedom
    assert stats.kstest(np.array(gains[True]) * 2 * (k + 1), stats.ncx2(2, 2 * k).cdf).pvalue > 1e-4


def test_what_planners_count_on_is_the_law_of_the_start() -> None:
    large, fading = made(3)
    assert large.changes_sight
    assert fading.law == (LAW if large.at(0.0).is_los else Rayleigh())


def test_a_link_at_rest_keeps_its_state() -> None:
    here = LargeScale(UrbanMicro(), Static((50.0, 0.0)), Static((0.0, 0.0)), carrier_hz=3.5e9, key=3)
    assert not here.changes_sight
    assert BlockFading(LAW, 3, 1.0).law == LAW
