"""Print what requests were worth under each way of choosing the cut, and the regret to the oracle.

    python analysis/rl_split.py traces/rl-split
    python analysis/rl_split.py traces/rl-split -o front.png
    python analysis/rl_split.py traces/rl-split --training training.json --surrogate surrogate.json -o all.png

`--training` takes what benchmarks/rl_split_training.py writes, `--surrogate` what
benchmarks/rl_split_surrogate.py does.

Utilities are :class:`edgesim.planning.splitting.utility.Utility` of the requests table, with the weights of
the first strategy of the trace or of `--quality`, `--latency` and `--energy`; quality counts from the best
mean log likelihood of any strategy. Differences are paired by replication, the same requests under both;
intervals are Student's, 95 %. A fixed cut is best in hindsight that has the best mean over all replications.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from edgesim.planning.splitting.utility import Utility
from edgesim.statistics.intervals import Estimate, paired_difference, student_t
from edgesim.trace.reader import Trace

LEAST_GAIN = 0.03  # of the oracle over the best fixed cut, below which there is nothing to learn


def requests_of(trace: Trace, strategy: str, replication: int) -> pd.DataFrame:
    """Requests after the warm-up."""
    requests = trace.requests(strategy, replication)
    return requests[requests["arrived_at_s"] >= trace.run["warmup_s"]]


def utilities(trace: Trace, weights: Utility) -> pd.DataFrame:
    """Mean utility by replication (rows) and strategy (columns)."""
    found = {
        strategy: {
            r: float(weights.of_requests(requests_of(trace, strategy, r)).mean())
            for r in trace.replications(strategy)
        }
        for strategy in trace.strategies
    }
    return pd.DataFrame(found)


def clean_nll(trace: Trace) -> float:
    """Least mean log likelihood of any strategy: what a cut that loses nothing has [nats]."""
    return min(
        float(pd.concat([requests_of(trace, s, r) for r in trace.replications(s)])["nll"].mean())
        for s in trace.strategies
    )


def table(worth: pd.DataFrame) -> str:
    """Utilities, differences from the best fixed cut, and regrets to the oracle."""
    fixed = [strategy for strategy in worth if strategy.startswith("fixed")]
    best = str(worth[fixed].mean().idxmax())
    lines = [f"{'strategy':12} {'utility':>18} {'over ' + best:>20} {'regret':>18}"]
    for strategy in worth:
        own = student_t(worth[strategy].tolist())
        cells = [_cell(own, worth[strategy].mean())]
        for better, worse in ((strategy, best), ("oracle", strategy)):
            if better == worse or better not in worth:
                cells.append("-")
                continue
            pair = paired_difference(worth[better].tolist(), worth[worse].tolist())
            cells.append(_cell(pair, (worth[better] - worth[worse]).mean()))
        lines.append(f"{strategy:12} {cells[0]:>18} {cells[1]:>20} {cells[2]:>18}")
    if "oracle" in worth:
        gain = float((worth["oracle"] - worth[best]).mean() / abs(worth[best].mean()))
        lines.append(f"the oracle gains {gain:.1%} over {best}, the best fixed cut in hindsight")
        if gain < LEAST_GAIN:
            lines.append(f"nothing to learn: less than {LEAST_GAIN:.0%}")
    return "\n".join(lines)


def _cell(estimate: Estimate | None, mean: float) -> str:
    if estimate is None or estimate.low is None or estimate.high is None:
        return f"{mean:+.4f}"
    return f"{mean:+.4f} ± {(estimate.high - estimate.low) / 2:.4f}"


def front(trace: Trace, panels: list[plt.Axes]) -> None:
    """Delay against quality and energy of every strategy, in two panels."""
    for strategy in trace.strategies:
        each = pd.concat([requests_of(trace, strategy, r) for r in trace.replications(strategy)])
        done = each[each["outcome"] == "completed"]
        delay_s, nll = (done["ended_at_s"] - done["arrived_at_s"]).mean(), done["nll"].mean()
        for panel, other in zip(panels, (nll, done["energy_j"].mean()), strict=True):
            panel.plot(delay_s, other, "o", color="C3" if strategy == "learned" else "C0")
            is_own = strategy == "learned"  # next to its rivals: its name goes below them
            place = {"xytext": (-2, -11) if is_own else (3, 3), "textcoords": "offset points"}
            panel.annotate(strategy, (delay_s, other), color="C3" if is_own else "k", **place)
    for panel, name in zip(panels, ("negative log likelihood (nats)", "active energy (J)"), strict=True):
        panel.margins(x=0.15)
        panel.set(xlabel="time to the last token (s)", ylabel=f"{name}, mean per request")


def regrets(worth: pd.DataFrame, panel: plt.Axes) -> None:
    """Regret of every strategy to the oracle, with intervals."""
    others = [strategy for strategy in worth if strategy != "oracle"]
    lost = {one: (worth["oracle"] - worth[one]) for one in others}
    others.sort(key=lambda one: float(lost[one].mean()), reverse=True)
    for place, one in enumerate(others):
        pair = paired_difference(worth["oracle"].tolist(), worth[one].tolist())
        half = 0.0 if pair is None or pair.high is None or pair.low is None else (pair.high - pair.low) / 2
        panel.errorbar(
            lost[one].mean(), place, xerr=half, fmt="o", capsize=3, color="C3" if one == "learned" else "C0"
        )
    panel.axvline(0.0, color="0.7", lw=0.8)
    panel.set(yticks=range(len(others)), yticklabels=others, xlabel="regret to the oracle, per request")


def learning(curve: list[list[float]], panel: plt.Axes) -> None:
    """The learning curve of the last round."""
    steps, returns = np.array(curve).T
    panel.plot(steps, returns, "o-", ms=3)
    panel.set(xlabel="steps on the surrogate", ylabel="return: utility over the mean action")


def policy_map(decisions: list[dict[str, float]], by: str, name: str, panel: plt.Axes) -> None:
    """Mean cut by what was seen, of the policy and of the oracle at the same decisions."""
    table = pd.DataFrame(decisions)
    ranks = table[by].rank(method="min")  # equal values stay in one bin
    bins = pd.cut(ranks, 12)
    for who, colour, mark in (("oracle", "0.4", "s"), ("trained", "C3", "o")):
        means = table.groupby(bins, observed=True)[[by, who]].mean()
        panel.plot(means[by], means[who], mark, color=colour, ls="-", ms=4, label=who)
        panel.plot(table[by], table[who], "|", color=colour, alpha=0.15, ms=5)
    panel.set(xlabel=name, ylabel="blocks on the phone")
    if by == "loss":
        panel.set_xscale("symlog", linthresh=1e-4)
    panel.legend(frameon=False)


def evaluations(told: dict[str, float], panel: plt.Axes) -> None:
    """Real evaluations and their wall time, with a surrogate and without; measured, and extrapolated."""
    each_s = told["seconds_each"]
    rows = (("surrogate (measured)", "n_measured"), ("grid (extrapolated)", "n_grid"),
            ("true reward (extrapolated)", "n_steps"))  # fmt: skip
    for place, (label, name) in enumerate(rows):
        n, spent_s = told[name], told[name] * each_s
        panel.barh(place, spent_s, color="C3" if place == 0 else "0.7")
        wall = f"{spent_s / 60:.1f} min" if spent_s < 3600 else f"{spent_s / 3600:.0f} h"
        panel.annotate(f" {n:,.0f}: {wall}", (spent_s, place), va="center")
        panel.annotate(label, (1.2, place + 0.45), va="bottom", fontsize=8)
    panel.set(xscale="log", xlim=(1, told["n_steps"] * each_s * 200), yticks=[], ylim=(-0.6, 2.9))
    panel.set(xlabel="wall time of forward evaluations (s)")


def drawn(trace: Trace, worth: pd.DataFrame, training: Path | None, surrogate: Path | None) -> plt.Figure:
    """Regret, front, and what else was given."""
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    told = None if training is None else json.loads(training.read_text())
    n_panels = 3 + (0 if told is None else 3 if told["curve"] else 2) + (surrogate is not None)
    n_columns = min(4, n_panels)
    n_rows = -(-n_panels // n_columns)
    figure, grid = plt.subplots(
        n_rows, n_columns, figsize=(4.2 * n_columns, 3.6 * n_rows), layout="constrained", squeeze=False
    )
    panels = list(grid.ravel())
    if "oracle" in worth:
        regrets(worth, panels[0])
    front(trace, panels[1:3])
    rest = iter(panels[3:])
    if told is not None:
        if told["curve"]:
            learning(told["curve"], next(rest))
        policy_map(told["decisions"], "loss", "loss probability seen", next(rest))
        policy_map(told["decisions"], "snr_db", "signal-to-noise ratio seen (dB)", next(rest))
    if surrogate is not None:
        evaluations(json.loads(surrogate.read_text()), next(rest))
    for panel in rest:
        panel.set_axis_off()
    return figure


def main() -> None:
    """Read one trace."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace", type=Path)
    parser.add_argument("-o", "--out", type=Path, help="draw regret, delay, quality and energy")
    parser.add_argument("--training", type=Path, help="draw how a policy learned, and what it chooses")
    parser.add_argument("--surrogate", type=Path, help="draw evaluations with and without surrogate")
    parser.add_argument("--quality", type=float, default=1.0)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--energy", type=float, default=0.02)
    given = parser.parse_args()
    trace = Trace(given.trace).complete()
    weights = Utility(
        quality=given.quality,
        latency_per_s=given.latency,
        energy_per_j=given.energy,
        failure=10.0 * given.latency + given.quality,
        clean_nll=clean_nll(trace),
    )
    worth = utilities(trace, weights)
    print(table(worth))
    if given.out:
        drawn(trace, worth, given.training, given.surrogate).savefig(given.out, dpi=130)


if __name__ == "__main__":
    main()
