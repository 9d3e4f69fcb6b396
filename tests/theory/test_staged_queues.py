"""Stages of servers against queueing theory: product form, and M/D/1 with Lindley's recursion behind it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from effort import long_only
from miniature import Tables, run
from queues import assert_inside_student_t, replicate, sojourns_s
from scipy import stats
from staged import city, stages_of

from edgesim.strategies.early_exit import EarlyExit
from edgesim.strategies.early_exit.network import network_of
from edgesim.strategies.early_exit.placement import Staged
from edgesim.strategy import Fleet
from edgesim.world.service import Exponential, ServiceLaw

pytestmark = pytest.mark.slow

# One fast server and four slow ones at each of three stages.
SERVICE_S = ([0.02, 0.1, 0.1, 0.1, 0.1],) * 3
HOP_S = 0.001


def simulated(
    rate_hz: float, law: ServiceLaw | None, n_requests: int, replication: int, *, keep_spans: bool = False
) -> tuple[Tables, Staged, list[tuple[str, float, float]]]:
    """A run under fixed rows, and each server's name, service time and rate by those rows."""
    there = city(
        SERVICE_S,
        2,
        rate_hz=rate_hz,
        hop_s=HOP_S,
        law=law,
        n_requests=n_requests,
        replication=replication,
    )
    strategy = EarlyExit(offloading="optimum", stages=stages_of(there))
    fleet = Fleet.of(there)
    placement = strategy.place(there.model, fleet)
    network = network_of(placement.layout, fleet, "links")
    # Rates by a loop over links of our own, stage by stage.
    rates = dict(zip(network.names, network.arrivals_per_s.tolist(), strict=True))
    for tail, head, p in zip(network.tail.tolist(), network.head.tolist(), placement.plan, strict=True):
        rates[network.names[head]] += rates[network.names[tail]] * p
    servers = [
        (name.partition("/")[2], float(service_s), rates[name])
        for name, service_s in zip(network.names, network.service_s, strict=True)
        if service_s > 0
    ]
    return run(there, strategy, placement, keep_spans=keep_spans), placement, servers


@pytest.mark.parametrize(
    ("rate_hz", "least_load", "n_requests"),
    [
        pytest.param(40.0, 0.6, 11_000),
        pytest.param(55.0, 0.74, 16_000, marks=long_only("a minute")),
        pytest.param(
            76.0,
            0.895,
            80_000,
            marks=long_only("five minutes"),
        ),
    ],
)
def test_drawn_service_has_product_form(rate_hz: float, least_load: float, n_requests: int) -> None:
    """Jackson 1957: M/M/1 queues side by side, mean sojourn sum_j rho_j / (1 - rho_j) / Phi, and the links.

    The busiest server is loaded at least as said, and the interval's half-width is 2 % at most.
    """
    values: list[float] = []
    for replication in range(10):
        tables, _, servers = simulated(rate_hz, Exponential(), n_requests, replication)
        loads = [service_s * rate for _, service_s, rate in servers]
        assert max(loads) > least_load
        theory_s = sum(rho / (1 - rho) for rho in loads) / rate_hz + 3 * HOP_S
        values.append(float(sojourns_s(tables).mean()))
    half_width = float(stats.sem(values)) * stats.t.ppf(0.975, len(values) - 1)
    assert half_width <= 0.02 * theory_s
    assert_inside_student_t(values, theory_s)


def test_constant_service_is_m_d_1_at_the_first_stage() -> None:
    """Mean wait rho s / (2 (1 - rho)): Poisson arrivals, split at random (Pollaczek and Khinchine)."""

    def wait_s(replication: int) -> float:
        spans, servers = _spans(replication)
        first = spans[spans["device"].isin([name for name, _, _ in servers[:5]])]
        return float((first["started_at_s"] - first["asked_at_s"]).mean())

    _, servers = _spans(0)
    total = sum(rate for _, _, rate in servers[:5])
    expected_s = sum(
        rate / total * rate * service_s**2 / (2 * (1 - rate * service_s))
        for _, service_s, rate in servers[:5]
    )
    assert_inside_student_t(replicate(wait_s, 6), expected_s)


def test_behind_it_is_lindleys_recursion() -> None:
    """Each server of later stages, fed with the arrivals that the trace tells: the same instants."""
    spans, servers = _spans(0)
    for name, service_s, _ in servers[5:]:
        at_s = spans.loc[spans["device"] == name, ["asked_at_s", "ended_at_s"]].sort_values("asked_at_s")
        np.testing.assert_allclose(at_s["ended_at_s"], _lindley(at_s["asked_at_s"], service_s), rtol=1e-12)


def _lindley(arrivals_s: Sequence[float], service_s: float) -> list[float]:
    """When each of the arrivals leaves a server of one speed, first come, first served."""
    left_at_s, departures_s = 0.0, []
    for at_s in arrivals_s:
        left_at_s = max(left_at_s, at_s) + service_s
        departures_s.append(left_at_s)
    return departures_s


@cache  # both tests begin with the first
def _spans(replication: int):
    tables, _, servers = simulated(70.0, None, 8_000, replication, keep_spans=True)
    spans = tables.spans
    return spans[spans["kind"] == "compute"], servers
