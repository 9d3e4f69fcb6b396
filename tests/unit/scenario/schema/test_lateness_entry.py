"""Lateness as a scenario says it: what it stands for, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgesim.fields import AS_WRITTEN
from edgesim.model.lateness.laws import (
    EmpiricalLateness,
    ExponentialLateness,
    GammaLateness,
    LognormalLateness,
)
from edgesim.scenario.schema.lateness import LatenessEntry
from edgesim.scenario.schema.topology import DeviceEntry


@pytest.mark.parametrize(
    ("told", "law"),
    [
        ({"law": "none"}, None),
        ({"law": "exponential", "mean": "0.2 ms"}, ExponentialLateness(2e-4)),
        ({"law": "exponential", "median": "0.2 ms"}, ExponentialLateness.from_median(2e-4)),
        ({"law": "gamma", "mean": "0.2 ms", "spread": 0.5}, GammaLateness(2e-4, 0.5)),
        ({"law": "lognormal", "median": "0.2 ms", "spread": 2}, LognormalLateness.from_median(2e-4, 2.0)),
        ({"law": "empirical", "values": ["0 s", "1 ms"]}, EmpiricalLateness((0.0, 1e-3))),
    ],
)
def test_a_law_as_it_is_written(told, law) -> None:
    entry = LatenessEntry.model_validate(told)
    assert entry.value() == law
    written = entry.model_dump(mode="json", by_alias=True, exclude_none=True, context=AS_WRITTEN)
    assert LatenessEntry.model_validate(written).value() == law


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"law": "exponential"}, "expected either 'mean' or 'median'"),
        ({"law": "exponential", "mean": "1 ms", "median": "1 ms"}, "expected either 'mean' or 'median'"),
        ({"law": "exponential", "mean": "1 ms", "spread": 2}, "and nothing else"),
        ({"law": "gamma", "mean": "1 ms"}, "and 'spread'"),
        ({"law": "empirical", "mean": "1 ms"}, "expected 'values'"),
        ({"law": "none", "mean": "1 ms"}, "expected nothing else"),
        ({"law": "gamma", "mean": "1 ms", "spread": 1e-9}, "expected a spread"),
        ({"law": "gamma", "mean": 3}, "unit"),
        ({"law": "normal", "mean": "1 ms"}, "exponential"),
    ],
)
def test_what_is_no_law_is_refused(told, message) -> None:
    with pytest.raises(ValidationError, match=message):
        LatenessEntry.model_validate(told)


def test_a_device_says_so_beside_what_its_messages_cost() -> None:
    entry = DeviceEntry.model_validate(
        {
            "id": "pi",
            "kind": "raspberry-pi-5",
            "endpoint": {"overhead": "20 us", "latency": "0.2 ms"},
            "lateness": {"law": "exponential", "mean": "0.2 ms"},
        }
    )
    assert entry.endpoint is not None
    assert (entry.endpoint.overhead_s, entry.endpoint.latency_s) == (2e-5, 2e-4)
