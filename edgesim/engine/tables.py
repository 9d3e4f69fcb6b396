"""The tables of a trace about whole runs: requests as they ended, and devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from edgesim.engine.answer_quality import Worth
from edgesim.engine.assembly import Assembly
from edgesim.engine.request import LiveRequest
from edgesim.trace.buffer import SpanBuffer
from edgesim.trace.schema import arrow_schema
from edgesim.world.discipline import serving_name
from edgesim.world.world import World

__all__ = ["Write", "devices_table", "requests_table"]

Write = Callable[[str, pa.Table], None]
"""Function that takes a table's name and a part of that table."""


def requests_table(requests: Sequence[LiveRequest], spans: SpanBuffer | None) -> pa.Table:
    """Build the table of requests as they ended, or as they stand at the end of the run.

    Parameters
    ----------
    spans
        Buffer of their spans, from which their energy is computed; None if spans were not recorded.
    """
    ids = np.array([r.id for r in requests], dtype=np.int64)
    worths = [Worth() if r.worth is None else r.worth for r in requests]
    energy_j = pa.nulls(len(ids), pa.float64()) if spans is None else spans.energy_j(ids)
    columns = {
        "request_id": ids,
        "source": [r.source for r in requests],
        "sample": [r.sample for r in requests],
        "arrived_at_s": [r.arrived_at_s for r in requests],
        "first_token_at_s": [r.first_token_at_s for r in requests],
        "ended_at_s": [r.ended_at_s for r in requests],
        "n_prompt_tokens": [r.n_prompt_tokens for r in requests],
        "n_output_tokens": [r.n_output_tokens for r in requests],
        "n_emitted_tokens": [r.n_emitted_tokens for r in requests],
        "outcome": [r.outcome for r in requests],
        "reason": [r.reason for r in requests],
        "energy_j": energy_j,
        "error_variance": [worth.error_variance for worth in worths],
        "mean_exit_block": [worth.mean_exit_block for worth in worths],
        "correct": [worth.correct for worth in worths],
        "nll": [worth.nll for worth in worths],
        "beyond_measured": [worth.is_beyond for worth in worths],
    }
    return _table("requests", columns, len(ids))


def devices_table(world: World, parts: Assembly, ended_at_s: float) -> pa.Table:
    """Build the table of devices, with totals integrated exactly up to the end of the run."""
    devices = list(world.devices.values())
    busy_s = {d.id: parts.hosts[d.id].busy_until(ended_at_s) for d in devices}
    drawn = [parts.accounts.drawn(d.id, ended_at_s) for d in devices]
    columns = {
        "device": [d.id for d in devices],
        "group": [d.group for d in devices],
        "kind": [d.kind or None for d in devices],
        "origin": [d.origin or None for d in devices],
        "serving": [serving_name(d.serving) for d in devices],
        "duration_s": [ended_at_s] * len(devices),
        "up_s": [parts.accounts.up_s(d.id, ended_at_s) for d in devices],
        "busy_s": list(busy_s.values()),
        "idle_w": [d.power.idle_w + d.power.radio_idle_w for d in devices],
        "active_w": [d.power.active_w for d in devices],
        "messages_on_compute": [d.endpoint.on_compute for d in devices],
        "energy_compute_j": [one.compute_j for one in drawn],
        "energy_tx_j": [one.tx_j for one in drawn],
        "energy_rx_j": [one.rx_j for one in drawn],
        "energy_idle_j": [one.idle_j for one in drawn],
        "memory_bytes": [d.memory_bytes for d in devices],
        "peak_memory_bytes": [parts.reservations.memories[d.id].peak_bytes for d in devices],
        "n_failures": [parts.accounts.n_failures(d.id) for d in devices],
    }
    return _table("devices", columns, len(devices))


def _table(name: str, columns: Mapping[str, Any], n_rows: int) -> pa.Table:
    """Build a table of the trace; columns without values are null."""
    schema = arrow_schema(name)
    arrays = []
    for field in schema:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(n_rows, field.type))
        elif pa.types.is_dictionary(field.type):
            arrays.append(pa.array(values, pa.string()).dictionary_encode().cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
