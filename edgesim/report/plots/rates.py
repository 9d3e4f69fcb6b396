"""Token rates over all requests: tokens delivered over time, and the steady rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.errors import TraceError
from edgesim.report.plots.style import Width, legend_below, looks, paper_style, subplots, tidy
from edgesim.trace.reader import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_rates", "rate_rows", "steady_per_s", "token_instants"]

FloatArray = npt.NDArray[np.float64]
_MOST_POINTS = 1500


def token_instants(trace: Trace, strategy: str, replication: int) -> FloatArray:
    """Delivery instants of the tokens of all requests, ascending."""
    parts = [at_s for _, at_s in trace.emits(strategy, replication)]
    return np.sort(np.concatenate([np.empty(0), *parts]))


def steady_per_s(instants_s: FloatArray, first: int, last: int) -> float:
    """Tokens per second between the `first` and the `last` token, counted from 1; NaN if there are fewer."""
    if not 1 <= first < last <= len(instants_s):
        return float("nan")
    return float((last - first) / (instants_s[last - 1] - instants_s[first - 1]))


def rate_rows(traces: Mapping[str, Trace], first: int, last: int) -> pd.DataFrame:
    """Tabulate the steady rate, the rate over the whole run, and the number of tokens, by trace and strategy.

    Rates are means over replications.
    """
    rows = []
    for label, trace in traces.items():
        for strategy in trace.strategies:
            each = [token_instants(trace, strategy, r) for r in trace.replications(strategy)]
            rows.append(
                {
                    "trace": label,
                    "strategy": strategy,
                    "steady_per_s": float(np.mean([steady_per_s(one, first, last) for one in each])),
                    "whole_per_s": float(
                        np.mean([len(one) / one[-1] if len(one) else np.nan for one in each])
                    ),
                    "tokens": sum(map(len, each)),
                }
            )
    return pd.DataFrame(rows)


def draw_rates(
    traces: Mapping[str, Trace], *, strategies: Sequence[str] = (), width: Width = "column"
) -> Figure:
    """Draw the cumulative number of tokens over time in the first replication; the slope is the rate.

    Raises
    ------
    TraceError
        If no token was delivered.
    """
    found = {}
    for label, trace in traces.items():
        for strategy in trace.strategies:
            if (strategies and strategy not in strategies) or not trace.replications(strategy):
                continue
            name = strategy if len(traces) == 1 else f"{label}: {strategy}"
            found[name] = token_instants(trace, strategy, trace.replications(strategy)[0])
    if not any(map(len, found.values())):
        raise TraceError(f"{', '.join(traces)}: no token was delivered; nothing to draw")
    known = looks(list(found))
    with paper_style():
        figure, (panel,) = subplots(1, 1, width=width)
        for name, instants_s in found.items():
            n_points = min(_MOST_POINTS, len(instants_s))
            at = np.unique(np.linspace(0, len(instants_s) - 1, n_points).astype(np.int64))
            panel.plot(instants_s[at], np.add(at, 1), **known[name].line(label=name, marker=""))
        panel.set(xlabel="time, s", ylabel="tokens delivered, all samples")
        panel.set_xlim(left=0.0)
        panel.set_ylim(bottom=0.0)
        tidy(panel)
        legend_below(figure, [panel], width=width)
        return figure
