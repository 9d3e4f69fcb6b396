"""Shifts of probability towards cheaper hops, for many rows at once or for one.

There are two shifts. In the paper's, every hop but the cheapest gives ``min(p_k, eta (D_k - D_k*))`` to the
cheapest. The other is a proximal step, the exact solution of

::

    min_q  sum_k D_k q_k + (1/2) sum_k weight_k (q_k - p_k)^2,    q a probability vector

The fixed points of both are the rows in which all hops in use cost the same and no other hop is cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rows", "plain_shift", "proximal_shift"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Assignment of entries to rows: ``row`` [n_entries] does not decrease; every row has an entry."""

    row: Ints
    n_rows: int

    @classmethod
    def single(cls, n_entries: int) -> Rows:
        """Build a single row."""
        return cls(np.zeros(n_entries, np.int64), 1)

    @cached_property
    def starts(self) -> Ints:
        """Index of each row's first entry: [n_rows]."""
        starts: Ints = np.searchsorted(self.row, np.arange(self.n_rows))
        return starts

    def sums(self, values: Floats) -> Floats:
        """Return the sum of each row: [n_rows]."""
        sums: Floats = np.bincount(self.row, values, self.n_rows).astype(np.float64)
        return sums

    def least(self, values: Floats) -> Floats:
        """Return the least entry of each row: [n_rows]."""
        least: Floats = np.minimum.reduceat(values, self.starts)
        return least

    def table(self, values: Floats, padding: float) -> Floats:
        """Return the entries as a table with one line per row: [n_rows, longest row]."""
        column = np.arange(len(self.row)) - self.starts[self.row]
        table = np.full((self.n_rows, int(column.max()) + 1), padding)
        table[self.row, column] = values
        return table


def plain_shift(rows: Rows, plan: Floats, costs_s: Floats, eta_per_s: float) -> Floats:
    """Return rows after the paper's step: each hop gives to the cheapest, in proportion to excess cost."""
    least_s = rows.least(costs_s)[rows.row]
    given = np.minimum(plan, eta_per_s * (costs_s - least_s))
    cheapest = np.full(rows.n_rows, len(plan))
    at_least = np.flatnonzero(costs_s == least_s)
    np.minimum.at(cheapest, rows.row[at_least], at_least)
    shifted = plan - given
    shifted[cheapest] += rows.sums(given)
    return shifted


def proximal_shift(rows: Rows, plan: Floats, costs_s: Floats, weights_s: Floats) -> Floats:
    """Return rows after the proximal step, in closed form.

    Parameters
    ----------
    plan, costs_s, weights_s : [n_entries]
        Probabilities, a task's cost by each hop, and the weights of the quadratic term, above 0.
    """
    # Entry k of the solution is max(0, p_k - gain_k (D_k - level)), above 0 once level exceeds its break.
    gain = 1 / weights_s
    if rows.n_rows == 1:  # the same without tables, for the players of a game, which move one by one
        return _proximal_row(plan, costs_s, gain)
    breaks = rows.table(costs_s - plan / gain, np.inf)
    order = np.argsort(breaks, axis=1)
    breaks = np.take_along_axis(breaks, order, 1)
    mass = np.cumsum(np.take_along_axis(rows.table(plan - gain * costs_s, 0.0), order, 1), axis=1)
    gains = np.cumsum(np.take_along_axis(rows.table(gain, 0.0), order, 1), axis=1)
    level = (1 - mass) / gains
    in_use = level > breaks  # a row's first entries, as breaks increase
    last = np.maximum(in_use.sum(axis=1), 1)[:, None] - 1
    reached = np.take_along_axis(level, last, 1)[:, 0][rows.row]
    target = np.maximum(0.0, plan - gain * (costs_s - reached))
    shifted: Floats = target / rows.sums(target)[rows.row]
    return shifted


def _proximal_row(plan: Floats, costs_s: Floats, gain: Floats) -> Floats:
    """Return a single row after the proximal step."""
    base = plan - gain * costs_s
    breaks = -base / gain
    order = breaks.argsort()
    level = (1 - base[order].cumsum()) / gain[order].cumsum()
    last = max(int((level > breaks[order]).sum()), 1) - 1
    target = np.maximum(0.0, base + gain * level[last])
    row: Floats = target / target.sum()
    return row
