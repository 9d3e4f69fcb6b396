"""What a run says of the errors of its analog sums: a median, and a mean only where there is one."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from edgesim.statistics.sum_errors import sum_errors
from edgesim.trace.reader import Trace

Simulate = Callable[..., Trace]

QUICK = ("workload.requests=3", "workload.output_tokens=2", "replications=3", "quality=null")
SINGLE = "topology.links[0].over_the_air.antennas={station: 1, terminal: 1}"


def inverted(way: str, *more: str) -> tuple[str, ...]:
    return (*QUICK, SINGLE, f"strategies.aircomp-4.transceiver={way}", *more)


def test_many_antennas_have_a_mean_and_it_stands_beside_the_median(simulate: Simulate) -> None:
    trace = simulate("aircomp_llama2", *QUICK, only=("aircomp-2", "digital-2", "uncoded-2"))
    told = sum_errors(trace)
    assert [each.strategy for each in told] == ["aircomp-2", "uncoded-2"]  # digital sums have no such error
    for each in told:
        errors = [trace.requests(each.strategy, r)["error_variance"].to_numpy() for r in range(3)]
        assert each.mean == pytest.approx(float(np.mean(errors)))
        assert each.estimate.median == pytest.approx(np.exp(np.mean(np.log(np.median(errors, axis=1)))))
        assert each.why == ""
        assert f"mean {each.mean:.3g}" in str(each)
        assert json.dumps(each.as_json())


@pytest.mark.parametrize(
    ("way", "more", "exists"),
    [
        ("channel-inversion", (), False),
        ("truncated-inversion", (), True),
        ("truncated-inversion", ("strategies.aircomp-4.truncation=0",), False),
        ("least-error", (), True),
        ("first-order", (), False),  # one stream between single antennas: nothing to choose
    ],
)
def test_single_antennas_have_a_mean_where_deep_fades_are_not_undone(
    simulate: Simulate, way: str, more: tuple[str, ...], exists: bool
) -> None:
    (told,) = sum_errors(simulate("aircomp_llama2", *inverted(way, *more), only=("aircomp-4",)))
    assert (told.mean is not None) == exists
    assert told.estimate.low is not None
    assert told.estimate.low <= told.estimate.median
    if not exists:
        assert f"no mean: with {way} the error is proportional to the inverse gain" in str(told)
        assert "infinite for 1 stream from 1 to 1 antennas" in str(told)
        assert told.as_json()["mean"] is None
