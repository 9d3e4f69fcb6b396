"""How far an offloader moves in a round: bolder while its steps agree, half as bold where one turns back.

A step of fixed size is too careful where costs differ little, the more so the more stages lie behind a hop:
1 % of what a task costs from there on is several percent of what it costs at the next server. It is too bold
where messages are lost, or queues are steep and the exchanges of a round too few. An offloader sees either in
its own last two steps, without a message: they point the same way, or back (cf. the sign rule of Riedmiller
and Braun 1993, doi:10.1109/ICNN.1993.298623, here by rows).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.rows import Rows

__all__ = ["next_boldness"]

Floats = NDArray[np.float64]

_AGREEING = 0.3  # cosine of two steps from which on they agree
_GROWS, _RECOVERS, _SHRINKS = 1.15, 1.5, 0.5  # beyond what a row began with, below it, and when it turns back
_LEAST, _MOST = 0.1, 2.0  # of what a row began with


def next_boldness(rows: Rows, boldness: Floats, step: Floats, step_before: Floats) -> Floats:
    """Boldness of the next round, relative to the rule's; the same for all entries of a row: [n_entries].

    Parameters
    ----------
    step, step_before : [n_entries]
        What the rows have moved in this round and in the last one. One that has not moved keeps its boldness.
    """
    together = rows.sums(step * step_before)
    length = np.sqrt(rows.sums(step**2) * rows.sums(step_before**2))
    cosine = (together / np.maximum(length, 1e-300))[rows.row]
    grown = boldness * np.where(boldness < 1, _RECOVERS, _GROWS)
    changed = np.where(cosine > _AGREEING, grown, np.where(cosine < 0, boldness * _SHRINKS, boldness))
    bounded: Floats = np.clip(changed, _LEAST, _MOST)
    return bounded
