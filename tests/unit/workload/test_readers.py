"""Every reader on a good sample, against what was written, and on broken ones, against line and cell."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.errors import WorkloadError
from edgesim.workload.readers.detect import detect, read
from edgesim.workload.readers.record import Record
from edgesim.workload.readers.text import Estimated, Tokenized

AZURE_23 = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-17 00:00:00.0000001,879,55
"""
AZURE_24 = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 23:59:59.500000+00:00,10,2
2024-05-11 00:00:00+00:00,20,3
2024-05-11 02:00:00.25+02:00,30,4
"""
AZURE_25 = """\
TIMESTAMP,NumImages,ContextTokens,GeneratedTokens
2024-10-15 00:00:00.100,0,12,3
2024-10-15 00:00:01.100,2,1200,30
"""
BURST_1 = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45.5,GPT-4,1087,0,1087,API log
"""
BURST_2 = """\
Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5,s-1,3.2,ChatGPT,472,18,490,Conversation log
"""
VIDUR = """\
arrived_at,num_prefill_tokens,num_decode_tokens
0.25,374,44
1.5,396.0,109
"""
VIDUR_LENGTHS = """\
num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio
374,44,418,8.5
"""
SPLITWISE = """\
request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size
0,2,0,0.0,1,374,44
1,2,0,4.314579,1,396,109
"""
MOONCAKE = """\
{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}

{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}
"""
SERVINGSIM = """\
{"input_toks": 14, "output_toks": 24, "arrival_time_ns": 1500000000, "input_tok_ids": [1, 2]}
{"input_toks": 15, "output_toks": 1, "arrival_time_ns": 2000000001}
"""
SESSIONS = """\
{"session_id": "a", "arrival_time_ns": 1000000000, "sub_requests": [\
{"input_toks": 10, "output_toks": 5, "tool_duration_ns": 250000000}, {"input_toks": 40, "output_toks": 6}]}
{"input_toks": 14, "output_toks": 24, "arrival_time_ns": 2000000000}
"""
SHAREGPT = """\
[
  {"id": "x", "conversations": [{"from": "human", "value": "12345678"}, {"from": "gpt", "value": "123"},
    {"from": "human", "value": "1"}, {"from": "gpt", "value": "12345"}]},
  {"id": "y", "conversations": [{"from": "gpt", "value": "lost its question"}]},
  {"id": "z", "conversations": [{"from": "system", "value": "1234"}, {"from": "user", "value": "1234"},
    {"from": "assistant", "value": "12"}, {"from": "human", "value": "unanswered"}]}
]
"""

Lines = list[tuple[Any, ...]]

GOOD: dict[str, tuple[str, str | None, Lines]] = {
    "Azure (2023, 2024)": (
        AZURE_23,
        "date and time",
        [(2, 0.0, 374, 44), (3, 4.314579, 396, 109), (4, 20_653.3194101, 879, 55)],
    ),
    "Azure (2023, 2024), zones": (
        AZURE_24,
        "date and time",
        [(2, 0.0, 10, 2), (3, 0.5, 20, 3), (4, 0.75, 30, 4)],
    ),
    "Azure multimodal (2025)": (AZURE_25, "date and time", [(2, 0.0, 12, 3), (3, 1.0, 1200, 30)]),
    "BurstGPT": (BURST_1, "seconds", [(2, 5.0, 472, 18), (3, 45.5, 1087, 0)]),
    "BurstGPT, sessions": (BURST_2, "seconds", [(2, 5.0, 472, 18)]),
    "Vidur": (VIDUR, "seconds", [(2, 0.25, 374, 44), (3, 1.5, 396, 109)]),
    "Vidur lengths": (VIDUR_LENGTHS, None, [(2, None, 374, 44)]),
    "Splitwise": (SPLITWISE, "seconds", [(2, 0.0, 374, 44), (3, 4.314579, 396, 109)]),
    "Mooncake": (MOONCAKE, "milliseconds", [(1, 0.0, 6758, 500), (3, 27.482, 6955, 52)]),
    "LLMServingSim": (SERVINGSIM, "nanoseconds", [(1, 1.5, 14, 24), (2, 2.000000001, 15, 1)]),
    "LLMServingSim sessions": (
        SESSIONS,
        "nanoseconds",
        [(1, 1.0, 10, 5, ((0.25, 40, 6),)), (2, 2.0, 14, 24)],
    ),
    "ShareGPT": (
        SHAREGPT,
        None,
        # Four characters a token, rounded up.
        [(2, None, 2, 1, ((None, 1, 2),)), (4, None, 0, 0), (5, None, 2, 1)],
    ),
}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Write a file whose name tells nothing."""

    def write(text: str | bytes, *, packed: bool = False) -> Path:
        path = tmp_path / "requests"
        data = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
        return path

    return write


def records(path: Path) -> list[Record]:
    return list(read(path, detect(path), Estimated()))


def unrolled(found: list[Record]) -> Lines:
    plain = [(*r[:4], tuple(tuple(turn) for turn in r.further)) for r in found]
    return [row if row[4] else row[:4] for row in plain]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", GOOD)
def test_a_good_sample_is_read_as_written(name: str, packed: bool, written: Callable[..., Path]) -> None:
    text, unit, expected = GOOD[name]
    path = written(text, packed=packed)
    format = detect(path)
    assert format.name == name.split(",")[0] if "," not in format.name else name.startswith(format.name)
    assert (format.time_unit or "").startswith(unit or "\0") == (unit is not None)
    assert unrolled(records(path)) == expected


def test_a_mark_at_the_beginning_blanks_and_other_line_ends_do_not_matter(
    written: Callable[..., Path],
) -> None:
    for name in ("Azure (2023, 2024)", "Mooncake", "ShareGPT"):
        text, _, expected = GOOD[name]
        assert unrolled(records(written(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()))) == expected
    quoted = '"TIMESTAMP"," contexttokens ","GeneratedTokens"\n"2023-11-16 18:15:46.6805900","374","44"\n'
    assert unrolled(records(written(quoted))) == [(2, 0.0, 374, 44)]


BROKEN: dict[str, tuple[str, str, str]] = {
    "azure, date": (AZURE_23, "2023-11-16 18:15:50.9951690", "2023-11-16T25:15:50"),
    "azure, no such day": (AZURE_23, "2023-11-16 18:15:50.9951690", "2023-02-30 18:15:50"),
    "azure, tokens": (AZURE_23, "396", "many"),
    "azure, fraction of a token": (AZURE_24, "20,3", "20.5,3"),
    "azure, infinitely many": (AZURE_24, "20,3", "inf,3"),
    "azure multimodal, cells": (AZURE_25, "2,1200,30", "1200,30"),
    "burstgpt, instant": (BURST_1, "45.5,GPT-4", "soon,GPT-4"),
    "burstgpt, tokens": (BURST_2, "472,18", ",18"),
    "vidur, instant": (VIDUR, "1.5,", "1.5 s,"),
    "vidur lengths, tokens": (VIDUR_LENGTHS, "44,418", "x,418"),
    "splitwise, batch": (SPLITWISE, "4.314579,1,", "4.314579,2,"),
    "splitwise, no batch": (SPLITWISE, "4.314579,1,", "4.314579,one,"),
    "mooncake, cut off": (MOONCAKE, ', "hash_ids": [46, 47]}', ""),
    "mooncake, key": (MOONCAKE, '"timestamp": 27482, ', ""),
    "mooncake, text": (MOONCAKE, "6955", '"6955"'),
    "mooncake, no object": (MOONCAKE, '{"timestamp": 27482, "input_length": 6955, "output_length": 52, '
                            '"hash_ids": [46, 47]}', "[1, 2]"),
    "servingsim, truth": (SERVINGSIM, "2000000001", "true"),
    "servingsim, a session among requests": (SERVINGSIM, '"arrival_time_ns": 2000000001',
                                             '"arrival_time_ns": 2000000001, "sub_requests": []'),
    "sessions, no pause": (SESSIONS, ', "tool_duration_ns": 250000000', ""),
    "sessions, a pause below zero": (SESSIONS, "250000000}", "-1}"),
    "sessions, tokens": (SESSIONS, '"input_toks": 40', '"input_toks": null'),
    "sharegpt, speaker": (SHAREGPT, '"from": "user"', '"from": "dog"'),
    "sharegpt, no text": (SHAREGPT, '"value": "12345"', '"value": 12345'),
    "sharegpt, no conversation": (SHAREGPT, '"id": "y", "conversations"', '"id": "y", "dialogue"'),
    "sharegpt, cut off": (SHAREGPT, '"unanswered"}]}\n]\n', '"unans'),
    "sharegpt, no comma": (SHAREGPT, "question\"}]},", "question\"}]}"),
}  # fmt: skip

SAYS = {
    "azure, date": ":3: column 'timestamp': found '2023-11-16T25:15:50', expected an instant (date and time",
    "azure, no such day": ":3: column 'timestamp': found '2023-02-30 18:15:50', expected an instant",
    "azure, tokens": ":3: column 'contexttokens': found 'many', expected a whole number of tokens",
    "azure, fraction of a token": ":3: column 'contexttokens': found '20.5', expected a whole number",
    "azure, infinitely many": ":3: column 'contexttokens': found 'inf', expected a whole number",
    "azure multimodal, cells": ":3: found 3 cells, expected 4",
    "burstgpt, instant": ":3: column 'timestamp': found 'soon', expected an instant (seconds)",
    "burstgpt, tokens": ":2: column 'request tokens': found ''",
    "vidur, instant": ":3: column 'arrived_at': found '1.5 s', expected an instant (seconds)",
    "vidur lengths, tokens": ":2: column 'num_decode_tokens': found 'x'",
    "splitwise, batch": ":3: column 'batch_size': found 2, expected 1",
    "splitwise, no batch": ":3: column 'batch_size': found 'one', expected a whole number",
    "mooncake, cut off": ":3: not JSON: ",
    "mooncake, key": ":3: 'timestamp': found nothing, expected a number",
    "mooncake, text": ":3: 'input_length': found '6955', expected a whole number of tokens",
    "mooncake, no object": ":3: found '[1, 2]', expected a JSON object",
    "servingsim, truth": ":2: 'arrival_time_ns': found True, expected a number",
    "servingsim, a session among requests": ":2: a session, in a file that begins with a single request",
    "sessions, no pause": ":1: 'tool_duration_ns': found nothing, expected a number",
    "sessions, a pause below zero": ":1: 'tool_duration_ns': found less than 0",
    "sessions, tokens": ":1: 'input_toks': found None, expected a whole number of tokens",
    "sharegpt, speaker": ":5: found {'from': 'dog'",
    "sharegpt, no text": ":2: found {'from': 'gpt', 'value': 12345}",
    "sharegpt, no conversation": ":4: an item without 'conversations'",
    "sharegpt, cut off": ":6: not JSON: Unterminated string",
    "sharegpt, no comma": ":5: not JSON: expected ',' or ']'",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sample_is_refused_with_its_line(name: str, written: Callable[..., Path]) -> None:
    text, old, new = BROKEN[name]
    assert text.count(old) == 1
    path = written(text.replace(old, new))
    with pytest.raises(WorkloadError) as caught:
        records(path)
    assert str(caught.value).startswith(f"{path}{SAYS[name]}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty; expected recorded requests"),
        (b" \n\n", "empty; expected recorded requests"),
        (b"when,what\n1,2\n", ":1: found a header with the columns when, what; expected one of: Azure"),
        (b'{"when": 1}\n', ":1: found an object with the keys when; expected one of"),
        (
            b'{"timestamp": 1' + b"0" * 400 + b', "input_length": 1, "output_length": 1}\n',
            ":1: 'timestamp': found 1000000000000000000000000000000000000000, too large a number",
        ),
        (b'{"timestamp": 1' + b"0" * 5000 + b"}\n", ":1: not JSON: a number too long to read"),
        (b"[]", ":1: found a list whose first item has the keys none; expected one of"),
        (b'[{"text": "x"}]', ":1: found a list whose first item has the keys text; expected one of"),
        (b"[1, 2", ":1: found a list whose first item has the keys none"),
        (b"\x89PNG\r\n\x1a\n", "byte 0x89 is not UTF-8 text"),
        (gzip.compress(AZURE_23.encode(), mtime=0)[:60], "cannot be unpacked"),
        (b"\x1f\x8bnonsense", "cannot be read"),
        (b'TIMESTAMP,ContextTokens,GeneratedTokens\n"2023', ":2: no CSV row: unexpected end of data"),
    ],
)
def test_what_is_no_trace_is_refused(data: bytes, message: str, written: Callable[..., Path]) -> None:
    path = written(data)
    with pytest.raises(WorkloadError, match=re.escape(message)):
        records(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.csv"):
        with pytest.raises(WorkloadError, match="cannot be read"):
            detect(path)


def test_tokens_of_text_are_counted_by_a_tokenizer(written: Callable[..., Path], tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"one": 0, "two": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    said = [{"from": "human", "value": "one two two"}, {"from": "gpt", "value": "three"}]
    path = written(json.dumps([{"conversations": said}]))
    (record,) = read(path, detect(path), Tokenized(tmp_path / "tokenizer.json"))
    assert (record.n_prompt_tokens, record.n_output_tokens) == (3, 1)
    with pytest.raises(WorkloadError, match=r"nothing\.json: no tokenizer: .*expected a tokenizer\.json"):
        Tokenized(tmp_path / "nothing.json")("text")


@settings(max_examples=60, deadline=None)
@given(
    rounds=st.lists(
        st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=3), max_size=6
    ),
    indent=st.sampled_from([None, 1]),
)
def test_any_sharegpt_list_is_read_whole(
    rounds: list[list[tuple[str, str]]], indent: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Json's own reader is the oracle; a chunk may end anywhere, also within a letter's escape."""
    from edgesim.workload.readers import dialogues
    from edgesim.workload.readers.formats import sharegpt

    said = [
        {"conversations": [{"from": w, "value": v} for q, a in one for w, v in (("human", q), ("gpt", a))]}
        for one in rounds
    ]
    path = tmp_path_factory.mktemp("list") / "list"
    path.write_text(json.dumps(said, indent=indent), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialogues, "CHUNK_CHARS", 7)
        found = list(read(path, sharegpt.SHAREGPT, len))
    assert [
        [(r.n_prompt_tokens, r.n_output_tokens), *((t.n_prompt_tokens, t.n_output_tokens) for t in r.further)]
        for r in found
    ] == [[(len(q), len(a)) for q, a in one] for one in rounds]


def test_a_long_list_of_conversations_is_read_in_constant_memory(written: Callable[..., Path]) -> None:
    said = json.dumps(
        {"conversations": [{"from": "human", "value": "x" * 500}, {"from": "gpt", "value": "y"}]}
    )

    def peak_bytes(n: int) -> int:
        path = written("[" + ",\n".join([said] * n) + "]")
        format = detect(path)
        tracemalloc.start()
        assert sum(1 for _ in read(path, format, Estimated())) == n
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak_bytes(8000) < 1.3 * peak_bytes(800)
