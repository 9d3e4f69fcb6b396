"""Figures of the page: a kind that the script can draw, and its data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesim.report.comparison_json import Json

__all__ = ["Figure", "Section", "busiest", "numbers", "thinned"]

FloatArray = npt.NDArray[np.float64]

N_SIGNIFICANT = 5
"""Significant digits of numbers in the page: more than a screen can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of the page.

    Attributes
    ----------
    name
        Id in the page, and stem of the names of saved files.
    kind
        Function of the script that draws it: lines, dots, stacks, heat, map or gantt.
    note
        Description, and remarks needed to read the figure.
    content
        Views, shown one at a time; their structure depends on the kind.
    """

    name: str
    kind: str
    title: str
    note: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading of the page with the figures below it."""

    name: str
    title: str
    figures: tuple[Figure, ...]


def numbers(values: Iterable[float] | FloatArray) -> list[Json]:
    """Round numbers to five significant digits for the page; None for those that are not finite."""
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64)
    return [None if not np.isfinite(value) else _short(float(value)) for value in array]


def _short(value: float) -> int | float:
    rounded = float(f"{value:.{N_SIGNIFICANT}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def thinned(n_points: int, n_most: int) -> npt.NDArray[np.int64]:
    """Return indices of at most `n_most` points, evenly spread, including the first and the last."""
    if n_points <= n_most:
        return np.arange(n_points)
    return np.unique(np.linspace(0, n_points - 1, n_most).round().astype(np.int64))


def busiest(counts: Iterable[int]) -> int:
    """Return the index of the view with the largest count, to be shown first; 0 without views."""
    found = list(counts)
    return found.index(max(found)) if found else 0
