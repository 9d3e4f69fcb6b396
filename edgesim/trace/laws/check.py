"""Check of a trace against all laws, one run at a time, with the spans one part at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from edgesim.trace.laws.across_runs import ALIKE_LAWS, SameDevices, SameRequests, lacking
from edgesim.trace.laws.law import Law, RowLaw, RunContext
from edgesim.trace.laws.of_columns import OWN, of_columns, of_types
from edgesim.trace.laws.of_counters import Counts
from edgesim.trace.laws.of_devices import DEVICE_LAWS
from edgesim.trace.laws.of_requests import REQUEST_LAWS
from edgesim.trace.laws.of_spans import SPAN_LAWS
from edgesim.trace.laws.of_totals import BOOK_LAWS, Books
from edgesim.trace.laws.passes import PASS_LAWS, Passes
from edgesim.trace.laws.readable import Readable
from edgesim.trace.laws.rows import Rows
from edgesim.trace.laws.stations import ALONE, Stations

__all__ = ["LAWS", "violations"]

LAWS: tuple[Law, ...] = (
    *OWN.values(),
    *REQUEST_LAWS,
    *DEVICE_LAWS,
    *SPAN_LAWS,
    *BOOK_LAWS,
    *PASS_LAWS,
    ALONE,
    *ALIKE_LAWS,
)
"""All laws of the tables that every trace has, each with the columns that it involves.

The laws of counters over time are :data:`edgesim.trace.laws.of_counters.COUNTER_LAWS`.
"""


def violations(trace: Readable, *, may_be_incomplete: bool = False, with_spans: bool = True) -> list[str]:
    """Check every strategy and replication of a trace against every law.

    The laws cover:

    - each column: its type, null only if the schema permits it, finite, within bounds, a permitted name;
    - causality: arrived <= asked <= started <= ended, and after a request's end only work under way;
    - outcomes: completed requests have all their tokens, censored ones no end;
    - exclusivity: one compute pass at a time per device, one message at a time per wire and direction;
    - conservation of tokens: as many deliveries as the requests table states, in order, each after the whole
      model was computed for it;
    - conservation of energy and busy time: spans against requests and devices;
    - consistency of runs: the same requests under every strategy, the same devices in every run, and all
      replications listed in run.json.

    Needs memory for the requests of one run and one part of its spans.

    Parameters
    ----------
    may_be_incomplete
        Whether to accept a trace whose run.json states that the run did not finish.
    with_spans
        Whether to check spans; otherwise only requests and devices are checked.

    Returns
    -------
    list
        One sentence per broken law and run (or part of its spans): strategy and replication, table and
        column, the first row, what was found there and what was expected.
    """
    found = list(lacking(trace, may_be_incomplete=may_be_incomplete))
    # Sums with infinite numbers are meaningless; the infinite numbers themselves have been reported by then.
    with np.errstate(all="ignore"):
        return [_plain(sentence) for sentence in (*found, *_of_runs(trace, with_spans=with_spans))]


def _plain(sentence: str) -> str:
    """Escape unprintable characters, since names in a trace are untrusted."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in sentence)


def _of_runs(trace: Readable, *, with_spans: bool) -> Iterator[str]:
    """Check every run against the laws, in order of replications."""
    same_devices = SameDevices()
    by_strategy = {strategy: set(trace.replications(strategy)) for strategy in trace.strategies}
    for replication in sorted(set().union(*by_strategy.values())):
        same_requests = SameRequests(trace.run)
        for strategy in trace.strategies:
            if replication in by_strategy[strategy]:
                where = f"{strategy}, replication {replication}: "
                of_run = _of_run(
                    trace, strategy, replication, same_requests, same_devices, with_spans=with_spans
                )
                for sentence in of_run:
                    yield where + sentence


def _of_run(
    trace: Readable,
    strategy: str,
    replication: int,
    same_requests: SameRequests,
    same_devices: SameDevices,
    *,
    with_spans: bool,
) -> Iterator[str]:
    """Check one run against the laws; a table with wrong types is not checked further."""
    tables: dict[str, Rows] = {}
    for name in ("requests", "devices"):
        parts = list(trace.parts(name, strategy, replication))
        wrong = list(of_types(name, parts[0])) if parts else [f"{name}: found no table, expected one"]
        yield from wrong
        if not wrong:
            tables[name] = Rows(name, pa.concat_tables(parts).unify_dictionaries())
            yield from of_columns(tables[name])
    if len(tables) < 2:
        return
    requests, devices = tables["requests"], tables["devices"]
    has_spans = trace.has_spans(strategy, replication)
    there = RunContext(requests, devices, trace.run, has_spans=has_spans)
    yield from _all(REQUEST_LAWS, requests, there)
    yield from _all(DEVICE_LAWS, devices, there)
    yield from same_devices.check(devices)
    yield from same_requests.check(strategy, requests, there.duration_s)
    if there.keeps_spans and with_spans:
        if not has_spans and bool((requests.ints("n_emitted_tokens") > 0).any()):
            yield "spans: found no table, expected one, since the requests have energy_j"
        yield from _of_spans(trace, strategy, replication, there)
    yield from _of_counters(trace, strategy, replication, there)


def _of_counters(trace: Readable, strategy: str, replication: int, there: RunContext) -> Iterator[str]:
    counts, n_rows = Counts(there), 0
    for table in trace.parts("counters", strategy, replication):
        rows = Rows("counters", table, n_rows)
        n_rows += len(rows)
        wrong = list(of_types("counters", table))
        yield from wrong
        if wrong:
            return
        yield from of_columns(rows)
        yield from counts.add(rows)
    yield from counts.close()


def _of_spans(trace: Readable, strategy: str, replication: int, there: RunContext) -> Iterator[str]:
    def parts() -> Iterator[Rows]:
        n_rows = 0
        for table in trace.parts("spans", strategy, replication):
            yield Rows("spans", table, n_rows)
            n_rows += table.num_rows

    books, stations, passes = Books(there), Stations(there), Passes(there)
    for spans in parts():
        wrong = list(of_types("spans", spans.table))
        yield from wrong
        if wrong:
            return
        yield from of_columns(spans)
        yield from _all(SPAN_LAWS, spans, there)
        yield from books.add(spans)
        yield from stations.add(spans)
        yield from passes.add(spans)
    yield from books.close()
    yield from passes.close()
    yield from stations.close(parts)


def _all(laws: tuple[RowLaw, ...], rows: Rows, there: RunContext) -> Iterator[str]:
    for law in laws:
        yield from law.check(rows, there)
