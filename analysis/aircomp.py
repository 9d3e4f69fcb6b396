"""Draw time per token, its parts, perplexity and error against the number of devices, from a trace alone.

    python analysis/aircomp.py traces/aircomp-llama2 -o docs/images/aircomp_llama2.png

Any trace will do whose strategies are `tensor_parallel` groups of several sizes.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from edgesim.statistics.sum_errors import sum_errors
from edgesim.trace.reader import Trace

COLOURS = {
    "aircomp": "#4477aa",
    "digital": "#ee6677",
    "uncoded_fdma": "#228833",
    "ring": "#ccbb44",
    "star": "#aa3377",
}
ALONE = "one device"
PARTS = {"straggler_s": "waiting", "air_s": "air", "wire_s": "wire", "handling_s": "handling"}


def shares(trace: Trace, strategy: str) -> dict[str, float]:
    """What members do in a pass, as shares of its length: mean over passes and members."""
    columns = ["kind", "started_at_s", "ended_at_s", *PARTS]
    length_s, parts_s = 0.0, pd.Series(0.0, index=list(PARTS))
    for replication in trace.replications(strategy):
        for spans in trace.span_parts(strategy, replication, columns):
            passes = spans[(spans["kind"] == "compute") & spans["ended_at_s"].notna()]
            length_s += (passes["ended_at_s"] - passes["started_at_s"]).sum()
            parts_s += passes[list(PARTS)].sum()
    found = {name: parts_s[part] / length_s for part, name in PARTS.items()}
    return {"computing": 1.0 - sum(found.values()), **found}


def rows(trace: Trace) -> pd.DataFrame:
    """One row per strategy, over its replications: scheme, size, seconds per token, answers, shares, error.

    The error is a median over requests, which exists for every way of summing.
    """
    found = []
    errors = {each.strategy: each.estimate.median for each in sum_errors(trace)}
    for strategy in trace.strategies:
        options = trace.run["options"][strategy]
        requests = pd.concat([trace.requests(strategy, r) for r in trace.replications(strategy)])
        done = requests[requests["outcome"] == "completed"]
        if not len(done) or "all_reduce" not in options:
            continue
        n_steps = (done["n_emitted_tokens"] - 1).sum()
        nll = (done["nll"] * done["n_emitted_tokens"]).sum() / done["n_emitted_tokens"].sum()
        size = len(trace.run["placements"][strategy])
        found.append(
            {
                "scheme": ALONE if size == 1 else options["all_reduce"],
                "size": size,
                "token_s": (done["ended_at_s"] - done["first_token_at_s"]).sum() / n_steps,
                "perplexity": np.exp(nll) if done["nll"].notna().all() else np.nan,
                "error": errors.get(strategy, np.nan),
                **shares(trace, strategy),
            }
        )
    return pd.DataFrame(found)


def factors(table: pd.DataFrame) -> pd.DataFrame:
    """How many times as long a token takes as with sums on the air, by scheme and size."""
    times = table[table["scheme"] != ALONE].pivot(index="scheme", columns="size", values="token_s")
    if "aircomp" not in times.index:
        return times.iloc[:0]
    return (times / times.loc["aircomp"]).rename_axis(index="times aircomp's", columns="devices")


def draw(trace: Trace) -> plt.Figure:
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    table = rows(trace)
    alone = table[table["scheme"] == ALONE]
    figure, panels = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
    series: dict[str, pd.DataFrame] = defaultdict(pd.DataFrame)
    for scheme, own in table[table["scheme"] != ALONE].groupby("scheme", sort=False):
        series[str(scheme)] = pd.concat([alone, own]).sort_values("size")
    for scheme, own in series.items():
        how = {"marker": "o", "ms": 4, "color": COLOURS.get(scheme), "label": scheme}
        panels[0].plot(own["size"], 1e3 * own["token_s"], **how)
        panels[1].plot(own["size"], own["air"] + own["wire"], **how)
        panels[2].plot(own["size"], own["perplexity"], **how)
        noisy = own[np.isfinite(own["error"])]
        if len(noisy):
            panels[3].plot(noisy["size"], noisy["error"], **how)
    for panel, label in zip(
        panels,
        (
            "ms per token",
            "share of a pass on the air, or on wires",
            "perplexity",
            "median error of a sum, normalised",
        ),
        strict=True,
    ):
        panel.set(xlabel="devices", ylabel=label, xscale="log")
        panel.set_xticks(sorted(table["size"].unique()), labels=sorted(table["size"].unique()))
        panel.minorticks_off()
        panel.grid(alpha=0.25)
    panels[0].set_ylim(bottom=0)
    panels[1].set_ylim(0, 1)
    if np.isfinite(table["error"]).any():
        panels[3].set(yscale="log")
    panels[0].legend(frameon=False)
    answers = trace.run["quality"]
    told = "" if answers is None else "; answers are the bundled small model's"
    figure.suptitle(f"{trace.run['name']}: {trace.run['model']['name']}{told}", fontsize=9)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trace", type=Path, help="folder that `edgesim run` wrote")
    parser.add_argument("-o", "--output", type=Path, default=Path("aircomp.png"), help="file of the figure")
    options = parser.parse_args()
    trace = Trace(options.trace).complete()
    table = rows(trace)
    print(table.to_string(index=False, float_format="%.4g"))
    print(factors(table).to_string(float_format="%.2f"))
    print(*sum_errors(trace), sep="\n")
    draw(trace).savefig(options.output, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
