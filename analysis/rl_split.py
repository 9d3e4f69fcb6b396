"""Print what requests were worth under each way of choosing the cut, and the regret to the oracle.

    python analysis/rl_split.py traces/rl-split
    python analysis/rl_split.py traces/rl-split -o front.png

Utilities are :class:`edgesim.planning.splitting.utility.Utility` of the requests table, with the weights of
the first strategy of the trace or of `--quality`, `--latency` and `--energy`; quality counts from the best
mean log likelihood of any strategy. Differences are paired by replication, the same requests under both;
intervals are Student's, 95 %. A fixed cut is best in hindsight that has the best mean over all replications.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
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


def front(trace: Trace) -> plt.Figure:
    """Delay, quality and energy of every strategy."""
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for strategy in trace.strategies:
        each = pd.concat([requests_of(trace, strategy, r) for r in trace.replications(strategy)])
        done = each[each["outcome"] == "completed"]
        delay_s, nll = (done["ended_at_s"] - done["arrived_at_s"]).mean(), done["nll"].mean()
        for panel, other in zip(panels, (nll, done["energy_j"].mean()), strict=True):
            panel.plot(delay_s, other, "o")
            panel.annotate(strategy, (delay_s, other), xytext=(3, 3), textcoords="offset points")
    for panel, name in zip(panels, ("negative log likelihood (nats)", "active energy (J)"), strict=True):
        panel.set(xlabel="time to the last token (s)", ylabel=f"{name}, mean per request")
    return figure


def main() -> None:
    """Read one trace."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace", type=Path)
    parser.add_argument("-o", "--out", type=Path, help="draw delay, quality and energy")
    parser.add_argument("--quality", type=float, default=1.0)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--energy", type=float, default=0.02)
    given = parser.parse_args()
    trace = Trace(given.trace)
    weights = Utility(
        quality=given.quality,
        latency_per_s=given.latency,
        energy_per_j=given.energy,
        failure=10.0 * given.latency + given.quality,
        clean_nll=clean_nll(trace),
    )
    print(table(utilities(trace, weights)))
    if given.out:
        front(trace).savefig(given.out, dpi=150)


if __name__ == "__main__":
    main()
