from __future__ import annotations

from pathlib import Path

import pytest
from hand_traces import hand_trace, span

from edgesim.errors import InputError
from edgesim.explain.breakdown import breakdown
from edgesim.explain.journey import journey

LIVES = [
    {"request_id": 7, "arrived_at_s": 1.0, "ended_at_s": 11.0},
    {"request_id": 8, "arrived_at_s": 0.0, "ended_at_s": 5.0},
    {"request_id": 9, "arrived_at_s": 0.0, "ended_at_s": None, "outcome": "censored"},
]
SPANS = [
    span("compute", 0.0, 0.0, 2.0, request_id=9),
    span("compute", 0.5, 2.0, 5.0, request_id=8),
    span("compute", 5.0, 5.0, 6.0, request_id=9, device="there"),  # elsewhere
    span("send", 1.0, 2.0, 2.0, peer="there", link_kind="wired"),
    span("send", 0.0, 0.0, 2.0, request_id=9, peer="there", link_kind="wired"),
    span("send", 0.0, 0.0, 3.0, request_id=9, peer="elsewhere", link_kind="wired"),
    span("compute", 2.0, 5.0, 10.0),
    span("send", 10.0, 10.0, 11.0, peer="there", link_kind="wired"),
    span("emit", 11.0, 11.0, 11.0),
    span("emit", 5.0, 5.0, 5.0, request_id=8),
]


def test_steps_add_up_and_say_who_was_ahead(tmp_path: Path) -> None:
    trace = hand_trace(tmp_path, LIVES, SPANS)
    found = journey(trace, "one", 0, 7)
    columns = ["part", "from_s", "seconds", "device", "peer"]
    assert found.steps[columns].to_numpy(object, na_value=None).tolist() == [
        ["queueing for network", 1.0, 1.0, "here", "there"],
        ["queueing for compute", 2.0, 3.0, "here", None],
        ["computing", 5.0, 5.0, "here", None],
        ["on wires", 10.0, 1.0, "here", "there"],
    ]
    assert found.ahead.to_numpy(object, na_value=None).tolist() == [
        ["queueing for compute", "here", None, 8, 3.0],
        ["queueing for network", "here", "there", 9, 1.0],
    ]
    table = breakdown(trace, "one", 0).set_index("request_id").loc[7]
    assert found.parts_s() == {name: seconds for name, seconds in table.items() if seconds}


def test_one_in_flight_is_followed_to_the_end_of_the_run(tmp_path: Path) -> None:
    found = journey(hand_trace(tmp_path, LIVES, SPANS), "one", 0, 9)
    assert found.steps["seconds"].sum() == pytest.approx(100.0)
    assert found.parts_s()["not explained"] == pytest.approx(94.0 + 2.0)


@pytest.mark.parametrize(
    ("open_span", "expected"),
    [
        (span("compute", 6.0, None, None, request_id=9), {"queueing for compute": 94.0, "computing": 1.0}),
        (
            span("compute", 6.0, 90.0, None, request_id=9),
            {"queueing for compute": 84.0, "computing": 1.0 + 10.0},
        ),
    ],
)
def test_what_one_in_flight_still_waits_for_is_explained(tmp_path: Path, open_span, expected) -> None:
    """Nothing but the 2 s between its first passes is left over; who was ahead is said up to the end."""
    ahead = span("compute", 6.0, 20.0, 50.0, request_id=8)
    trace = hand_trace(tmp_path, LIVES, [*SPANS, open_span, ahead])
    found = journey(trace, "one", 0, 9)
    parts_s = found.parts_s()
    assert {name: parts_s.get(name) for name in expected} == pytest.approx(expected)
    assert parts_s["not explained"] == pytest.approx(2.0)
    assert sum(parts_s.values()) == pytest.approx(100.0)
    assert found.ahead.set_index("request_id").loc[8, "seconds"] == pytest.approx(30.0)
    # Of one that was answered, what had not ended did not hold it up.
    assert journey(trace, "one", 0, 7).steps["seconds"].sum() == pytest.approx(10.0)


def test_an_unknown_request_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no request 12 under one, replication 0; .* \(7 to 9\)"):
        journey(hand_trace(tmp_path, LIVES, SPANS), "one", 0, 12)
