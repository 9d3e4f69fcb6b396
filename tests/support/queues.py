"""Queues made of edgesim's own stations, and the arithmetic they are held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from miniature import PerBlock, Serve, Tables, device, model, run, world
from scipy import stats

from edgesim.engine.token import Token
from edgesim.model.architecture import Slice
from edgesim.workload.arrivals import Poisson
from edgesim.world.link import Link
from edgesim.world.world import World

TICK_S = 1e-7
"""Service times are whole numbers of ticks, as many as the tokens of a made-up pass."""

ONE_BLOCK = Slice(0, 1, embedding=True, head=True)


@dataclass(frozen=True)
class Exponential:
    """Service in ticks: exponential with a mean of one second."""

    @property
    def mean(self) -> float:
        return 1.0 / TICK_S

    @property
    def longest(self) -> None:
        return None

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return np.ceil(rng.standard_exponential(n) / TICK_S).astype(np.int64)


def independent_service_s(sample: int, stage: int) -> float:
    """An exponential of mean one that depends on the request and the stage alone (splitmix64)."""
    z = (sample * 0x9E3779B97F4A7C15 + (stage + 1) * 0xD1B54A32D192ED03) & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return -math.log(((z ^ (z >> 31)) + 1) / 2**64)


def farm(n_servers: int, rate_hz: float, service: object, n_requests: int, replication: int) -> World:
    """Servers of unit speed that all sources reach for nothing."""
    devices = [device(f"s-{i}", PerBlock(TICK_S)) for i in range(n_servers)]
    links = [Link(between=("s-0", f"s-{i}"), rate_bps=math.inf) for i in range(1, n_servers)]
    return world(
        devices,
        links,
        arrivals=Poisson(rate_hz),
        prompt=service,
        n_requests=n_requests,
        architecture=model(1),
        replication=replication,
    )


def least_work(request, cluster):
    """Join the server with the least work: in law and path by path, one queue before all of them."""
    state = cluster.observe()
    server = min(sorted(cluster.hosts), key=state.backlog_s)
    token = next(request.tokens())
    yield from cluster.send(request, request.source, server, request.prompt_bytes)
    yield from cluster.compute(request, server, ONE_BLOCK, token)
    yield from cluster.emit(request, server, token)


def tandem(request, cluster):
    """Visit every server in turn, with independent services."""
    for stage, server in enumerate(sorted(cluster.hosts)):
        yield from cluster.send(request, request.source, server, request.prompt_bytes)
        n_ticks = math.ceil(independent_service_s(request.sample, stage) / TICK_S)
        yield from cluster.compute(request, server, ONE_BLOCK, Token(0, n_ticks, 0, 0, True))
    yield from cluster.emit(request, request.source, next(request.tokens()))


def sojourns_s(ran: Tables, warmup: float = 0.1) -> np.ndarray:
    """Times in the system, in the order of arrival, the first requests left out."""
    told = ran.requests.sort_values("request_id")
    times_s = (told["ended_at_s"] - told["arrived_at_s"]).to_numpy()
    return times_s[int(warmup * len(times_s)) :]


def replicate(simulate: Callable[[int], float], n_replications: int) -> list[float]:
    return [simulate(replication) for replication in range(n_replications)]


def assert_inside_student_t(values: Sequence[float], theory: float, confidence: float = 0.99) -> None:
    """The theoretical mean lies in the interval that independent replications give."""
    mean, error = float(np.mean(values)), float(stats.sem(values))
    half_width = error * stats.t.ppf(0.5 + confidence / 2, len(values) - 1)
    assert abs(mean - theory) <= half_width, f"{mean:.4f} ± {half_width:.4f}, theory says {theory:.4f}"
    # An interval so wide that it holds anything would prove nothing.
    assert half_width < 0.1 * theory, f"the interval ± {half_width:.4f} is too wide to prove {theory:.4f}"


__all__ = [
    "Exponential",
    "Serve",
    "assert_inside_student_t",
    "farm",
    "least_work",
    "replicate",
    "run",
    "sojourns_s",
    "tandem",
]
