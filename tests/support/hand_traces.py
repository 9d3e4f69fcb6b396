"""Traces written by hand: a run.json, one run's tables, and nothing that was simulated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from edgesim.trace.reader import Trace
from edgesim.trace.schema import SCHEMA_VERSION, TABLES, arrow_schema

Row = dict[str, Any]

_SPAN: Row = {
    "token": 0, "peer": None, "via": None, "link_kind": None, "n_tokens": 1, "size_bytes": 0, "energy_j": 0.0,
    "straggler_s": 0.0, "air_s": 0.0, "wire_s": 0.0, "handling_s": 0.0, "error_variance": None, "attempts": 1,
}  # fmt: skip
_REQUEST: Row = {
    "source": "here", "sample": 0, "first_token_at_s": None, "n_prompt_tokens": 1, "n_output_tokens": 1,
    "n_emitted_tokens": 1, "outcome": "completed", "reason": None, "energy_j": 0.0, "error_variance": None,
    "mean_exit_block": None, "correct": None, "nll": None, "beyond_measured": None,
}  # fmt: skip
_DEVICE: Row = {
    "group": "one", "kind": "board", "origin": "analytic", "serving": "fifo", "up_s": 100.0, "busy_s": 1.0,
    "idle_w": 0.0, "active_w": 0.0, "messages_on_compute": False, "energy_compute_j": 0.0, "energy_tx_j": 0.0,
    "energy_rx_j": 0.0, "energy_idle_j": 0.0, "memory_bytes": 1, "peak_memory_bytes": 1, "n_failures": 0,
    "duration_s": 100.0,
}  # fmt: skip


def hand_trace(
    folder: Path,
    requests: Sequence[Row],
    spans: Sequence[Row],
    devices: Sequence[Row] = ({"device": "here"},),
    **run: Any,
) -> Trace:
    """Write a trace of one strategy, ``one``, in one replication; what rows leave out is plain."""
    facts = {
        "schema_version": SCHEMA_VERSION, "status": "complete", "strategies": ["one"], "replications": 1,
        "horizon_s": None, "warmup_s": 0.0,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(facts | run))
    for name, plain, rows in (
        ("requests", _REQUEST, requests),
        ("spans", _SPAN, spans),
        ("devices", _DEVICE, devices),
    ):
        home = folder / name / "strategy=one" / "replication=0"
        home.mkdir(parents=True, exist_ok=True)
        whole = [plain | row for row in rows]
        columns = {column.name: [row[column.name] for row in whole] for column in TABLES[name]}
        pq.write_table(pa.table(columns, schema=arrow_schema(name)), home / "part-000000.parquet")
    return Trace(folder)


def span(kind: str, asked_at_s: float, started_at_s: float, ended_at_s: float, **more: Any) -> Row:
    """A span of request 7 on the device ``here``."""
    plain = {"request_id": 7, "kind": kind, "device": "here"}
    times_s = {"asked_at_s": asked_at_s, "started_at_s": started_at_s, "ended_at_s": ended_at_s}
    return plain | times_s | more
