"""Adaptive step size of an offloader: it grows while successive steps agree, and halves when one reverses.

A fixed step size is too small where costs differ little, and more so the more stages follow a hop: 1 % of a
task's remaining cost is several percent of its cost at the next server. It is too large where messages are
lost, where queues are steep, or where a round has too few exchanges. An offloader detects both from its own
last two steps, without a message: they point in the same direction, or in opposite ones (cf. the sign rule of
Riedmiller and Braun 1993, doi:10.1109/ICNN.1993.298623, here by rows).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.rows import Rows

__all__ = ["next_boldness"]

Floats = NDArray[np.float64]

_AGREEING = 0.3  # least cosine at which two steps agree
_GROWS, _RECOVERS, _SHRINKS = 1.15, 1.5, 0.5  # above the initial boldness, below it, and on a reversal
_LEAST, _MOST = 0.1, 2.0  # relative to the initial boldness


def next_boldness(rows: Rows, boldness: Floats, step: Floats, step_before: Floats) -> Floats:
    """Return the next round's boldness (step size), relative to the rule's; equal within a row: [n_entries].

    Parameters
    ----------
    step, step_before : [n_entries]
        Change of the rows in this round and in the last. A row that has not changed keeps its boldness.
    """
    together = rows.sums(step * step_before)
    length = np.sqrt(rows.sums(step**2) * rows.sums(step_before**2))
    cosine = (together / np.maximum(length, 1e-300))[rows.row]
    grown = boldness * np.where(boldness < 1, _RECOVERS, _GROWS)
    changed = np.where(cosine > _AGREEING, grown, np.where(cosine < 0, boldness * _SHRINKS, boldness))
    bounded: Floats = np.clip(changed, _LEAST, _MOST)
    return bounded
