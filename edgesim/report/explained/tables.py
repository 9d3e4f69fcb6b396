"""Explanation tables: latency breakdown, bounds of each strategy, advice, and the journey of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from edgesim.explain.advice import Advice
from edgesim.explain.journey import Journey
from edgesim.report.columns import Column, fitting, table_of
from edgesim.report.explained.as_json import Explained
from edgesim.report.numbers import number
from edgesim.statistics.intervals import Estimate

__all__ = ["AdviceTable", "BoundsTable", "JourneyTable", "PartsTable"]

_MOST_ROWS = 12


def _table(columns: Sequence[Column], console: Console, options: ConsoleOptions) -> Any:
    return table_of(fitting(columns, console, options))


def _texts(values: Sequence[str]) -> tuple[Text, ...]:
    return tuple(Text(value) for value in values)


def _seconds(value_s: float) -> str:
    """Format a duration in s, ms or µs, depending on its size."""
    size_s = abs(value_s)
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if size_s >= scale:
            return f"{number(value_s / scale)} {unit}"
    return "0 s" if size_s == 0.0 else f"{value_s / 1e-6:.2g} µs"


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return _seconds(estimate.mean)
    return f"{_seconds(estimate.mean)} ({_seconds(estimate.low)} to {_seconds(estimate.high)})"


@dataclass(frozen=True, slots=True)
class PartsTable:
    """A rich renderable: the latency breakdown of answered requests, one column per strategy."""

    explained: Sequence[Explained]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for the available width."""
        yield Text("Breakdown of the time to the last token (mean of answered requests)", style="bold")
        names = list(dict.fromkeys(name for each in self.explained for name in each.parts_s))
        used = [name for name in names if any(each.parts_s.get(name) for each in self.explained)]
        rows = [*used, "time to the last token", "minimum, without waiting", "per token"]
        columns = [Column("", _texts(rows), 0, justify_left=True)]
        for rank, each in enumerate(self.explained):
            total_s = each.latency_s
            cells = []
            for name in used:
                part_s = each.parts_s.get(name, 0.0)
                share = f" {100 * part_s / total_s:3.0f} %" if total_s else ""
                cells.append(f"{_seconds(part_s)}{share}" if part_s else "-")
            n_each = each.n_tokens / each.n_requests if each.n_requests else 0.0
            per_token = _seconds(total_s / n_each) if n_each else "-"
            cells += [_seconds(total_s), _seconds(each.least_s), per_token]
            columns.append(Column(each.strategy, _texts(cells), rank))
        shown = fitting(columns, console, options)
        yield table_of(shown)
        if len(shown) < len(columns):
            yield Text(
                f"{len(columns) - len(shown)} strategies left out at this width: --strategy shows one",
                style="dim",
            )


@dataclass(frozen=True, slots=True)
class BoundsTable:
    """A rich renderable: the bottleneck of each strategy, and its throughput bounds."""

    explained: Sequence[Explained]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for the available width."""
        rows = [(each, each.bounds) for each in self.explained if each.bounds is not None]
        if not rows:
            return
        yield Text("Bounds of each strategy", style="bold")
        stations = [bounds.bottleneck for _, bounds in rows]
        columns = [
            Column("strategy", _texts([each.strategy for each, _ in rows]), 0, justify_left=True),
            Column(
                "largest demand",
                _texts(["-" if s is None else f"{s.name} ({s.work})" for s in stations]),
                0,
                justify_left=True,
            ),
            Column(
                "demand\nper request",
                _texts(["-" if s is None else _seconds(s.demand_s) for s in stations]),
                2,
            ),
            Column(
                "busy\n%", _texts(["-" if s is None else f"{100 * s.utilisation:.0f}" for s in stations]), 1
            ),
            Column("answers/s\nnow", _texts([number(bounds.answered_per_s) for _, bounds in rows]), 1),
            Column(
                "answers/s\nat most",
                _texts(["-" if b.most_per_s is None else number(b.most_per_s) for _, b in rows]),
                0,
            ),
        ]
        if any(each.any_per_s is not None for each, _ in rows):
            cells = ["-" if each.any_per_s is None else number(each.any_per_s) for each, _ in rows]
            columns.append(Column("any placement\nat most", _texts(cells), 1))
        yield _table(columns, console, options)
        yield Text(
            "at most: one over the largest demand, with this placement (-: that station serves several "
            "requests at once, and might answer more). Any placement: requests as a fluid over devices and "
            "links, each token through the whole model.",
            style="dim",
        )


@dataclass(frozen=True, slots=True)
class AdviceTable:
    """A rich renderable: the most helpful single change for a strategy, and all changes tried."""

    advice: Advice

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for the available width."""
        advice = self.advice
        yield Text(f"Most helpful single change for {advice.label}", style="bold")
        if advice.best is None or advice.effect_s is None:
            yield Text("no change that was tried reduces the mean time to the last token")
        else:
            doubt = "" if advice.helps else "; the interval includes zero, so this may be chance"
            yield Text(
                f"{advice.best.what}: {_interval(advice.effect_s)} of {_seconds(advice.delay_s.mean)}, "
                f"over {advice.effect_s.n} fresh replications{doubt}"
            )
            sets = " ".join(f"--set '{one}'" for one in advice.best.sets)
            yield Text(sets, style="dim")
        if advice.is_cut_short:
            yield Text(
                f"{100 * advice.unanswered:.0f} % of requests were cut off or failed without any change: "
                "lengthen the horizon before relying on this",
                style="yellow",
            )
        shown = [each for each in advice.tried if each.difference_s is not None][:_MOST_ROWS]
        columns = [
            Column("change", _texts([each.change.what for each in shown]), 0, justify_left=True),
            Column(
                "change of the mean",
                _texts([_seconds(each.difference_s.mean) for each in shown if each.difference_s]),
                0,
            ),
            Column("runs", _texts([str(each.difference_s.n) for each in shown if each.difference_s]), 1),
        ]
        yield _table(columns, console, options)
        n_refused = sum(each.refused is not None for each in advice.tried)
        notes = ["the best is measured in runs that were not used to select it"]
        if n_refused:
            notes.append(f"{n_refused} cannot run (--json gives the reasons)")
        if advice.n_left_out:
            notes.append(f"{advice.n_left_out} were not tried: give a larger --budget")
        yield Text("; ".join(notes), style="dim")


@dataclass(frozen=True, slots=True)
class JourneyTable:
    """A rich renderable: the steps of one request, and the requests ahead of it."""

    journey: Journey
    title: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for the available width."""
        yield Text(self.title, style="bold")
        total_s = float(self.journey.steps["seconds"].sum())
        parts_s = self.journey.parts_s()
        yield _table(
            [
                Column("", _texts([*parts_s, "total"]), 0, justify_left=True),
                Column("time", _texts([_seconds(part_s) for part_s in (*parts_s.values(), total_s)]), 0),
                Column(
                    "%",
                    _texts(
                        [f"{100 * s / total_s:.0f}" if total_s else "-" for s in (*parts_s.values(), total_s)]
                    ),
                    1,
                ),
            ],
            console,
            options,
        )
        longest = self.journey.steps.nlargest(_MOST_ROWS, "seconds")
        origin_s = float(self.journey.steps["from_s"].min()) if len(self.journey.steps) else 0.0
        yield Text("Its longest steps", style="bold")
        yield _table(
            [
                Column("step", _texts(list(longest["part"])), 0, justify_left=True),
                Column(
                    "where", _texts([_where(row) for row in longest.to_dict("records")]), 0, justify_left=True
                ),
                Column("token", _texts(["-" if pd.isna(t) else f"{int(t)}" for t in longest["token"]]), 2),
                Column("after", _texts([_seconds(s - origin_s) for s in longest["from_s"]]), 1),
                Column("time", _texts([_seconds(s) for s in longest["seconds"]]), 0),
            ],
            console,
            options,
        )
        ahead = self.journey.ahead.head(_MOST_ROWS)
        if ahead.empty:
            return
        yield Text("Requests served while it waited", style="bold")
        yield _table(
            [
                Column(
                    "where", _texts([_where(row) for row in ahead.to_dict("records")]), 0, justify_left=True
                ),
                Column(
                    "request",
                    _texts(["control" if pd.isna(id_) else f"{int(id_)}" for id_ in ahead["request_id"]]),
                    0,
                ),
                Column("service time", _texts([_seconds(s) for s in ahead["seconds"]]), 0),
            ],
            console,
            options,
        )


def _where(row: Mapping[Any, Any]) -> str:
    device, peer = (None if pd.isna(row[name]) else str(row[name]) for name in ("device", "peer"))
    return "-" if device is None else device if peer is None else f"{device} > {peer}"
