"""Latency distributions: the share of requests answered within a time, with censoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgesim.errors import InputError, TraceError
from edgesim.nearest import suggest
from edgesim.report.plots.axes import plain_log
from edgesim.report.plots.style import Width, legend_below, looks, paper_style, subplots, tidy
from edgesim.statistics.devices import end_of_run_at_s
from edgesim.statistics.requests import FloatArray, Requests
from edgesim.statistics.samples import SAMPLES, Sample
from edgesim.statistics.survival import answered_share
from edgesim.statistics.window import counted
from edgesim.trace.reader import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["curve", "distribution", "pooled"]

_MOST_POINTS = 1500  # points of a curve: more than the width of a page can resolve
_LABELS = {
    "e2e": "time to the last token, s",
    "ttft": "time to the first token, s",
    "tpot": "time per output token, s",
}


def distribution(
    traces: Mapping[str, Trace],
    *,
    metric: str = "e2e",
    strategies: Sequence[str] = (),
    width: Width = "column",
) -> Figure:
    """Draw the share of requests answered within a time, a line per strategy and a panel per trace.

    It is the Kaplan-Meier estimate (:func:`~edgesim.statistics.survival.answered_share`) over the requests of
    all replications between warm-up and horizon. Requests in flight at the end are censored at their age, and
    failed ones are never answered, so that a curve may stay below 1. A curve ends at the longest observed
    time, with a cross if requests were censored after its last step.

    Parameters
    ----------
    metric
        ``e2e``, ``ttft`` or ``tpot``.

    Raises
    ------
    InputError
        If there is no such distribution.
    TraceError
        If no request arrived between warm-up and horizon.
    """
    if metric not in SAMPLES:
        raise InputError(f"--metric: there is no distribution of {metric!r}; {suggest(metric, SAMPLES)}")
    samples = {
        label: {
            strategy: pooled(trace, strategy, metric)
            for strategy in trace.strategies
            if not strategies or strategy in strategies
        }
        for label, trace in traces.items()
    }
    if not any(sample.n for own in samples.values() for sample in own.values()):
        raise TraceError(
            f"{', '.join(traces)}: no request arrived between warm-up and horizon; nothing to draw"
        )
    known = looks(list(dict.fromkeys(strategy for own in samples.values() for strategy in own)))
    with paper_style():
        n_columns = 1 if width == "column" else min(len(samples), 3)
        n_rows = -(-len(samples) // n_columns)
        figure, panels = subplots(n_rows, n_columns, width=width, sharex=True, sharey=True)
        longest_s, shortest_s = 0.0, np.inf
        for panel, (label, own) in zip(panels, samples.items(), strict=False):
            for strategy, sample in own.items():
                times_s, shares, last_s = curve(sample)
                if not len(times_s):
                    panel.plot([], [], label=strategy, **known[strategy].line(marker=""))
                    continue
                times_s, shares = _thinned(times_s, shares)
                at_s = np.concatenate([times_s[:1], times_s, [last_s]])
                reached = np.concatenate([[0.0], shares, shares[-1:]])
                look = known[strategy].line(marker="", drawstyle="steps-post", label=strategy)
                panel.plot(at_s, reached, **look)
                if sample.censored_s.size and sample.censored_s.max() >= times_s[-1]:
                    panel.plot(last_s, shares[-1], "x", color=known[strategy].colour, ms=4, mew=0.9, zorder=5)
                longest_s, shortest_s = max(longest_s, last_s), min(shortest_s, float(times_s[0]))
            panel.set_ylim(0.0, 1.02)
            if len(samples) > 1:
                panel.set_title(label)
            tidy(panel)
        for panel in panels[len(samples) :]:
            panel.set_axis_off()
        if shortest_s > 0 and longest_s / shortest_s > 8:
            plain_log(panels[0], "x")
        for place, panel in enumerate(panels[: len(samples)]):
            if place + n_columns >= len(samples):
                panel.set_xlabel(_LABELS[metric])
                panel.tick_params(labelbottom=True)
            if place % n_columns == 0:
                panel.set_ylabel("share of requests")
        legend_below(figure, panels, width=width)
        return figure


def pooled(trace: Trace, strategy: str, metric: str) -> Sample:
    """Pool the latencies of one strategy's counted requests over all replications."""
    run = cast("Mapping[str, Any]", trace.run)
    samples = []
    for replication in trace.replications(strategy):
        requests = trace.requests(strategy, replication)
        table = Requests.of(requests, end_of_run_at_s(trace.devices(strategy, replication)))
        chosen = counted(table.arrived_at_s, run["warmup_s"], run["horizon_s"])
        samples.append(SAMPLES[metric](table, chosen))
    none = np.empty(0)
    return Sample(
        np.concatenate([none, *(sample.values_s for sample in samples)]),
        np.concatenate([none, *(sample.censored_s for sample in samples)]),
        sum(sample.n_never for sample in samples),
    )


def curve(sample: Sample) -> tuple[FloatArray, FloatArray, float]:
    """Return the times at which the share answered steps up, the shares from then on, and the longest time.

    The longest time includes the ages of censored requests; it is 0 for an empty sample.
    """
    times_s, shares = answered_share(sample.values_s, sample.censored_s, sample.n_never)
    known_s = [float(part.max()) for part in (sample.values_s, sample.censored_s) if part.size]
    return times_s, shares, max(known_s, default=0.0)


def _thinned(times_s: FloatArray, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Thin a curve to at most as many points as are visible, keeping its ends."""
    if len(times_s) <= _MOST_POINTS:
        return times_s, shares
    # Half of them evenly spaced in share, half in time, so that sparse tails keep their points.
    even = np.linspace(0, len(times_s) - 1, _MOST_POINTS // 2)
    apart = np.searchsorted(times_s, np.linspace(times_s[0], times_s[-1], _MOST_POINTS // 2))
    kept = np.unique(np.concatenate([even, apart]).astype(np.int64).clip(0, len(times_s) - 1))
    return times_s[kept], shares[kept]
