"""What a figure of the page is: a kind that the script knows how to draw, and its numbers."""

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
"""Digits of a number in the page: more than any screen shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    Attributes
    ----------
    name
        Its id in the page, and the stem of the files it is saved to.
    kind
        Which function of the script draws it: lines, dots, stacks, heat, map or gantt.
    note
        What is shown, and what has to be known to read it.
    content
        Its views, of which one at a time is shown; the shape is the kind's.
    """

    name: str
    kind: str
    title: str
    note: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading of the page with what stands below it."""

    name: str
    title: str
    figures: tuple[Figure, ...]


def numbers(values: Iterable[float] | FloatArray) -> list[Json]:
    """Write numbers for the page: rounded to five significant digits, null for what is not finite."""
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64)
    return [None if not np.isfinite(value) else _short(float(value)) for value in array]


def _short(value: float) -> int | float:
    rounded = float(f"{value:.{N_SIGNIFICANT}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def thinned(n_points: int, n_most: int) -> npt.NDArray[np.int64]:
    """Return indices of at most so many of some points, evenly spread, with the first and the last."""
    if n_points <= n_most:
        return np.arange(n_points)
    return np.unique(np.linspace(0, n_points - 1, n_most).round().astype(np.int64))


def busiest(counts: Iterable[int]) -> int:
    """Which view to show first: the one in which most takes part, so that there is something to see."""
    found = list(counts)
    return found.index(max(found)) if found else 0
