"""Capacities against M/D/1, and how looks are judged."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy.optimize import brentq
from sweeping import PAIR, RATE, contents, swept

import edgesim
from edgesim.errors import InputError
from edgesim.sweep.bracket import Verdict
from edgesim.sweep.capacity import Search
from edgesim.sweep.goals import Goal, judge

ONE = {
    **PAIR,
    "topology": {"devices": [{"id": "phone", "kind": "raspberry-pi-4b"}]},
    "workload": {"arrivals": {"poisson": "4 Hz"}, "prompt_tokens": 24, "output_tokens": 1, "requests": 400},
    "strategies": [{"use": "local"}],
}


def waits_no_longer(rate_hz: float, service_s: float, wait_s: float) -> float:
    """P(W <= w) in M/D/1, FIFO (Erlang 1909)."""
    terms = [
        (rate_hz * (k * service_s - wait_s)) ** k
        / math.factorial(k)
        * math.exp(-rate_hz * (k * service_s - wait_s))
        for k in range(int(wait_s / service_s) + 1)
    ]
    return (1 - rate_hz * service_s) * math.fsum(terms)


@pytest.mark.slow
def test_the_capacity_of_m_d_1_is_within_its_interval(tmp_path: Path) -> None:
    lone = edgesim.run({**ONE, "workload": {**ONE["workload"], "requests": 1}}, tmp_path / "lone", quiet=True)
    service_s = float(lone.summary()["e2e_mean_s"].iloc[0])
    limit_s, share = 4 * service_s, 0.9
    # Half of all loads is met by more than nine in ten; the root lies between there and saturation.
    exact_hz = brentq(
        lambda rate_hz: waits_no_longer(rate_hz, service_s, limit_s - service_s) - share,
        0.1 / service_s,
        0.99 / service_s,
    )
    scenario = {**ONE, "objectives": {"e2e": f"{1000 * limit_s} ms"}}
    asked = {
        "scenario": scenario,
        "values": {},
        "capacity": f"{RATE}={0.3 / service_s:.5g}..{1.5 / service_s:.5g} Hz",
        "attain": share,
        "resolution": 0.02,
    }
    out = swept(tmp_path / "out", **asked)
    found = out.capacities()
    assert found is not None
    (row,) = found.to_dict("records")
    assert row["low"] <= exact_hz <= row["high"]
    assert row["high"] - row["low"] < 0.25 * exact_hz  # else it would prove nothing
    assert row["limited_by"] == "objectives"
    looks = out.record["capacities"][0]["looks"]
    assert looks[-1]["saturated"]  # half as much again as a server can do
    assert not any(look["saturated"] for look in looks if look["value"] * service_s < 0.8)
    # Resumed from the first of its rounds, it looks at the same loads.
    before = contents(out.path)
    for cell in range(3, len(out.record["cells"])):
        for file in (out.path / f"results/cell={cell}").glob("*.parquet"):
            file.unlink()
    again = swept(out.path, **asked, resume=True)
    assert contents(again.path) == before
    assert again.record["capacities"] == out.record["capacities"]


def rows(values, **more):
    return [
        {"attainment": v, "attainment_at_least": v, "attainment_at_most": v, "offered": 500, "e2e_p95_s": v}
        | {"growth": [], "growth_n_arrived": 0}
        | more
        for v in values
    ]


def test_a_look_is_judged_by_its_interval() -> None:
    attain = Goal.attain(0.9)
    assert judge(rows([0.95, 0.96, 0.94]), attain).verdict is Verdict.MEETS
    assert judge(rows([0.85, 0.86, 0.84]), attain).verdict is Verdict.MISSES
    assert judge(rows([0.85, 0.95, 0.92]), attain).verdict is Verdict.OPEN
    assert judge(rows([1.0, 1.0, 1.0]), attain).verdict is Verdict.MEETS
    growing = {"growth": [9, 8, 10, 9, 11, 9], "growth_n_arrived": 100}
    assert judge(rows([1.0, 1.0, 1.0], **growing), attain).verdict is Verdict.MISSES
    assert judge(rows([1.0, 1.0, 1.0], **growing), attain).is_saturated
    # Requests that are undecided could meet, or miss.
    undecided = rows([math.nan] * 3, attainment_at_least=0.85, attainment_at_most=0.95)
    assert judge(undecided, attain).verdict is Verdict.OPEN


def test_a_limit_of_a_latency_is_judged_likewise() -> None:
    goal = Goal.parse("e2e_p95_s <= 0.5")
    assert judge(rows([0.4, 0.41, 0.39]), goal).verdict is Verdict.MEETS
    assert judge(rows([0.6, 0.61, 0.59]), goal).verdict is Verdict.MISSES
    assert judge(rows([0.4, 0.6, 0.5]), goal).verdict is Verdict.OPEN
    assert judge(rows([0.4, math.nan, 0.4]), goal).verdict is Verdict.MISSES  # some were never answered
    assert Goal.parse("attainment≥0.9").is_least


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rate", "expected path=LOW..HIGH"),
        ("a.rate=1 Hz", "expected path=LOW..HIGH"),
        ("a.rate=1 Hz..2 kHz", "expected path=LOW..HIGH"),
        ("a.rate=2..1 Hz", "the lower one first"),
        ("a.rate=0..1 Hz", "positive numbers"),
    ],
)
def test_a_range_is_read_or_refused(text: str, told: str) -> None:
    assert Search.parse("a.rate=0.5..2 Hz", Goal.attain(0.9)).written(0.75) == "0.75 Hz"
    assert Search.parse("a.n=1.0..16", Goal.attain(0.9)).written(4.5) == "4.5"
    for range_, is_whole in (("1..16", True), ("1.0..16", False), ("1..16 Hz", False), ("1..1e2", False)):
        assert Search.parse(f"a.n={range_}", Goal.attain(0.9)).is_whole == is_whole
    with pytest.raises(InputError, match=told):
        Search.parse(text, Goal.attain(0.9))


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    out, load = tmp_path / "out", f"{RATE}=1..2 Hz"
    for options, told in (
        ({"attain": 0.9}, "only valid with a search for capacity"),
        ({"capacity": load}, "expected exactly one goal"),
        ({"capacity": load, "attain": 0.9, "meets": "e2e_p95_s<=1"}, "expected exactly one goal"),
        ({"capacity": load, "attain": 99}, "expected a share between 0 and 1"),
        ({"capacity": load, "meets": "e2e_p95<=1"}, "no metric 'e2e_p95'"),
        ({"capacity": load, "attain": 0.9, "replications": 1}, "expected 2 or more"),
        ({"capacity": load, "meets": "requests_per_s>=2"}, "requests_per_s rises with the load.*--attain"),
        ({"capacity": load, "meets": "output_tokens_per_s>=2"}, "rises with the load"),
        ({"capacity": load, "meets": "goodput_per_s≥2"}, "rises with the load"),
        ({"cases": {"more": ["replications=3"]}}, "--case more: .* give --replications"),
        ({"capacity": load, "attain": 0.9, "until": "e2e_mean_s±2%"}, "leave one of them out"),
        ({"capacity": load, "attain": 0.9, "values": {RATE: ["1 Hz"]}}, "is swept as well"),
        ({"at_most": 20}, "only valid with a precision"),
        ({"until": "e2e_mean_s±2%", "replications": 4}, "it sets the number of replications"),
        ({"keep": "all"}, "no choice 'all'"),
        ({"values": {"replications": [1, 2]}}, "give --replications"),
        ({"dask": "local:x"}, "expected a number of processes"),
        ({"dask": "local:2", "jobs": 2}, "leave one of them out"),
        ({"jobs": 0}, "at least 1 process"),
        (
            {"capacity": load, "attain": 0.9, "scenario": {**PAIR, "objectives": {}}},
            "the scenario has no objectives",
        ),
    ):
        with pytest.raises(InputError, match=told):
            swept(out, **{"values": {}, **options})
        assert not out.exists()


def test_a_search_over_whole_numbers_looks_at_no_others(tmp_path: Path) -> None:
    out = swept(
        tmp_path / "out",
        {},
        capacity="workload.output_tokens=1..40",
        meets="e2e_mean_s<=0.05",
        replications=2,
    )
    looks = {look["value"] for each in out.record["capacities"] for look in each["looks"]}
    assert {1.0, 40.0} < looks
    assert all(value.is_integer() for value in looks)
