"""Strategies that keep up and strategies that do not, on queues of known load."""

from __future__ import annotations

import numpy as np
import pytest
from trace_tables import fifo_ends_s

from edgesim.statistics.saturation import Growth, keeps_growing
from edgesim.statistics.window import Window

N_RUNS = 100


def n_alarms(load: float, n_requests: int, n_replications: int, variability: float = 1.0) -> int:
    """How many of the runs of a single server are said not to keep up; arrivals of gamma law."""
    rng = np.random.default_rng(17)
    shape = (N_RUNS, n_replications, n_requests)
    arrived = np.cumsum(rng.gamma(1 / variability, variability / load, shape), axis=-1)
    ends = fifo_ends_s(arrived, rng.exponential(1.0, shape))
    return sum(
        keeps_growing(
            [
                growth
                for at_s, until_s in zip(arrived[run], ends[run], strict=True)
                if (growth := Growth.of(at_s, until_s, Window(0.0, at_s[-1]))) is not None
            ]
        )
        for run in range(N_RUNS)
    )


# By binomial chance a test at the 1 % level alarms in no more than 6 of 100 runs (99.99 %).
@pytest.mark.parametrize("n_replications", [1, 5])
@pytest.mark.parametrize("load", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("variability", [1.0, 4.0])
def test_a_stable_queue_gives_no_alarm_however_bursty(
    load: float, n_replications: int, variability: float
) -> None:
    assert n_alarms(load, 2000, n_replications, variability) <= 6


@pytest.mark.parametrize(("load", "n_requests"), [(1.05, 10_000), (1.2, 2000), (2.0, 300)])
def test_a_queue_that_cannot_keep_up_is_found(load: float, n_requests: int) -> None:
    assert n_alarms(load, n_requests, 5) >= 98


def test_one_replication_is_enough_where_the_load_is_far_too_much() -> None:
    assert n_alarms(2.0, 500, 1) >= 95


def test_periodic_arrivals_that_exceed_a_fixed_service_are_found_and_others_are_not() -> None:
    def growth(service_s: float) -> Growth:
        arrived = np.arange(2000) * 0.01
        found = Growth.of(arrived, fifo_ends_s(arrived, np.full(2000, service_s)), Window(0.0, 20.0))
        assert found is not None
        return found

    assert keeps_growing([growth(0.0159)])
    assert not keeps_growing([growth(0.0099)])


def test_bursts_and_windows_without_length_give_no_alarm() -> None:
    hourly = np.repeat(np.arange(3) * 3600.0, 50)
    growth = Growth.of(hourly, hourly + np.tile(np.arange(50.0), 3), Window(0.0, 7200.0))
    assert growth is not None
    assert not keeps_growing([growth] * 3)
    assert Growth.of(np.zeros(3), np.ones(3), Window(0.0, 0.0)) is None
    assert not keeps_growing([])


def test_requests_without_an_end_stay_in_flight() -> None:
    growth = Growth.of(np.arange(100.0), np.full(100, np.nan), Window(0.0, 100.0))
    assert growth is not None
    assert sum(growth.increments) == growth.n_arrived > 70
