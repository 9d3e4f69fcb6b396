"""Draw how long answers took and where the time went, per strategy, from a trace alone.

    python analysis/latency.py traces/smart-city -o docs/images/smart_city.png

Left, the share of all requests between warm-up and horizon that were answered within a time, every
replication's together; failed requests and those in flight at the end keep a curve below 1. Right, the mean
share of each activity in it (edgesim.statistics.breakdown).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

from edgesim.statistics.breakdown import Activity, breakdown
from edgesim.statistics.window import counted
from edgesim.trace.reader import Trace

# Tol's bright scheme, with darker or lighter shades for what goes over links.
COLOURS = {
    Activity.COMPUTING: "#4477aa",
    Activity.STRAGGLING: "#99bbdd",
    Activity.AIR: "#66ccee",
    Activity.WIRE: "#228833",
    Activity.RECORDED: "#88cc88",
    Activity.HANDLING: "#eedd88",
    Activity.QUEUEING_FOR_COMPUTE: "#ee6677",
    Activity.QUEUEING_FOR_NETWORK: "#ccbb44",
    Activity.WAITING_FOR_MEMORY: "#aa3377",
    Activity.OTHER: "#bbbbbb",
}


def lives(trace: Trace, strategy: str) -> tuple[np.ndarray, int, pd.DataFrame]:
    """End-to-end latencies, of how many requests, and their breakdown, over all replications."""
    latencies_s, parts, n_requests = [], [], 0
    for replication in trace.replications(strategy):
        requests = trace.requests(strategy, replication)
        chosen = counted(requests["arrived_at_s"].to_numpy(), trace.run["warmup_s"], trace.run["horizon_s"])
        requests = requests[chosen]
        n_requests += len(requests)
        completed = requests[requests["outcome"] == "completed"]
        latencies_s.append((completed["ended_at_s"] - completed["arrived_at_s"]).to_numpy())
        parts.append(breakdown(requests, trace.spans(strategy, replication)))
    return np.sort(np.concatenate(latencies_s)), n_requests, pd.concat(parts)


def draw(trace: Trace) -> plt.Figure:
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 3.6), layout="constrained", width_ratios=[1, 1.15]
    )
    labels, shares, means_s = [], [], []
    for strategy in trace.strategies:
        latencies_s, n_requests, parts = lives(trace, strategy)
        if not len(latencies_s):
            continue
        left.step(latencies_s, np.arange(1, len(latencies_s) + 1) / n_requests, where="post", label=strategy)
        labels.append(strategy)
        means_s.append(latencies_s.mean())
        shares.append(parts.mean() / parts.mean().sum())
    left.set(
        xscale="log", xlabel="end-to-end latency (s)", ylabel="share of requests answered", ylim=(0, 1.02)
    )
    left.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.xaxis.set_major_formatter("{x:g}")
    left.xaxis.set_minor_formatter(NullFormatter())
    left.grid(alpha=0.25)
    left.legend(frameon=False, loc="best")
    table = pd.DataFrame(shares, index=labels)
    reached = np.zeros(len(table))
    for activity, colour in COLOURS.items():
        if table[activity].max() > 0.001:
            right.barh(labels, table[activity], left=reached, color=colour, label=activity, height=0.65)
            reached += table[activity].to_numpy()
    for position, mean_s in enumerate(means_s):
        right.text(1.01, position, f"{mean_s:.3g} s", va="center")
    right.invert_yaxis()
    right.set(xlabel="share of the mean end-to-end latency (mean at the right)", xlim=(0, 1))
    right.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.45, 1.0))
    n_replications = max(len(trace.replications(s)) for s in trace.strategies)
    figure.suptitle(
        f"{trace.run['name']}: {n_replications} replications, requests after {trace.run['warmup_s']:g} s, "
        f"scenario {trace.run['scenario']['digest'][:8]}",
        fontsize=9,
    )
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trace", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("latency.png"))
    asked = parser.parse_args()
    draw(Trace(asked.trace).complete()).savefig(asked.output, dpi=150)
    print(f"{asked.output}")


if __name__ == "__main__":
    main()
