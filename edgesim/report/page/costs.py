"""Figures of the energy and the answer quality of each strategy."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesim.report.page.comparing import dots
from edgesim.report.page.figure import Figure, numbers, thinned
from edgesim.statistics.comparison import Comparison
from edgesim.statistics.requests import floats
from edgesim.trace.reader import Trace

__all__ = ["answers", "energy", "exits"]

_PARTS = {
    "computing": "energy_compute_j",
    "sending": "energy_tx_j",
    "receiving": "energy_rx_j",
    "idling": "energy_idle_j",
}
_MOST_GROUPS = 7
_MOST_POINTS = 200


def energy(trace: Trace) -> Figure:
    """Create the figure of energy per token: by activity, and the active part by device group."""
    rows: dict[str, list[dict[str, float]]] = {}
    groups: dict[str, list[dict[str, float]]] = {}
    for strategy in trace.strategies:
        for replication in trace.replications(strategy):
            devices = trace.devices(strategy, replication)
            n_tokens = float(floats(trace.requests(strategy, replication), "n_emitted_tokens").sum())
            if not n_tokens:
                continue
            per_device = {part: np.nan_to_num(floats(devices, column)) for part, column in _PARTS.items()}
            rows.setdefault(strategy, []).append(
                {part: float(joules.sum()) / n_tokens for part, joules in per_device.items()}
            )
            active_j = np.sum([joules for part, joules in per_device.items() if part != "idling"], axis=0)
            names = devices["group"].astype(str).to_numpy(dtype=np.str_)
            groups.setdefault(strategy, []).append(
                {str(name): float(np.sum(active_j[names == name])) / n_tokens for name in np.unique(names)}
            )
    totals: dict[str, float] = {}
    for tables in groups.values():
        for table in tables:
            for name, value in table.items():
                totals[name] = totals.get(name, 0.0) + value
    ranked = sorted((name for name, total in totals.items() if total > 0), key=lambda name: -totals[name])
    shown = ranked[:_MOST_GROUPS]
    grouped = {
        strategy: [
            {name: table.get(name, 0.0) for name in shown}
            | (
                {"others": sum(table.get(name, 0.0) for name in ranked[_MOST_GROUPS:])}
                if ranked[_MOST_GROUPS:]
                else {}
            )
            for table in tables
        ]
        for strategy, tables in groups.items()
    }
    views = [
        _stack("Active energy, by activity", "joules per token", rows, [p for p in _PARTS if p != "idling"]),
        _stack("With idling", "joules per token", rows, list(_PARTS)),
        _stack(
            "Active energy, by device group",
            "joules per token",
            grouped,
            shown + (["others"] if len(ranked) > len(shown) else []),
        ),
    ]
    return Figure(
        name="energy",
        kind="stacks",
        title="Energy per token",
        note="Of all devices, per token delivered, averaged over replications. Idling: the idle power of all "
        "devices, under any strategy; per token it decreases with more requests.",
        content={"views": [view for view in views if view["rows"] and view["parts"]]},
    )


def _stack(
    label: str, unit: str, tables: dict[str, list[dict[str, float]]], parts: list[str]
) -> dict[str, Any]:
    rows = [
        {
            "name": strategy,
            "values": numbers([float(np.mean([row[part] for row in found])) for part in parts]),
        }
        for strategy, found in tables.items()
    ]
    return {"label": label, "unit": unit, "parts": list(parts), "rows": rows}


def answers(compared: Comparison) -> Figure | None:
    """Create the figure of accuracy and perplexity with intervals; None if answers were not measured."""
    return dots(
        compared,
        ("accuracy", "perplexity"),
        name="answers",
        title="Answers",
        note="Share of right tokens, and perplexity, from measured answers; 95 % intervals over "
        "replications.",
    )


def exits(trace: Trace) -> Figure | None:
    """Create the figure of the distribution of requests' mean exit block; None if no token exited early."""
    series: list[Any] = []
    for at, strategy in enumerate(trace.strategies):
        found = [
            floats(trace.requests(strategy, replication), "mean_exit_block")
            for replication in trace.replications(strategy)
        ]
        blocks = np.concatenate(found) if found else np.empty(0)
        blocks = np.sort(blocks[~np.isnan(blocks)])
        if not len(blocks):
            continue
        kept = thinned(len(blocks), _MOST_POINTS)
        shares = (kept + 1) / len(blocks)
        x, y = np.concatenate([blocks[:1], blocks[kept]]), np.concatenate([[0.0], shares])
        series.append({"name": strategy, "at": at, "x": numbers(x), "y": numbers(y)})
    if not series:
        return None
    x_axis, y_axis = (
        {"label": "blocks computed", "log": False},
        {"label": "share of requests", "low": 0, "high": 1},
    )
    return Figure(
        name="exits",
        kind="lines",
        title="Early exits",
        note="Blocks computed per token, averaged over the tokens of a request; requests whose tokens all "
        "passed all blocks are left out.",
        content={
            "views": [{"label": "Blocks computed", "x": x_axis, "y": y_axis, "step": True, "series": series}]
        },
    )
