"""Laws across runs: all runs exist, with the same devices, and the same requests under every strategy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesim.trace.laws.law import Law
from edgesim.trace.laws.readable import Readable
from edgesim.trace.laws.rows import Rows
from edgesim.trace.schema import TABLES

__all__ = ["ALIKE_LAWS", "SameDevices", "SameRequests", "lacking"]

_ASKED = ("source", "sample", "n_prompt_tokens", "n_output_tokens")
_LASTING = ("group", "kind", "origin", "serving", "memory_bytes", "idle_w", "active_w", "messages_on_compute")

_SAME = "that of the same request under another strategy"
REQUESTS_ALIKE = {column: Law(f"requests.{column}", _SAME) for column in (*_ASKED, "arrived_at_s")}
DEVICES_ALIKE = {
    column: Law(f"devices.{column}", "the same in every run of the trace") for column in _LASTING
}
SAME_IDS = Law("requests.request_id", "the requests of every other strategy")
SAME_NAMES = Law("devices.device", "the devices of every other run")

ALIKE_LAWS = (SAME_IDS, *REQUESTS_ALIKE.values(), SAME_NAMES, *DEVICES_ALIKE.values())


def lacking(trace: Readable, *, may_be_incomplete: bool = False) -> Iterator[str]:
    """Yield contradictions within run.json, and between it and the tables that exist in the folder."""
    status = str(trace.run.get("status", "complete"))
    if status in ("running", "stopped") or status.startswith("failed: "):
        if not may_be_incomplete:
            yield f"run.json, status: found {status}, expected complete: the run did not finish"
    elif status != "complete":
        yield f"run.json, status: found {status}, expected complete, running, stopped, or failed: (reason)"
    run: Mapping[str, Any] = trace.run
    horizon_s, warmup_s = run.get("horizon_s"), run.get("warmup_s") or 0.0
    if horizon_s is not None and warmup_s > horizon_s:
        yield f"run.json, warmup_s: found {warmup_s}, expected no more than horizon_s ({horizon_s})"
    said, n_replications = run.get("strategies"), run.get("replications")
    if said is None or n_replications is None:
        return
    for strategy in trace.strategies:
        if strategy not in said:
            yield f"strategy={strategy}: found, expected only those of run.json ({', '.join(said)})"
    expected = f"{n_replications} of them, from 0"
    for strategy in said:
        for table in ("requests", "devices"):
            there = trace.replications_with(table, strategy)
            gone = sorted(set(range(n_replications)).difference(there))
            if gone and status == "complete":
                numbers = ", ".join(map(str, gone))
                yield f"{table}, strategy={strategy}: found no replication {numbers}, expected {expected}"
            if more := sorted(set(there).difference(range(n_replications))):
                yield f"{table}, strategy={strategy}: found replication {more[0]}, expected {expected}"


class SameRequests:
    """Compares the requests of one replication with those of the first strategy.

    If users wait for answers before their next request (stated in run.json), arrivals depend on the strategy,
    and so does the number of requests before the horizon. Then only requests that both strategies have are
    compared, and not their arrival instants. Otherwise, requests may be missing only if they arrive after
    the end of the shorter run.
    """

    def __init__(self, run: Mapping[str, Any]) -> None:
        self._is_closed = run.get("workload", {}).get("arrivals_depend_on_strategy", False)
        self._horizon_s = run.get("horizon_s")
        self._first: tuple[str, Rows, float] | None = None

    def check(self, strategy: str, requests: Rows, duration_s: float) -> Iterator[str]:
        """Check another strategy's requests; the first call sets the reference."""
        if self._first is None:
            self._first = (strategy, requests, duration_s)
            return
        other, theirs, their_duration_s = self._first
        ids, their_ids = requests.ints("request_id"), theirs.ints("request_id")
        if not self._is_closed:
            shorter_s = np.inf if self._horizon_s is None else min(duration_s, their_duration_s)
            mine = ids[requests.floats("arrived_at_s") <= shorter_s]
            yours = their_ids[theirs.floats("arrived_at_s") <= shorter_s]
            if odd := sorted(set(mine.tolist()) ^ set(yours.tolist())):
                yield SAME_IDS.sentence(
                    "all rows",
                    f"{len(odd)} that only one has (the first is {odd[0]})",
                    f"{SAME_IDS.says}: its requests are not those of {other}",
                )
        _, here, there = np.intersect1d(ids, their_ids, return_indices=True)
        for column in (*_ASKED, *(() if self._is_closed else ("arrived_at_s",))):
            law = REQUESTS_ALIKE[column]
            (expected,) = (_values(theirs, column)[there],)
            is_other = np.zeros(len(requests), dtype=bool)
            is_other[here] = _values(requests, column)[here] != expected
            beside = np.empty(len(requests), dtype=object)
            beside[here] = expected
            for sentence in law.broken(requests, is_other, beside):
                yield f"{sentence}: its requests are not those of {other}"


class SameDevices:
    """Compares the devices of every run with those of the first."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[Any, ...]] | None = None

    def check(self, devices: Rows) -> Iterator[str]:
        """Check another run's devices; the first call sets the reference."""
        columns = [_values(devices, column).tolist() for column in ("device", *_LASTING)]
        mine = {name: tuple(facts) for name, *facts in zip(*columns, strict=True)}
        if self._first is None:
            self._first = mine
            return
        if odd := sorted(map(str, set(mine) ^ set(self._first))):
            yield SAME_NAMES.sentence("all rows", f"{odd[0]} in one of two", SAME_NAMES.says)
        for place, column in enumerate(_LASTING):
            expected = [self._first.get(name, mine[name])[place] for name in columns[0]]
            found = [mine[name][place] for name in columns[0]]
            is_other = np.array([a != b for a, b in zip(found, expected, strict=True)], dtype=bool)
            yield from DEVICES_ALIKE[column].broken(devices, is_other, np.array(expected, dtype=object))


_TYPES = {table: {column.name: column.type for column in columns} for table, columns in TABLES.items()}


def _values(rows: Rows, column: str) -> npt.NDArray[Any]:
    """Return a column's values; names as strings."""
    if "dictionary" in str(_TYPES[rows.name][column]):
        places, names = rows.names(column)
        return np.array([*names, None], dtype=object)[places]
    if "bool" in str(_TYPES[rows.name][column]):
        return rows.is_true(column)
    return rows.floats(column) if "double" in str(_TYPES[rows.name][column]) else rows.ints(column)
