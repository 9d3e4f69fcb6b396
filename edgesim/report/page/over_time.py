"""Figures over time: requests in flight, tokens delivered and devices busy in the first replication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.report.page.figure import Figure, busiest, numbers
from edgesim.report.page.span_summary import SpanSummary
from edgesim.report.page.time_averages import mean_under_way
from edgesim.statistics.requests import floats

__all__ = ["busy_devices", "over_time", "stretches"]

FloatArray = npt.NDArray[np.float64]

_N_STRETCHES = 120
_MOST_ROWS = 40


def stretches(until_s: float) -> FloatArray:
    """Divide a run into equal stretches, and return their edges, from time zero to the end."""
    return np.linspace(0.0, max(until_s, 1e-9), _N_STRETCHES + 1)


def over_time(
    requests: Mapping[str, pd.DataFrame],
    watched: Mapping[str, SpanSummary],
    edges_s: FloatArray,
    ends_s: Mapping[str, float],
) -> Figure:
    """Create the figure of requests in flight, tokens delivered and devices busy, one line per strategy.

    Parameters
    ----------
    edges_s
        Edges of the stretches; a line has one point per stretch.
    ends_s
        End of each strategy's run, in the order of the scenario; its line stops there.
    """
    middle = numbers((edges_s[1:] + edges_s[:-1]) / 2)
    in_flight = {label: _in_flight(table, edges_s, ends_s[label]) for label, table in requests.items()}
    tokens = {label: each.tokens_per_s for label, each in watched.items()}
    busy = {label: np.sum([*each.busy.values()], axis=0) for label, each in watched.items() if each.busy}
    views = []
    for title, unit, values in (
        ("Requests in flight", "requests in flight", in_flight),
        ("Tokens delivered", "tokens per second", tokens),
        ("Devices computing", "devices busy at once", busy),
    ):
        series: list[Any] = [
            {
                "name": label,
                "at": list(ends_s).index(label),
                "x": middle,
                "y": numbers(np.where(edges_s[:-1] < ends_s[label], line, np.nan)),
            }
            for label, line in values.items()
        ]
        if series:
            x, y = {"label": "seconds", "log": False}, {"label": unit, "low": 0}
            views.append({"label": title, "x": x, "y": y, "step": False, "series": series})
    return Figure(
        name="over-time",
        kind="lines",
        title="Over time",
        note=f"First replication, means over stretches of {edges_s[1] - edges_s[0]:.3g} s, warm-up included.",
        content={"views": views},
    )


def _in_flight(requests: pd.DataFrame, edges_s: FloatArray, until_s: float) -> FloatArray:
    ended_s = floats(requests, "ended_at_s")
    return mean_under_way(
        floats(requests, "arrived_at_s"), np.where(np.isnan(ended_s), until_s, ended_s), edges_s
    )


def busy_devices(watched: Mapping[str, SpanSummary], edges_s: FloatArray) -> Figure | None:
    """Create the figure of device utilisation over time, one view per strategy; None without spans.

    If there are many devices, only the busiest are shown.
    """
    views: list[Any] = []
    n_left_out = 0
    for label, each in watched.items():
        if not each.busy:
            continue
        ranked = sorted(each.busy, key=lambda name: -float(each.busy[name].mean()))
        n_left_out = max(n_left_out, len(ranked) - _MOST_ROWS)
        shown = ranked[:_MOST_ROWS]
        rows = [
            {"name": name, "values": [round(100 * float(share)) for share in each.busy[name]]}
            for name in shown
        ]
        views.append(
            {"label": label, "x": {"label": "seconds", "edges": numbers(edges_s[[0, -1]])}, "rows": rows}
        )
    if not views:
        return None
    left_out = f" The {_MOST_ROWS} busiest are shown." if n_left_out > 0 else ""
    return Figure(
        name="busy",
        kind="heat",
        title="Busy devices",
        note="Share of each stretch of time in which a device computed, the busiest on top. First "
        f"replication.{left_out}",
        content={"views": views, "first": busiest(len(view["rows"]) for view in views)},
    )
