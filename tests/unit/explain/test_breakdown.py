from __future__ import annotations

from pathlib import Path

import pytest
from hand_traces import Row, hand_trace, span

from edgesim.errors import TraceError
from edgesim.explain.breakdown import breakdown

LIFE = {"request_id": 7, "arrived_at_s": 1.0, "ended_at_s": 11.0}


def parts(folder: Path, *spans: Row, **run: object) -> dict[str, float]:
    """What the one request's time went into, zeros left out."""
    found = breakdown(hand_trace(folder, [LIFE], spans, **run), "one", 0)
    (row,) = found.to_dict("records")
    assert row.pop("request_id") == 7
    assert sum(row.values()) == pytest.approx(10.0, abs=1e-12)
    return {name: seconds for name, seconds in row.items() if seconds}


def test_a_life_by_hand(tmp_path: Path) -> None:
    """What is beside the path does not count: the first token comes home while the second is made."""
    assert parts(
        tmp_path,
        span("wait", 1.0, 1.0, 2.0),
        span("send", 2.0, 2.5, 4.0, link_kind="wired"),
        span("endpoint", 4.0, 4.0, 4.5),
        span("compute", 4.5, 6.0, 8.0),
        span("send", 8.0, 8.0, 9.0, link_kind="wired"),
        span("emit", 9.0, 9.0, 9.0),
        span("compute", 8.0, 8.5, 10.0, token=1),
        span("send", 10.0, 10.0, 11.0, token=1, link_kind="radio", attempts=4),
        span("emit", 11.0, 11.0, 11.0, token=1),
        span("send", 11.0, 11.0, 12.0, token=1),  # after the answer
    ) == {
        "waiting for memory": 1.0,
        "queueing for network": 0.5,
        "on wires": 1.5,
        "handling messages": 0.5,
        "queueing for compute": 1.5 + 0.5,
        "computing": 2.0 + 1.5,
        "on the air": 0.25,
        "repeating on the air": 0.75,
    }


def test_of_parallel_branches_the_slower_counts(tmp_path: Path) -> None:
    assert parts(
        tmp_path,
        span("compute", 1.0, 1.0, 9.0, device="slow"),
        span("compute", 1.0, 1.0, 4.0, device="fast"),
        span("compute", 9.0, 9.0, 11.0),
        span("emit", 11.0, 11.0, 11.0),
    ) == {"computing": 10.0}


def test_a_groups_pass_is_the_mean_of_its_members(tmp_path: Path) -> None:
    """Two members, a pass of 9 s: one computes for 3 s, the other for half of that; 5 s are on the air."""
    busy = {"air_s": 5.0, "handling_s": 1.0}
    assert parts(
        tmp_path,
        span("compute", 1.0, 2.0, 11.0, **busy),
        span("compute", 1.0, 2.0, 11.0, device="there", **busy, straggler_s=1.5),
        span("all_reduce", 1.0, 2.0, 11.0, link_kind="radio"),
        span("all_reduce", 1.0, 2.0, 11.0, device="there", link_kind="radio"),
        span("emit", 11.0, 11.0, 11.0),
    ) == {
        "queueing for compute": 1.0,
        "computing": 2.25,
        "waiting for the slowest": 0.75,
        "on the air": 5.0,
        "handling messages": 1.0,
    }


def test_gaps_are_named_by_where_they_lie(tmp_path: Path) -> None:
    spans = (
        span("compute", 2.0, 2.0, 3.0),
        span("control", 2.5, 2.5, 4.0, request_id=None, token=None),
        span("control", 3.5, 3.5, 4.5, request_id=None, token=None),
        span("compute", 5.0, 5.0, 11.0),
        span("emit", 11.0, 11.0, 11.0),
    )
    without = {"before its first work": 1.0, "computing": 7.0}
    expected = without | {"during control traffic": 1.5, "not explained": 0.5}
    assert parts(tmp_path / "control", *spans) == expected
    # Where work is lost and served again, it begins again with the prompt.
    assert parts(tmp_path / "retry", *spans, retries=True) == without | {"waiting after a loss": 2.0}


def test_waiting_for_a_batch_is_told_from_waiting_in_a_queue(tmp_path: Path) -> None:
    trace = hand_trace(
        tmp_path,
        [LIFE],
        [span("compute", 1.0, 4.0, 11.0), span("emit", 11.0, 11.0, 11.0)],
        [{"device": "here", "serving": "continuous"}],
    )
    (row,) = breakdown(trace, "one", 0).to_dict("records")
    assert (row["waiting for a batch"], row["computing"]) == (3.0, 7.0)


def test_a_trace_without_spans_is_refused_in_a_sentence(tmp_path: Path) -> None:
    trace = hand_trace(tmp_path, [LIFE], [])
    for part in tmp_path.glob("spans/*/*/*.parquet"):
        part.unlink()
    with pytest.raises(TraceError, match="no spans of one, replication 0; expected them"):
        breakdown(trace, "one", 0)


def test_who_never_ended_has_no_row(tmp_path: Path) -> None:
    lives = [LIFE, LIFE | {"request_id": 8, "outcome": "failed"}]
    assert len(breakdown(hand_trace(tmp_path, lives, [span("emit", 11.0, 11.0, 11.0)]), "one", 0)) == 1


def test_runs_that_are_cut_up_for_want_of_memory_come_out_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = [
        {"request_id": number, "arrived_at_s": float(number), "ended_at_s": 2.0 * number + 3.0}
        for number in range(9)
    ]
    spans = []
    for at_s in (0.0, 1.0, 2.0):  # interleaved, and one group's pass among them
        for number in range(8):  # the last has none
            of = {"request_id": number, "air_s": 0.25 * (number == 4)}
            spans.append(span("compute", number + at_s, number + at_s + 0.5, number + at_s + 1.0, **of))
    trace = hand_trace(tmp_path, lives, spans)
    whole = breakdown(trace, "one", 0)
    monkeypatch.setattr("edgesim.explain.span_arrays._MOST_AT_ONCE", 4)
    assert breakdown(trace, "one", 0).equals(whole)
    assert whole["on the air"].tolist() == [0.75 * (number == 4) for number in range(9)]
    assert whole["not explained"].tolist() == [*(float(number) for number in range(8)), 11.0]
