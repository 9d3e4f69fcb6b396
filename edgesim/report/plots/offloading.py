"""Tasks offloaded through stages of servers: delay, accuracy, and cost of control traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from edgesim.errors import TraceError
from edgesim.report.plots.style import Look, Width, legend_below, looks, paper_style, subplots, tidy
from edgesim.trace.reader import Trace
from edgesim.trace.schema import SpanKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["control_costs", "delay_over_time", "draw_offloading", "heterogeneity", "task_rows", "tasks_of"]

_MOST_S = 0.4  # larger mean delays are not drawn: their queues grow
_BIN_S = 5.0
_LABELS = (
    ("tasks per second", "mean delay, ms"),
    ("mean delay, ms, by price of errors", "right answers, %"),
    ("heterogeneity of servers", "mean delay, ms"),
    ("heterogeneity of servers", "right answers, %"),
    ("time, s", "mean delay, ms"),
    ("share of control messages, %", ""),
)


def tasks_of(trace: Trace, strategy: str, replication: int) -> pd.DataFrame:
    """Select the tasks that arrive between warm-up and horizon, and add their delays.

    An unanswered task counts with its age at the end of the last task: a lower bound.
    """
    tasks, run = trace.requests(strategy, replication), cast("Mapping[str, Any]", trace.run)
    horizon_s = np.inf if run["horizon_s"] is None else run["horizon_s"]
    tasks = tasks[(tasks["arrived_at_s"] >= run["warmup_s"]) & (tasks["arrived_at_s"] < horizon_s)].copy()
    last_s = float(tasks["ended_at_s"].max())
    tasks["delay_s"] = tasks["ended_at_s"].fillna(last_s) - tasks["arrived_at_s"]
    return cast("pd.DataFrame", tasks)


def task_rows(traces: Sequence[Trace]) -> pd.DataFrame:
    """Tabulate load, delay, accuracy, heterogeneity of servers and control costs, by trace and strategy.

    Raises
    ------
    TraceError
        If a strategy of a trace has fewer than two counted tasks.
    """
    found = []
    for trace in traces:
        unlike = heterogeneity(trace)
        for strategy in trace.strategies:
            each = [tasks_of(trace, strategy, r) for r in trace.replications(strategy)]
            tasks = pd.concat([own for own in each if len(own)] or [pd.DataFrame()])
            length_s = sum(float(np.ptp(own["arrived_at_s"])) for own in each if len(own))
            if not length_s:
                raise TraceError(
                    f"{trace.path}: {strategy} has fewer than two counted tasks; run it for longer"
                )
            found.append(
                {
                    "trace": trace.run["name"],
                    "strategy": strategy,
                    "load_hz": round(len(tasks) / length_s),
                    "unlike": unlike,
                    "delay_ms": 1e3 * tasks["delay_s"].mean(),
                    "right_percent": 100 * tasks["correct"].mean(),
                    "mean_exit_block": tasks["mean_exit_block"].mean(),
                    **control_costs(trace, strategy),
                }
            )
    return pd.DataFrame(found)


def control_costs(trace: Trace, strategy: str) -> dict[str, float]:
    """Control messages per task, and their share of all bytes and of active energy."""
    sums = np.zeros(5)  # control messages; bytes of control and in total; energy of control and in total
    n_tasks = 0
    for r in trace.replications(strategy):
        n_tasks += len(trace.requests(strategy, r))
        for part in trace.span_parts(strategy, r, ["kind", "size_bytes", "energy_j"]):
            own = part[part["kind"] == SpanKind.CONTROL]
            sums += [
                len(own),
                own["size_bytes"].sum(),
                part["size_bytes"].sum(),
                own["energy_j"].sum(),
                part["energy_j"].sum(),
            ]
    return {
        "control_per_task": sums[0] / max(n_tasks, 1),
        "control_bytes": sums[1] / sums[2] if sums[2] else 0.0,
        "control_energy": sums[3] / sums[4] if sums[4] else 0.0,
    }


def heterogeneity(trace: Trace) -> float:
    """Coefficient of variation of servers' mean pass times, averaged over stages, for the first strategy."""
    strategy = trace.strategies[0]
    columns = ["kind", "device", "via", "started_at_s", "ended_at_s"]
    sums = []
    for part in trace.span_parts(strategy, trace.replications(strategy)[0], columns):
        passes = part[(part["kind"] == SpanKind.COMPUTE) & part["ended_at_s"].notna()]
        keys = [passes["via"].astype(str), passes["device"].astype(str)]
        took_s = passes["ended_at_s"] - passes["started_at_s"]
        sums.append(took_s.groupby(keys).agg(["sum", "count"]))
    if not sums:
        raise TraceError(f"{trace.path}: no spans were kept; expected the passes of servers")
    whole = pd.concat(sums).groupby(level=[0, 1]).sum()
    means_s = (whole["sum"] / whole["count"]).groupby(level=0)
    return float((means_s.std(ddof=0) / means_s.mean()).mean())


def delay_over_time(trace: Trace, strategy: str) -> pd.Series:
    """Mean delay of the tasks that arrive in each interval of five seconds, over all replications."""
    tasks = pd.concat(tasks_of(trace, strategy, r) for r in trace.replications(strategy))
    middle_s = _BIN_S * (tasks["arrived_at_s"] // _BIN_S + 0.5)
    return tasks.groupby(middle_s)["delay_s"].mean()


def draw_offloading(
    *,
    loads: pd.DataFrame | None = None,
    fronts: pd.DataFrame | None = None,
    unlike: pd.DataFrame | None = None,
    dynamic: Trace | None = None,
    width: Width = "page",
) -> Figure:
    """Draw :func:`task_rows` over load, price of errors and heterogeneity, and one trace over time.

    Panels without data are left out.
    """
    tables = [table for table in (loads, fronts, unlike) if table is not None]
    labels = [strategy for table in tables for strategy in table["strategy"]]
    labels += [] if dynamic is None else list(dynamic.strategies)
    known = looks(list(dict.fromkeys(labels)))
    given = [loads is not None, fronts is not None, *[unlike is not None] * 2, dynamic is not None]
    drawn = [place for place, is_given in enumerate([*given, loads is not None]) if is_given]
    with paper_style():
        n_columns = 1 if width == "column" else min(3, len(drawn))
        figure, panels = subplots(-(-len(drawn) // n_columns), n_columns, width=width)
        for panel, place in zip(panels, drawn, strict=False):
            panel.set(xlabel=_LABELS[place][0], ylabel=_LABELS[place][1])
            tidy(panel)
            match place:
                case 0:
                    _lines(panel, loads, "load_hz", "delay_ms", known)
                case 1:
                    _lines(panel, fronts, "delay_ms", "right_percent", known)
                case 2:
                    _lines(panel, unlike, "unlike", "delay_ms", known)
                case 3:
                    _lines(panel, unlike, "unlike", "right_percent", known)
                case 4 if dynamic is not None:
                    for strategy in dynamic.strategies:
                        series = delay_over_time(dynamic, strategy)
                        look = known[strategy].line(label=strategy, marker="", linewidth=1.1)
                        panel.plot(series.index, 1e3 * series.clip(upper=_MOST_S), **look)
                case 5 if loads is not None:
                    _control(panel, loads)
        for panel in panels[len(drawn) :]:
            panel.set_axis_off()
        legend_below(figure, panels[: len(drawn) - (5 in drawn)], width=width)
        return figure


def _lines(panel: Axes, table: pd.DataFrame | None, x: str, y: str, known: Mapping[str, Look]) -> None:
    """Draw one line per strategy, without the points at which its queues grow."""
    assert table is not None
    for strategy, own in table.groupby("strategy", sort=False):
        shown = own[own["delay_ms"] < 1e3 * _MOST_S].sort_values(x)
        panel.plot(shown[x], shown[y], **known[str(strategy)].line(label=str(strategy)))


def _control(panel: Axes, table: pd.DataFrame) -> None:
    """Draw the cost of control traffic of strategies that have any, at the lowest and the highest load."""
    busy = table[table["control_per_task"] > 0]
    busy = busy[busy["load_hz"].isin((busy["load_hz"].min(), busy["load_hz"].max()))]
    places = np.arange(len(busy))
    panel.barh(places - 0.2, 100 * busy["control_bytes"], 0.4, color="0.35", label="of all bytes")
    panel.barh(places + 0.2, 100 * busy["control_energy"], 0.4, color="0.7", label="of active energy")
    panel.set_yticks(places, [f"{row.strategy}, {row.load_hz}/s" for row in busy.itertuples()], fontsize=6)
    panel.invert_yaxis()
    panel.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, columnspacing=0.8, handlelength=1.2)
