"""Universal statements about groups that share every block, on worlds that Hypothesis makes up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from boards import meeting
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kept import kept

from edgesim.statistics.activities import Activity, activities
from edgesim.strategies.tensor_parallel import TensorParallel
from edgesim.trace.buffer import Parts
from edgesim.world.device import Endpoint
from edgesim.world.world import World

PARTS = list(Parts._fields)


@st.composite
def boards(draw: st.DrawFn) -> World:
    """Two to four boards round a switch, alike or not, whose messages cost something or nothing."""
    endpoint = Endpoint(
        overhead_s=draw(st.sampled_from([0.0, 3e-4])),
        staging_bytes_per_s=draw(st.sampled_from([np.inf, 1e7])),
        on_compute=draw(st.booleans()),
    )
    speeds = draw(st.lists(st.floats(0.2, 5.0), min_size=2, max_size=4))
    world = meeting(tuple(speeds), endpoint, n_requests=6)
    return replace(world, horizon_s=draw(st.sampled_from([None, 0.15])), seed=draw(st.integers(0, 100)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    there=boards(),
    scheme=st.sampled_from(["ring", "star"]),
    per_sum=st.sampled_from(["0 ms", "0.3 ms"]),
)
def test_a_groups_trace_obeys_the_laws_and_its_parts_add_up(
    there: World, scheme: str, per_sum: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    strategy = TensorParallel(over=("node",), all_reduce=scheme, per_sum=per_sum)
    trace = kept(there, strategy, tmp_path_factory.mktemp("trace"))
    assert trace.check() == []
    requests, spans, devices = trace.requests("one", 0), trace.spans("one", 0), trace.devices("one", 0)
    passes = spans[(spans["kind"] == "compute") & spans["ended_at_s"].notna()]
    # In every pass somebody or the root computes at any time that is neither summed nor handled.
    computing_s = passes["ended_at_s"] - passes["started_at_s"] - passes[PARTS].sum(axis=1)
    assert (computing_s >= -1e-12).all()
    both_s = computing_s + passes["straggler_s"]
    by_pass = both_s.groupby([passes["request_id"], passes["token"]])
    np.testing.assert_allclose(by_pass.min(), by_pass.max(), rtol=1e-9, atol=1e-12)
    if not there.devices["node-0"].endpoint.on_compute and not spans["ended_at_s"].isna().any():
        busy_s = computing_s.groupby(passes["device"], observed=True).sum()
        told = devices.set_index("device")["busy_s"]
        np.testing.assert_allclose(busy_s, told[busy_s.index.astype(str)], rtol=1e-9, atol=1e-12)
    parts = activities(requests, spans)
    own = requests.set_index("request_id").loc[parts.index]
    np.testing.assert_allclose(
        parts.sum(axis=1), own["ended_at_s"] - own["arrived_at_s"], rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(parts[Activity.OTHER], 0.0, atol=1e-9)
    assert (parts[Activity.WIRE] > 0).all()
    assert (parts >= -1e-12).all(axis=None)
