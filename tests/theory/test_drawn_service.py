"""Service that is drawn at each visit, against queueing theory: means and paths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from effort import sized
from miniature import PerBlock, Serve, device, run
from queues import ONE_BLOCK, assert_inside_student_t, farm, replicate, sojourns_s

from edgesim.rng import key_of, keyed_uniform
from edgesim.workload.lengths import Fixed
from edgesim.world.discipline import ServingDiscipline
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.service import Exponential, GammaService, ServiceLaw
from edgesim.world.world import World

pytestmark = pytest.mark.slow

N_REPLICATIONS = sized(6, 10)
N_REQUESTS = 10_000


def drawn(
    n_servers: int,
    rate_hz: float,
    law: ServiceLaw | None,
    replication: int,
    *,
    serving: ServingDiscipline | None = None,
    n_requests: int = N_REQUESTS,
) -> World:
    """Servers whose passes take a second in the mean."""
    there = farm(n_servers, rate_hz, Fixed(1), n_requests, replication)
    return replace(
        there,
        devices={
            f"s-{i}": device(f"s-{i}", PerBlock(1.0), service=law, serving=serving) for i in range(n_servers)
        },
    )


def visit_all(request, cluster):
    """The same pass at every server in turn; links cost nothing."""
    token = next(request.tokens())
    for server in sorted(cluster.hosts):
        yield from cluster.send(request, request.source, server, request.prompt_bytes)
        yield from cluster.compute(request, server, ONE_BLOCK, token)
    yield from cluster.emit(request, request.source, token)


def means_s(n_servers: int, rate_hz: float, law: ServiceLaw | None, serving: ServingDiscipline | None = None):
    """Mean sojourn [s] by replication."""

    def simulate(replication: int) -> float:
        there = drawn(n_servers, rate_hz, law, replication, serving=serving)
        return float(sojourns_s(run(there, Serve(visit_all), keep_spans=False)).mean())

    return replicate(simulate, N_REPLICATIONS)


RHO = 0.5


@pytest.mark.parametrize(
    "law",
    [None, Exponential(), GammaService.from_cv(0.5), GammaService.from_cv(2.0)],
    ids=["M/D/1", "M/M/1", "M/G/1, cv 0.5", "M/G/1, cv 2"],
)
def test_one_station_is_pollaczek_and_khinchines(law: ServiceLaw | None) -> None:
    """Mean wait rho (1 + c^2) / (2 (1 - rho)) before a mean service of one second."""
    scv = 0.0 if law is None else law.scv
    wait_s = RHO * (1 + scv) / (2 * (1 - RHO))
    assert_inside_student_t(means_s(1, RHO, law), 1 + wait_s)


def test_mean_wait_of_m_m_1_apart_from_service() -> None:
    """rho / (1 - rho), and one second of service: the two are told apart by the spans."""

    def simulate(replication: int) -> tuple[float, float]:
        spans = run(drawn(1, RHO, Exponential(), replication), Serve(visit_all)).spans
        spans = spans[spans["kind"] == "compute"].iloc[N_REQUESTS // 10 :]
        return (
            float((spans["started_at_s"] - spans["asked_at_s"]).mean()),
            float((spans["ended_at_s"] - spans["started_at_s"]).mean()),
        )

    told = [simulate(replication) for replication in range(N_REPLICATIONS)]
    assert_inside_student_t([wait for wait, _ in told], RHO / (1 - RHO))
    assert_inside_student_t([service for _, service in told], 1.0)


def test_three_stations_in_a_row_have_product_form() -> None:
    """Burke, Jackson: drawn anew at each visit, three independent M/M/1 queues, each 1 / (mu - lambda)."""
    values = means_s(3, 0.6, Exponential())
    assert_inside_student_t(values, 3 / (1 - 0.6))


def test_processor_sharing_knows_the_mean_alone() -> None:
    """Sojourn E[S] / (1 - rho), whatever the law (Sakata, Noguchi and Oizumi 1971)."""
    values = means_s(1, RHO, GammaService.from_cv(0.5), ProcessorSharing())
    assert_inside_student_t(values, 1 / (1 - RHO))


@pytest.mark.parametrize("law", [Exponential(), GammaService.from_cv(2.0)], ids=str)
def test_a_row_of_stations_is_lindleys_recursion_path_by_path(law: ServiceLaw) -> None:
    """D[n, k] = max(D[n, k-1], D[n-1, k]) + S[n, k] on the same draws, to 1e-9."""
    n_servers, n_requests = 3, 5_000
    there = drawn(n_servers, 0.9, law, 0, n_requests=n_requests)
    sojourn_s = sojourns_s(run(there, Serve(visit_all), keep_spans=False), warmup=0.0)
    left_at_s = [0.0] * n_servers
    expected_s = []
    for request in there.requests():
        at_s = request.arrived_at_s
        for k in range(n_servers):
            key = key_of(there.seed, 0, "service", f"s-{k}", request.id, 0, 0, str(ONE_BLOCK), 0)
            service_s = law.factor(keyed_uniform(key, 0))
            left_at_s[k] = at_s = max(at_s, left_at_s[k]) + service_s
        expected_s.append(at_s - request.arrived_at_s)
    assert np.max(expected_s) > 20  # long queues do build up
    np.testing.assert_allclose(sojourn_s, expected_s, rtol=0, atol=1e-9)
