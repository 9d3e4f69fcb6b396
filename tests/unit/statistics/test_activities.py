from __future__ import annotations

import numpy as np
import pandas as pd

from edgesim.statistics.activities import Activity, activities
from edgesim.strategies.offload import Offload
from edgesim.testing import worlds
from edgesim.world.fleet import Fleet


def tables(*spans: tuple[str, float, float, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One request that lives from 1 to 11 s, and its spans: kind, asked, started, ended."""
    requests = pd.DataFrame(
        {"request_id": [7], "outcome": ["completed"], "arrived_at_s": [1.0], "ended_at_s": [11.0]}
    )
    rows = pd.DataFrame(spans, columns=["kind", "asked_at_s", "started_at_s", "ended_at_s"])
    links = rows["kind"].map({"send": "wired"})
    parts = dict.fromkeys(["straggler_s", "air_s", "wire_s", "handling_s"], 0.0)
    return requests, rows.assign(request_id=7, token=0, link_kind=links, **parts)


def test_a_life_by_hand() -> None:
    requests, spans = tables(
        ("wait", 1.0, 1.0, 2.0),
        ("send", 2.0, 2.5, 4.0),
        ("endpoint", 4.0, 4.0, 4.5),
        ("compute", 4.5, 6.0, 8.0),
        ("send", 8.0, 8.0, 9.0),  # the first token on its way, while the second is computed:
        ("compute", 8.0, 8.5, 10.0),
    )
    (row,) = activities(requests, spans).to_dict("records")
    assert row == {
        "waiting for memory": 1.0,
        "queueing for network": 0.5,
        "on wires": 1.5 + 0.5,
        "handling messages": 0.5,
        "queueing for compute": 1.5,
        "computing": 3.5,
        "other": 1.0,
    } | dict.fromkeys(["waiting for the slowest", "on the air", "on recorded links"], 0.0)


def test_hops_are_told_apart_by_their_links() -> None:
    requests, spans = tables(*[("send", at_s, at_s, at_s + 1.0) for at_s in (1.0, 2.0, 3.0, 4.0)])
    spans["link_kind"] = ["radio", "wired", "recorded", "radio"]
    (row,) = activities(requests, spans).to_dict("records")
    assert {activity: told for activity, told in row.items() if told} == {
        "on the air": 2.0,
        "on wires": 1.0,
        "on recorded links": 1.0,
        "other": 6.0,
    }


def test_a_group_by_hand() -> None:
    """Two members, and a pass of 8 s: one computes for 2 s, the other for half of that; 5 s are on the air.

    The first token comes home while the second is computed, which counts as a pass alone.
    """
    requests, spans = tables(
        ("compute", 1.0, 2.0, 10.0),
        ("compute", 1.0, 2.0, 10.0),
        ("all_reduce", 1.0, 2.0, 10.0),
        ("all_reduce", 1.0, 2.0, 10.0),
        ("send", 9.0, 9.0, 10.5),
    )
    spans.loc[2:3, "link_kind"] = "radio"
    spans.loc[0, ["straggler_s", "air_s", "handling_s"]] = 0.0, 5.0, 1.0
    spans.loc[1, ["straggler_s", "air_s", "handling_s"]] = 1.0, 5.0, 1.0
    (row,) = activities(requests, spans).to_dict("records")
    assert {activity: told for activity, told in row.items() if told} == {
        "queueing for compute": 1.0,
        "computing": 1.5,
        "waiting for the slowest": 0.5,
        "on the air": 5.0,
        "handling messages": 1.0,
        "on wires": 0.5,
        "other": 0.5,
    }


def test_a_member_that_computes_all_the_time_belongs_to_the_pass() -> None:
    requests, spans = tables(("compute", 1.0, 1.0, 11.0), ("compute", 1.0, 1.0, 11.0))
    spans.loc[1, "straggler_s"] = 4.0
    (row,) = activities(requests, spans).to_dict("records")
    assert (row["computing"], row["waiting for the slowest"]) == (8.0, 2.0)


def test_it_sums_to_the_end_to_end_latency_of_any_run() -> None:
    from miniature import run

    there = worlds()["slow links"]
    strategy = Offload(to=("server",))
    ran = run(there, strategy, strategy.place(there.model, Fleet.of(there)))
    parts = activities(ran.requests, ran.spans)
    told = ran.requests.set_index("request_id").loc[parts.index]
    np.testing.assert_allclose(parts.sum(axis=1), told["ended_at_s"] - told["arrived_at_s"], rtol=1e-9)
    np.testing.assert_allclose(parts[Activity.OTHER], 0.0, atol=1e-9)
    assert (parts[Activity.HANDLING] > 0).all()


def test_requests_that_did_not_complete_are_left_out() -> None:
    requests, spans = tables(("compute", 1.0, 1.0, 11.0))
    assert activities(requests.assign(outcome="censored"), spans).empty
