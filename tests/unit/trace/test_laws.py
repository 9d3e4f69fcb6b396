"""Every law can be broken, and says so when it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from edgesim.engine.fleet import Fleet
from edgesim.engine.link import via_of
from edgesim.engine.simulation import simulate
from edgesim.strategies.offload import Offload
from edgesim.testing import worlds
from edgesim.trace.reader import Trace
from edgesim.trace.schema import arrow_schema
from edgesim.trace.writer import TraceFolder

Frames = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def sound() -> tuple[Frames, dict[str, object]]:
    """The tables of a lawful run with failures, queues and censored requests in it."""
    there = worlds()["a horizon"]
    strategy = Offload(to=("server",))
    placement = strategy.place(there.model, Fleet.of(there))
    tables: dict[str, pa.Table] = {}
    simulate(there, strategy, placement, placement.holdings, lambda name, table: tables.update({name: table}))
    links = {via_of(link): {"latency_s": link.latency_s} for link in there.links}
    return {name: table.to_pandas() for name, table in tables.items()}, links


def write(folder: Path, frames: Frames, links: dict[str, object], label: str = "one") -> None:
    trace = TraceFolder.reopen(folder)
    trace.write_run({"status": "complete", "strategies": ["one", "two"], "links": links})
    for name, frame in frames.items():
        table = pa.Table.from_pandas(frame, schema=arrow_schema(name), preserve_index=False)
        trace.parts(label, 0).write(name, table)


def test_the_run_is_lawful_before_it_is_tampered_with(sound, tmp_path: Path) -> None:
    frames, links = sound
    assert {"completed", "censored"} <= set(frames["requests"]["outcome"])
    write(tmp_path, frames, links)
    assert Trace(tmp_path).check() == []


def first(frame: pd.DataFrame, column: str, value: object) -> int:
    return frame.index[frame[column] == value][0]


def set_in(
    table: str, column: str, change: Callable[[pd.DataFrame], tuple[int, object]]
) -> Callable[[Frames], None]:
    def tamper(frames: Frames) -> None:
        row, value = change(frames[table])
        frames[table].loc[row, column] = value

    return tamper


def a_compute(frame: pd.DataFrame) -> int:
    return first(frame, "kind", "compute")


def a_send(frame: pd.DataFrame) -> int:
    return first(frame, "kind", "send")


TAMPERINGS: dict[str, Callable[[Frames], None]] = {
    "a completed request lacks tokens": set_in(
        "requests", "n_emitted_tokens", lambda f: (first(f, "outcome", "completed"), 5)
    ),
    "a request that ended has no end": set_in(
        "requests", "ended_at_s", lambda f: (first(f, "outcome", "completed"), None)
    ),
    "a censored request has an end": set_in(
        "requests", "ended_at_s", lambda f: (first(f, "outcome", "censored"), 2.9)
    ),
    "a token came before its request": set_in(
        "requests", "arrived_at_s", lambda f: (first(f, "outcome", "completed"), 2.99)
    ),
    "a span started before it was asked for": set_in(
        "spans", "started_at_s", lambda f: (a_compute(f), f.loc[a_compute(f), "asked_at_s"] - 0.01)
    ),
    "a span ended before it started": set_in(
        "spans", "ended_at_s", lambda f: (a_compute(f), f.loc[a_compute(f), "started_at_s"] - 0.01)
    ),
    "a span was asked for before its request arrived": set_in(
        "spans", "asked_at_s", lambda f: (a_compute(f), 0.0)
    ),
    "two compute passes overlap": set_in(
        "spans", "ended_at_s", lambda f: (a_compute(f), f.loc[a_compute(f), "ended_at_s"] + 1.0)
    ),
    "two messages overlap": set_in(
        "spans", "ended_at_s", lambda f: (a_send(f), f.loc[a_send(f), "ended_at_s"] + 2.0)
    ),
    "the emissions of a request are not as many as it tells": set_in(
        "spans", "kind", lambda f: (first(f, "kind", "emit"), "wait")
    ),
    "the devices' active energy": set_in("devices", "energy_compute_j", lambda f: (0, 1e3)),
    "the requests' energy is not that of their spans": set_in("requests", "energy_j", lambda f: (0, 1e3)),
    "held more than its memory": set_in("devices", "peak_memory_bytes", lambda f: (0, 1 << 60)),
    "a request is told twice": set_in("requests", "request_id", lambda f: (1, f.loc[0, "request_id"])),
}  # fmt: skip


@pytest.mark.parametrize("law", TAMPERINGS)
def test_a_broken_law_is_told(law: str, sound, tmp_path: Path) -> None:
    frames, links = sound
    tampered = {name: frame.copy() for name, frame in frames.items()}
    tampered["spans"]["kind"] = tampered["spans"]["kind"].astype(str)
    TAMPERINGS[law](tampered)
    write(tmp_path, tampered, links)
    assert any(law in sentence for sentence in Trace(tmp_path).check())


def test_strategies_must_meet_the_same_requests(sound, tmp_path: Path) -> None:
    frames, links = sound
    write(tmp_path, frames, links)
    others = frames["requests"].assign(n_prompt_tokens=frames["requests"]["n_prompt_tokens"] + 1)
    write(tmp_path, {**frames, "requests": others}, links, label="two")
    assert any("are not those of one" in sentence for sentence in Trace(tmp_path).check())
