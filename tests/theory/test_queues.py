"""Stations against queueing theory: means inside Student-t intervals, paths against Lindley's recursion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from effort import long_only, sized
from miniature import Serve, run
from queues import (
    TICK_S,
    Exponential,
    assert_inside_student_t,
    farm,
    least_work,
    replicate,
    sojourns_s,
    tandem,
)
from scipy import stats

from edgesim.workload.lengths import Fixed

N_REPLICATIONS = 10
N_REQUESTS = sized(8_000, 20_000)
DETERMINISTIC = Fixed(round(1.0 / TICK_S))


def mean_sojourn_s(
    n_servers: int, rate_hz: float, service: object, strategy: object, n_requests: int
) -> list[float]:
    def simulate(replication: int) -> float:
        there = farm(n_servers, rate_hz, service, n_requests, replication)
        return float(sojourns_s(run(there, Serve(strategy), keep_spans=False)).mean())

    return replicate(simulate, N_REPLICATIONS)


def erlang_c_wait_s(n_servers: int, load: float) -> float:
    """Mean wait of M/M/c with unit service (Erlang 1917): C(c, a) / (c - a)."""
    terms = [load**k / math.factorial(k) for k in range(n_servers)]
    last = load**n_servers / math.factorial(n_servers) * n_servers / (n_servers - load)
    return last / (sum(terms) + last) / (n_servers - load)


def test_m_m_1() -> None:
    """Mean time in the system 1 / (mu - lambda)."""
    assert_inside_student_t(mean_sojourn_s(1, 0.6, Exponential(), least_work, N_REQUESTS), 1 / (1 - 0.6))


def test_m_d_1() -> None:
    """Pollaczek-Khinchine: half the wait of M/M/1."""
    rho = 0.7
    assert_inside_student_t(
        mean_sojourn_s(1, rho, DETERMINISTIC, least_work, N_REQUESTS), 1 + rho / (2 * (1 - rho))
    )


@pytest.mark.parametrize("n_servers", [2, pytest.param(5, marks=long_only("half a minute"))])
def test_m_m_c(n_servers: int) -> None:
    """Erlang C."""
    load = 0.7 * n_servers
    values = mean_sojourn_s(n_servers, load, Exponential(), least_work, N_REQUESTS)
    assert_inside_student_t(values, 1 + erlang_c_wait_s(n_servers, load))


def test_three_hop_tandem() -> None:
    """Burke, Jackson: three independent M/M/1 queues in a row, each 1 / (mu - lambda)."""
    assert_inside_student_t(mean_sojourn_s(3, 0.6, Fixed(1), tandem, N_REQUESTS // 2), 3 / (1 - 0.6))


def test_a_station_is_lindleys_recursion_path_by_path() -> None:
    """W[n+1] = max(0, W[n] + S[n] - A[n+1]), on the same draws, to 1e-9."""
    there = farm(1, 0.9, Exponential(), N_REQUESTS, 0)
    waits_s = sojourns_s(run(there, Serve(least_work)), warmup=0.0)
    asked = list(there.requests())
    wait_s, last = 0.0, None
    expected_s = []
    for request in asked:
        if last is not None:
            gap_s = request.arrived_at_s - last.arrived_at_s
            wait_s = max(0.0, wait_s + last.n_prompt_tokens * TICK_S - gap_s)
        expected_s.append(wait_s + request.n_prompt_tokens * TICK_S)
        last = request
    assert np.max(expected_s) > 20  # long queues do build up
    np.testing.assert_allclose(waits_s, expected_s, rtol=0, atol=1e-9)


def test_several_servers_are_kiefer_and_wolfowitzs_recursion_path_by_path() -> None:
    """One queue before c servers: the ordered vector of workloads, on the same draws, to 1e-9."""
    n_servers = 3
    there = farm(n_servers, 2.7, Exponential(), N_REQUESTS, 0)
    sojourn_s = sojourns_s(run(there, Serve(least_work), keep_spans=False), warmup=0.0)
    work_s, last_at_s, expected_s = [0.0] * n_servers, 0.0, []
    for request in there.requests():
        work_s = sorted(max(0.0, w - (request.arrived_at_s - last_at_s)) for w in work_s)
        work_s[0] += request.n_prompt_tokens * TICK_S
        expected_s.append(work_s[0])
        last_at_s = request.arrived_at_s
    np.testing.assert_allclose(sojourn_s, expected_s, rtol=0, atol=1e-9)


def test_littles_law_with_the_number_present_seen_by_an_observer() -> None:
    """L = lambda W: L from a process that looks every second, W from the requests' own instants."""
    horizon_s, rate_hz = 20_000.0, 0.8

    def simulate(replication: int) -> tuple[float, float]:
        seen: list[int] = []

        def look(cluster):
            while True:
                yield from cluster.sleep(1.0)
                seen.append(cluster.observe().n_requests("s-0"))

        there = farm(1, rate_hz, Exponential(), 1, replication)
        workload = replace(there.workload, n_requests=None, horizon_s=horizon_s)
        ran = run(
            replace(there, workload=workload, horizon_s=horizon_s), Serve(least_work, look), keep_spans=False
        )
        told = ran.requests
        present_s = (told["ended_at_s"].fillna(horizon_s) - told["arrived_at_s"]).sum()
        return float(np.mean(seen)), float(present_s) / horizon_s

    pairs = [simulate(replication) for replication in range(N_REPLICATIONS)]
    mean_present = float(np.mean([present for present, _ in pairs]))
    differences = [seen - present for seen, present in pairs]
    half_width = float(stats.sem(differences) * stats.t.ppf(0.995, len(differences) - 1))
    assert abs(float(np.mean(differences))) <= half_width
    assert half_width < 0.01 * mean_present
    assert_inside_student_t([present for present, _ in pairs], rate_hz / (1 - rate_hz))
