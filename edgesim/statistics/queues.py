"""Laws that any queue obeys, measured on recorded instants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LittlesLaw", "littles_law"]


@dataclass(frozen=True, slots=True)
class LittlesLaw:
    """The three quantities of Little's law, ``mean_number = rate_hz * mean_s``."""

    mean_number: float
    rate_hz: float
    mean_s: float


def littles_law(arrived_at_s: npt.ArrayLike, departed_at_s: npt.ArrayLike) -> LittlesLaw:
    """Measure Little's law on a queue that starts and ends empty, where it holds exactly.

    The number present is integrated event by event from the first arrival to the last departure; it does
    not use the sojourn times, so that the equality says something.
    """
    arrived, departed = np.asarray(arrived_at_s, np.float64), np.asarray(departed_at_s, np.float64)
    instants_s = np.concatenate([arrived, departed])
    changes = np.concatenate([np.ones(arrived.size), -np.ones(departed.size)])
    order = np.argsort(instants_s, kind="stable")
    present = np.cumsum(changes[order])[:-1]
    length_s = float(instants_s.max() - instants_s.min())
    area_s = float(present @ np.diff(instants_s[order]))
    return LittlesLaw(area_s / length_s, arrived.size / length_s, float((departed - arrived).mean()))
