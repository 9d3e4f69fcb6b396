"""Breakdown of the mean latency of every strategy into activities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from edgesim.errors import TraceError
from edgesim.report.numbers import number
from edgesim.report.plots.style import WIDTHS_IN, Width, paper_style, subplots, tidy
from edgesim.statistics.activities import Activity, activities
from edgesim.statistics.window import counted
from edgesim.trace.reader import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["mean_parts", "parts"]

_MOST_REQUESTS = 2_000
_ROW_IN, _FRAME_IN, _LEGEND_ROW_IN = 0.24, 0.62, 0.16
_LEAST_SHARE = 0.001  # an activity is drawn if its share of any strategy's mean exceeds this
# Hatches distinguish the activities in greyscale.
_LOOKS: Mapping[Activity, tuple[str, str]] = {
    Activity.COMPUTING: ("#004488", ""),
    Activity.STRAGGLING: ("#99bbdd", "////"),
    Activity.AIR: ("#DDAA33", ""),
    Activity.WIRE: ("#228833", "...."),
    Activity.RECORDED: ("#88cc88", "----"),
    Activity.HANDLING: ("#eedd88", "\\\\\\\\"),
    Activity.QUEUEING_FOR_COMPUTE: ("#BB5566", ""),
    Activity.QUEUEING_FOR_NETWORK: ("#66CCEE", "xxxx"),
    Activity.WAITING_FOR_MEMORY: ("#AA3377", "oo"),
    Activity.OTHER: ("#bbbbbb", ""),
}


def parts(trace: Trace, *, strategies: Sequence[str] = (), width: Width = "page") -> Figure:
    """Draw the mean time to the last token of completed requests as stacked bars of activities.

    Raises
    ------
    TraceError
        If no request was completed.
    """
    chosen = [one for one in trace.strategies if not strategies or one in strategies]
    means = {strategy: mean_parts(trace, strategy) for strategy in chosen}
    known = pd.DataFrame({strategy: mean for strategy, mean in means.items() if mean is not None}).T
    if known.empty:
        raise TraceError(f"{trace.path}: no request was completed; nothing to draw")
    totals_s = known.sum(axis=1)
    shown = [one for one in _LOOKS if (known[one] / totals_s).max() > _LEAST_SHARE]
    with paper_style():
        n_columns = 4 if width == "page" else 2
        n_rows = -(-len(shown) // n_columns)
        height_in = _FRAME_IN + _ROW_IN * len(known) + _LEGEND_ROW_IN * n_rows
        figure, (panel,) = subplots(1, 1, width=width, height_in=height_in)
        reached = np.zeros(len(known))
        for activity in shown:
            colour, hatch = _LOOKS[activity]
            values_s = known[activity].to_numpy(float)
            panel.barh(
                range(len(known)),
                values_s,
                left=reached,
                height=0.7,
                facecolor=colour,
                hatch=hatch or None,
                edgecolor="white",
                linewidth=0.2,
                label=activity.value,
            )
            reached += values_s
        for place, total_s in enumerate(totals_s):
            panel.annotate(f" {number(total_s)} s", (total_s, place), va="center", fontsize="small")
        panel.set_yticks(range(len(known)), list(known.index))
        panel.set_ylim(len(known) - 0.5, -0.5)
        panel.set_xlim(0.0, float(totals_s.max()) * (1.0 + 0.5 / WIDTHS_IN[width]))
        panel.set_xlabel("mean time to the last token, s")
        tidy(panel, grid="x")
        figure.legend(loc="outside lower center", ncols=n_columns, columnspacing=1.2)
        return figure


def mean_parts(trace: Trace, strategy: str) -> pd.Series | None:
    """Mean seconds of each activity over the completed, counted requests; None if there are none.

    In a replication with more than 2,000 such requests, 2,000 evenly spaced ones are used.
    """
    run = cast("Mapping[str, Any]", trace.run)
    found = []
    for replication in trace.replications(strategy):
        requests = trace.requests(strategy, replication)
        arrived_at_s = requests["arrived_at_s"].to_numpy(np.float64)
        chosen = counted(arrived_at_s, run["warmup_s"], run["horizon_s"])
        done = requests[chosen & (requests["outcome"] == "completed").to_numpy()]
        if len(done) > _MOST_REQUESTS:
            done = done.iloc[np.linspace(0, len(done) - 1, _MOST_REQUESTS).astype(np.int64)]
        if len(done) and trace.has_spans(strategy, replication):
            wanted = set(done["request_id"])
            own = [part[part["request_id"].isin(wanted)] for part in trace.span_parts(strategy, replication)]
            found.append(activities(done, pd.concat(own, ignore_index=True)))
    return pd.concat(found).mean() if found else None
