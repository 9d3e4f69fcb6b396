"""Axes of figures: positions of swept values, logarithmic scales with plain ticks, and units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from edgesim.report.listings.metric_names import MetricName, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Swept", "change_together", "metric_label", "plain_log", "split_number", "swept"]

_LOG_FROM = 20.0  # ratio of largest to smallest from which an axis of positive numbers is logarithmic
_MOST_TICKS = 8
_QUANTITY = re.compile(r"\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<unit>[^\W\d].*?)?\s*")


@dataclass(frozen=True, slots=True)
class Swept:
    """Values along an axis.

    Attributes
    ----------
    places
        Position of each value: its number, or its rank if not all values are numbers.
    names
        Tick labels for names, or for a few numbers on a logarithmic axis; empty: default ticks.
    unit
        Common unit of all numbers, as written.
    is_log
        Whether the axis is logarithmic.
    """

    places: dict[object, float]
    names: tuple[str, ...]
    unit: str
    is_log: bool

    def on(self, panel: Axes, label: str) -> None:
        """Set up the horizontal axis of a panel."""
        panel.set_xlabel(f"{label}, {self.unit}" if self.unit else label)
        if self.is_log:
            plain_log(panel, "x")
        if self.names:
            turned = sum(map(len, self.names)) > 36
            panel.set_xticks(
                list(self.places.values()),
                list(self.names),
                rotation=30 if turned else 0,
                ha="right" if turned else "center",
            )
            panel.xaxis.set_tick_params(which="minor", bottom=False)


def swept(values: Sequence[object]) -> Swept:
    """Position the values of an axis: to scale if all are numbers with the same unit, else by rank."""
    split = [split_number(value) for value in values]
    units = {None if one is None else one[1] for one in split}
    if values and len(units) == 1 and None not in units:
        numbers = [one[0] for one in split if one is not None]
        is_log = min(numbers) > 0 and max(numbers) / min(numbers) >= _LOG_FROM
        few = len(values) <= _MOST_TICKS and is_log
        return Swept(
            dict(zip(values, numbers, strict=True)),
            tuple(f"{one:g}" for one in numbers) if few else (),
            str(units.pop()),
            is_log,
        )
    places = {value: float(rank) for rank, value in enumerate(values)}
    return Swept(places, tuple(map(str, values)), "", is_log=False)


def change_together(results: pd.DataFrame, x: str, others: Sequence[str]) -> bool:
    """Whether an axis was swept together with the others, so that they correspond one to one."""
    n_values = int(results[x].nunique())
    n_others = len(results[list(others)].drop_duplicates())
    n_cells = len(results[[x, *others]].drop_duplicates())
    return 1 < n_values == n_others == n_cells


def split_number(value: object) -> tuple[float, str] | None:
    """Split a number or a text such as ``0.5 Hz`` into number and unit; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value), ""
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else (float(found["number"]), found["unit"] or "")


def plain_log(panel: Axes, axis: Literal["x", "y"]) -> None:
    """Make an axis logarithmic with plain numbers as ticks; at 1, 2 and 5 if it spans few decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    set_scale = panel.set_xscale if axis == "x" else panel.set_yscale
    set_scale("log")
    which = panel.xaxis if axis == "x" else panel.yaxis
    low, high = sorted(which.get_view_interval())
    few = low > 0 and high / low < 300
    which.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=12))
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    which.set_minor_formatter(NullFormatter())


def metric_label(metric: MetricName, largest: float) -> tuple[float, str]:
    """Return a divisor for a metric's values, and the axis label with the resulting unit."""
    scale, unit = unit_of(metric, largest)
    return scale, f"{metric.title}, {unit}" if unit else metric.title
