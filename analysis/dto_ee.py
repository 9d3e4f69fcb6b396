"""Draw delay against load, heterogeneity and time, against accuracy, and what control costs, from traces.

    python analysis/dto_ee.py --loads traces/dto-ee-* --dynamic traces/dto-ee-dynamic -o figure.png

`--fronts` takes traces that differ in the price of errors, `--unlike` traces whose servers are more and less
alike. Each of the four may be left out. Loads and heterogeneity are read from the traces: tasks per second
that arrive, and by how much servers of a stage differ in their mean time of a pass (coefficient of variation,
mean of stages). Delays are means over tasks that arrive after the warm-up; tasks that were never answered
count with the time they had waited by the end of the run, so that overloaded strategies' are lower bounds:
means beyond 0.4 s are not drawn.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgesim.trace.reader import Trace

COLOURS = {
    "dto-ee": "#4477aa",
    "optimum": "#000000",
    "planned": "#000000",
    "ngto": "#228833",
    "cf": "#ee6677",
    "bf": "#ccbb44",
    "ga": "#aa3377",
    "jsed": "#66ccee",
    "backpressure": "#bbbbbb",
}
MOST_S = 0.4  # delays beyond are not drawn: their queues grow
BIN_S = 5.0


def requests_of(trace: Trace, strategy: str, replication: int) -> pd.DataFrame:
    """Tasks after the warm-up with their delays."""
    tasks, run = trace.requests(strategy, replication), trace.run
    horizon_s = run["horizon_s"] or np.inf
    tasks = tasks[(tasks["arrived_at_s"] >= run["warmup_s"]) & (tasks["arrived_at_s"] < horizon_s)].copy()
    last_s = float(tasks["ended_at_s"].max())
    tasks["delay_s"] = tasks["ended_at_s"].fillna(last_s) - tasks["arrived_at_s"]
    return tasks


def rows(traces: Sequence[Trace]) -> pd.DataFrame:
    """One row per trace and strategy: load, delay, accuracy, heterogeneity, control."""
    found = []
    for trace in traces:
        unlike = heterogeneity(trace)
        for strategy in trace.strategies:
            each = [requests_of(trace, strategy, r) for r in trace.replications(strategy)]
            tasks = pd.concat(each)
            length_s = sum(own["arrived_at_s"].max() - own["arrived_at_s"].min() for own in each)
            found.append(
                {
                    "trace": trace.run["name"],
                    "strategy": strategy,
                    "load_hz": round(len(tasks) / length_s),
                    "unlike": unlike,
                    "delay_ms": 1e3 * tasks["delay_s"].mean(),
                    "right_percent": 100 * tasks["correct"].mean(),
                    "mean_exit_block": tasks["mean_exit_block"].mean(),
                    **control(trace, strategy),
                }
            )
    return pd.DataFrame(found)


def control(trace: Trace, strategy: str) -> dict[str, float]:
    """Control messages per task, and their share of all bytes and of active energy."""
    spans = pd.concat(
        part
        for r in trace.replications(strategy)
        for part in trace.span_parts(strategy, r, ["kind", "size_bytes", "energy_j"])
    )
    is_control = spans["kind"] == "control"
    n_tasks = sum(len(trace.requests(strategy, r)) for r in trace.replications(strategy))
    return {
        "control_per_task": is_control.sum() / n_tasks,
        "control_bytes": spans.loc[is_control, "size_bytes"].sum() / spans["size_bytes"].sum(),
        "control_energy": spans.loc[is_control, "energy_j"].sum() / spans["energy_j"].sum(),
    }


def heterogeneity(trace: Trace) -> float:
    """Coefficient of variation of servers' mean times of a pass, mean over stages, of the first strategy."""
    strategy = trace.strategies[0]
    columns = ["kind", "device", "via", "started_at_s", "ended_at_s"]
    spans = pd.concat(trace.span_parts(strategy, trace.replications(strategy)[0], columns))
    passes = spans[(spans["kind"] == "compute") & spans["ended_at_s"].notna()]
    took_s = (passes["ended_at_s"] - passes["started_at_s"]).groupby(
        [passes["via"], passes["device"]], observed=True
    )
    means_s = took_s.mean().groupby("via", observed=True)
    return float((means_s.std(ddof=0) / means_s.mean()).mean())


def over_time(trace: Trace, strategy: str) -> pd.Series:
    """Mean delay of the tasks that arrive within each stretch of five seconds, over all replications."""
    tasks = pd.concat(requests_of(trace, strategy, r) for r in trace.replications(strategy))
    return tasks.groupby(BIN_S * (tasks["arrived_at_s"] // BIN_S + 0.5))["delay_s"].mean()


def _style(strategy: str) -> dict[str, object]:
    base = strategy.removesuffix("-fixed")
    fixed = {"ls": "--", "mfc": "white"} if strategy.endswith("-fixed") else {}
    return {"color": COLOURS.get(base), "label": strategy, "marker": "o", "ms": 4, **fixed}


def _lines(panel: Axes, table: pd.DataFrame, x: str, y: str) -> None:
    """One line per strategy, where its queues do not grow."""
    for strategy, own in table.groupby("strategy", sort=False):
        shown = own[own["delay_ms"] < 1e3 * MOST_S].sort_values(x)
        panel.plot(shown[x], shown[y], **_style(str(strategy)))


def _control(panel: Axes, table: pd.DataFrame) -> None:
    """What control costs, of strategies that send any, at the lowest load and the highest."""
    busy = table[table["control_per_task"] > 0]
    busy = busy[busy["load_hz"].isin((busy["load_hz"].min(), busy["load_hz"].max()))]
    places = np.arange(len(busy))
    panel.barh(places - 0.2, 100 * busy["control_bytes"], 0.4, color="0.35", label="of all bytes")
    panel.barh(places + 0.2, 100 * busy["control_energy"], 0.4, color="0.7", label="of active energy")
    panel.set_yticks(places, [f"{row.strategy}, {row.load_hz}/s" for row in busy.itertuples()], fontsize=7)
    panel.invert_yaxis()
    panel.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8)


def draw(
    loads: Sequence[Trace], fronts: Sequence[Trace], unlike: Sequence[Trace], dynamic: Trace | None
) -> Figure:
    """Six panels, without those of traces that were not given; one legend for all."""
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(2, 3, figsize=(13, 7.6), layout="constrained")
    by_load, front, by_unlike, accuracy, time, overhead = panels.flat
    if loads:
        table = _shown(rows(loads))
        _lines(by_load, table, "load_hz", "delay_ms")
        _control(overhead, table)
    if fronts:
        _lines(front, _shown(rows(fronts)), "delay_ms", "right_percent")
    if unlike:
        table = _shown(rows(unlike))
        _lines(by_unlike, table, "unlike", "delay_ms")
        _lines(accuracy, table, "unlike", "right_percent")
    if dynamic is not None:
        for strategy in dynamic.strategies:
            series = over_time(dynamic, strategy)
            time.plot(series.index, 1e3 * series.clip(upper=MOST_S), **{**_style(strategy), "marker": ""})
    labels = {
        by_load: ("tasks per second", "mean delay [ms]"),
        front: ("mean delay [ms], by price of errors", "right answers [%]"),
        by_unlike: ("unlikeness of servers (coefficient of variation)", "mean delay [ms]"),
        accuracy: ("unlikeness of servers (coefficient of variation)", "right answers [%]"),
        time: ("time [s]", "mean delay [ms]"),
        overhead: ("share of control messages [%]", ""),
    }
    for panel in [panel for panel in labels if not panel.has_data()]:
        panel.set_visible(False)
    for panel, (x, y) in labels.items():
        panel.set(xlabel=x, ylabel=y)
        panel.grid(alpha=0.25)
    lines = {
        line.get_label(): line
        for panel in labels
        if panel.get_visible()
        for line in panel.get_lines()
        if not str(line.get_label()).startswith("_")
    }
    figure.legend(lines.values(), lines.keys(), loc="outside upper center", ncols=7, frameon=False)
    return figure


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    print(table.to_string(index=False, float_format="%.4g"))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loads", type=Path, nargs="+", default=[], help="traces at several arrival rates")
    parser.add_argument(
        "--fronts", type=Path, nargs="+", default=[], help="traces with several prices of errors"
    )
    parser.add_argument(
        "--unlike", type=Path, nargs="+", default=[], help="traces with more and less alike servers"
    )
    parser.add_argument("--dynamic", type=Path, help="trace of a world that changes")
    parser.add_argument("-o", "--output", type=Path, default=Path("dto_ee.png"), help="file of the figure")
    asked = parser.parse_args()
    dynamic = None if asked.dynamic is None else Trace(asked.dynamic).complete()
    loads, fronts, unlike = (
        [Trace(path).complete() for path in paths] for paths in (asked.loads, asked.fronts, asked.unlike)
    )
    figure = draw(loads, fronts, unlike, dynamic)
    figure.savefig(asked.output, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
