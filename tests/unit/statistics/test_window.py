"""Rates mean the steady window: against exact mean value analysis, and the arrivals' own rate."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from trace_tables import devices_table, fifo_ends_s, requests_table

from edgesim.statistics import compare, summarise
from edgesim.statistics.summary import Summary
from edgesim.statistics.window import Window, counted, steady_window

N_USERS, THINK_S, SERVICE_S, N_REQUESTS = 24, 8.0, 0.3, 1200


@dataclass(frozen=True)
class Limits:
    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None


def summary(requests: pd.DataFrame, duration_s: float, **options: object) -> Summary:
    emits = [
        (requests["request_id"].to_numpy(), at_s)
        for at_s in (requests["first_token_at_s"].to_numpy(), requests["ended_at_s"].to_numpy())
    ]
    given = {"strategy": "s", "replication": 0} | options
    return summarise(requests, devices_table(duration_s, 10.0), emits, **given)


def closed_loop(seed: int) -> pd.DataFrame:
    """Users who think and wait at one server; their requests are shared out evenly before the run."""
    rng = np.random.default_rng(seed)
    free_at_s, arrived, ended = 0.0, np.zeros(N_REQUESTS), np.zeros(N_REQUESTS)
    due = [(0.0, user) for user in range(N_USERS)]
    while due:
        at_s, number = heapq.heappop(due)
        free_at_s = max(free_at_s, at_s) + rng.exponential(SERVICE_S)
        arrived[number], ended[number] = at_s, free_at_s
        if number + N_USERS < N_REQUESTS:
            heapq.heappush(due, (free_at_s + rng.exponential(THINK_S), number + N_USERS))
    return requests_table(arrived, ended)


def mean_value_analysis(n_users: int, think_s: float, service_s: float) -> float:
    """Throughput of one queue and a think time (Reiser and Lavenberg 1980)."""
    n_waiting, rate = 0.0, 0.0
    for users in range(1, n_users + 1):
        time_s = service_s * (1 + n_waiting)
        rate = users / (think_s + time_s)
        n_waiting = rate * time_s
    return rate


def test_a_closed_loops_rate_is_that_of_mean_value_analysis_and_not_of_the_run_out() -> None:
    exact = mean_value_analysis(N_USERS, THINK_S, SERVICE_S)
    steady, whole = [], []
    for seed in range(20):
        requests = closed_loop(seed)
        duration_s = float(requests["ended_at_s"].max())
        steady.append(summary(requests, duration_s, warmup_s=30.0, n_users=N_USERS).requests_per_s)
        whole.append(N_REQUESTS / duration_s)
    assert stats.ttest_1samp(steady, exact).pvalue > 0.01
    assert stats.sem(steady) < 0.01 * exact
    assert np.mean(whole) < 0.93 * exact  # what used to be printed


def test_with_users_the_window_ends_when_the_first_of_them_leaves() -> None:
    # Users 0 and 1, three requests each: user 1's last answer is had at 7.
    ids = np.arange(6)
    arrived = np.array([0.0, 0.0, 2.0, 3.0, 6.0, 5.0])
    ended = np.array([1.0, 2.0, 5.0, 4.0, 9.0, 7.0])
    facts = {"warmup_s": 0.0, "horizon_s": None}
    assert steady_window(ids, arrived, ended, n_users=2, **facts) == Window(0.0, 7.0)
    assert steady_window(ids, arrived, ended, n_users=None, **facts) == Window(0.0, 6.0)
    assert steady_window(ids, arrived, ended, n_users=2, warmup_s=1.0, horizon_s=4.0) == Window(1.0, 4.0)
    assert steady_window(ids[:0], arrived[:0], ended[:0], n_users=None, **facts) is None
    # More users than requests; and a user who never leaves.
    assert steady_window(ids, arrived, ended, n_users=100, **facts) == Window(0.0, 1.0)
    ended[5] = np.nan
    assert steady_window(ids, arrived, ended, n_users=2, **facts) == Window(0.0, 9.0)


def test_what_happens_at_its_end_is_in_it_and_what_happens_at_its_start_is_not() -> None:
    """A periodic run's rate is exact, then."""
    window = Window(10.0, 30.0)
    assert window.n_within(np.arange(0.0, 100.0, 2.0)) == 10
    assert window.n_within(np.array([np.nan, 10.0])) == 0
    assert Window(5.0, 3.0).length_s == 0
    assert counted(np.array([9.0, 10.0, 29.0, 30.0]), 10.0, 30.0).tolist() == [False, True, True, False]
    assert counted(np.array([9.0, 10.0, 30.0]), 10.0, None).tolist() == [False, True, True]


@pytest.mark.parametrize("spacing_s", [0.0, 0.05])
def test_rates_of_requests_that_come_nearly_at_once_are_those_over_the_makespan(spacing_s: float) -> None:
    # Four from instant 2 on, one a second is served: the last ends at 6, three of them within 3.5 s.
    arrived, ended = 2.0 + spacing_s * np.arange(4), np.array([3.0, 4.0, 5.0, 6.0])
    result = summary(requests_table(arrived, ended), 6.0, objectives=Limits(e2e_s=3.5))
    assert result.window == Window(2.0, 6.0, is_batch=True)
    assert (result.requests_per_s, result.output_tokens_per_s, result.goodput_per_s) == (1.0, 2.0, 0.75)
    assert result.growth is None
    # The last quarter of the makespan alone, in a run with a warm-up.
    assert summary(requests_table(arrived, ended), 6.0, warmup_s=5.0).window == Window(5.0, 6.0, True)


def test_a_batch_is_what_comes_within_a_tenth_of_the_time_in_which_nearly_all_ends() -> None:
    ids, facts = np.arange(20), {"warmup_s": 0.0, "horizon_s": None, "n_users": None}
    arrived, ended = np.linspace(0.0, 1.0, 20), np.arange(1.0, 21.0)
    assert steady_window(ids, arrived, ended, **facts) == Window(0.0, 20.0, is_batch=True)
    assert steady_window(ids, 2 * arrived, ended, **facts) == Window(0.0, 2.0)
    # One straggler, or one that never ends, makes no batch of what is answered as it comes.
    soon = arrived + 0.1
    soon[7] = 500.0
    assert steady_window(ids, arrived, soon, **facts) == Window(0.0, 1.0)
    assert steady_window(ids, arrived, np.full(20, np.nan), **facts) == Window(0.0, 1.0)
    # A horizon says itself over which stretch load is offered.
    assert steady_window(ids, arrived, ended, **facts | {"horizon_s": 5.0}) == Window(0.0, 5.0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("load", [0.3, 0.9, 3.0, 1e6])
@pytest.mark.parametrize("n_requests", [1, 2, 20])
def test_goodput_is_never_above_the_rate_of_completions(load: float, n_requests: int, seed: int) -> None:
    """Few requests without a horizon: many of them end after the last has arrived."""
    rng = np.random.default_rng(seed)
    arrived = np.cumsum(rng.exponential(1 / load, n_requests))
    ends = fifo_ends_s(arrived, rng.exponential(1.0, n_requests))
    table = requests_table(arrived, ends)
    some, every = (
        summary(table, float(ends.max()), objectives=Limits(e2e_s=limit_s)) for limit_s in (1.0, 1e9)
    )
    assert some.goodput_per_s <= some.requests_per_s == every.goodput_per_s
    if load == 1e6:
        assert every.requests_per_s == pytest.approx(n_requests / (ends.max() - arrived[0]))


def test_a_batch_is_not_marked_as_saturated() -> None:
    arrived = np.linspace(0.0, 1.0, 200)
    tables = [requests_table(arrived, np.arange(1.0, 201.0)) for _ in range(3)]
    (row,) = compare(summary(table, 200.0, replication=n) for n, table in enumerate(tables)).rows
    assert (row.is_batch, row.is_saturated, row.is_rate_set_by_arrivals) == (True, False, False)


@pytest.mark.parametrize(("load", "is_set"), [(0.5, True), (1.5, False)])
def test_rates_are_the_arrivals_where_all_is_answered_and_the_systems_where_it_is_not(
    load: float, is_set: bool
) -> None:
    summaries = []
    for replication in range(5):
        rng = np.random.default_rng(replication)
        arrived = np.cumsum(rng.exponential(1 / load, 2000))
        ends = fifo_ends_s(arrived, rng.exponential(1.0, 2000))
        summaries.append(summary(requests_table(arrived, ends), float(ends.max()), replication=replication))
    (row,) = compare(summaries).rows
    assert row.is_rate_set_by_arrivals == is_set
    assert row.is_saturated == (not is_set)
    estimate = row.estimates["requests_per_s"]
    assert estimate is not None
    assert estimate.low <= min(load, 1.0) <= estimate.high


def test_a_burst_an_hour_says_nothing_of_the_system() -> None:
    bursts = [requests_table(np.arange(3) * 3600.0, np.arange(3) * 3600.0 + 20.0) for _ in range(3)]
    summaries = [summary(table, 7220.0, replication=number) for number, table in enumerate(bursts)]
    (row,) = compare(summaries).rows
    assert row.is_rate_set_by_arrivals


def test_rates_of_a_strategy_that_refuses_and_of_users_who_wait_are_their_own() -> None:
    arrived, failed = np.arange(100.0), np.arange(100) % 10 == 0
    refusing = [
        summary(requests_table(arrived, arrived + 0.5, failed=failed), 100.0, replication=number)
        for number in range(2)
    ]
    assert not compare(refusing).rows[0].is_rate_set_by_arrivals
    waiting = [
        summary(requests_table(arrived, arrived + 0.5), 100.0, replication=number, n_users=1)
        for number in range(2)
    ]
    assert not compare(waiting).rows[0].is_rate_set_by_arrivals


@pytest.mark.slow
def test_a_million_requests_are_summarised_in_seconds() -> None:
    rng = np.random.default_rng(0)
    arrived = np.cumsum(rng.exponential(1.0, 1_000_000))
    ends = fifo_ends_s(arrived, rng.exponential(0.9, arrived.size))
    requests = requests_table(arrived, ends, seen_until_s=float(arrived[-1]))
    requests = requests.astype({"outcome": "category", "reason": "category", "beyond_measured": "boolean"})
    began_s = time.process_time()
    result = summary(requests, float(arrived[-1]), objectives=Limits(e2e_s=20.0))
    assert time.process_time() - began_s < 20.0
    assert result.outcomes.censored > 0
