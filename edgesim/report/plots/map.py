"""Map of the network: positions, links, ranges of cells, and utilisation."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from edgesim.errors import InputError
from edgesim.report.plots.style import MARKERS, WIDTHS_IN, Width, paper_style, subplots
from edgesim.report.topology_map import Cell, TopologyMap, topology_map
from edgesim.statistics.requests import floats
from edgesim.trace.reader import Trace
from edgesim.trace.schema import HOPS, LinkKind
from edgesim.units import bits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

__all__ = ["busy_devices", "carried_bps", "draw_map"]

_MOST_NAMES = 40
_NAME_PT = 5.5
_NEAR = 0.8  # largest radius of a drawn cell, as a fraction of the map's size: a larger one would cover it
_CELL_TINTS = ("#66CCEE", "#DDAA33", "#BB5566", "#228833")
_STYLES = {LinkKind.WIRED: "solid", LinkKind.RADIO: (0, (3, 1.5)), LinkKind.RECORDED: (0, (1, 1.2))}
_WIDTHS_PT = (0.5, 3.0)  # widths of a link without traffic, and of the one with the most


def draw_map(trace: Trace, *, strategy: str | None = None, width: Width = "column") -> Figure:
    """Draw the network of a trace, with its utilisation by one strategy, over all replications.

    Nodes are markers: the shape shows the group, the shade the busy share of the run. Links are lines whose
    width grows with the bits per second carried. Discs show the median range of cells, and thin lines the
    tracks of moving devices. Nodes without a known position are drawn in rows above the map, on grey.

    Raises
    ------
    InputError
        If there is no such strategy.
    TraceError
        If no replication is complete.
    """
    if strategy is None:
        strategy = next((one for one in trace.strategies if trace.replications(one)), "")
    elif strategy not in trace.strategies:
        raise InputError(f"--strategy: no strategy {strategy!r}; there are {', '.join(trace.strategies)}")
    shape = topology_map(trace)
    busy, carried = busy_devices(trace, strategy), carried_bps(trace, strategy)
    with paper_style():
        import matplotlib as mpl

        height_in = _height_in(shape, width)
        figure, (panel,) = subplots(1, 1, width=width, height_in=height_in)
        _draw_cells(panel, shape)
        _draw_links(panel, shape, carried)
        _draw_nodes(panel, shape, busy)
        _frame(panel, shape)
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
        if len(shape.nodes) <= _MOST_NAMES:
            _name_nodes(figure, panel, shape)
        return figure


def busy_devices(trace: Trace, strategy: str) -> dict[str, float]:
    """Busy share of the run of every processor, averaged over replications."""
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
    """Mean bits per second carried by each link in both directions, over the time of all replications."""
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
    """Draw discs for the cells whose edge lies on the map, or near it."""
    from matplotlib.patches import Circle

    for place, cell in enumerate(_shown_cells(shape)):
        at, tint = shape.node(cell.station), _CELL_TINTS[place % len(_CELL_TINTS)]
        for is_filled, alpha in ((True, 0.10), (False, 0.9)):
            look = {"fill": is_filled, "alpha": alpha, "color": tint, "lw": 0.6, "zorder": 1}
            panel.add_patch(Circle((at.x_m, at.y_m), cell.reach_m or 0.0, **look))


def _shown_cells(shape: TopologyMap) -> list[Cell]:
    return [cell for cell in shape.cells if cell.reach_m and cell.reach_m <= _NEAR * _size_m(shape)]


def _size_m(shape: TopologyMap) -> float:
    points = np.array([(node.x_m, node.y_m) for node in shape.nodes])
    return float(max(*np.ptp(points, axis=0), 1.0))


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


def _name_nodes(figure: Figure, panel: Axes, shape: TopologyMap) -> None:
    """Write names next to the nodes, with as few overlaps with markers and other names as possible."""
    from matplotlib.patheffects import withStroke

    figure.draw_without_rendering()  # the layout determines the scale of the map
    dots_per_pt = figure.dpi / 72
    at = {node.name: panel.transData.transform((node.x_m, node.y_m)) / dots_per_pt for node in shape.nodes}
    taken = [_box(x, y, 7.0, 7.0) for x, y in at.values()]
    for node in sorted(shape.nodes, key=lambda node: -node.y_m):
        x, y = at[node.name]
        wide, high = 0.62 * _NAME_PT * len(node.name), 1.1 * _NAME_PT
        beside = 5.0 + wide / 2
        ways = [
            (0, 8),
            (0, -8),
            (beside, 0),
            (-beside, 0),
            (beside, 7),
            (-beside, 7),
            (beside, -7),
            (0, 14),
            (0, -14),
        ]
        clashes = [sum(map(_box(x + dx, y + dy, wide, high).overlaps, taken)) for dx, dy in ways]
        dx, dy = ways[int(np.argmin(clashes))]
        taken.append(_box(x + dx, y + dy, wide, high))
        panel.annotate(
            node.name,
            (node.x_m, node.y_m),
            xytext=(dx, dy),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_NAME_PT,
            path_effects=[withStroke(linewidth=1.4, foreground="white")],
            zorder=5,
        )


def _box(x: float, y: float, wide: float, high: float) -> Bbox:
    from matplotlib.transforms import Bbox

    return Bbox.from_extents(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)


def _height_in(shape: TopologyMap, width: Width) -> float:
    """Height of the figure: the panel has the map's aspect ratio, within limits; plus labels and legend."""
    points = np.array([(node.x_m, node.y_m) for node in shape.nodes])
    across, up = np.ptp(points, axis=0) + 0.24 * _size_m(shape)
    n_rows = -(-(len({node.group for node in shape.nodes}) + 3) // (3 if width == "column" else 6))
    return float(np.clip(0.7 * WIDTHS_IN[width] * up / across, 1.2, 4.5)) + 0.5 + 0.17 * n_rows


def _reaches(shape: TopologyMap) -> str:
    """Describe the ranges of the cells that are too large to be drawn."""
    shown = _shown_cells(shape)
    beyond_m = sorted(cell.reach_m for cell in shape.cells if cell.reach_m and cell not in shown)
    if not beyond_m:
        return ""
    ends = dict.fromkeys(f"{reach_m / 1000:.2g}" for reach_m in (beyond_m[0], beyond_m[-1]))
    return f" (range of cells: {' to '.join(ends)} km)"


def _frame(panel: Axes, shape: TopologyMap) -> None:
    """Set limits around all nodes, and scales if positions are known."""
    points = [(node.x_m, node.y_m) for node in shape.nodes]
    points += [point for node in shape.nodes for point in node.track_m]
    lows, highs = np.min(points, axis=0), np.max(points, axis=0)
    for cell in _shown_cells(shape):
        at = shape.node(cell.station)
        lows = np.minimum(lows, [at.x_m - (cell.reach_m or 0.0), at.y_m - (cell.reach_m or 0.0)])
        highs = np.maximum(highs, [at.x_m + (cell.reach_m or 0.0), at.y_m + (cell.reach_m or 0.0)])
    margin_m = 0.12 * max(*(highs - lows), 1.0)
    (left, bottom), (right, top) = lows - margin_m, highs + margin_m
    panel.set(xlim=(left, right), ylim=(bottom, top))
    panel.set_aspect("equal")
    known = [node for node in shape.nodes if node.is_placed]
    if not known:
        panel.set(xticks=[], yticks=[])
        panel.set_xlabel("positions unknown: laid out by links")
        panel.spines[:].set_visible(False)
        return
    panel.set(xlabel=f"m{_reaches(shape)}", ylabel="m")
    panel.tick_params(length=2.5)
    above = [node.y_m for node in shape.nodes if not node.is_placed]
    if above:
        edge_m = (max(node.y_m for node in known) + min(above)) / 2
        panel.axhspan(edge_m, top, color="0.94", zorder=0)
        panel.annotate(
            "without a position",
            (0.99, 0.99),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize=6,
            color="0.35",
        )
        ticks = [tick for tick in panel.get_yticks() if bottom <= tick <= edge_m]
        panel.set_yticks(ticks)
