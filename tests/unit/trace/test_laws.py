"""Every law can be broken, and says so when it is: where, what was found and what was expected."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgesim.runner import prepare, run
from edgesim.scenario.load import load
from edgesim.trace.laws.check import LAWS
from edgesim.trace.laws.of_columns import OWN
from edgesim.trace.reader import Trace
from edgesim.trace.schema import TABLES, Column, arrow_schema

Frames = dict[str, pd.DataFrame]
Change = Callable[[Frames], None]

GROUP, OFFLOAD, PIPELINE = "tensor_parallel", "offload", "pipeline"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run with a bit of everything: radio, wires, groups, costly ends, failures, a horizon."""
    scenario = load(str(Path(__file__).with_name("lawful.yaml")))
    return run(prepare(scenario), tmp_path_factory.mktemp("sound") / "trace").path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smaller run, on wires on which nothing is lost."""
    scenario = load(str(Path(__file__).with_name("plain.yaml")))
    return run(prepare(scenario), tmp_path_factory.mktemp("plain") / "trace").path


@pytest.fixture(scope="module")
def pair(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of it, one replication under two strategies."""
    folder = edited(sound, tmp_path_factory.mktemp("pair"), strategies=[OFFLOAD, GROUP], replications=1)
    for gone in (*folder.glob("*/*/replication=1"), *folder.glob("*/strategy=pipeline")):
        shutil.rmtree(gone)
    return folder


def read(folder: Path, label: str) -> Frames:
    trace = Trace(folder)
    frames = {name: pa.concat_tables(trace.parts(name, label, 0)).to_pandas() for name in TABLES}
    for name, frame in frames.items():
        for column in TABLES[name]:
            if pa.types.is_dictionary(column.type):
                frame[column.name] = frame[column.name].astype(object)
    return frames


def write(folder: Path, label: str, frames: Frames) -> None:
    for name, frame in frames.items():
        home = folder / name / f"strategy={label}" / "replication=0"
        shutil.rmtree(home)
        home.mkdir()
        # Nullable throughout: a foreign writer may leave anything out.
        fields = [pa.field(f.name, f.type, nullable=True) for f in arrow_schema(name)]
        table = pa.Table.from_pandas(frame, schema=pa.schema(fields), preserve_index=False)
        pq.write_table(table, home / "part-00000.parquet")


def tampered(sound: Path, tmp_path: Path, label: str, change: Change) -> list[str]:
    folder = tmp_path / "tampered"
    shutil.copytree(sound, folder)
    frames = read(folder, label)
    change(frames)
    write(folder, label, frames)
    return Trace(folder).check()


def test_the_run_is_lawful_and_has_something_of_everything(sound: Path) -> None:
    trace = Trace(sound)
    assert trace.check() == []
    frames = {label: read(sound, label) for label in (OFFLOAD, GROUP)}
    spans, grouped = (frames[label]["spans"] for label in (OFFLOAD, GROUP))
    assert set(spans["kind"]) == {"compute", "endpoint", "send", "emit", "wait"}
    assert set(spans["link_kind"].dropna()) == {"radio", "wired"}
    assert spans["attempts"].max() > 1
    assert grouped["error_variance"].notna().any()
    assert grouped["straggler_s"].isna().any()
    assert (grouped["air_s"] > 0).any()
    outcomes = {o for r in (0, 1) for s in trace.strategies for o in trace.requests(s, r)["outcome"]}
    assert outcomes == {"completed", "failed", "censored"}
    assert (frames[OFFLOAD]["devices"]["n_failures"] > 0).any()


def test_rewriting_alone_breaks_nothing(pair: Path, tmp_path: Path) -> None:
    assert tampered(pair, tmp_path, GROUP, lambda frames: None) == []


# --- columns by themselves ------------------------------------------------------------------------


def expected_of(sentences: list[str], column: str, says: str, row: int) -> None:
    told = [s for s in sentences if f" {column}, row {row} " in s and f"expected {says}" in s]
    assert told, "\n".join(sentences)
    assert "found " in told[0]


COLUMNS = [
    pytest.param(table, column, id=f"{table}.{column.name}") for table in TABLES for column in TABLES[table]
]


def put(frame: pd.DataFrame, column: str, row: int, value: Any) -> None:
    if value is None or isinstance(value, str | bool) or frame[column].dtype == bool:
        frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_every_column_is_held_to_the_schema(table: str, column: Column, pair: Path, tmp_path: Path) -> None:
    wrong: list[tuple[Any, str]] = [] if column.nullable else [(None, "a value")]
    if pa.types.is_dictionary(column.type):
        wrong.append(("", "a name") if column.among is None else ("nonsense", "one of"))
    elif not pa.types.is_boolean(column.type):
        wrong.append((column.at_least - 1, f"{column.at_least:g} or more"))
        if np.isfinite(column.at_most):
            wrong.append((column.at_most + 1, f"{column.at_most:g} or less"))
        if pa.types.is_floating(column.type):
            wrong.append((np.inf, "a finite number"))

    def change(frames: Frames) -> None:
        for row, (value, _) in enumerate(wrong):
            put(frames[table], column.name, row + 1, value)

    sentences = tampered(pair, tmp_path, GROUP, change)
    for row, (_, says) in enumerate(wrong):
        expected_of(sentences, f"{table}.{column.name}", says, row + 1)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_every_column_has_its_type(table: str, column: Column, pair: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tampered"
    shutil.copytree(pair, folder)
    part = next((folder / table / f"strategy={GROUP}" / "replication=0").glob("*.parquet"))
    whole = pq.ParquetFile(part).read()
    wrong = pa.float32() if not pa.types.is_boolean(column.type) else pa.int8()
    place = whole.schema.get_field_index(column.name)
    values = pa.nulls(len(whole), wrong)
    pq.write_table(whole.set_column(place, pa.field(column.name, wrong), values), part)
    sentences = Trace(folder).check()
    assert any(f" {table}.{column.name}, all rows: found values of type {wrong}" in s for s in sentences)


# --- columns beside others ------------------------------------------------------------------------


def first(frame: pd.DataFrame, **facts: Any) -> int:
    """The first row of which all of this holds; True and False: whether there is a value."""
    holds = pd.Series(True, index=frame.index)
    for column, value in facts.items():
        holds &= (frame[column].notna() == value) if isinstance(value, bool) else (frame[column] == value)
    return int(frame.index[holds][0])


def to(table: str, column: str, value: Any, label: str = OFFLOAD, **facts: Any) -> tuple[str, Change]:
    """Put a value, or what a function makes of the row, into the first row of which facts hold."""

    def change(frames: Frames) -> None:
        frame = frames[table]
        row = first(frame, **facts)
        put(frame, column, row, value(frame.loc[row]) if callable(value) else value)

    return label, change


def twice(label: str = OFFLOAD) -> tuple[str, Change]:
    """One more delivery of a token that has been delivered."""

    def change(frames: Frames) -> None:
        spans = frames["spans"]
        emits = spans[spans["kind"] == "emit"]
        frames["spans"] = pd.concat([spans, emits.tail(1)], ignore_index=True)

    return label, change


def other_device(row: pd.Series) -> str:
    return "phone-0" if row["device"] != "phone-0" else "phone-1"


COMPLETED = {"outcome": "completed"}
NONE_YET = {"n_emitted_tokens": 0}
TAMPERINGS: dict[tuple[str, str], tuple[str, Change]] = {
    ("requests.request_id", "a unique number"): to("requests", "request_id", lambda r: r["request_id"] + 1),
    ("requests.source", "a device of the devices table"): to("requests", "source", "nobody"),
    ("requests.arrived_at_s", "an instant within the run"): to("requests", "arrived_at_s", 7.0),
    ("requests.first_token_at_s", "an instant within the run"): to("requests", "first_token_at_s", 7.0),
    ("requests.ended_at_s", "an instant within the run"): to("requests", "ended_at_s", 7.0),
    ("requests.first_token_at_s", "null if, and only if, no token was delivered"): to(
        "requests", "first_token_at_s", None, **COMPLETED
    ),
    ("requests.first_token_at_s", "no earlier than arrived_at_s"): to("requests", "first_token_at_s", 0.0),
    ("requests.ended_at_s", "no earlier than arrived_at_s and first_token_at_s"): to(
        "requests", "ended_at_s", lambda r: r["first_token_at_s"] - 1e-6
    ),
    ("requests.ended_at_s", "null if, and only if, the outcome is censored"): to(
        "requests", "ended_at_s", None, **COMPLETED
    ),
    ("requests.n_emitted_tokens", "no more than n_output_tokens"): to("requests", "n_emitted_tokens", 99),
    ("requests.outcome", "completed only where all tokens were delivered"): to(
        "requests", "outcome", "completed", GROUP, outcome="censored"
    ),
    ("requests.reason", "a reason if it failed, and none if it completed"): to(
        "requests", "reason", "why not"
    ),
    ("requests.energy_j", "a number where spans were kept, else null"): to("requests", "energy_j", None),
    ("requests.beyond_measured", "a value where answers are measured"): to(
        "requests", "beyond_measured", None
    ),
    **{
        (f"requests.{column}", "null where no token was delivered"): to(
            "requests", column, value, GROUP, **NONE_YET
        )
        for column, value in (("correct", 0.5), ("nll", 1.0), ("beyond_measured", False))
    },
    ("devices.device", "a unique name"): to("devices", "device", "phone-1"),
    ("devices.duration_s", "the same length of the run for all devices"): to(
        "devices", "duration_s", 6.5, device="box-0"
    ),
    ("devices.duration_s", "a length between run.json's horizon and the end of its cooldown"): to(
        "devices", "duration_s", 99.0
    ),
    ("devices.up_s", "no more than duration_s"): to("devices", "up_s", 6.1),
    ("devices.up_s", "duration_s, as run.json does not say that it may fail"): to("devices", "up_s", 5.9),
    ("devices.n_failures", "0, as run.json does not say that it may fail"): to("devices", "n_failures", 1),
    ("devices.busy_s", "no more than up_s"): to("devices", "busy_s", 6.1),
    ("devices.origin", "a value where it has computed"): to("devices", "origin", None, device="box-0"),
    ("devices.kind", "a kind where it computes"): to("devices", "kind", None, device="box-0"),
    ("devices.energy_compute_j", "active_w times busy_s"): to("devices", "energy_compute_j", 9.0),
    ("devices.energy_idle_j", "idle_w times up_s"): to("devices", "energy_idle_j", 9.0),
    ("devices.peak_memory_bytes", "no more than memory_bytes"): to("devices", "peak_memory_bytes", 1 << 60),
    ("spans.request_id", "a request of the requests table, or null"): to("spans", "request_id", 10_000),
    ("spans.request_id", "null for control traffic"): to("spans", "kind", "control", kind="send"),
    ("spans.token", "an index below its request's n_output_tokens; null if, and only if, request_id is"): to(
        "spans", "token", 99
    ),
    ("spans.device", "a device of the devices table"): to("spans", "device", "nobody"),
    ("spans.device", "its request's source"): to("spans", "device", other_device, kind="emit"),
    ("spans.peer", "another device of the devices table for a send or a control, else null"): to(
        "spans", "peer", lambda r: r["device"], kind="send"
    ),
    (
        "spans.via",
        "the link of its two devices for a send or a control, a part of the model for a compute, else null",
    ): to("spans", "via", "box-0--station", kind="send", device="phone-0"),
    (
        "spans.link_kind",
        "that of its link in run.json for a send or a control, a kind for an all_reduce, else null",
    ): to("spans", "link_kind", "radio", kind="send", link_kind="wired"),
    ("spans.asked_at_s", "no earlier than its request arrived"): to("spans", "asked_at_s", 0.0),
    ("spans.asked_at_s", "no later than its request ended"): to("spans", "asked_at_s", 5.9, kind="compute"),
    **{
        (f"spans.{column}", "an instant within the run"): to("spans", column, 6.5)
        for column in ("asked_at_s", "started_at_s", "ended_at_s")
    },
    ("spans.started_at_s", "no earlier than asked_at_s"): to(
        "spans", "started_at_s", lambda r: r["asked_at_s"] - 1e-6
    ),
    ("spans.started_at_s", "an instant where ended_at_s is one"): to("spans", "started_at_s", None),
    ("spans.started_at_s", "asked_at_s"): to(
        "spans", "started_at_s", lambda r: r["asked_at_s"] + 1e-6, kind="emit"
    ),
    ("spans.ended_at_s", "no earlier than started_at_s"): to(
        "spans", "ended_at_s", lambda r: r["started_at_s"] - 1e-6
    ),
    ("spans.ended_at_s", "the instant of asked_at_s"): to(
        "spans", "ended_at_s", lambda r: r["asked_at_s"] + 1e-6, kind="emit"
    ),
    **{
        (
            f"spans.{column}",
            "no later than its completed request ended, except for messages after the last delivery",
        ): to("spans", column, 5.9)
        for column in ("started_at_s", "ended_at_s")
    },
    ("spans.n_tokens", "at least 1 for a compute, 1 for an emit, else 0"): to(
        "spans", "n_tokens", 0, kind="compute"
    ),
    ("spans.n_tokens", "no more than its request has"): to("spans", "n_tokens", 99, kind="compute"),
    ("spans.size_bytes", "0 for a compute or an emit"): to("spans", "size_bytes", 4, kind="emit"),
    ("spans.size_bytes", "no fewer than its wire carries while the message lasts"): to(
        "spans", "size_bytes", 1, link_kind="wired"
    ),
    (
        "spans.energy_j",
        "0 for a wait, an emit, or a span that has not started",
    ): to("spans", "energy_j", 1e-3, kind="emit"),
    ("spans.energy_j", "no more than active_w of its device times its length"): to(
        "spans", "energy_j", 9.0, kind="compute"
    ),
    **{
        (f"spans.{part}", "0 except for a group's pass; null only if the end of the run cuts the pass"): to(
            "spans", part, 1e-3, kind="send"
        )
        for part in ("straggler_s", "air_s", "wire_s", "handling_s")
    },
    ("spans.straggler_s", "with the other parts, no more than the span's length"): to(
        "spans", "straggler_s", 1.0, GROUP, kind="compute"
    ),
    ("spans.air_s", "0 where wire_s is not 0"): to("spans", "wire_s", 1e-6, GROUP, kind="compute"),
    ("spans.error_variance", "null except for sums on the air"): to("spans", "error_variance", 0.1),
    ("spans.attempts", "1 except for messages on the air"): to("spans", "attempts", 2, link_kind="wired"),
    ("spans.token", "each token delivered once, after those before it"): twice(),
    ("requests.n_emitted_tokens", "as many as emit spans"): to("spans", "kind", "wait", kind="emit"),
    ("requests.first_token_at_s", "the instant of its first emit span"): to(
        "requests", "first_token_at_s", lambda r: r["first_token_at_s"] + 1e-6
    ),
    ("requests.ended_at_s", "the instant of its last emit span"): to(
        "requests", "ended_at_s", lambda r: r["ended_at_s"] + 1e-6, **COMPLETED
    ),
    ("requests.energy_j", "the energy of its spans"): to(
        "requests", "energy_j", lambda r: r["energy_j"] + 1e-6
    ),
    ("devices.energy_compute_j", "the energy of its compute and endpoint spans"): to(
        "spans", "energy_j", lambda r: r["energy_j"] / 2, kind="compute"
    ),
    (
        "devices.energy_tx_j",
        "no more than the energy of its transmissions, with its acknowledgements on the air",
    ): to("devices", "energy_tx_j", lambda r: r["energy_tx_j"] + 1.0),
    (
        "devices.energy_rx_j",
        "no more than the energy of its receptions, with acknowledgements on the air",
    ): to("devices", "energy_rx_j", lambda r: r["energy_rx_j"] + 1.0),
    (
        "devices.energy_tx_j",
        "with energy_rx_j, summed over all devices, the energy of all messages and sums",
    ): to("devices", "energy_tx_j", 0.0),
    ("devices.busy_s", "the time of its spans"): to("devices", "busy_s", lambda r: r["busy_s"] + 1e-6),
    ("requests.error_variance", "a number where its sums had errors"): to(
        "requests", "error_variance", None, GROUP
    ),
    ("requests.mean_exit_block", "no more than the last block it went through"): to(
        "requests", "mean_exit_block", 99.0
    ),
    ("spans.started_at_s", "no earlier than the previous span of its station ended"): to(
        "spans", "ended_at_s", lambda r: r["ended_at_s"] + 1.0, kind="endpoint", device="box-0"
    ),
    ("requests.request_id", "the requests of every other strategy"): to("requests", "request_id", 10_000),
    ("requests.source", "that of the same request under another strategy"): to(
        "requests", "source", "box-0", GROUP
    ),
    **{
        (f"requests.{column}", "that of the same request under another strategy"): to(
            "requests", column, lambda r, c=column: r[c] + 1, GROUP
        )
        for column in ("sample", "n_prompt_tokens", "n_output_tokens", "arrived_at_s")
    },
    ("devices.device", "the devices of every other run"): to("devices", "device", "phone-9", GROUP),
    **{
        (f"devices.{column}", "the same in every run of the trace"): to("devices", column, value, GROUP)
        for column, value in {
            "group": "box",
            "kind": "another",
            "origin": "measured",
            "serving": "static",
            "memory_bytes": 1 << 60,
            "idle_w": 7.0,
            "active_w": 7.0,
            "messages_on_compute": False,
        }.items()
    },
}


def early(label: str = PIPELINE) -> tuple[str, Change]:
    """A token delivered right after the one before it."""

    def change(frames: Frames) -> None:
        spans = frames["spans"]
        emits = spans[spans["kind"] == "emit"]
        own = emits[emits["request_id"] == emits["request_id"].iloc[0]]
        at_s = own["ended_at_s"].iloc[0] + 1e-6
        spans.loc[own.index[1], ["asked_at_s", "started_at_s", "ended_at_s"]] = at_s

    return label, change


def all_of(table: str, column: str, value: Any, **facts: Any) -> tuple[str, Change]:
    """Put a value into all rows of which facts hold."""

    def change(frames: Frames) -> None:
        frame = frames[table]
        rows = pd.Series(True, index=frame.index)
        for name, fact in facts.items():
            rows &= frame[name] == fact
        frame.loc[rows, column] = value

    return PIPELINE, change


UNMEASURED = "null, as run.json says that this was not measured"
ON_WIRES: dict[tuple[str, str], list[tuple[str, Change]]] = {
    (
        "spans.size_bytes",
        "no more than its wire carries while the message lasts, as run.json says that nothing may fail",
    ): [
        to("spans", "size_bytes", lambda r: 10 * r["size_bytes"] + 100, PIPELINE, kind="send"),
        to("spans", "size_bytes", 10**12, PIPELINE, kind="send"),
        to("spans", "ended_at_s", lambda r: r["started_at_s"], PIPELINE, kind="send"),
        to("spans", "ended_at_s", lambda r: r["ended_at_s"] - 1e-3, PIPELINE, kind="send"),
        to("spans", "started_at_s", lambda r: r["started_at_s"] + 1e-3, PIPELINE, kind="send"),
    ],
    ("spans.size_bytes", "for an endpoint span, within the range of the sizes that were sent"): [
        to("spans", "size_bytes", 10**12, PIPELINE, kind="endpoint"),
        to("spans", "size_bytes", 1, PIPELINE, kind="endpoint"),
    ],
    (
        "spans.ended_at_s",
        "for a delivery, no earlier than the head computed its token or one after it",
    ): [early(), all_of("spans", "token", 0, kind="compute"), all_of("spans", "via", "0-3", kind="compute")],
    (
        "requests.n_prompt_tokens",
        "a prompt all of which went through the whole model, as its request completed",
    ): [
        to("requests", "n_prompt_tokens", lambda r: 10 * r["n_prompt_tokens"], PIPELINE, **COMPLETED),
        to("spans", "n_tokens", 1, PIPELINE, kind="compute", token=0),
        to("spans", "kind", "wait", PIPELINE, kind="compute", token=0),
        to("spans", "request_id", lambda r: r["request_id"] + 1, PIPELINE, kind="compute", token=0),
        all_of("spans", "via", "head", kind="compute"),
    ],
    (
        "requests.n_output_tokens",
        "tokens all of which but the last went through the whole model, as their request completed",
    ): [
        to("spans", "kind", "wait", PIPELINE, kind="compute", token=1),
        to("spans", "via", "head", PIPELINE, kind="compute", token=1),
    ],
    ("devices.peak_memory_bytes", "more than 0 where it has computed"): [
        to("devices", "peak_memory_bytes", 0, PIPELINE)
    ],
    ("requests.outcome", "failed only where a token was not delivered"): [
        to("requests", "outcome", "failed", PIPELINE, **COMPLETED)
    ],
    **{
        (f"requests.{column}", UNMEASURED): [to("requests", column, value, PIPELINE, **COMPLETED)]
        for column, value in (
            ("correct", 0.5),
            ("nll", 1.0),
            ("beyond_measured", False),
            ("mean_exit_block", 1.5),
        )
    },
}


@pytest.mark.parametrize("law", ON_WIRES, ids=lambda law: f"{law[0]}: {law[1]}")
def test_a_law_of_what_cannot_be_lost_is_told(law: tuple[str, str], plain: Path, tmp_path: Path) -> None:
    for number, (label, change) in enumerate(ON_WIRES[law]):
        sentences = tampered(plain, tmp_path / str(number), label, change)
        told = [s for s in sentences if f" {law[0]}, " in s and f"expected {law[1]}" in s]
        assert told, f"change {number}: {sentences}"
        assert ": found " in told[0]


def test_the_plain_run_is_lawful(plain: Path, tmp_path: Path) -> None:
    assert tampered(plain, tmp_path, PIPELINE, lambda frames: None) == []


def test_what_may_be_lost_may_take_less_time(plain: Path, tmp_path: Path) -> None:
    folder = edited(plain, tmp_path, links_may_fail=["board--box"])
    frames = read(folder, PIPELINE)
    to("spans", "size_bytes", lambda r: r["size_bytes"] + 1000, PIPELINE, kind="send")[1](frames)
    write(folder, PIPELINE, frames)
    assert Trace(folder).check() == []


def test_a_warm_up_beyond_the_horizon_is_told(plain: Path, tmp_path: Path) -> None:
    told = "run.json, warmup_s: found 1000000000.0, expected no more than horizon_s (3.0)"
    assert told in Trace(edited(plain, tmp_path, warmup_s=1e9)).check()


def test_every_column_has_a_law_beside_what_the_schema_says_and_every_law_is_broken_below() -> None:
    beside = [law for law in LAWS if law not in OWN.values()]
    every = {f"{table}.{column.name}" for table, columns in TABLES.items() for column in columns}
    assert {column for law in beside for column in law.columns} == every
    assert {law.column for law in OWN.values()} == every
    assert {(law.column, law.says) for law in beside} == {*TAMPERINGS, *ON_WIRES}


@pytest.mark.parametrize("law", TAMPERINGS, ids=lambda law: f"{law[0]}: {law[1]}")
def test_a_broken_law_is_told(law: tuple[str, str], pair: Path, tmp_path: Path) -> None:
    label, change = TAMPERINGS[law]
    sentences = tampered(pair, tmp_path, label, change)
    told = [s for s in sentences if f" {law[0]}, " in s and f"expected {law[1]}" in s]
    assert told, "\n".join(sentences)
    assert ": found " in told[0]


NO_PART = (
    "spans.via",
    "the link of its two devices for a send or a control, a part of the model for a compute, else null",
)


@pytest.mark.parametrize(
    "via",
    ["5-2", "0-500", "2-2", "9", "embedding+", "+head", "0-1head", "shard of", "shard of 3-1", "9" * 5000],
)
def test_a_compute_is_of_a_part_that_the_model_has(via: str, pair: Path, tmp_path: Path) -> None:
    _, change = to("spans", "via", via, kind="compute")
    sentences = tampered(pair, tmp_path, OFFLOAD, change)
    assert any(f" {NO_PART[0]}, " in s and f"expected {NO_PART[1]}" in s for s in sentences)


def test_two_tokens_of_one_instant_are_lawful(pair: Path, tmp_path: Path) -> None:
    def change(frames: Frames) -> None:
        spans = frames["spans"]
        emits = spans[spans["kind"] == "emit"]
        own = emits[emits["request_id"] == emits["request_id"].value_counts().index[0]]
        spans.loc[own.index[-2], ["asked_at_s", "started_at_s", "ended_at_s"]] = own["ended_at_s"].iloc[-1]

    assert tampered(pair, tmp_path, OFFLOAD, change) == []


# --- the folder as a whole ------------------------------------------------------------------------


def edited(sound: Path, tmp_path: Path, **facts: Any) -> Path:
    folder = tmp_path / "tampered"
    shutil.copytree(sound, folder)
    file = folder / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **facts}), "utf-8")
    return folder


@pytest.mark.parametrize("table", ["requests", "devices"])
def test_a_replication_that_is_missing_is_missed(table: str, sound: Path, tmp_path: Path) -> None:
    folder = edited(sound, tmp_path)
    shutil.rmtree(folder / table / f"strategy={OFFLOAD}" / "replication=1")
    told = f"{table}, strategy={OFFLOAD}: found no replication 1, expected 2 of them, from 0"
    assert told in Trace(folder).check()


def test_spans_that_are_missing_are_missed(sound: Path, tmp_path: Path) -> None:
    folder = edited(sound, tmp_path)
    shutil.rmtree(folder / "spans" / f"strategy={OFFLOAD}" / "replication=1")
    assert any("replication 1: spans: found no table" in sentence for sentence in Trace(folder).check())


def test_strategies_and_replications_that_nobody_asked_for_are_told(sound: Path, tmp_path: Path) -> None:
    folder = edited(sound, tmp_path, strategies=[OFFLOAD, GROUP], replications=1)
    sentences = Trace(folder).check()
    assert any(s.startswith("strategy=pipeline: found") for s in sentences)
    assert any("found replication 1, expected 1" in s for s in sentences)


def test_a_run_that_did_not_end_is_said_to(sound: Path, tmp_path: Path) -> None:
    folder = edited(sound, tmp_path, status="running")
    shutil.rmtree(folder / "devices" / f"strategy={OFFLOAD}" / "replication=1")
    (sentence,) = Trace(folder).check()
    assert "found running, expected complete" in sentence
    folder = edited(sound, tmp_path / "other", status="asleep")
    assert any("found asleep" in sentence for sentence in Trace(folder).check())


def test_a_run_shorter_than_its_horizon_is_told_and_a_cooldown_is_not(sound: Path, tmp_path: Path) -> None:
    assert any(
        "between run.json's horizon" in s for s in Trace(edited(sound, tmp_path, horizon_s=7.0)).check()
    )
    later = edited(sound, tmp_path / "other", horizon_s=4.0, cooldown_s=8.0)
    assert Trace(later).check() == []
