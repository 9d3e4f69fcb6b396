"""Of every shipped scenario and strategy, the parts of each request's latency add up to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from shipped import only

from edgesim.explain.breakdown import breakdown
from edgesim.explain.journey import journey
from edgesim.scenario.text.packaged import packaged_scenarios
from edgesim.trace.reader import Trace

SHORT = {
    "aircomp_assignment": ["workload.output_tokens=2", "workload.requests=1"],
    "aircomp_llama2": ["workload.output_tokens=2", "workload.requests=1"],
    "dto_ee": ["horizon=2 s", "warmup=0 s"],
    "dto_ee_dynamic": ["horizon=2 s", "warmup=0 s"],
    "edgeshard": ["workload.output_tokens=4"],
    "first_steps": ["horizon=20 s", "profile=analytic"],
    "home_cluster_pi": ["horizon=3 min", "warmup=0 s"],
    "mdi_nanollama": ["workload.output_tokens=20"],
    "rl_split": ["horizon=15 s", "warmup=0 s"],
    "rl_split_mobile": ["horizon=15 s", "warmup=0 s"],
    "smart_city": ["horizon=10 s", "warmup=0 s", "profile=analytic"],
}
"""What keeps a run to seconds; every shipped scenario has to be here."""


def test_none_is_left_out() -> None:
    assert SHORT.keys() == packaged_scenarios().keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_parts_add_up_to_every_latency(name: str, simulate: Callable[..., Trace]) -> None:
    trace = simulate(name, "replications=1", *SHORT[name], only=only(name))
    for label in trace.strategies:
        requests = trace.requests(label, 0)
        requests = requests[(requests["outcome"] == "completed").to_numpy()].sort_values("request_id")
        parts = breakdown(trace, label, 0)
        assert parts["request_id"].tolist() == requests["request_id"].tolist()
        latencies_s = (requests["ended_at_s"] - requests["arrived_at_s"]).to_numpy()
        seconds = parts.drop(columns="request_id").to_numpy()
        np.testing.assert_allclose(seconds.sum(axis=1), latencies_s, rtol=0, atol=1e-9)
        assert (seconds >= -1e-9).all()
        if len(parts):  # one of them, step by step, is the same
            last = int(parts["request_id"].iloc[-1])
            found = journey(trace, label, 0, last)
            expected = parts.drop(columns="request_id").iloc[-1]
            for part, total_s in found.parts_s().items():
                assert total_s == pytest.approx(expected[part], abs=1e-9)
            ends_s = found.steps["from_s"] + found.steps["seconds"]
            assert ends_s.max() <= float(requests["ended_at_s"].iloc[-1]) + 1e-9
