"""How fast the engine is: a four-stage pipeline against the textbook model, in one process.

Three programs simulate the same system, 200 requests of 100 tokens on a ring of four devices:

- the textbook model: one SimPy process per request, a ``simpy.Resource`` per device and link direction,
  a timeout per service and per latency;
- edgesim, the shipped ``pipeline`` strategy, with spans off and with spans on and written to Parquet;
- a bare SimPy loop that does nothing but wait for as many timeouts as there are visits.

The departures of the first two must be identical. Times are medians of interleaved repetitions, in
processor time, so that other programs on the machine count little; only ratios mean anything elsewhere.

    python benchmarks/engine.py [--requests 200] [--tokens 100] [--repeats 7] [--memory]
"""

from __future__ import annotations

import argparse
import gc
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import simpy
from rich.console import Console
from rich.table import Table

from edgesim.engine.simulation import simulate
from edgesim.model.architecture import Architecture, Slice
from edgesim.strategies.pipeline import Pipeline
from edgesim.trace.writer import TraceFolder
from edgesim.workload.arrivals import Poisson
from edgesim.workload.lengths import Fixed
from edgesim.workload.requests import Workload
from edgesim.world.device import Device
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.world import World

N_STAGES = 4
TARGET_OFF, TARGET_ON, TARGET_BYTES = 5.0, 3.0, 1e9
BLOCK_S, HEAD_S, PREFILL_FACTOR, CONTEXT_S = 2.0e-3, 1.0e-3, 8.0, 1.0e-6
RATE_BPS, LATENCY_S = 1e9, 3e-4


@dataclass(frozen=True)
class LinearTiming:
    """A made-up time: proportional to the blocks, growing with the context."""

    speed: float
    origin: str = "analytic"

    def seconds(self, part: Slice, *, batch: int, n_new: Any, n_context: Any, n_shards: int = 1) -> Any:
        del batch, n_shards
        n_new, n_context = np.asarray(n_new), np.asarray(n_context)
        block_s = np.where(n_new > 1, PREFILL_FACTOR, 1.0) * BLOCK_S + CONTEXT_S * n_context
        return (part.n_blocks * block_s + part.head * HEAD_S) / self.speed

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        del max_new, max_context, batch, n_shards


def world(n_requests: int, n_tokens: int) -> World:
    model = Architecture.from_config(
        {
            "model_type": "llama",
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 12,
            "num_attention_heads": 16,
            "vocab_size": 32000,
            "max_position_embeddings": 1 << 20,
        },
        name="bench",
        dtype="float16",
    )
    devices = {
        f"d{i}": Device(
            id=f"d{i}", group="d", kind="bench", memory_bytes=1 << 50, timing=LinearTiming(1 + 0.1 * i)
        )
        for i in range(N_STAGES)
    }
    ring = [(f"d{i}", f"d{(i + 1) % N_STAGES}") for i in range(N_STAGES)]
    return World(
        model=model,
        devices=devices,
        links=tuple(Link(between=ends, rate_bps=RATE_BPS, latency_s=LATENCY_S) for ends in ring),
        workload=Workload(
            arrivals=Poisson(rate_hz=1.2),
            prompt_tokens=Fixed(32),
            output_tokens=Fixed(n_tokens),
            sources=("d0",),
            n_requests=n_requests,
        ),
        seed=1,
    )


def textbook(world: World, stages: Any) -> list[float]:
    """Simulate it the usual way; departures in the order of the requests."""
    env = simpy.Environment()
    compute = {d: simpy.Resource(env) for d in world.devices}
    wire = {
        (a, b): simpy.Resource(env) for link in world.links for a, b in (link.between, link.between[::-1])
    }
    starter, *secondaries, head = [(s.device, s.part) for s in stages]
    ended: dict[int, float] = {}
    # Prices are looked up in tables made in advance, as in edgesim.
    longest = 32 + max(r.n_output_tokens for r in world.requests())
    decode: dict[Any, list[float]] = {}
    prefill: dict[Any, float] = {}
    for device, part in (starter, *secondaries, head):
        timing = world.devices[device].timing
        assert timing is not None
        decode[device, part] = timing.seconds(part, batch=1, n_new=1, n_context=np.arange(longest)).tolist()
        prefill[device, part] = float(timing.seconds(part, batch=1, n_new=32, n_context=0))

    def price(stage: Any, index: int) -> float:
        return prefill[stage] if index == 0 else decode[stage][32 + index - 1]

    def send(a: str, b: str, size_bytes: int) -> Generator[Any, Any, None]:
        with wire[a, b].request() as turn:
            yield turn
            yield env.timeout(8 * size_bytes / RATE_BPS)
        yield env.timeout(LATENCY_S)

    def request(asked: Any) -> Generator[Any, Any, None]:
        with compute[starter[0]].request() as turn:
            yield turn
            yield env.timeout(price(starter, 0))
        for index in range(asked.n_output_tokens):
            size_bytes = world.model.activation_bytes(32 if index == 0 else 1)
            at = starter[0]
            for stage in secondaries:
                yield from send(at, stage[0], size_bytes)
                at = stage[0]
                with compute[at].request() as turn:
                    yield turn
                    yield env.timeout(price(stage, index))
            yield from send(at, starter[0], size_bytes)
            with compute[starter[0]].request() as turn:
                yield turn
                yield env.timeout(price(head, index))
                if index + 1 < asked.n_output_tokens:
                    yield env.timeout(price(starter, index + 1))
        ended[asked.id] = env.now

    def arrive() -> Generator[Any, Any, None]:
        for asked in world.requests():
            yield env.timeout(asked.arrived_at_s - env.now)
            env.process(request(asked))

    env.process(arrive())
    env.run()
    return [ended[i] for i in sorted(ended)]


def edgesim(world: World, strategy: Pipeline, placement: Any, folder: Path | None) -> list[float]:
    """Simulate it with edgesim; spans on if there is a folder to write them to."""
    ended: dict[int, float] = {}
    parts = None
    if folder is not None:
        trace = TraceFolder(folder, replace=True)
        trace.write_run({"status": "running"})
        parts = trace.parts("pipeline", 0)

    def write(name: str, table: pa.Table) -> None:
        if name == "requests":
            ended.update(zip(table["request_id"].to_pylist(), table["ended_at_s"].to_pylist(), strict=True))
        if parts is not None:
            parts.write(name, table)

    simulate(world, strategy, placement, placement.holdings, write, keep_spans=folder is not None)
    return [ended[i] for i in sorted(ended)]


def bare(n_visits: int) -> None:
    """Wait for as many timeouts in SimPy and do nothing else."""
    env = simpy.Environment()

    def wait(n: int) -> Generator[Any, Any, None]:
        for _ in range(n):
            yield env.timeout(1.0)

    for _ in range(200):
        env.process(wait(n_visits // 200))
    env.run()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--memory", action="store_true", help="20,000 requests with spans on: peak memory only"
    )
    asked = parser.parse_args()
    console = Console()
    if asked.memory:
        asked.requests = 20_000
    there = world(asked.requests, asked.tokens)
    strategy = Pipeline(partition="even")
    placement = strategy.place(there.model, Fleet.of(there))
    n_visits = asked.requests * asked.tokens * 2 * N_STAGES
    with tempfile.TemporaryDirectory() as folder:
        if asked.memory:
            began_s = time.process_time()
            edgesim(there, strategy, placement, Path(folder) / "run")
            took_s = time.process_time() - began_s
            peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            size_bytes = sum(p.stat().st_size for p in Path(folder).rglob("*.parquet"))
            console.print(
                f"{asked.requests} requests x {asked.tokens} tokens, spans on: {took_s:.1f} s, "
                f"peak memory {peak_bytes / 1e6:.0f} MB, trace {size_bytes / 1e6:.0f} MB"
            )
            sys.exit(0 if peak_bytes < TARGET_BYTES else 1)
        programs: dict[str, Callable[[], Any]] = {
            "textbook, simpy.Resource": lambda: textbook(there, placement.stages),
            "edgesim, spans off": lambda: edgesim(there, strategy, placement, None),
            "edgesim, spans on": lambda: edgesim(there, strategy, placement, Path(folder) / "run"),
            "bare SimPy timeouts": lambda: bare(n_visits),
        }
        times_s: dict[str, list[float]] = {name: [] for name in programs}
        results: dict[str, Any] = {}
        for _ in range(asked.repeats):
            for name, program in programs.items():
                gc.collect()  # no program pays for what the one before has left behind
                began_s = time.process_time()
                results[name] = program()
                times_s[name].append(time.process_time() - began_s)
    names = list(programs)
    same = results[names[0]] == results[names[1]] == results[names[2]]
    table = Table(
        title=f"{asked.requests} requests x {asked.tokens} tokens, {N_STAGES} stages, {n_visits} visits"
    )
    for heading in ("program", "median s", "min s", "us/visit", "times faster than textbook"):
        table.add_column(heading, justify="left" if heading == "program" else "right")
    median_s = {name: statistics.median(times_s[name]) for name in names}
    for name in names:
        table.add_row(
            name,
            f"{median_s[name]:.3f}",
            f"{min(times_s[name]):.3f}",
            f"{1e6 * median_s[name] / n_visits:.2f}",
            f"{median_s[names[0]] / median_s[name]:.2f}",
        )
    console.print(table)
    off, on = (median_s[names[0]] / median_s[name] for name in names[1:3])
    claims = {
        "identical departures": same,
        f"spans off at least {TARGET_OFF:g} times faster ({off:.2f})": off >= TARGET_OFF,
        f"spans on at least {TARGET_ON:g} times faster ({on:.2f})": on >= TARGET_ON,
    }
    for claim, holds in claims.items():
        console.print(f"{'yes' if holds else 'NO '}  {claim}")
    sys.exit(0 if all(claims.values()) else 1)


if __name__ == "__main__":
    main()
