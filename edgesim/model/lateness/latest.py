"""Expected maximum of several latenesses: the mean waiting time of a sum over a group."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.polynomial.legendre import leggauss

from edgesim.errors import InputError
from edgesim.model.lateness.laws import EmpiricalLateness, ExponentialLateness, Lateness

__all__ = ["expected_latest_s", "growth"]

_NODES, _WEIGHTS = leggauss(16)
_N_PIECES = 400
_TAIL = 1e-13
"""Tail probability at which the integral is truncated; for the laws here with a spread up to 10, the omitted
tail contributes less than a millionth of the mean."""


def expected_latest_s(laws: Sequence[Lateness | None], ready_s: Sequence[float] | None = None) -> float:
    """Mean of the maximum of independent times, each a ready time plus a lateness.

    The integral of 1 - prod F_n(t - r_n), by Gauss-Legendre quadrature in pieces that grow with t; an exact
    sum for empirical laws; the harmonic number in closed form for equal exponential laws and ready times 0.

    Parameters
    ----------
    laws
        One for each member; None: never late.
    ready_s
        Time at which each member would be ready if it were not late [s]; 0 for all by default.

    Raises
    ------
    InputError
        If there are no members, or `laws` and `ready_s` differ in length.
    """
    starts = [0.0] * len(laws) if ready_s is None else [float(each) for each in ready_s]
    if not laws or len(starts) != len(laws):
        raise InputError(f"{len(starts)} instants of {len(laws)} members; expected one for each")
    first = laws[0]
    if isinstance(first, ExponentialLateness) and set(starts) == {0.0} and set(laws) == {first}:
        return first.mean_s * math.fsum(1.0 / k for k in range(1, len(laws) + 1))
    floor_s = max(starts)
    late = [(law, start_s) for law, start_s in zip(laws, starts, strict=True) if law is not None]
    if not late:
        return floor_s
    tops = [float(law.draws_s(np.array([_TAIL]))[0]) + start_s for law, start_s in late]
    top_s = max(tops)
    if top_s <= floor_s:
        return floor_s
    edges = floor_s + (top_s - floor_s) * np.linspace(0.0, 1.0, _N_PIECES + 1) ** 4
    if all(isinstance(law, EmpiricalLateness) for law, _ in late):
        steps = [
            start_s + value
            for law, start_s in late
            for value in set(law.values_s)  # type: ignore[attr-defined]
        ]
        edges = np.unique([floor_s, *(each for each in steps if each > floor_s)])
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    times = middle[:, None] + half[:, None] * _NODES
    none_later = np.ones(times.shape)
    for law, start_s in late:
        none_later *= 1.0 - law.survival(times - start_s)
    return floor_s + float((half[:, None] * _WEIGHTS * (1.0 - none_later)).sum())


def growth(law: Lateness, n_members: int, of: int = 2) -> float:
    """Ratio of the expected maximum lateness of `n_members` members to that of `of` members."""
    return expected_latest_s([law] * n_members) / expected_latest_s([law] * of)
