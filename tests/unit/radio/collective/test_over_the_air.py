"""Sums in a radio band: duration, energy and error against the formulas, block by block."""

from __future__ import annotations

import math

import bands
import numpy as np
import pytest

from edgesim.engine.collective.sums import AirSums
from edgesim.planning.transceiver import designer
from edgesim.radio.collective.aircomp import alpha_star
from edgesim.radio.collective.band import CollectiveBand
from edgesim.radio.collective.errors_by_scheme import Combined, uncoded_mse
from edgesim.radio.collective.over_the_air import OverTheAir
from edgesim.world.device import Endpoint

GROUP = ("phone-0", "phone-1", "phone-2")
N_VALUES = 4097


def subspace() -> Combined:
    return Combined(designer("subspace"))


def band(coherence_s: float = 0.01) -> CollectiveBand:
    return bands.band(n_station=8, n_terminal=2, coherence_s=coherence_s, power_dbm=-10.0)


def test_a_sum_on_the_air_takes_its_channel_uses_up_and_down_whatever_the_group() -> None:
    for group in (GROUP[:1], GROUP[:2], GROUP):
        told = OverTheAir(band(), group, "aircomp", mse=Combined(designer("subspace"))).sum(N_VALUES, 0.0)
        assert told.uplink_s == (2049 / 10e6,) * len(group)
        assert told.seconds == pytest.approx(2 * 2049 / 10e6)


@pytest.mark.parametrize("name", ["subspace", "first-order"])
def test_its_error_is_that_of_the_design_for_the_channels_of_the_instant(name: str) -> None:
    own = band()
    air = OverTheAir(own, GROUP, "aircomp", mse=Combined(designer(name)))
    for at_s in (0.004, 0.013, 0.0131, 0.5):
        channels, powers_w = own.channels(GROUP, at_s), own.powers_w(GROUP)
        error = air.sum(N_VALUES, at_s).error_variance
        best = designer(name)(channels, powers_w, 2, None).alpha
        assert error == pytest.approx(
            own.noise_w * best / (2 * 3), rel=0.02 if name == "first-order" else 1e-12
        )


def test_bands_of_their_own_take_as_many_times_as_long_up() -> None:
    own = band()
    told = OverTheAir(own, GROUP, "uncoded_fdma").sum(N_VALUES, 0.0)
    assert told.uplink_s == (3 * 2049 / 10e6,) * 3
    assert told.broadcast_s == 2049 / 10e6
    assert told.error_variance == uncoded_mse(own, GROUP, 0.0, own.powers_w(GROUP)) / (2 * 3)


def test_a_digital_sum_ends_with_the_slowest_and_is_told_to_all() -> None:
    own = band()
    told = OverTheAir(own, GROUP, "digital", value_bytes=1.0).sum(N_VALUES, 0.0)
    assert told.uplink_s == tuple(own.digital_uplink_s(8 * N_VALUES, GROUP, 0.0))
    assert told.seconds == max(told.uplink_s) + own.digital_broadcast_s(8 * N_VALUES, GROUP, 0.0)
    assert told.error_variance == 0.0


def test_what_computing_has_spent_of_a_budget_is_no_power_to_send_with() -> None:
    own, seconds = band(), 2049 / 10e6
    budget_j = 1e-4 * 0.5 * seconds  # half of what a terminal could send in that time
    air = OverTheAir(own, GROUP, "aircomp", mse=Combined(designer("subspace")), budget_j=budget_j)
    free = air.sum(N_VALUES, 0.0, (0.0, 0.0, 0.0)).error_variance
    spent_j = (0.8 * budget_j, 0.8 * budget_j, 0.7 * budget_j)
    less = air.sum(N_VALUES, 0.0, spent_j).error_variance
    combiner = designer("subspace")(own.channels(GROUP, 0.0), own.powers_w(GROUP), 2, None).combiner
    left_w = (budget_j - np.array(spent_j)) / seconds
    assert less == pytest.approx(
        own.noise_w * alpha_star(combiner, own.channels(GROUP, 0.0), left_w).alpha / 6
    )
    assert less > free
    assert math.isinf(air.sum(N_VALUES, 0.0, (0.0, 2.0 * budget_j, 0.0)).error_variance)


def test_channels_that_never_change_are_asked_once() -> None:
    asked = []

    def design(channels, powers_w, n_streams, start):
        asked.append(start)
        return designer("subspace")(channels, powers_w, n_streams, start)

    air = OverTheAir(band(math.inf), GROUP, "aircomp", mse=Combined(design))
    for at_s in (0.0, 1.0, 2.0):
        air.sum(N_VALUES, at_s)
    assert len(asked) == 1
    moving = OverTheAir(band(0.01), GROUP, "aircomp", mse=Combined(design))
    for at_s in (0.0, 0.005, 0.015):
        moving.sum(N_VALUES, at_s)
    assert len(asked) == 3
    assert asked[1] is None  # the first of its own
    assert asked[2] is not None  # begins where the block before ended


def test_budgets_are_of_one_token() -> None:
    """A prompt of k tokens has k times the budget for k times the values: the same power, the same error."""
    own = band()
    for scheme in ("aircomp", "uncoded_fdma"):
        of = {"energy_j": 1e-9, "mse": uncoded_mse if scheme == "uncoded_fdma" else subspace()}
        air = OverTheAir(own, GROUP, scheme, token_values=4096, **of)
        one, many = air.sum(4096, 0.0), air.sum(5 * 4096, 0.0)
        assert many.seconds == pytest.approx(5 * one.seconds)
        assert many.error_variance == pytest.approx(one.error_variance, rel=1e-12)
        budgeted = OverTheAir(own, GROUP, scheme, token_values=4096, budget_j=3e-9, mse=of["mse"])
        assert budgeted.sum(4096, 0.0, (2e-9,) * 3).error_variance == pytest.approx(one.error_variance)
        assert budgeted.sum(5 * 4096, 0.0, (1e-8,) * 3).error_variance == pytest.approx(one.error_variance)


def test_values_scaled_to_the_whole_sum_arrive_with_less_of_it() -> None:
    for scheme in ("aircomp", "uncoded_fdma"):
        mse = uncoded_mse if scheme == "uncoded_fdma" else subspace()
        parts, whole = (
            OverTheAir(band(), GROUP, scheme, mse=mse, scaling=scaling).sum(N_VALUES, 0.0)
            for scaling in ("parts", "sum")
        )
        assert whole.error_variance == pytest.approx(3 * parts.error_variance, rel=1e-12)
        assert whole.seconds == parts.seconds


def test_terminals_that_move_are_asked_where_they_are() -> None:
    tracks = tuple(bands.Straight(20.0 + 10.0 * i, 10.0) for i in range(3))
    own = bands.band(n_station=8, n_terminal=2, coherence_s=math.inf, tracks=tracks)
    air = OverTheAir(own, GROUP, "uncoded_fdma")
    early, late = (air.sum(N_VALUES, at_s).error_variance for at_s in (0.0, 30.0))
    assert late > 10 * early  # 300 m further away
    assert late == uncoded_mse(own, GROUP, 30.0, own.powers_w(GROUP)) / 6


def test_a_message_at_either_end_and_the_way_there_and_back_come_on_top() -> None:
    own, bare = band(), OverTheAir(band(), GROUP, "uncoded_fdma").sum(N_VALUES, 0.0)
    ends = [Endpoint(overhead_s=1e-3), Endpoint(overhead_s=3e-3), Endpoint()]
    sums = AirSums(
        OverTheAir(own, GROUP, "uncoded_fdma"), ends, value_bytes=2.0, latency_s=5e-3, is_constant=False
    )
    told = sums.sum(N_VALUES, 0.0, (0.0,) * 3)
    assert told.seconds == pytest.approx(bare.seconds + 2 * 3e-3 + 2 * 5e-3)
    assert told.handling_s == pytest.approx((2e-3, 6e-3, 0.0))
    assert told.tx_s == bare.uplink_s
