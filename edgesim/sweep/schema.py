"""Columns of a sweep's results: one row for each cell, strategy and replication."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa

from edgesim.statistics.metric import METRICS
from edgesim.statistics.summary import Summary
from edgesim.sweep.axes import Value

__all__ = [
    "COUNTS",
    "EXTRA",
    "METRICS",
    "SCHEMA_VERSION",
    "further_in",
    "further_metrics",
    "results_schema",
    "results_table",
]

SCHEMA_VERSION = 1

COUNTS = ("offered", "completed", "failed", "censored")
EXTRA = ("attainment_at_least", "attainment_at_most")
"""Bounds of the attainment: if all undecided requests miss their objectives, and if all meet them."""

_FURTHER = b"edgesim_sweep_further_metrics"

_KINDS = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


def further_metrics() -> tuple[str, ...]:
    """Return the metrics that are not attributes of a summary, such as those of installed packages."""
    return tuple(name for name, metric in METRICS.items() if metric.of is not None)


def further_in(schema: pa.Schema) -> tuple[str, ...]:
    """Return the further metrics in a results file, as installed where it was written."""
    named_further = (schema.metadata or {}).get(_FURTHER, b"").decode()
    return tuple(filter(None, named_further.split(",")))


def results_schema(
    labels: Sequence[str], kinds: Sequence[type], further: Sequence[str] | None = None
) -> pa.Schema:
    """Return the schema of a results file, with the axes' columns first.

    The cell is not a column but the name of the file's folder (``cell=3``), as in a hive-partitioned data
    set. `growth` gives the increase of the number of requests in flight over each of equal stretches of the
    window, `growth_n_arrived` how many arrived (:mod:`edgesim.statistics.saturation`); empty where unknown.

    Parameters
    ----------
    further
        Metrics that are not attributes of a summary; by default those known now.
    """
    named = further_metrics() if further is None else tuple(further)
    own = [name for name, metric in METRICS.items() if metric.of is None]
    named_further = {_FURTHER: ",".join(named).encode()} if named else {}
    return pa.schema(
        [
            *(pa.field(label, _KINDS[kind]) for label, kind in zip(labels, kinds, strict=True)),
            pa.field("strategy", pa.string()),
            pa.field("replication", pa.int32()),
            *(pa.field(name, pa.int64()) for name in COUNTS),
            *(pa.field(name, pa.float64()) for name in (*own, *named, *EXTRA)),
            pa.field("growth", pa.list_(pa.int64())),
            pa.field("growth_n_arrived", pa.int64()),
        ],
        metadata={"edgesim_sweep_schema_version": str(SCHEMA_VERSION)} | named_further,
    )


def results_table(labels: Sequence[str], values: Sequence[Value], summaries: Sequence[Summary]) -> pa.Table:
    """Make the results table of one replication of one cell; NaN where a metric is unknown or undefined."""
    rows = []
    for one in summaries:
        numbers = {**one.metrics(), **{name: getattr(one, name) for name in EXTRA}}
        rows.append(
            {
                **dict(zip(labels, values, strict=True)),
                "strategy": one.strategy,
                "replication": one.replication,
                **{name: getattr(one.outcomes, name) for name in COUNTS},
                **{name: math.nan if value is None else value for name, value in numbers.items()},
                "growth": [] if one.growth is None else list(one.growth.increments),
                "growth_n_arrived": 0 if one.growth is None else one.growth.n_arrived,
            }
        )
    return pa.Table.from_pylist(rows, schema=results_schema(labels, [type(value) for value in values]))
