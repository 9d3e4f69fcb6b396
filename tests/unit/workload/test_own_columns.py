"""Tables of requests whose columns a scenario names, from any spreadsheet, and instants of any age."""

from __future__ import annotations

import gzip
import os
import re
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from edgesim.errors import InputError, WorkloadError
from edgesim.rng import Streams
from edgesim.units import LONGEST_RUN_S
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.bounded import MOST_REQUESTS
from edgesim.workload.lengths import Fixed
from edgesim.workload.readers.detect import detect
from edgesim.workload.readers.own_columns import Columns, own_format
from edgesim.workload.replay import Replay
from edgesim.workload.requests import Workload
from edgesim.workload.selection import Selection

COLUMNS = Columns(at="When", prompt="in", output="OUT", source="Device")
ROWS = [("a", 0.5, 30, 4), ("b", 1.25, 31, 5), ("a", 2.0, 7, 1)]


def table(separator: str = ",", comma: str = ".", offset_s: float = 0.0, unit_s: float = 1.0) -> str:
    lines = ["device;WHEN; in ;out;note"]
    for source, at_s, n_prompt, n_output in ROWS:
        at = f"{(at_s + offset_s) / unit_s:.6f}".replace(".", comma)
        lines.append(f"{source};{at};{n_prompt};{n_output};x")
    return "\n".join(lines).replace(";", separator) + "\n"


def replayed(path: Path, columns: Columns = COLUMNS, **how: Any) -> list[tuple[str, float, int, int]]:
    arrivals = None if columns.at else Deterministic(1.0)
    replay = Replay(
        path=path, format=own_format(path, columns), sources=("a", "b"), arrivals=arrivals,
        selection=Selection(**how),
    )  # fmt: skip
    found = list(replay.requests(Streams(1)))
    assert replay.extent(Streams(1)).n_requests == len(found)
    return [(one.source, one.arrived_at_s, one.n_prompt_tokens, one.n_output_tokens) for one in found]


@pytest.mark.parametrize(
    "data",
    [
        table().encode(),
        b"\xef\xbb\xbf" + table().encode(),
        table().replace("\n", "\r\n").encode(),
        table(";").encode(),
        table(";", ",").encode(),
        b"\xef\xbb\xbf" + table(";", ",").replace("\n", "\r\n").encode(),
        gzip.compress(table().encode()),
        table().replace("\n", "\n\n").encode(),
    ],
    ids=["plain", "mark", "CRLF", "semicolons", "decimal commas", "of a spreadsheet", "gzip", "blank lines"],
)
def test_a_table_is_read_by_the_columns_that_are_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "own").write_bytes(data)
    assert replayed(tmp_path / "own") == ROWS


@pytest.mark.parametrize(("unit", "unit_s"), [("s", 1.0), ("ms", 1e-3), ("us", 1e-6)])
def test_instants_since_1970_are_rebased_where_the_scenario_says_so(
    tmp_path: Path, unit: Any, unit_s: float
) -> None:
    path = tmp_path / "own.csv"
    path.write_text(table(offset_s=1_700_000_000.0, unit_s=unit_s))
    columns = Columns(at="when", prompt="in", output="out", source="device", unit=unit)
    with pytest.raises(WorkloadError, match=rf"{path}:2: .*1\.7e\+09 s.*rebase: true"):
        replayed(path, columns)
    expected = [(source, at_s - 0.5, *rest) for source, at_s, *rest in ROWS]
    got = replayed(path, columns, is_rebased=True)
    for (source, at_s, *rest), (found, found_s, *others) in zip(expected, got, strict=True):
        assert (found, others) == (source, rest)
        assert found_s == pytest.approx(at_s, abs=2e-6)  # a double knows such an instant to 2.4e-7 s


def test_dates_count_from_the_first_row(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("t,p,o\n2024-02-29 23:59:59.5,5,6\n2024-03-01T00:00:01Z,7,8\n")
    columns = Columns(at="T", prompt="P", output="O")
    assert [row[1:] for row in replayed(path, columns)] == [(0.0, 5, 6), (1.5, 7, 8)]


def test_a_table_without_instants_takes_them_from_a_law(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("p,o\n5,6\n7,8\n")
    assert [row[1:] for row in replayed(path, Columns(prompt="p", output="o"))] == [(0.0, 5, 6), (1.0, 7, 8)]


def test_a_row_far_from_the_others_is_refused_unless_the_window_ends_before_it(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(table() + "b,1700000000,5,6,x\n")
    with pytest.raises(WorkloadError, match=rf"{path}:5: .*end the window before it"):
        replayed(path)
    assert replayed(path, length_s=10.0) == ROWS


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c,3,5,6,x", ":5: a request from 'c', which is not a source; known are a, b"),
        ("a,soon,5,6,x", ":5: column 'When': found 'soon', expected an instant like the first row's"),
        ("a,nan,5,6,x", ":5: column 'When': found 'nan'"),
        ("a,3,many,6,x", ":5: column 'in': found 'many', expected a whole number of tokens"),
        ("a,3,1e30,6,x", ":5: column 'in': found '1e30'"),
        ("a,3,5,-6,x", ":5: 5 and -6 tokens; expected 0 or more"),
        ("a,3,5", ":5: found 3 cells, expected 5 as in the header"),
        ('a,3,5,6,"x', ":5: no CSV row: unexpected end of data"),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(table() + row + "\n")
    with pytest.raises(WorkloadError) as found:
        replayed(path)
    assert str(found.value).startswith(f"{path}{message}")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("device,whn,in,out", "no column 'When' in the header; did you mean 'whn'"),
        ("device,when,in,out,IN", "two columns are named 'in'"),
        ("", "no header"),
    ],
)
def test_a_header_that_lacks_a_column_is_refused(tmp_path: Path, header: str, message: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(header + "\n")
    with pytest.raises(WorkloadError, match=message):
        own_format(path, COLUMNS)


def test_thousands_are_not_taken_for_decimals(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("p;o\n1,000;6\n")
    with pytest.raises(WorkloadError, match="found '1,000'"):
        replayed(path, Columns(prompt="p", output="o"))


class TestNothingIsUnbounded:
    HEAD = b"arrived_at,num_prefill_tokens,num_decode_tokens,note\n"

    @pytest.mark.parametrize(
        ("block", "message"),
        [
            (b"x" * (1 << 20), "has more than|unpacks to more than"),
            (b"\n" * (1 << 20), "blank lines in a row|unpacks to more than"),
            ((b"0.5,30,4," + b"x" * 10_000 + b"\n") * 100, "unpacks to more than"),
        ],
        ids=["one line", "blank lines", "rows"],
    )
    def test_a_small_file_that_unpacks_without_end(self, tmp_path: Path, block: bytes, message: str) -> None:
        path = tmp_path / "bomb"
        with gzip.open(path, "wb", compresslevel=9) as file:
            file.write(self.HEAD)
            for _ in range(40):
                file.write(block)
        with pytest.raises(WorkloadError, match=message):
            deque(Replay(path=path, format=detect(path), sources=("a",)).requests(Streams(1)), maxlen=0)

    def test_a_nul_in_a_column_that_nothing_reads(self, tmp_path: Path) -> None:
        path = tmp_path / "it"
        path.write_bytes(self.HEAD + b"0.5,30,4,a\n1.5,30,4,\0\n")
        with pytest.raises(WorkloadError, match="line 3 has a NUL"):
            deque(Replay(path=path, format=detect(path), sources=("a",)).requests(Streams(1)), maxlen=0)

    @pytest.mark.parametrize("kind", ["zero", "pipe", "folder", "loop"])
    def test_what_is_no_file(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "it"
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero" if kind == "zero" else "it")
        with pytest.raises(WorkloadError, match="cannot be read"):
            detect(path)

    def test_requests_beyond_any_run(self) -> None:
        one = Fixed(1)

        def make(rate_hz: float, **ends: Any) -> Workload:
            return Workload(
                arrivals=Deterministic(rate_hz), prompt_tokens=one, output_tokens=one, sources=("a",), **ends
            )

        with pytest.raises(InputError, match="requests are expected on average"):
            make(1e9, horizon_s=86_400.0)
        with pytest.raises(InputError, match=re.escape(f"expected {LONGEST_RUN_S:g} s at most")):
            list(make(1e-9, n_requests=5).requests(Streams(1)))
        assert make(1e9, horizon_s=86_400.0, n_requests=5).extent(Streams(1)).n_requests == 5
        assert make(1.0, horizon_s=float(MOST_REQUESTS)).is_random
