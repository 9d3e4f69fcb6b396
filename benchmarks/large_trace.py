"""Write a valid trace as large as asked for: a short simulated stretch, repeated in time.

    python benchmarks/large_trace.py FOLDER --spans 10e6 [--strategies 2]

A street of cameras asks two servers over a cell and wires, first one server alone, then both as a pipeline.
A stretch of some 100,000 spans is simulated for each strategy, until the last request has ended. It is then
repeated with later instants and new request numbers, in parts as a run writes them, until all strategies
together have the spans asked for. What devices did and drew grows in proportion. Every law of traces holds
(`Trace(FOLDER).check()`), so that commands are tried on it as on any other trace.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from edgesim.errors import InputError
from edgesim.runner import prepare, run
from edgesim.scenario.load import parse
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder

N_STRATEGIES = 3
STRETCH_REQUESTS = 900  # of some 150 spans each
IN_PROPORTION = ("busy_s", "energy_compute_j", "energy_tx_j", "energy_rx_j")

TEXT = """
name: large-trace
description: A street of cameras asks two servers, again and again.
seed: 3
replications: 1
profile: analytic
model: {{architecture: tinyllama-1.1b, dtype: bfloat16}}
topology:
  devices:
    - {{id: camera, kind: raspberry-pi-5, count: 4, place: {{grid: 60 m, columns: 2}}}}
    - {{id: roadside, kind: jetson-agx-orin, place: {{at: [30 m, 90 m]}}}}
    - {{id: edge, kind: jetson-agx-orin}}
  links:
    - {{between: [camera, roadside], radio: nr-n78}}
    - {{between: [roadside, edge], wired: {{rate: 1 Gbit/s, latency: 0.3 ms}}}}
workload:
  sources: camera
  requests: {n_requests}
  arrivals: {{poisson: 1 Hz}}
  prompt_tokens: {{lognormal: {{median: 64, sigma: 0.6, max: 256}}}}
  output_tokens: 16
strategies:
  - {{use: offload, to: edge}}
  - {{use: pipeline, over: [roadside, edge], partition: even}}
  - {{use: offload, to: roadside}}
"""


def write(folder: Path, n_spans: int, n_strategies: int) -> int:
    """Write the trace; the number of its spans, which reaches what was asked for."""
    with tempfile.TemporaryDirectory() as temporary:
        prepared = prepare(parse(TEXT.format(n_requests=STRETCH_REQUESTS), name="large_trace.yaml"))
        labels = list(prepared.strategies)[:n_strategies]
        prepared = prepare(prepared.scenario, only=labels)
        stretch = run(prepared, Path(temporary) / "stretch")
        tables = {
            strategy: {
                name: list(stretch.parts(name, strategy, 0)) for name in ("requests", "spans", "devices")
            }
            for strategy in stretch.strategies
        }
        # One period for all, so that all strategies are asked the same at the same instants.
        period_s = max(stretch.devices(s, 0)["duration_s"].max() for s in stretch.strategies)
        n_in_stretch = sum(part.num_rows for own in tables.values() for part in own["spans"])
        n_repeats = max(1, math.ceil(n_spans / n_in_stretch))
        home = TraceFolder(folder)
        with home.locked():
            home.write_run({**stretch.run, "status": "running"})
            for strategy, own in tables.items():
                writer = home.parts(strategy, 0)
                for repeat in range(n_repeats):
                    for part in own["spans"]:
                        writer.write("spans", _later(part, repeat, period_s))
                for name, whole in (
                    ("requests", _repeated(own["requests"], n_repeats, period_s)),
                    ("devices", _lasting(pa.concat_tables(own["devices"]), n_repeats, period_s)),
                ):
                    writer.write(name, whole)
            home.write_run({**stretch.run, "status": "complete"})
    return n_in_stretch * n_repeats


def _repeated(parts: list[pa.Table], n_repeats: int, period_s: float) -> pa.Table:
    stretch = pa.concat_tables(parts)
    repeats = (_later(stretch, repeat, period_s) for repeat in range(n_repeats))
    return pa.concat_tables(repeats).unify_dictionaries().combine_chunks()


def _later(table: pa.Table, repeat: int, period_s: float) -> pa.Table:
    """The same in a later repeat: other request numbers, other instants."""
    for place, field in enumerate(table.schema):
        if field.name.endswith("_at_s"):
            table = table.set_column(place, field, pc.add(table[field.name], repeat * period_s))
        elif field.name == "request_id":
            table = table.set_column(place, field, pc.add(table["request_id"], repeat * STRETCH_REQUESTS))
    return table


def _lasting(devices: pa.Table, n_repeats: int, period_s: float) -> pa.Table:
    """What devices did and drew in all repeats."""
    length_s = n_repeats * period_s
    always = pa.array([length_s] * devices.num_rows)
    changed = {
        "duration_s": always,
        "up_s": always,
        "energy_idle_j": pc.multiply(devices["idle_w"], length_s),
    }
    changed |= {name: pc.multiply(devices[name], n_repeats) for name in IN_PROPORTION}
    for name, values in changed.items():
        place = devices.schema.get_field_index(name)
        devices = devices.set_column(place, devices.schema.field(place), values)
    return devices


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the trace goes: a new folder, or an empty one")
    parser.add_argument("--spans", type=float, default=10e6, help="of all strategies together, at least")
    parser.add_argument("--strategies", type=int, default=2, choices=range(1, N_STRATEGIES + 1))
    asked = parser.parse_args()
    try:
        n_spans = write(asked.folder, int(asked.spans), asked.strategies)
    except InputError as error:
        sys.exit(f"{error}")
    trace = Trace(asked.folder)
    size_bytes = sum(file.stat().st_size for file in trace.path.rglob("*.parquet"))
    print(
        json.dumps({"n_spans": n_spans, "strategies": trace.strategies, "size_mb": round(size_bytes / 1e6)})
    )


if __name__ == "__main__":
    main()
