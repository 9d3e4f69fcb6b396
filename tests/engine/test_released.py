"""A run's memory is free again when the run has been let go of, without the garbage collector's help."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from miniature import PerBlock, Serve, device, model, run, world

from edgesim.engine.world import Link
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.lengths import Fixed


def offloading(request: Any, cluster: Any) -> Iterator[Any]:
    yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes)
    for token in request.tokens():
        yield from cluster.compute(request, "b-0", model().whole, token)
        yield from cluster.emit(request, "b-0", token)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("cooldown_s", [0.0, 5.0])
def test_a_run_leaves_nothing_to_the_garbage_collector(cooldown_s: float, no_collector: None) -> None:
    """Thousands of replications in one process would otherwise pile up: collections are seldom."""
    there = world(
        [device("a-0"), device("b-0", PerBlock(0.1))],
        [Link(between=("a-0", "b-0"), rate_bps=8e6)],
        arrivals=Deterministic(1.0),
        output=Fixed(4),
        n_requests=None,
        horizon_s=8.0 + cooldown_s,
    )
    ran = run(replace(there, horizon_s=8.0, cooldown_s=cooldown_s), Serve(offloading))
    assert "censored" in set(ran.requests["outcome"])  # requests in flight hold on to the run, too
    cluster = weakref.ref(ran.cluster)
    del ran
    assert cluster() is None
