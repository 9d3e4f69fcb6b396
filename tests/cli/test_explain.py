from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from street import simulated, street

from edgesim.trace.reader import Trace

Edgesim = Callable[..., Any]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    text = street("{use: local}") + "  - {use: offload, to: box}\n"
    return simulated(text, tmp_path_factory.mktemp("explained") / "trace")


def test_it_says_where_time_went_and_what_bounds(edgesim: Edgesim, trace: Trace) -> None:
    said = edgesim("explain", trace.path)
    assert said.status == 0, said.err
    for word in ("computing", "queueing for compute", "local", "offload", "phone (compute)", "at most"):
        assert word in said.out
    content = json.loads(edgesim("explain", trace.path, "--json", "--strategy", "local").out)
    (label,) = content["strategies"]
    facts = content["strategies"][label]
    requests = [trace.requests("local", number) for number in trace.replications("local")]
    answered = [table[table["outcome"] == "completed"] for table in requests]
    latencies_s = [each for table in answered for each in table["ended_at_s"] - table["arrived_at_s"]]
    assert sum(facts["parts_s"].values()) == pytest.approx(sum(latencies_s) / len(latencies_s), abs=1e-9)
    assert facts["least_s"] == pytest.approx(facts["parts_s"]["computing"])
    # Whatever the placement, no less can be reached than with this one.
    assert facts["bounds"]["any_placement_per_s"] >= facts["bounds"]["most_per_s"] * 0.99


def test_it_follows_a_request(edgesim: Edgesim, trace: Trace) -> None:
    said = edgesim("explain", trace.path, "--request", 3, "--strategy", "offload")
    assert said.status == 0, said.err
    assert "phone > box" in said.out
    content = json.loads(edgesim("explain", trace.path, "--request", 3, "--json").out)
    row = trace.requests("offload", 0).set_index("request_id").loc[3]
    found = content["requests"]["offload"]
    assert sum(step["seconds"] for step in found["steps"]) == pytest.approx(
        row["ended_at_s"] - row["arrived_at_s"], abs=1e-9
    )


def test_it_advises(edgesim: Edgesim, trace: Trace) -> None:
    said = edgesim("explain", trace.path, "--strategy", "local", "--advice", "--budget", 30, "--quiet")
    assert said.status == 0, said.err
    assert "phone computes twice as fast" in said.out
    assert "--set 'topology.devices[0].speed=2'" in said.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--request", 10**6), "no request 1000000 under local"),
        (("--strategy", "other"), "no complete run of 'other'; expected one of local, offload"),
        (("--request", 1, "--replication", 7), "no complete replication 7 of local; expected one of 0, 1"),
        (("--advice", "--request", 1), "--advice: it is for all requests of a strategy"),
        (("--advice", "--budget", 2), "--budget: expected 8 runs or more"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(
    edgesim: Edgesim, trace: Trace, words: tuple[object, ...], expected: str
) -> None:
    said = edgesim("explain", trace.path, "--quiet", *words)
    assert said.status == 2
    assert expected in said.err
    assert "Traceback" not in said.err


def test_a_folder_without_a_trace_is_refused(edgesim: Edgesim, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        said = edgesim("explain", folder)
        assert said.status == 2
        assert "Traceback" not in said.err
