"""Tensor-parallel groups by summation scheme and size: time, its parts, answer quality, error of sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from edgesim.errors import TraceError
from edgesim.report.plots.axes import plain_log
from edgesim.report.plots.style import Width, legend_below, looks, paper_style, subplots, tidy
from edgesim.statistics.sum_errors import sum_errors
from edgesim.trace.reader import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ALONE", "draw_sums", "factors", "pass_shares", "sum_rows"]

ALONE = "one device"
_PARTS = {"straggler_s": "waiting", "air_s": "air", "wire_s": "wire", "handling_s": "handling"}


def pass_shares(trace: Trace, strategy: str) -> dict[str, float]:
    """Shares of a pass that members spend computing, waiting, and in sums: means over passes and members."""
    columns = ["kind", "started_at_s", "ended_at_s", *_PARTS]
    length_s, parts_s = 0.0, pd.Series(0.0, index=list(_PARTS))
    for replication in trace.replications(strategy):
        for spans in trace.span_parts(strategy, replication, columns):
            passes = spans[(spans["kind"] == "compute") & spans["ended_at_s"].notna()]
            length_s += float((passes["ended_at_s"] - passes["started_at_s"]).sum())
            parts_s += passes[list(_PARTS)].sum()
    found = {name: float(parts_s[part]) / length_s if length_s else 0.0 for part, name in _PARTS.items()}
    return {"computing": 1.0 - sum(found.values()), **found}


def sum_rows(trace: Trace) -> pd.DataFrame:
    """Tabulate the strategies that split blocks over a group, one row each, over all replications.

    Columns: scheme, size, seconds per token, perplexity, the median error of a sum over requests (which
    exists for every scheme), and :func:`pass_shares`.

    Raises
    ------
    TraceError
        If no strategy of the trace splits blocks.
    """
    run, found = cast("Mapping[str, Any]", trace.run), []
    errors = {each.strategy: each.estimate.median for each in sum_errors(trace)}
    for strategy in trace.strategies:
        options, whole = run["options"].get(strategy, {}), trace.replications(strategy)
        if "all_reduce" not in options or not whole:
            continue
        requests = pd.concat([trace.requests(strategy, r) for r in whole])
        done = requests[requests["outcome"] == "completed"]
        n_steps = float((done["n_emitted_tokens"] - 1).sum())
        if not n_steps:
            continue
        nll = (done["nll"] * done["n_emitted_tokens"]).sum() / done["n_emitted_tokens"].sum()
        size = len(run["placements"].get(strategy, ()))
        found.append(
            {
                "scheme": ALONE if size == 1 else str(options["all_reduce"]),
                "size": size,
                "token_s": float((done["ended_at_s"] - done["first_token_at_s"]).sum()) / n_steps,
                "perplexity": float(np.exp(nll)) if done["nll"].notna().all() else np.nan,
                "error": errors.get(strategy, np.nan),
                **pass_shares(trace, strategy),
            }
        )
    if not found:
        raise TraceError(f"{trace.path}: no strategy splits blocks over a group; expected tensor_parallel")
    return pd.DataFrame(found)


def factors(table: pd.DataFrame) -> pd.DataFrame:
    """Ratio of the time per token to that of over-the-air sums (aircomp), by scheme and size."""
    times = table[table["scheme"] != ALONE].pivot_table(index="scheme", columns="size", values="token_s")
    if "aircomp" not in times.index:
        return times.iloc[:0]
    return (times / times.loc["aircomp"]).rename_axis(index="times aircomp's", columns="devices")


def draw_sums(table: pd.DataFrame, *, width: Width = "page") -> Figure:
    """Draw :func:`sum_rows` over the number of devices, in four panels with a line per scheme."""
    alone = table[table["scheme"] == ALONE]
    schemes = {str(scheme): own for scheme, own in table.groupby("scheme", sort=False) if scheme != ALONE}
    known = looks(list(schemes))
    with paper_style():
        figure, panels = subplots(*((1, 4) if width == "page" else (2, 2)), width=width, height_in=None)
        for scheme, own in schemes.items():
            line = pd.concat([alone, own]).sort_values("size")
            look = known[scheme].line(label=scheme)
            panels[0].plot(line["size"], 1e3 * line["token_s"], **look)
            panels[1].plot(line["size"], line["air"] + line["wire"], **look)
            panels[2].plot(line["size"], line["perplexity"], **look)
            noisy = line[np.isfinite(line["error"])]
            if len(noisy):
                panels[3].plot(noisy["size"], noisy["error"], **look)
        titles = ("ms per token", "share of a pass, air and wires", "perplexity", "median error of a sum")
        sizes = sorted(table["size"].unique())
        for panel, title in zip(panels, titles, strict=True):
            panel.set(xlabel="devices", ylabel=title, xscale="log")
            panel.set_xticks(sizes, labels=[str(size) for size in sizes])
            panel.minorticks_off()
            tidy(panel)
        panels[0].set_ylim(bottom=0)
        panels[1].set_ylim(0, 1)
        if np.isfinite(table["error"]).any():
            plain_log(panels[3], "y")
        legend_below(figure, panels, width=width)
        return figure
