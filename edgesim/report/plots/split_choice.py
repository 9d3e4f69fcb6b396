"""Comparison of methods of choosing the split of a model: utility, regret to the oracle, and training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from edgesim.errors import TraceError
from edgesim.planning.splitting.utility import Utility
from edgesim.report.plots.axes import plain_log
from edgesim.report.plots.style import PALETTE, Width, legend_below, looks, paper_style, subplots, tidy
from edgesim.statistics.intervals import Estimate, paired_difference, student_t
from edgesim.trace.reader import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["clean_nll", "draw_choice", "utilities", "utility_table"]

ORACLE, FIXED = "oracle", "fixed"
_LEAST_GAIN = 0.03  # gain of the oracle over the best fixed cut below which there is nothing to learn


def clean_nll(trace: Trace) -> float:
    """Smallest mean negative log likelihood of any strategy [nats], taken as that of a cut without losses.

    Raises
    ------
    TraceError
        If answers were not measured.
    """
    means = [float(_all(trace, strategy)["nll"].mean()) for strategy in trace.strategies]
    if not means or not np.isfinite(means).any():
        raise TraceError(f"{trace.path}: no answers were measured; expected a scenario with 'quality'")
    return float(np.nanmin(means))


def utilities(trace: Trace, weights: Utility) -> pd.DataFrame:
    """Mean utility of the requests after the warm-up, by replication (rows) and strategy (columns)."""
    found = {
        strategy: {
            r: float(np.mean(weights.of_requests(cast("Mapping[str, Any]", _counted(trace, strategy, r)))))
            for r in trace.replications(strategy)
        }
        for strategy in trace.strategies
    }
    return pd.DataFrame(found)


def utility_table(worth: pd.DataFrame) -> str:
    """Format utilities, differences from the best fixed cut in hindsight, and regrets to the oracle.

    Differences are paired by replication; intervals are 95 % Student-t intervals.

    Raises
    ------
    TraceError
        If no strategy's label begins with ``fixed``.
    """
    fixed = [strategy for strategy in worth if str(strategy).startswith(FIXED)]
    if not fixed:
        raise TraceError(
            f"expected strategies whose labels begin with {FIXED!r}, got {', '.join(map(str, worth))}"
        )
    best = str(worth[fixed].mean().idxmax())
    lines = [f"{'strategy':12} {'utility':>18} {'over ' + best:>20} {'regret':>18}"]
    for strategy in map(str, worth):
        cells = [_cell(student_t(worth[strategy].tolist()))]
        for better, worse in ((strategy, best), (ORACLE, strategy)):
            has_pair = better != worse and better in worth
            cells.append(
                _cell(paired_difference(worth[better].tolist(), worth[worse].tolist())) if has_pair else "-"
            )
        lines.append(f"{strategy:12} {cells[0]:>18} {cells[1]:>20} {cells[2]:>18}")
    if ORACLE in worth:
        gain = float((worth[ORACLE] - worth[best]).mean() / abs(worth[best].mean()))
        lines.append(f"the oracle gains {gain:.1%} over {best}, the best fixed cut in hindsight")
        if gain < _LEAST_GAIN:
            lines.append(f"nothing to learn: less than {_LEAST_GAIN:.0%}")
    return "\n".join(lines)


def draw_choice(
    trace: Trace,
    worth: pd.DataFrame,
    *,
    training: Mapping[str, Any] | None = None,
    surrogate: Mapping[str, float] | None = None,
    width: Width = "page",
) -> Figure:
    """Draw regret, delay against quality and energy, and optionally training and surrogate, a panel each.

    Parameters
    ----------
    training
        Output of ``benchmarks/rl_split_training.py``: a learning curve, and decisions.
    surrogate
        Output of ``benchmarks/rl_split_surrogate.py``: numbers of evaluations, and seconds per evaluation.
    """
    kinds = ["regret"] if ORACLE in worth else []
    kinds += ["nll", "energy"]
    if training is not None:
        kinds += [*(["curve"] if training["curve"] else []), "loss", "snr_db"]
    kinds += [] if surrogate is None else ["surrogate"]
    known = looks([str(strategy) for strategy in worth])
    with paper_style():
        n_columns = 1 if width == "column" else min(3, len(kinds))
        figure, panels = subplots(-(-len(kinds) // n_columns), n_columns, width=width)
        fronts = []
        for panel, kind in zip(panels, kinds, strict=False):
            tidy(panel)
            if kind == "regret":
                _regret(panel, worth)
            elif kind in ("nll", "energy"):
                fronts.append(panel)
                for strategy in map(str, worth):
                    done = _all(trace, strategy)
                    done = done[done["outcome"] == "completed"]
                    delay_s = float((done["ended_at_s"] - done["arrived_at_s"]).mean())
                    y = float(done["nll" if kind == "nll" else "energy_j"].mean())
                    panel.plot(delay_s, y, **known[strategy].line(linestyle="none", label=strategy))
                name = "negative log likelihood, nats" if kind == "nll" else "active energy per request, J"
                panel.set(xlabel="time to the last token, s", ylabel=name)
            elif kind == "curve" and training is not None:
                steps, returns = np.array(training["curve"]).T
                panel.plot(steps, returns, color=PALETTE[0], marker="o", lw=1.0)
                panel.set(xlabel="steps on the surrogate", ylabel="return over the mean action")
            elif kind in ("loss", "snr_db") and training is not None:
                _policy(panel, training["decisions"], kind)
            elif surrogate is not None:
                _evaluations(panel, surrogate)
        for panel in panels[len(kinds) :]:
            panel.set_axis_off()
        legend_below(figure, fronts, width=width)
        return figure


def _counted(trace: Trace, strategy: str, replication: int) -> pd.DataFrame:
    requests = trace.requests(strategy, replication)
    return requests[requests["arrived_at_s"] >= cast("float", trace.run["warmup_s"])]


def _all(trace: Trace, strategy: str) -> pd.DataFrame:
    return pd.concat([_counted(trace, strategy, r) for r in trace.replications(strategy)])


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.mean:+.4f}"
    return f"{estimate.mean:+.4f} ± {(estimate.high - estimate.low) / 2:.4f}"


def _regret(panel: Axes, worth: pd.DataFrame) -> None:
    """Draw the regret of every strategy to the oracle, with intervals."""
    others = [strategy for strategy in map(str, worth) if strategy != ORACLE]
    others.sort(key=lambda one: float(np.mean(worth[ORACLE] - worth[one])), reverse=True)
    for place, one in enumerate(others):
        pair = paired_difference(worth[ORACLE].tolist(), worth[one].tolist())
        if pair is None:
            continue
        ends = (
            None
            if pair.low is None or pair.high is None
            else [[pair.mean - pair.low], [pair.high - pair.mean]]
        )
        panel.errorbar(pair.mean, place, xerr=ends, fmt="o", capsize=2, color=PALETTE[0], ms=3.5)
    panel.axvline(0.0, color="0.7", lw=0.8)
    panel.set(yticks=range(len(others)), yticklabels=others, xlabel="regret to the oracle, per request")


def _policy(panel: Axes, decisions: Sequence[Mapping[str, float]], by: str) -> None:
    """Draw the mean cut over an observed value, for the policy and the oracle at the same decisions."""
    table = pd.DataFrame(decisions)
    bins = pd.cut(table[by].rank(method="min"), 12)  # equal values stay in one bin
    for choice, colour, mark in ((ORACLE, "0.4", "s"), ("trained", PALETTE[2], "o")):
        means = table.groupby(bins, observed=True)[[by, choice]].mean()
        panel.plot(means[by], means[choice], mark, color=colour, ls="-", lw=1.0, label=choice)
        panel.plot(table[by], table[choice], "|", color=colour, alpha=0.15, ms=4)
    name = "observed loss probability" if by == "loss" else "observed signal-to-noise ratio, dB"
    panel.set(xlabel=name, ylabel="blocks on the phone")
    if by == "loss":
        panel.set_xscale("symlog", linthresh=1e-4)
    panel.legend()


def _evaluations(panel: Axes, counted: Mapping[str, float]) -> None:
    """Draw the wall time of real evaluations with a surrogate (measured) and without (extrapolated)."""
    rows = (("surrogate\n(measured)", "n_measured"), ("grid (extra-\npolated)", "n_grid"),
            ("true reward\n(extrapol.)", "n_steps"))  # fmt: skip
    for place, (_, name) in enumerate(rows):
        spent_s = counted[name] * counted["seconds_each"]
        panel.barh(place, spent_s, color=PALETTE[0] if place == 0 else "0.7")
        wall = f"{spent_s / 60:.1f} min" if spent_s < 3600 else f"{spent_s / 3600:.0f} h"
        panel.annotate(f" {counted[name]:,.0f}: {wall}", (spent_s, place), va="center", fontsize=6)
    plain_log(panel, "x")
    panel.set(xlim=(1, counted["n_steps"] * counted["seconds_each"] * 900), ylim=(-0.6, 2.6))
    panel.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=6)
    panel.set(xlabel="wall time of forward evaluations, s")
