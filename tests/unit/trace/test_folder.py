from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from miniature import device, run, world

from edgesim.errors import TraceError
from edgesim.trace.buffer import NO_REQUEST, TRANSPORT, Parts, SpanBuffer, Spot, pack_span
from edgesim.trace.reader import Trace
from edgesim.trace.schema import TABLES, LinkKind, SpanKind, arrow_schema
from edgesim.trace.writer import TraceFolder


def written(path: Path, status: str = "complete") -> Trace:
    folder = TraceFolder(path)
    folder.write_run({"status": status, "strategies": ["b", "a"]})
    for label in ("a", "b"):
        for table in TABLES:
            folder.parts(label, 0).write(table, arrow_schema(table).empty_table())
    return Trace(path)


def test_a_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    trace = written(tmp_path)
    assert trace.strategies == ("b", "a")  # the scenario's order, not the alphabet's
    assert trace.replications("a") == (0,)
    assert list(trace.requests("a", 0).columns) == [column.name for column in TABLES["requests"]]


def test_partitions_are_hive_style_for_any_reader(tmp_path: Path) -> None:
    written(tmp_path)
    found = ds.dataset(tmp_path / "spans", partitioning="hive")
    assert {"strategy", "replication"} <= set(found.schema.names)


def test_no_trace_another_version_and_broken_json_are_told(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no trace here"):
        Trace(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(TraceError, match="schema version 99"):
        Trace(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(TraceError, match="not valid JSON"):
        Trace(tmp_path)


def test_a_broken_part_is_told_by_name(tmp_path: Path) -> None:
    trace = written(tmp_path)
    part = next((tmp_path / "spans" / "strategy=a").rglob("*.parquet"))
    part.write_bytes(b"not parquet")
    with pytest.raises(TraceError, match=r"part-00000\.parquet"):
        trace.spans("a", 0)


def test_a_replication_without_its_last_table_is_not_whole(tmp_path: Path) -> None:
    trace = written(tmp_path, status="running")
    for part in (tmp_path / "devices" / "strategy=a").rglob("*.parquet"):
        part.unlink()
    assert not trace.is_complete
    assert trace.replications("a") == ()
    assert trace.replications("b") == (0,)


def test_temporary_files_are_not_read(tmp_path: Path) -> None:
    trace = written(tmp_path)
    part = next((tmp_path / "requests" / "strategy=a").rglob("*.parquet"))
    part.with_suffix(".parquet.tmp").write_bytes(b"half a file")
    assert len(trace.requests("a", 0)) == 0


spans = st.lists(
    st.tuples(
        st.integers(TRANSPORT, 50),
        st.integers(-1, 20),
        st.integers(0, 2),
        st.integers(0, 1000),
        st.integers(0, 1 << 40),
        st.floats(0, 10),
        st.floats(0, 10),
        st.floats(0, 10),
    ),
    max_size=30,
)


@given(rows=spans, horizon_s=st.sampled_from([None, 15.0]))
def test_the_buffer_gives_back_what_was_put_in_and_cuts_at_the_horizon(rows, horizon_s) -> None:
    """Against a loop written row by row."""
    tables: list[pa.Table] = []
    buffer = SpanBuffer(tables.append, horizon_s)
    spots = [
        Spot(SpanKind.COMPUTE, "a", via="0-3", power_w=2.0),
        Spot(SpanKind.SEND, "a", "b", "a--b", power_w=3.0, tail_s=0.5, link_kind=LinkKind.RADIO),
        Spot(SpanKind.EMIT, "b"),
    ]
    codes = [buffer.code_of(spot) for spot in spots]
    expected = []
    for request, token, spot, n_tokens, size_bytes, asked_at_s, wait_s, took_s in rows:
        started_at_s = asked_at_s + wait_s
        ended_at_s = started_at_s + took_s + spots[spot].tail_s
        buffer.add(
            pack_span(
                request, token, codes[spot], n_tokens, size_bytes, asked_at_s, started_at_s, ended_at_s, 1.0
            )
        )
        end_s = np.inf if horizon_s is None else horizon_s
        active_s = max(0.0, min(ended_at_s - spots[spot].tail_s, end_s) - started_at_s)
        expected.append(
            {
                "request_id": None if request < 0 else request,
                "token": None if token < 0 else token,
                "kind": "control" if spot == 1 and request == NO_REQUEST else spots[spot].kind.value,
                "device": spots[spot].device,
                "peer": spots[spot].peer,
                "via": spots[spot].via,
                "link_kind": spots[spot].link_kind,
                "asked_at_s": asked_at_s,
                "started_at_s": None if started_at_s > end_s else started_at_s,
                "ended_at_s": None if ended_at_s > end_s else ended_at_s,
                "n_tokens": n_tokens,
                "size_bytes": size_bytes,
                "energy_j": pytest.approx(spots[spot].power_w * active_s),
                **dict.fromkeys(Parts._fields, 0.0),
                "error_variance": None,
                "attempts": 1,
            }
        )
    ids = np.arange(51)
    buffer.end_at(1e9)
    buffer.flush(0.0)
    energy_j = buffer.energy_j(ids)
    told = [row for table in tables for row in table.to_pylist()]
    assert told == expected
    by_hand = [sum(row["energy_j"] for row in told if row["request_id"] == id_) for id_ in ids]
    np.testing.assert_allclose(energy_j, by_hand, rtol=1e-12, atol=1e-12)


def test_details_stay_with_their_span() -> None:
    tables: list[pa.Table] = []
    buffer = SpanBuffer(tables.append, None)
    code = buffer.code_of(Spot(SpanKind.ALL_REDUCE, "a"))
    row = pack_span(0, 0, code, 0, 0, 0.0, 0.0, 1.0, 1.0)
    buffer.add(row)
    buffer.add_detailed(row, error_variance=0.25, attempts=3)
    buffer.add(row)
    buffer.flush(100.0)
    assert tables[0]["error_variance"].to_pylist() == [None, 0.25, None]
    assert tables[0]["attempts"].to_pylist() == [1, 3, 1]


def test_details_of_spans_that_are_held_back_come_with_them() -> None:
    """As long as nobody knows where the run ends, spans that reach beyond the present wait for it."""
    tables: list[pa.Table] = []
    buffer = SpanBuffer(tables.append, None)
    code = buffer.code_of(Spot(SpanKind.COMPUTE, "a", via="0-3"))
    expected = {}
    for number in range(20):
        ended_at_s = float(number * 7 % 20)
        parts = Parts(*(0.01 * number * share for share in (1, 2, 3, 4)))
        expected[number] = parts if ended_at_s <= 18.0 else (None,) * 4
        row = pack_span(number, 0, code, 1, 0, 0.0, 0.0, ended_at_s, 1.0)
        if number % 3:
            buffer.add_detailed(row, parts=parts)
        else:
            buffer.add(row)
            expected[number] = Parts()
    buffer.flush(9.5)
    buffer.end_at(18.0)
    buffer.flush(18.0)
    told = {row["request_id"]: row for table in tables for row in table.to_pylist()}
    assert len(tables) == 2
    for number, parts in expected.items():
        assert tuple(told[number][name] for name in Parts._fields) == parts


def test_parts_are_cut_by_rows_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Several parts read as one; memory stays flat because the buffer empties itself."""
    from miniature import PerBlock

    from edgesim.engine import arrivals, simulation
    from edgesim.trace import buffer
    from edgesim.workload.lengths import Fixed

    there = world([device("a-0", PerBlock(0.001))], n_requests=50, output=Fixed(4))
    from edgesim.strategies.local import Local
    from edgesim.world.fleet import Fleet

    placement = Local().place(there.model, Fleet.of(there))
    whole = run(there, Local(), placement)
    monkeypatch.setattr(buffer, "_PART_ROWS", 20)
    monkeypatch.setattr(arrivals, "_PART_ROWS", 7)
    folder = TraceFolder(tmp_path)
    folder.write_run({"strategies": ["local"]})
    simulation.simulate(there, Local(), placement, placement.holdings, folder.parts("local", 0).write)
    trace = Trace(tmp_path)
    assert len(list((tmp_path / "spans").rglob("part-*"))) > 10
    assert len(list((tmp_path / "requests").rglob("part-*"))) == 8
    pd.testing.assert_frame_equal(trace.requests("local", 0), whole.requests, check_categorical=False)
    pd.testing.assert_frame_equal(trace.spans("local", 0), whole.spans, check_categorical=False)


def test_the_parquet_schema_is_the_documented_one(tmp_path: Path) -> None:
    written(tmp_path)
    for name in TABLES:
        part = next((tmp_path / name).rglob("*.parquet"))
        assert pq.read_schema(part).equals(arrow_schema(name), check_metadata=True)
