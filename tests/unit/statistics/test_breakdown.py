from __future__ import annotations

import numpy as np
import pandas as pd

from edgesim.engine.fleet import Fleet
from edgesim.statistics.breakdown import Activity, breakdown
from edgesim.strategies.offload import Offload
from edgesim.testing import worlds


def tables(*spans: tuple[str, float, float, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One request that lives from 1 to 11 s, and its spans: kind, asked, started, ended."""
    requests = pd.DataFrame(
        {"request_id": [7], "outcome": ["completed"], "arrived_at_s": [1.0], "ended_at_s": [11.0]}
    )
    rows = pd.DataFrame(spans, columns=["kind", "asked_at_s", "started_at_s", "ended_at_s"])
    return requests, rows.assign(request_id=7)


def test_a_life_by_hand() -> None:
    requests, spans = tables(
        ("wait", 1.0, 1.0, 2.0),
        ("send", 2.0, 2.5, 4.0),
        ("endpoint", 4.0, 4.0, 4.5),
        ("compute", 4.5, 6.0, 8.0),
        ("send", 8.0, 8.0, 9.0),  # the first token on its way, while the second is computed:
        ("compute", 8.0, 8.5, 10.0),
    )
    (row,) = breakdown(requests, spans).to_dict("records")
    assert row == {
        "waiting for memory": 1.0,
        "queueing for network": 0.5,
        "sending": 1.5 + 0.5,
        "handling messages": 0.5,
        "queueing for compute": 1.5,
        "computing": 3.5,
        "other": 1.0,
    }


def test_it_sums_to_the_end_to_end_latency_of_any_run() -> None:
    from miniature import run

    there = worlds()["slow links"]
    strategy = Offload(to=("server",))
    ran = run(there, strategy, strategy.place(there.model, Fleet.of(there)))
    parts = breakdown(ran.requests, ran.spans)
    told = ran.requests.set_index("request_id").loc[parts.index]
    np.testing.assert_allclose(parts.sum(axis=1), told["ended_at_s"] - told["arrived_at_s"], rtol=1e-9)
    np.testing.assert_allclose(parts[Activity.OTHER], 0.0, atol=1e-9)
    assert (parts[Activity.HANDLING] > 0).all()


def test_requests_that_did_not_complete_are_left_out() -> None:
    requests, spans = tables(("compute", 1.0, 1.0, 11.0))
    assert breakdown(requests.assign(outcome="censored"), spans).empty
