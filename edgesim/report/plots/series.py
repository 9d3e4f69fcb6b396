"""Time series: requests in flight, and utilisation of devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgesim.errors import InputError, TraceError
from edgesim.report.plots.style import Look, Width, legend_below, looks, paper_style, subplots, tidy
from edgesim.statistics.devices import end_of_run_at_s
from edgesim.statistics.requests import floats
from edgesim.trace.reader import Trace
from edgesim.trace.schema import SpanKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["busy_shares", "covered_s", "disjoint", "in_flight", "series"]

FloatArray = npt.NDArray[np.float64]
_N_STEPS = 80
_MOST_BANDS = 3  # more bands would hide each other
_WORK = ["kind", "device", "started_at_s", "ended_at_s"]


def series(
    trace: Trace, *, strategies: Sequence[str] = (), replication: int | None = None, width: Width = "column"
) -> Figure:
    """Draw requests in flight, and the utilisation of the busiest group of devices, over time.

    Lines are means over stretches of equal length, averaged over replications; bands reach from the lowest to
    the highest replication, and are drawn for up to three lines. The second panel shows the busiest group of
    each strategy or, if only one strategy is drawn, all its groups.

    Parameters
    ----------
    replication
        Draw only this replication.

    Raises
    ------
    InputError
        If the replication does not exist.
    TraceError
        If no replication is complete.
    """
    chosen = [one for one in trace.strategies if not strategies or one in strategies]
    runs = {
        strategy: [r for r in trace.replications(strategy) if replication in (None, r)] for strategy in chosen
    }
    if not any(runs.values()):
        if replication is not None and any(trace.replications(strategy) for strategy in chosen):
            raise InputError(f"--replication: there is no replication {replication}")
        raise TraceError(f"{trace.path}: {trace.incomplete or 'no replication is complete'}; nothing to draw")
    lasted_s = [
        end_of_run_at_s(trace.devices(strategy, r)) or 0.0 for strategy, own in runs.items() for r in own
    ]
    edges_s = np.linspace(0.0, max(lasted_s), _N_STEPS + 1)
    middles_s = (edges_s[:-1] + edges_s[1:]) / 2
    known = looks(trace.strategies)
    with paper_style():
        n_rows, n_columns = (2, 1) if width == "column" else (1, 2)
        figure, (flying, busy) = subplots(n_rows, n_columns, width=width, sharex=True)
        for strategy, own in runs.items():
            if not own:
                continue
            each = np.array([in_flight(trace, strategy, r, edges_s) for r in own])
            style = known[strategy].line(
                label=strategy, markevery=_every(known[strategy].rank), linewidth=1.1
            )
            flying.plot(middles_s, each.mean(axis=0), **style)
            _band(flying, middles_s, each, known[strategy].colour, n_lines=len(runs))
        lines = _busy_lines(trace, runs, edges_s)
        for label, each, look in lines:
            style = look.line(label=label, markevery=_every(look.rank), linewidth=1.1)
            busy.plot(middles_s, each.mean(axis=0), **style)
            _band(busy, middles_s, each, look.colour, n_lines=len(lines))
        flying.set_ylabel("requests in flight")
        flying.set_ylim(bottom=0.0)
        busy.set(ylabel="busy, share of time", ylim=(0.0, 1.05))
        for panel in (flying, busy):
            tidy(panel)
            panel.set_xlim(0.0, edges_s[-1])
        for panel in (busy,) if width == "column" else (flying, busy):
            panel.set_xlabel("time, s")
        if len(runs) == 1:
            busy.legend(loc="best")
        else:
            legend_below(figure, [flying], width=width)
        return figure


def in_flight(trace: Trace, strategy: str, replication: int, edges_s: FloatArray) -> FloatArray:
    """Mean number of requests in flight in each stretch, [n_stretches]."""
    requests = trace.requests(strategy, replication)
    arrived_at_s, ended_at_s = floats(requests, "arrived_at_s"), floats(requests, "ended_at_s")
    ended_at_s = np.where(np.isnan(ended_at_s), np.inf, ended_at_s)
    return covered_s(arrived_at_s, ended_at_s, edges_s) / np.diff(edges_s)


def busy_shares(trace: Trace, strategy: str, replication: int, edges_s: FloatArray) -> dict[str, FloatArray]:
    """Utilisation of each group of processors in each stretch, [n_stretches], averaged over its devices."""
    devices = trace.devices(strategy, replication)
    able = devices[devices["origin"].notna()]
    groups = dict(zip(able["device"].astype(str), able["group"].astype(str), strict=True))
    passes: dict[str, list[tuple[FloatArray, FloatArray]]] = {device: [] for device in groups}
    for part in trace.span_parts(strategy, replication, _WORK):
        begun = part[(part["kind"] == SpanKind.COMPUTE) & part["started_at_s"].notna()]
        for device, own in begun.groupby("device", observed=True):
            if str(device) in passes:
                ends_s = floats(own, "ended_at_s")
                ends_s = np.where(np.isnan(ends_s), np.inf, ends_s)
                passes[str(device)].append(disjoint(floats(own, "started_at_s"), ends_s))
    found: dict[str, list[FloatArray]] = {}
    for device, group in groups.items():
        starts_s, ends_s = (
            np.concatenate([np.empty(0), *(pair[end] for pair in passes[device])]) for end in (0, 1)
        )
        passes[device].clear()
        shares = covered_s(*disjoint(starts_s, ends_s), edges_s) / np.diff(edges_s)
        found.setdefault(group, []).append(shares)
    return {group: np.mean(each, axis=0) for group, each in found.items()}


def disjoint(starts_s: FloatArray, ends_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Merge intervals into disjoint ones with the same union, ascending; return their starts and ends."""
    if not len(starts_s):
        return starts_s, ends_s
    order = np.argsort(starts_s, kind="stable")
    starts_s, reach_s = starts_s[order], np.maximum.accumulate(ends_s[order])
    is_first = np.append(True, starts_s[1:] > reach_s[:-1])
    is_last = np.append(is_first[1:], True)
    return starts_s[is_first], reach_s[is_last]


def covered_s(starts_s: FloatArray, ends_s: FloatArray, edges_s: FloatArray) -> FloatArray:
    """Sum, over intervals, the seconds of each stretch that they cover, [n_stretches]."""
    covered: FloatArray = np.diff(_until(starts_s, edges_s) - _until(ends_s, edges_s))
    return covered


def _until(instants_s: FloatArray, edges_s: FloatArray) -> FloatArray:
    """Sum, for each edge, the times elapsed since the instants before it."""
    ordered = np.sort(instants_s[np.isfinite(instants_s)])
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    n_before = np.searchsorted(ordered, edges_s)
    ago: FloatArray = n_before * edges_s - sums[n_before]
    return ago


def _busy_lines(
    trace: Trace, runs: dict[str, list[int]], edges_s: FloatArray
) -> list[tuple[str, FloatArray, Look]]:
    """Return label, shares by replication, and look: of each strategy's busiest group, or of all groups."""
    known, found = looks(trace.strategies), []
    for strategy, own in runs.items():
        if not own:
            continue
        each = [busy_shares(trace, strategy, r, edges_s) for r in own]
        groups = sorted(each[0], key=lambda group: -float(np.mean([one[group].mean() for one in each])))
        shares = {group: np.array([one[group] for one in each]) for group in groups}
        if len(runs) == 1:
            used = [group for group in groups if shares[group].any()]
            own_looks = looks(used)
            found += [(group, shares[group], own_looks[group]) for group in used]
        elif groups:
            found.append((strategy, shares[groups[0]], known[strategy]))
    return found


def _band(panel: Axes, middles_s: FloatArray, each: FloatArray, colour: str, *, n_lines: int) -> None:
    if len(each) > 1 and n_lines <= _MOST_BANDS:
        panel.fill_between(middles_s, each.min(axis=0), each.max(axis=0), color=colour, alpha=0.14, lw=0)


def _every(rank: int) -> tuple[int, int]:
    """Offset and spacing of markers; they differ between lines, so that coinciding lines stay visible."""
    return (3 + 5 * rank) % 24, 24
