"""Traces that differ in one value of their scenarios, treated as a sweep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from edgesim.errors import TraceError
from edgesim.report.listings.run_rows import run_rows
from edgesim.report.plots.axes import swept
from edgesim.scenario.text.document import Document
from edgesim.scenario.text.overrides import value_at
from edgesim.trace.reader import Trace

__all__ = ["scenario_value", "swept_traces"]


def swept_traces(
    traces: Mapping[str, Trace], path: str
) -> tuple[pd.DataFrame, dict[str, tuple[object, ...]]]:
    """Return results and axes like those of a sweep, from traces that differ in the value at a path.

    Parameters
    ----------
    path
        Path in the scenario in the syntax of ``--set``, such as ``workload.arrivals.poisson``.

    Raises
    ------
    InputError
        If a scenario has no value at the path.
    TraceError
        If two traces have the same value there.
    """
    label = path.replace("]", "").replace("[", ".").rpartition(".")[2]
    tables, values = [], {}  # type: list[pd.DataFrame], dict[object, str]
    for name, trace in traces.items():
        value = scenario_value(trace, path)
        if value in values:
            raise TraceError(
                f"{name}: {path} is {value}, as in {values[value]}; expected traces that differ there"
            )
        values[value] = name
        table = run_rows(trace).reset_index()
        table.insert(0, label, [value] * len(table))
        tables.append(table)
    along = swept(list(values))
    order = sorted(values, key=lambda value: along.places[value])
    return pd.concat(tables, ignore_index=True), {label: tuple(order)}


def scenario_value(trace: Trace, path: str) -> object:
    """Return the value at a path of a trace's scenario: a number, a Boolean or a text; others as JSON.

    Raises
    ------
    InputError
        If there is no value at the path.
    TraceError
        If the trace does not contain the scenario's text.
    """
    stated = cast("Mapping[str, Any]", trace.run)["scenario"]
    if not isinstance(stated.get("text"), str):
        raise TraceError(f"{trace.path}: run.json lacks the scenario's text; run the scenario again")
    document = Document.parse(stated["text"], name=str(stated.get("file", "scenario")))
    found = value_at(document, path)
    return found if isinstance(found, str | int | float | bool) else json.dumps(found)
