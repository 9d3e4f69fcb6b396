"""Replaying: windows, scales, policies and ends by hand; a million rows in constant memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from scipy import stats

from edgesim.errors import InputError, WorkloadError
from edgesim.rng import Streams
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.readers.detect import detect
from edgesim.workload.replay import Replay
from edgesim.workload.requests import Extent, MeanLengths
from edgesim.workload.selection import Selection
from edgesim.workload.think import FixedThink

ROWS = ((1.0, 10, 1), (2.0, 20, 2), (2.0, 30, 0), (4.0, 40, 4), (8.0, 50, 5))
SAID = [[(8, 4), (4, 8)], [(12, 4)], [(4, 4), (4, 4), (4, 4)]]  # characters of questions and answers

Make = Callable[..., Replay]


@pytest.fixture
def burst(tmp_path: Path) -> Make:
    """Replay five rows of BurstGPT, one of them a failure."""
    path = tmp_path / "burst.csv"
    rows = "".join(f"{at_s},{prompt},{output}\n" for at_s, prompt, output in ROWS)
    path.write_text(f"Timestamp,Request tokens,Response tokens\n{rows}")

    def make(sources: tuple[str, ...] = ("a",), **facts: Any) -> Replay:
        names = ("horizon_s", "n_requests", "arrivals", "think")
        outer = {name: facts.pop(name) for name in names if name in facts}
        return Replay(path=path, format=detect(path), selection=Selection(**facts), sources=sources, **outer)

    return make


@pytest.fixture
def chats(tmp_path: Path) -> Make:
    """Replay three conversations of ShareGPT."""
    path = tmp_path / "chats.json"
    texts = [
        [
            {"from": who, "value": "x" * n}
            for pair in one
            for who, n in zip(("human", "gpt"), pair, strict=True)
        ]
        for one in SAID
    ]
    path.write_text(json.dumps([{"conversations": one} for one in texts]))

    def make(**facts: Any) -> Replay:
        facts = {"arrivals": Deterministic(1.0), "sources": ("a",)} | facts
        return Replay(path=path, format=detect(path), **facts)

    return make


def asked(replay: Replay) -> list[tuple[float, int, int]]:
    return [(r.arrived_at_s, r.n_prompt_tokens, r.n_output_tokens) for r in replay.requests(Streams(1))]


def test_instants_and_lengths_are_the_files_and_failures_are_left_out(burst: Make) -> None:
    assert asked(burst()) == [(1.0, 10, 1), (2.0, 20, 2), (4.0, 40, 4), (8.0, 50, 5)]
    told = burst().notes(Streams(1))
    assert (told["n_records"], told["n_empty"], told["n_requests"]) == (5, 1, 4)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"from_s": 2.0}, [(0.0, 20, 2), (2.0, 40, 4), (6.0, 50, 5)]),
        ({"from_s": 2.0, "length_s": 6.0}, [(0.0, 20, 2), (2.0, 40, 4)]),
        ({"from_s": 2.0, "time_scale": 0.5}, [(0.0, 20, 2), (1.0, 40, 4), (3.0, 50, 5)]),
        ({"from_s": 2.0, "length_s": 3.0, "time_scale": 10.0}, [(0.0, 20, 2), (20.0, 40, 4)]),
        ({"horizon_s": 4.0}, [(1.0, 10, 1), (2.0, 20, 2)]),
        ({"time_scale": 0.25, "horizon_s": 2.0}, [(0.25, 10, 1), (0.5, 20, 2), (1.0, 40, 4)]),
        ({"n_requests": 2}, [(1.0, 10, 1), (2.0, 20, 2)]),
        ({"max_prompt_tokens": 30, "too_long": "drop"}, [(1.0, 10, 1), (2.0, 20, 2)]),
        (
            {"max_prompt_tokens": 30, "max_output_tokens": 1, "too_long": "clip"},
            [(1.0, 10, 1), (2.0, 20, 1), (4.0, 30, 1), (8.0, 30, 1)],
        ),
    ],
    ids=str,
)
def test_window_scale_and_policies(burst: Make, facts: dict[str, Any], expected: list[Any]) -> None:
    assert asked(burst(**facts)) == expected


def test_what_is_clipped_dropped_or_outside_is_counted(burst: Make) -> None:
    limit = {"from_s": 1.5, "max_prompt_tokens": 30}
    told = burst(**limit, too_long="clip").notes(Streams(1))
    counted = ("n_records", "n_before_window", "n_empty", "n_clipped", "n_dropped", "n_requests")
    assert [told[name] for name in counted] == [5, 1, 1, 2, 0, 3]
    told = burst(**limit, too_long="drop").notes(Streams(1))
    assert [told[name] for name in counted] == [5, 1, 1, 0, 2, 1]
    with pytest.raises(
        WorkloadError, match=r"burst\.csv:5: a request of 40 and 4 tokens, at most 30 and any"
    ):
        asked(burst(**limit))


def test_notes_identify_the_file_and_how_it_was_read(burst: Make) -> None:
    replay = burst(from_s=2.0, time_scale=0.5)
    told = replay.notes(Streams(1))
    assert told["sha256"] == hashlib.sha256(replay.path.read_bytes()).hexdigest()
    assert (told["file"], told["format"], told["time_unit"]) == ("burst.csv", "BurstGPT", "seconds")
    assert (told["from_s"], told["time_scale"], told["too_long"]) == (2.0, 0.5, "error")
    assert told["arrivals_depend_on_strategy"] is False
    json.dumps(dict(told))


def test_extent_and_typical_are_those_of_what_is_replayed(burst: Make) -> None:
    assert burst().extent(Streams(1)) == Extent(4, 50, 5, 55)
    assert burst().typical == MeanLengths(30.0, 3.0)
    assert burst(horizon_s=4.0).extent(Streams(1)) == Extent(2, 20, 2, 22)
    assert burst(horizon_s=4.0).typical == MeanLengths(15.0, 1.5)


def test_nothing_left_has_no_mean(burst: Make) -> None:
    empty = burst(from_s=100.0)
    assert empty.extent(Streams(1)).n_requests == 0
    with pytest.raises(WorkloadError, match=r"no request is left of it \(.*n_before_window 5.*widen"):
        assert empty.typical


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("2,1,1\n1,1,1\n", ":3: an instant of 1 s after one of 2 s; expected rows in order of time"),
        ("1,1,1\nnan,1,1\n", ":3: column 'timestamp': found 'nan', expected an instant"),
        ("1,1,1\ninf,1,1\n", ":3: column 'timestamp': found 'inf', expected an instant"),
        ("1,1,1\n2,-1,1\n", ":3: -1 and 1 tokens; expected 0 or more"),
    ],
)
def test_rows_that_cannot_be_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(f"Timestamp,Request tokens,Response tokens\n{rows}")
    with pytest.raises(WorkloadError) as caught:
        list(Replay(path=path, format=detect(path), sources=("a",)).requests(Streams(1)))
    assert str(caught.value).startswith(f"{path}{message}")


def test_sources_are_drawn_as_in_other_workloads_and_the_rest_is_not(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n" + "0.5,3,4\n" * 9000)
    replay = Replay(path=path, format=detect(path), sources=("a", "b", "c"))
    first, other = list(replay.requests(Streams(1))), list(replay.requests(Streams(1, replication=1)))
    assert list(replay.requests(Streams(1))) == first
    counts = np.unique([request.source for request in first], return_counts=True)[1]
    assert stats.chisquare(counts).pvalue > 1e-3
    assert [r.source for r in first] != [r.source for r in other]
    assert all(a.arrived_at_s == b.arrived_at_s for a, b in zip(first, other, strict=True))


def test_lengths_without_instants_arrive_by_a_law(chats: Make) -> None:
    assert asked(chats()) == [(0.0, 2, 1), (1.0, 3, 1), (2.0, 1, 1)]
    assert asked(chats(horizon_s=2.0)) == [(0.0, 2, 1), (1.0, 3, 1)]
    told = chats().notes(Streams(1))
    assert told["n_later_turns"] == 3
    assert told["tokens"] == "estimated at 4 characters per token"


def test_later_turns_wait_for_answers_and_carry_the_history(chats: Make) -> None:
    replay = chats(think=FixedThink(5.0))
    assert replay.is_closed
    assert list(replay.requests(Streams(1))) == []
    conversations = [(c.starts_at_s, list(c.turns)) for c in replay.conversations(Streams(1))]
    assert [at_s for at_s, _ in conversations] == [0.0, 1.0, 2.0]
    shape = [[(t.id, t.n_prompt_tokens, t.n_output_tokens, t.think_s) for t in c] for _, c in conversations]
    assert shape == [
        [(0, 2, 1, 0.0), (1, 4, 2, 5.0)],
        [(2, 3, 1, 0.0)],
        [(3, 1, 1, 0.0), (4, 3, 1, 5.0), (5, 5, 1, 5.0)],
    ]
    assert replay.extent(Streams(1)) == Extent(6, 5, 2, 6)
    limited = replace(replay, n_requests=4)
    assert sum(len(list(c.turns)) for c in limited.conversations(Streams(1))) == 4


def test_recorded_sessions_keep_their_pauses_and_lengths(tmp_path: Path) -> None:
    path = tmp_path / "sessions.jsonl"
    calls = [(10, 5, 1e9), (0, 5, 2e9), (60, 6, 4e9), (70, 7, 0)]
    asked = [{"input_toks": p, "output_toks": o, "tool_duration_ns": int(t)} for p, o, t in calls]
    path.write_text(json.dumps({"arrival_time_ns": 3_000_000_000, "sub_requests": asked}))
    selection = Selection(from_s=1.0, time_scale=0.5)
    replay = Replay(path=path, format=detect(path), selection=selection, sources=("a",))
    (session,) = replay.conversations(Streams(1))
    assert session.starts_at_s == 1.0
    # The second call asks nothing and is left out; its pause stays.
    shape = [(t.n_prompt_tokens, t.n_output_tokens, t.think_s) for t in session.turns]
    assert shape == [(10, 5, 0.0), (60, 6, 1.5), (70, 7, 2.0)]
    told = replay.notes(Streams(1))
    assert (told["n_empty"], told["n_requests"], told["arrivals_depend_on_strategy"]) == (1, 3, True)


def test_a_file_and_a_law_of_arrivals_must_fit(burst: Make, chats: Make) -> None:
    with pytest.raises(InputError, match="has its own instants"):
        burst(arrivals=Deterministic(1.0))
    with pytest.raises(InputError, match="lengths and no instants; give an 'arrivals' law"):
        chats(arrivals=None)
    with pytest.raises(InputError, match="no instants; leave out the window"):
        chats(selection=Selection(from_s=1.0))
    with pytest.raises(InputError, match="no turns that wait"):
        burst(think=FixedThink(1.0))


@pytest.mark.parametrize(
    "facts",
    [{"from_s": -1.0}, {"length_s": 0.0}, {"time_scale": 0.0}, {"time_scale": float("inf")}],
    ids=str,
)
def test_impossible_selections_are_refused(facts: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected"):
        Selection(**facts)


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A million rows in Azure's format of 2023, ten requests a second for more than a day."""
    path = tmp_path_factory.mktemp("million") / "azure.csv"
    with path.open("w") as file:
        file.write("TIMESTAMP,ContextTokens,GeneratedTokens\n")
        for hour in range(28):
            day, clock = f"2023-11-{16 + hour // 24}", f"{hour % 24:02d}"
            for minute in range(60):
                head = f"{day} {clock}:{minute:02d}:"
                file.writelines(
                    f"{head}{second:02d}.{tenth}805900,{second * 50 + 1},{tenth + 1}\n"
                    for second in range(60)
                    for tenth in range(10)
                )
    return path


@pytest.mark.slow
def test_a_million_rows_replay_in_constant_memory(million: Path) -> None:
    replay = Replay(path=million, format=detect(million), sources=("a", "b"))
    process = psutil.Process()
    n = sum_prompt = 0
    last_s = -1.0
    parts_bytes = []
    for request in replay.requests(Streams(1)):
        n += 1
        sum_prompt += request.n_prompt_tokens
        assert request.arrived_at_s > last_s
        last_s = request.arrived_at_s
        if n % 20_000 == 0:
            parts_bytes.append(process.memory_info().rss)
    assert n == 28 * 3600 * 10 == 1_008_000
    assert sum_prompt == 28 * 60 * 10 * sum(second * 50 + 1 for second in range(60))
    assert last_s == 28 * 3600 - 0.1
    # A list of the requests would take 200 MB; what is held is one row and two blocks of draws.
    assert max(parts_bytes) - parts_bytes[0] < 8_000_000


def test_the_beginning_of_a_large_file_is_all_that_a_short_run_reads(tmp_path: Path) -> None:
    path = tmp_path / "broken-late.csv"
    rows = "".join(f"{second},3,4\n" for second in range(100))
    path.write_text(f"arrived_at,num_prefill_tokens,num_decode_tokens\n{rows}broken\n")
    whole = Replay(path=path, format=detect(path), sources=("a",))
    assert sum(1 for _ in replace(whole, horizon_s=50.0).requests(Streams(1))) == 50
    window = replace(whole, selection=Selection(from_s=10.0, length_s=20.0))
    assert sum(1 for _ in window.requests(Streams(1))) == 20
    assert window.extent(Streams(1)).n_requests == 20
    assert len(list(islice(whole.requests(Streams(1)), 100))) == 100
    with pytest.raises(WorkloadError, match=":102: found 1 cells, expected 3"):
        list(whole.requests(Streams(1)))
