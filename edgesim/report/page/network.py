"""Map of the network: positions and utilisation of devices, and traffic on links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesim.report.page.figure import Figure, busiest, numbers
from edgesim.report.page.span_summary import SpanSummary
from edgesim.report.topology_map import topology_map
from edgesim.statistics.requests import floats
from edgesim.trace.reader import Trace

__all__ = ["network"]

_MOST_NODES = 1500
_MOST_LINKS = 4000


def network(trace: Trace, watched: Mapping[str, SpanSummary]) -> Figure | None:
    """Create the map of devices and links, one view per strategy.

    None if the network is too large to be drawn, or has fewer than two nodes.
    """
    found = topology_map(trace)
    if len(found.nodes) > _MOST_NODES or len(found.links) > _MOST_LINKS or len(found.nodes) < 2:
        return None
    place = {node.name: at for at, node in enumerate(found.nodes)}
    views: list[Any] = []
    for strategy in trace.strategies:
        busy = _busy(trace, strategy)
        hops = watched[strategy].hops if strategy in watched else {}
        uses: list[Any] = [
            numbers([hops.get(link.ends, (0.0, 0))[0] + hops.get(link.ends[::-1], (0.0, 0))[0]])[0]
            for link in found.links
        ]
        shares = [busy.get(node.name) for node in found.nodes]
        views.append(
            {
                "label": strategy,
                "busy": [None if share is None else numbers([share])[0] for share in shares],
                "use": uses,
            }
        )
    known = (
        "Drawn to scale. "
        if found.is_to_scale
        else "Nodes without a known position are laid out by their links. "
    )
    reach = "Shaded: median range of the cells. " if any(cell.reach_m for cell in found.cells) else ""
    return Figure(
        name="network",
        kind="map",
        title="Network",
        note=f"{known}{reach}The arc around a device shows the share of the run in which it computed, "
        "averaged over replications; the width of a link grows with the mean number of hops under way on it "
        "in the first replication; radio links are dashed.",
        content={
            "nodes": [
                {
                    "name": node.name,
                    "group": node.group,
                    "kind": node.kind,
                    "x": round(node.x_m, 2),
                    "y": round(node.y_m, 2),
                    "track": [round(value, 1) for point in node.track_m for value in point],
                }
                for node in found.nodes
            ],
            "links": [
                {"ends": [place[end] for end in link.ends], "kind": link.kind, "rate": link.rate_bps}
                for link in found.links
            ],
            "cells": [
                {"at": place[cell.station], "reach": cell.reach_m} for cell in found.cells if cell.reach_m
            ],
            "is_known": found.is_to_scale,
            "views": views,
            "first": busiest(sum(map(bool, [*view["busy"], *view["use"]])) for view in views),
        },
    )


def _busy(trace: Trace, strategy: str) -> dict[str, float]:
    """Share of the run in which each processor computed, averaged over replications."""
    found: dict[str, list[float]] = {}
    for replication in trace.replications(strategy):
        devices = trace.devices(strategy, replication)
        devices = devices[devices["origin"].notna()]
        duration_s = floats(devices, "duration_s")
        shares = np.divide(
            floats(devices, "busy_s"), duration_s, out=np.zeros(len(devices)), where=duration_s > 0
        )
        for name, share in zip(devices["device"].astype(str), shares, strict=True):
            found.setdefault(name, []).append(float(share))
    return {name: float(np.mean(shares)) for name, shares in found.items()}
