"""Style of figures: journal widths, 8-point text, and lines distinguishable in colour and in greyscale.

A strategy's look is determined by its position among the strategies, in all figures. Colours are Paul Tol's
(2021, "Colour Schemes", SRON/EPS/TN/09-002): first the three of the high-contrast scheme and black, which
also differ in lightness, then those of the bright scheme. Line style, marker and hatch vary as well, with
different periods, so that the first forty looks are all different.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from edgesim.report.requirements import require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "DASHES",
    "HATCHES",
    "MARKERS",
    "PALETTE",
    "WIDTHS_IN",
    "Look",
    "Width",
    "legend_below",
    "looks",
    "paper_style",
    "subplots",
    "tidy",
]

Width: TypeAlias = Literal["column", "page"]

WIDTHS_IN: dict[Width, float] = {"column": 3.5, "page": 7.16}
"""Widths of one column and of the page of an IEEE Transactions journal, in inches."""

PALETTE = ("#004488", "#DDAA33", "#BB5566", "#000000", "#66CCEE", "#228833", "#AA3377", "#888888")
"""Colours, in the order of the strategies."""

DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (7, 1.5, 1.2, 1.5)),
    (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "oo")

_FONT_PT, _SMALL_PT = 8.0, 7.0
_THICKEST_PT, _THINNER_PT, _THINNEST_PT = 1.9, 0.15, 1.0
_ASPECT = 0.66  # height of a panel over its width

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # part of matplotlib, so that figures are the same on all machines
    "font.size": _FONT_PT,
    "axes.titlesize": _FONT_PT,
    "axes.labelsize": _FONT_PT,
    "xtick.labelsize": _SMALL_PT,
    "ytick.labelsize": _SMALL_PT,
    "legend.fontsize": _SMALL_PT,
    "legend.frameon": False,
    "legend.handlelength": 2.8,  # a whole period of the longest dashes
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "grid.color": "#d8d8d8",
    "hatch.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.markersize": 3.6,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType: journals reject Type 3
    "ps.fonttype": 42,
    "svg.hashsalt": "edgesim",  # makes the ids in the file reproducible
    "text.usetex": False,
    "text.parse_math": False,  # names from traces may contain dollar signs
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True, slots=True)
class Look:
    """Colour, line style, marker and hatch of one strategy or group."""

    colour: str
    dashes: Any
    marker: str
    hatch: str
    width_pt: float
    rank: int

    def line(self, **others: Any) -> dict[str, Any]:
        """Return matplotlib arguments for a line.

        Lines drawn first are wider, and most later ones dashed, so that coinciding lines stay visible.
        """
        return {
            "color": self.colour,
            "linestyle": self.dashes,
            "linewidth": self.width_pt,
            "marker": self.marker,
            "markerfacecolor": "white" if self.rank % 2 else self.colour,
            "markeredgewidth": 0.8,
            "zorder": 3 + 0.01 * self.rank,
            **others,
        }

    def bar(self, **others: Any) -> dict[str, Any]:
        """Return matplotlib arguments for a bar, with white hatching on its colour."""
        return {
            "facecolor": self.colour,
            "hatch": self.hatch,
            "edgecolor": "white",
            "linewidth": 0.0,
            **others,
        }


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """Assign a look to each label, by its position."""
    return {
        label: Look(
            colour=PALETTE[place % len(PALETTE)],
            dashes=DASHES[place % len(DASHES)],
            marker=MARKERS[place % len(MARKERS)],
            hatch=HATCHES[place % len(HATCHES)],
            width_pt=max(_THINNEST_PT, _THICKEST_PT - _THINNER_PT * place),
            rank=place,
        )
        for place, label in enumerate(labels)
    }


@contextmanager
def paper_style() -> Iterator[None]:
    """Apply the style to drawing and saving within the context; restore matplotlib's settings afterwards.

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    require_matplotlib("plot")
    import matplotlib as mpl

    with mpl.rc_context(_RC):
        yield


_LEGEND_ROW_IN = 1.6 * _SMALL_PT / 72
_BELOW_IN = 0.7  # height of a panel's axis with its label, and of a row of the legend


def subplots(
    n_rows: int, n_columns: int, *, width: Width, height_in: float | None = None, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Create a figure of a journal's width with panels, row by row; use within :func:`paper_style`.

    The figure needs no display.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    inches = WIDTHS_IN[width]
    if height_in is None:
        height_in = n_rows * min(2.6, max(1.9, _ASPECT * inches / n_columns))
    figure = Figure(figsize=(inches, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(n_rows, n_columns, squeeze=False, **options)
    return figure, list(panels.ravel())


def tidy(panel: Axes, *, grid: Literal["both", "x", "y"] = "both") -> None:
    """Add a light grid to a panel, and shorten its ticks."""
    panel.grid(visible=True, axis=grid)
    panel.tick_params(length=2.5)


def legend_below(figure: Figure, panels: Sequence[Axes], *, width: Width) -> None:
    """Add one legend for all panels below them, with each label once; none for a single label.

    The figure grows by the height of the legend's rows beyond the first, so that panels keep their height.
    Axis labels longer than the height of their panel are wrapped.
    """
    _break_labels(figure)
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if len(found) < 2:
        return
    longest = max(map(len, found))
    fits = int(WIDTHS_IN[width] * 72 / (_SMALL_PT * (0.62 * longest + 5.0)))
    n_columns = max(1, min(len(found), fits))
    n_rows = -(-len(found) // n_columns)
    n_columns = -(-len(found) // n_rows)  # balances the rows
    figure.set_figheight(figure.get_figheight() + (n_rows - 1) * _LEGEND_ROW_IN)
    figure.legend(
        found.values(), found.keys(), loc="outside lower center", ncols=n_columns, columnspacing=1.2
    )


def _break_labels(figure: Figure) -> None:
    """Wrap the labels of vertical axes to the height of their panels."""
    for panel in figure.axes:
        place = panel.get_subplotspec()
        if place is None:
            continue
        high_in = figure.get_figheight() / place.get_gridspec().nrows - _BELOW_IN
        fits = max(12, int(high_in * 72 / (0.62 * _SMALL_PT)))
        panel.set_ylabel(textwrap.fill(panel.get_ylabel(), fits))
