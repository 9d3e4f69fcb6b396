"""A map of the network: places, links, how far cells reach, and how busy all of it is."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from edgesim.errors import InputError
from edgesim.report.plots.style import MARKERS, Width, paper_style, subplots
from edgesim.report.topology_map import MapNode, TopologyMap, topology_map
from edgesim.statistics.requests import floats
from edgesim.trace.reader import Trace
from edgesim.trace.schema import HOPS, LinkKind
from edgesim.units import bits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["busy_devices", "carried_bps", "draw_map"]

_MOST_NAMES = 40
_CELL_TINTS = ("#66CCEE", "#DDAA33", "#BB5566", "#228833")
_STYLES = {LinkKind.WIRED: "solid", LinkKind.RADIO: (0, (3, 1.5)), LinkKind.RECORDED: (0, (1, 1.2))}
_WIDTHS_PT = (0.5, 3.0)  # of links that carry nothing, and of the one that carries most


def draw_map(trace: Trace, *, strategy: str | None = None, width: Width = "column") -> Figure:
    """Draw the network as the trace knows it, with what one strategy did with it, over all replications.

    A marker per node, of a shape per group and the darker the busier its device (busy share of the run); a
    line per link, the wider the more bits per second it carried. Discs are cells as far as they reach in the
    median; what moves has its track. Nodes whose place is not known stand in rows above, on grey.

    Raises
    ------
    InputError
        If there is no such strategy.
    TraceError
        If no replication is whole.
    """
    if strategy is None:
        strategy = next((one for one in trace.strategies if trace.replications(one)), "")
    elif strategy not in trace.strategies:
        raise InputError(f"--strategy: no strategy {strategy!r}; there are {', '.join(trace.strategies)}")
    shape = topology_map(trace)
    busy, carried = busy_devices(trace, strategy), carried_bps(trace, strategy)
    with paper_style():
        height_in = 3.1 if width == "column" else 4.2
        figure, (panel,) = subplots(1, 1, width=width, height_in=height_in)
        _draw_cells(panel, shape)
        _draw_links(panel, shape, carried)
        _draw_nodes(panel, shape, busy)
        _frame(panel, shape)
        import matplotlib as mpl

        bar = figure.colorbar(
            mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1), "YlOrBr"),
            ax=panel,
            shrink=0.7,
            pad=0.02,
            aspect=24,
        )
        bar.set_label(f"busy, share of time ({strategy})")
        bar.outline.set_visible(False)
        figure.legend(
            *panel.get_legend_handles_labels(),
            loc="outside lower center",
            ncols=3 if width == "column" else 6,
            columnspacing=1.0,
            handletextpad=0.3,
        )
        return figure


def busy_devices(trace: Trace, strategy: str) -> dict[str, float]:
    """Busy share of the run of every device that computes, on average over replications."""
    found: dict[str, list[float]] = defaultdict(list)
    for replication in trace.replications(strategy):
        table = trace.devices(strategy, replication)
        able = table[table["origin"].notna()]
        lasted_s = floats(able, "duration_s")
        shares = np.divide(floats(able, "busy_s"), lasted_s, out=np.zeros(len(able)), where=lasted_s > 0)
        for name, share in zip(able["device"].astype(str), shares.tolist(), strict=True):
            found[name].append(share)
    return {name: float(np.mean(shares)) for name, shares in found.items()}


def carried_bps(trace: Trace, strategy: str) -> dict[str, float]:
    """Bits per second that each link carried, both ways together, on average over replications' time."""
    carried_bytes: dict[str, float] = defaultdict(float)
    lasted_s = 0.0
    for replication in trace.replications(strategy):
        lasted_s += float(floats(trace.devices(strategy, replication), "duration_s").max())
        for part in trace.span_parts(strategy, replication, ["kind", "via", "size_bytes"]):
            hops = part[part["kind"].isin([kind.value for kind in HOPS])]
            for via, size_bytes in hops.groupby("via", observed=True)["size_bytes"].sum().items():
                carried_bytes[str(via)] += float(size_bytes)
    return {via: bits(size_bytes) / lasted_s for via, size_bytes in carried_bytes.items()} if lasted_s else {}


def _draw_cells(panel: Axes, shape: TopologyMap) -> None:
    from matplotlib.patches import Circle

    reaching = [cell for cell in shape.cells if cell.reach_m]
    for place, cell in enumerate(reaching):
        at, tint = shape.node(cell.station), _CELL_TINTS[place % len(_CELL_TINTS)]
        assert cell.reach_m is not None
        for filled, alpha in ((True, 0.10), (False, 0.9)):
            circle = Circle(
                (at.x_m, at.y_m), cell.reach_m, fill=filled, alpha=alpha, color=tint, lw=0.6, zorder=1
            )
            panel.add_patch(circle)


def _draw_links(panel: Axes, shape: TopologyMap, carried: dict[str, float]) -> None:
    at = {node.name: (node.x_m, node.y_m) for node in shape.nodes}
    most = max(carried.values(), default=0.0)
    said: set[str] = set()
    for link in shape.links:
        thin, thick = _WIDTHS_PT
        share = (carried.get(link.name, 0.0) / most) ** 0.5 if most else 0.0
        xs, ys = zip(*(at[end] for end in link.ends), strict=True)
        style = _STYLES.get(LinkKind(link.kind), "solid") if link.kind in set(LinkKind) else "solid"
        panel.plot(
            xs, ys, color="0.55", lw=thin + (thick - thin) * share, ls=style, zorder=2, solid_capstyle="round"
        )
        said.add(link.kind)
    for kind in LinkKind:
        if kind in said:
            panel.plot([], [], color="0.55", lw=1.0, ls=_STYLES[kind], label=f"{kind.value} link")


def _draw_nodes(panel: Axes, shape: TopologyMap, busy: dict[str, float]) -> None:
    import matplotlib as mpl

    colours = mpl.colormaps["YlOrBr"]
    groups = list(dict.fromkeys(node.group for node in shape.nodes if node.kind))
    for node in shape.nodes:
        if len(node.track_m) > 1:
            panel.plot(*zip(*node.track_m, strict=True), color="#4477AA", lw=0.5, alpha=0.6, zorder=2)
    for rank, group in enumerate(groups):
        own = [node for node in shape.nodes if node.group == group and node.kind]
        shades = [colours(busy.get(node.name, 0.0)) for node in own]
        xs, ys = [node.x_m for node in own], [node.y_m for node in own]
        marker = MARKERS[rank % len(MARKERS)]
        panel.scatter(xs, ys, s=34, c=shades, marker=marker, edgecolors="black", linewidths=0.7, zorder=4)
        panel.plot([], [], ls="none", marker=marker, mfc="white", mec="black", ms=4.5, label=group)
    switches = [node for node in shape.nodes if not node.kind]
    if switches:
        xs, ys = [node.x_m for node in switches], [node.y_m for node in switches]
        panel.scatter(xs, ys, s=16, c="black", marker="s", zorder=4)
        panel.plot([], [], ls="none", marker="s", color="black", ms=3, label="switch")
    if len(shape.nodes) <= _MOST_NAMES:
        for node in shape.nodes:
            panel.annotate(
                node.name,
                (node.x_m, node.y_m),
                xytext=(0, _name_offset(node, shape)),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=5.5,
                zorder=5,
            )


def _name_offset(node: MapNode, shape: TopologyMap) -> float:
    """Points above or below the marker: neighbours in a row alternate, so that names do not run together."""
    row = sorted((other for other in shape.nodes if other.y_m == node.y_m), key=lambda other: other.x_m)
    return 8.0 if row.index(node) % 2 == 0 else -8.0


def _frame(panel: Axes, shape: TopologyMap) -> None:
    """Limits about all nodes, and scales where places are known."""
    points = [(node.x_m, node.y_m) for node in shape.nodes]
    points += [point for node in shape.nodes for point in node.track_m]
    lows, highs = np.min(points, axis=0), np.max(points, axis=0)
    size = max(*(highs - lows), 1.0)
    (left, bottom), (right, top) = lows - 0.12 * size, highs + 0.12 * size
    panel.set(xlim=(left, right), ylim=(bottom, top))
    panel.set_aspect("equal")
    known = [node for node in shape.nodes if node.is_placed]
    if not known:
        panel.set(xticks=[], yticks=[])
        panel.set_xlabel("places are not known: laid out by links")
        panel.spines[:].set_visible(False)
        return
    panel.set(xlabel="m", ylabel="m")
    panel.tick_params(length=2.5)
    above = [node.y_m for node in shape.nodes if not node.is_placed]
    if above:
        edge_m = (max(node.y_m for node in known) + min(above)) / 2
        panel.axhspan(edge_m, top, color="0.94", zorder=0)
        panel.annotate(
            "without a place",
            (0.99, 0.99),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize=6,
            color="0.35",
        )
        ticks = [tick for tick in panel.get_yticks() if bottom <= tick <= edge_m]
        panel.set_yticks(ticks)
