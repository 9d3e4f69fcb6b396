"""What is exported is what the trace says: every span, wait, delivery and value, in both formats."""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from perfetto_checks import Shown, Slice, normal, shown_by_events, shown_by_packets

from edgesim.errors import InputError, TraceError
from edgesim.report.exporting import write_perfetto
from edgesim.report.perfetto import timeline
from edgesim.runner import prepare, run
from edgesim.scenario.load import parse
from edgesim.trace.reader import Trace

TEXT = """
name: timeline
seed: 3
model: {architecture: gpt2, dtype: float32}
profile: analytic
horizon: 2 s
cooldown: 0 s
replications: 1
topology:
  devices:
    - {id: user, kind: raspberry-pi-5, count: 3, place: {grid: 60 m}, battery: {capacity: 60 J}}
    - {id: cell, kind: rtx-3090, place: {at: [20 m, 20 m]}}
    - {id: cloud, kind: rtx-3090, serving: processor-sharing}
  links:
    - {between: [user, cell], radio: nr-n78}
    - {between: [cell, cloud], wired: {rate: 500 Mbit/s, latency: 1 ms}}
workload:
  sources: user
  arrivals: {poisson: 30 Hz}
  prompt_tokens: 200
  output_tokens: 8
strategies:
  - {use: pipeline, over: [cell, cloud], partition: even}
  - {use: offload, to: cloud}
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    prepared = prepare(parse(TEXT, name="timeline.yaml"))
    return run(prepared, tmp_path_factory.mktemp("timeline") / "trace", counters_s=0.1)


def exported(trace: Trace, strategy: str, folder: Path) -> tuple[Shown, Shown]:
    packets, events = folder / "one.pftrace", folder / "one.json"
    for file in (packets, events):
        write_perfetto(trace, strategy, 0, file)
    return shown_by_packets(packets.read_bytes()), shown_by_events(events.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=[0, 1])
def both(
    request: pytest.FixtureRequest, trace: Trace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Shown]:
    strategy = trace.strategies[request.param]
    packets, events = exported(trace, strategy, tmp_path_factory.mktemp("out"))
    assert normal(packets) == normal(events)
    assert packets.order == events.order
    return strategy, packets


def duration_s(trace: Trace) -> float:
    (found,) = {d for s in trace.strategies for d in trace.devices(s, 0)["duration_s"]}
    return float(found)


def in_ns(column: pd.Series) -> np.ndarray:
    return np.rint(column.to_numpy(np.float64) * 1e9).astype(np.int64)


def slices_of(shown: Shown, wanted: str) -> Iterator[tuple[str, str, Slice]]:
    """Group, label without its lane, and slice, of the groups whose names begin so."""
    for (group, track), found in shown.slices.items():
        if group.startswith(wanted):
            for one in found:
                yield group.split(" ")[0], track.split(" [")[0], one


def test_every_span_is_a_slice_of_its_device(trace: Trace, both: tuple[str, Shown]) -> None:
    strategy, shown = both
    spans = trace.spans(strategy, 0)
    spans = spans[(spans["kind"] != "emit") & spans["started_at_s"].notna()]
    label = {"compute": "compute", "endpoint": "messages", "wait": "memory"}
    expected = Counter(
        (
            span.device,
            label.get(span.kind) or f"to {span.peer} ({span.via})",
            start_ns,
            end_ns,
        )
        for span, start_ns, end_ns in zip(
            spans.itertuples(),
            in_ns(spans["started_at_s"]),
            in_ns(spans["ended_at_s"].fillna(duration_s(trace))),
            strict=True,
        )
    )
    found = Counter(
        (device, row, one.start_ns, one.end_ns)
        for device, row, one in slices_of(shown, "")
        if device != "requests" and one.name != "arrival"
    )
    assert found == expected
    assert len(expected) > 300


def test_every_transfer_that_arrived_leads_from_its_sender_to_its_receiver(
    trace: Trace, both: tuple[str, Shown]
) -> None:
    strategy, shown = both
    spans = trace.spans(strategy, 0)
    hops = spans[spans["kind"].isin(["send", "control"]) & spans["ended_at_s"].notna()]
    expected = Counter(
        zip(hops["device"], hops["peer"], in_ns(hops["started_at_s"]), in_ns(hops["ended_at_s"]), strict=True)
    )
    found = Counter(
        (leaves.split(" ")[0], arrives.split(" ")[0], start_ns, end_ns)
        for leaves, _, start_ns, arrives, _, end_ns in shown.transfers.values()
    )
    assert found == expected
    assert len(expected) > 100


def test_queues_are_those_that_a_count_finds(trace: Trace, both: tuple[str, Shown]) -> None:
    strategy, shown = both
    spans = trace.spans(strategy, 0)
    n_waiting = 0
    for device in ("cell", "cloud"):
        mine = spans[(spans["kind"] == "compute") & (spans["device"] == device)]
        if mine.empty:
            continue
        asked, started = (
            in_ns(mine["asked_at_s"]),
            in_ns(mine["started_at_s"].fillna(duration_s(trace) + 1.0)),
        )
        (values,) = [
            found for where, found in shown.values.items() if where == (f"{device} (rtx-3090)", "queue")
        ]
        instants = {0, *asked[asked < started], *started[asked < started]}
        assert [at_ns for at_ns, _ in values] == sorted(
            at for at in instants if at <= 1e9 * duration_s(trace)
        )
        for at_ns, value in values:
            assert value == ((asked <= at_ns) & (started > at_ns)).sum()
            n_waiting += value > 0
    assert n_waiting > 0 or strategy == "offload"  # there, passes share the station


def test_tokens_lie_in_their_request(trace: Trace, both: tuple[str, Shown]) -> None:
    strategy, shown = both
    requests, spans = trace.requests(strategy, 0), trace.spans(strategy, 0)
    emits = spans[(spans["kind"] == "emit") & spans["ended_at_s"].notna()]
    for row in requests.itertuples():
        found = shown.slices["requests", f"request {row.request_id} ({row.source})"]
        own = emits[emits["request_id"] == row.request_id].sort_values("token")
        whole = [one for one in found if one.name.endswith(" request")]
        tokens = sorted((one for one in found if one not in whole), key=lambda one: one.start_ns)
        ended_at_s = duration_s(trace) if pd.isna(row.ended_at_s) else row.ended_at_s
        assert [(one.name, one.start_ns, one.end_ns) for one in whole] == [
            (f"{row.outcome} request", round(row.arrived_at_s * 1e9), round(ended_at_s * 1e9))
        ]
        assert [one.end_ns for one in tokens] == in_ns(own["ended_at_s"]).tolist()
        assert [one.details for one in tokens] == [(("token", token),) for token in own["token"]]
        assert [one.name for one in tokens] == ["prefill", "token", "token", "token"][: len(own)] + [
            "token"
        ] * (len(own) - 4)
        assert [one.start_ns for one in tokens[1:]] == [one.end_ns for one in tokens[:-1]]


def test_counters_are_those_of_the_trace(trace: Trace, both: tuple[str, Shown]) -> None:
    strategy, shown = both
    counted = trace.counters(strategy, 0)
    kinds = dict(zip(trace.devices(strategy, 0)["device"], trace.devices(strategy, 0)["kind"], strict=True))
    labels = {"kv_bytes": "KV caches", "battery_j": "battery", "snr_db": "SNR"}
    n_found = 0
    for (name, device, peer), rows in counted.groupby(
        ["name", "device", "peer"], observed=True, dropna=False
    ):
        if name == "resident_bytes":
            continue
        label = labels[name] if pd.isna(peer) else f"{labels[name]} to {peer}"
        values = shown.values[f"{device} ({kinds[device]})", label]
        last = rows.dropna(subset="value").drop_duplicates("at_s", keep="last")
        assert [at_ns for at_ns, _ in values] == in_ns(last["at_s"]).tolist()
        assert [value for _, value in values] == last["value"].tolist()
        n_found += 1
    assert n_found >= 5 + 3 + 6


def test_small_parts_give_the_same(
    trace: Trace, both: tuple[str, Shown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy, shown = both
    monkeypatch.setattr(timeline, "_AT_ONCE", 16)
    packets, events = exported(trace, strategy, tmp_path)
    assert normal(packets) == normal(events) == normal(shown)


def test_a_compressed_file_holds_the_same_bytes(trace: Trace, tmp_path: Path) -> None:
    for suffix in (".pftrace", ".json"):
        plain, packed = tmp_path / f"a{suffix}", tmp_path / f"a{suffix}.gz"
        for file in (plain, packed):
            write_perfetto(trace, "offload", 0, file)
        assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
        again = tmp_path / f"b{suffix}.gz"
        write_perfetto(trace, "offload", 0, again)
        assert again.read_bytes() == packed.read_bytes()


def test_what_cannot_be_written_is_refused_in_a_sentence(trace: Trace, tmp_path: Path) -> None:
    for name in ("a.txt", "a", "a.gz"):
        with pytest.raises(InputError, match=r"ends in \.pftrace or \.json"):
            write_perfetto(trace, "offload", 0, tmp_path / name)
    with pytest.raises(TraceError, match="no complete run of 'offload', replication 7"):
        write_perfetto(trace, "offload", 7, tmp_path / "a.json")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_perfetto(trace, "offload", 0, tmp_path / "file" / "a.json")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file"]


HOSTILE = 'a"b\\\\c\n</script>\u0000\u2028é😀 [2] (x)'


def test_names_may_hold_anything(trace: Trace, tmp_path: Path) -> None:
    """A foreign trace's: quotes, ends of lines and of scripts, what looks like a lane or a kind."""
    shutil.copytree(trace.path, tmp_path / "t")
    for part in (tmp_path / "t").rglob("part-*.parquet"):
        table = pq.ParquetFile(part).read()
        for place, column in enumerate(table.column_names):
            if column in ("device", "peer", "source", "via"):
                plain = table.column(column).cast(pa.string())
                named = pc.replace_substring(plain, "cell", HOSTILE)
                table = table.set_column(place, column, named.dictionary_encode())
        pq.write_table(table, part)
    packets, events = exported(Trace(tmp_path / "t"), "offload", tmp_path)
    plain, _ = exported(trace, "offload", tmp_path)
    assert normal(packets) == normal(events)

    def named(text: str) -> str:
        return text.replace("cell", HOSTILE)

    assert {(named(group), named(track)) for group, track in plain.slices} == set(packets.slices)
    assert len(packets.transfers) == len(plain.transfers)
