from __future__ import annotations

from pathlib import Path

import pytest
from hand_traces import hand_trace, span

from edgesim.errors import TraceError
from edgesim.explain.stations import bounds

LIVES = [
    {"request_id": 7, "arrived_at_s": 0.0, "ended_at_s": 6.0},
    {"request_id": 8, "arrived_at_s": 1.0, "ended_at_s": 9.0},
    {"request_id": 9, "arrived_at_s": 8.0, "ended_at_s": None, "outcome": "censored"},
]
DEVICES = [{"device": "here"}, {"device": "there", "serving": "continuous", "busy_s": 4.0}]
LINKS = {"here--there": {"rate_bps": 1.0, "latency_s": 0.5, "down": {"sender": "there", "latency_s": 0.25}}}


def test_demands_by_hand(tmp_path: Path) -> None:
    """What is demanded is of those answered; what is busy, of all. A link is not busy with latency."""
    spans = [
        span("compute", 0.0, 0.0, 3.0),
        span("compute", 1.0, 3.0, 5.0, request_id=8),
        span("compute", 8.0, 8.0, 10.0, request_id=9),
        span("endpoint", 3.0, 3.0, 3.25),
        span("send", 3.25, 3.25, 4.25, peer="there", via="here--there", link_kind="wired"),
        span("send", 4.25, 4.25, 5.0, device="there", peer="here", via="here--there", link_kind="wired"),
        # A batch: two spans of 4 s, in which the device was busy for 4 s.
        span("compute", 0.0, 0.0, 4.0, device="there"),
        span("compute", 0.0, 0.0, 4.0, device="there", request_id=8),
    ]
    found = bounds(hand_trace(tmp_path, LIVES, spans, DEVICES, links=LINKS), "one", [0])
    assert [(each.name, each.work, each.demand_s, each.utilisation) for each in found.stations] == [
        ("here", "compute", 2.5, 0.07),
        ("there", "compute", 2.0, 0.04),
        ("here>there", "wired", 0.25, 0.005),
        ("there>here", "wired", 0.25, 0.005),
        ("here", "messages", 0.125, 0.0025),
    ]
    assert [each.shares for each in found.stations] == [False, True, False, False, False]
    assert (found.most_per_s, found.answered_per_s, found.offered_per_s, found.mean_s) == (
        0.4,
        0.02,
        0.03,
        7.0,
    )


def test_nothing_answered_is_said(tmp_path: Path) -> None:
    trace = hand_trace(tmp_path, LIVES[2:], [span("compute", 8.0, 8.0, 9.0, request_id=9)])
    with pytest.raises(TraceError, match="one has answered no request; expected"):
        bounds(trace, "one", [0])


def test_where_several_are_served_at_once_the_bottleneck_law_says_nothing(tmp_path: Path) -> None:
    """Two requests in a batch of 4 s; eight could be answered in one of little more."""
    spans = [span("compute", 0.0, 0.0, 4.0, device="there", request_id=number) for number in (7, 8)]
    found = bounds(hand_trace(tmp_path, LIVES, spans, DEVICES, links=LINKS), "one", [0])
    assert found.bottleneck is not None
    assert found.bottleneck.shares
    assert found.most_per_s is None
