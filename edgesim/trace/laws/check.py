"""Holds a trace to every law, a strategy and a replication at a time, and its spans a part at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from edgesim.trace.laws.alike import ALIKE_LAWS, SameDevices, SameRequests, lacking
from edgesim.trace.laws.books import BOOK_LAWS, Books
from edgesim.trace.laws.law import Law, RowLaw, There
from edgesim.trace.laws.of_counters import Counts
from edgesim.trace.laws.of_devices import DEVICE_LAWS
from edgesim.trace.laws.of_requests import REQUEST_LAWS
from edgesim.trace.laws.of_spans import SPAN_LAWS
from edgesim.trace.laws.own import OWN, of_columns, of_types
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
"""Every law that the tables of any trace are held to; each names the columns that it is about.

Beside them are those of what is counted over time, :data:`edgesim.trace.laws.of_counters.COUNTER_LAWS`.
"""


def violations(trace: Readable, *, may_be_incomplete: bool = False, with_spans: bool = True) -> list[str]:
    """Check every strategy and replication of a trace against every law.

    The laws: every column by itself (its type, null only where the schema says so, finite, within bounds,
    one of the names that there are); causality (arrived <= asked <= started <= ended, nothing after a
    request's end but what was under way); outcomes (completed requests have all their tokens, censored ones
    no end); exclusivity (one compute pass at a time per device, one message at a time per wire and
    direction); conservation of tokens (as many deliveries as the request tells, in order, each after the
    whole model was computed for it), of energy and of
    busy time (spans against requests and devices); and one world for all (the same requests under every
    strategy, the same devices everywhere, every replication that run.json speaks of).

    Memory is that of one run's requests and one part of its spans.

    Parameters
    ----------
    may_be_incomplete
        Whether a run that did not come to its end, and says so, is as it should be.
    with_spans
        Whether to look at spans; without them, at requests and devices alone.

    Returns
    -------
    list
        One sentence per law that is broken in a run (in a part of its spans): strategy and replication, table
        and column, the first row, what was found there and what was expected.
    """
    found = list(lacking(trace, may_be_incomplete=may_be_incomplete))
    # Where an infinite number stands, sums with it are of no use; that it stands there has been said by then.
    with np.errstate(all="ignore"):
        return [_plain(sentence) for sentence in (*found, *_of_runs(trace, with_spans=with_spans))]


def _plain(sentence: str) -> str:
    """Names are a stranger's: what no terminal shows as it is becomes an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in sentence)


def _of_runs(trace: Readable, *, with_spans: bool) -> Iterator[str]:
    """Hold every run to the laws, replication by replication."""
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
    """Hold one run to the laws; those of a table come after those that it needs to be read at all."""
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
    there = There(requests, devices, trace.run, has_spans=has_spans)
    yield from _all(REQUEST_LAWS, requests, there)
    yield from _all(DEVICE_LAWS, devices, there)
    yield from same_devices.check(devices)
    yield from same_requests.check(strategy, requests, there.duration_s)
    if there.keeps_spans and with_spans:
        if not has_spans and bool((requests.ints("n_emitted_tokens") > 0).any()):
            yield "spans: found no table, expected one, as the requests' energy is told"
        yield from _of_spans(trace, strategy, replication, there)
    yield from _of_counters(trace, strategy, replication, there)


def _of_counters(trace: Readable, strategy: str, replication: int, there: There) -> Iterator[str]:
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


def _of_spans(trace: Readable, strategy: str, replication: int, there: There) -> Iterator[str]:
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


def _all(laws: tuple[RowLaw, ...], rows: Rows, there: There) -> Iterator[str]:
    for law in laws:
        yield from law.check(rows, there)
