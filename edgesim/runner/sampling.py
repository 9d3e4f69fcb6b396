"""Sampling interval of a run's counters."""

from __future__ import annotations

import math

from edgesim.errors import InputError
from edgesim.units import TIME, UnitError, parse

__all__ = ["check_interval", "interval_s"]


def interval_s(where: str, text: str) -> float:
    """Parse a sampling interval [s] such as ``0.1 s``; `where` names its origin in an InputError."""
    try:
        found = parse(text, TIME)
    except UnitError as error:
        raise InputError(f"{where}: {error}") from None
    check_interval(where, found)
    return found


def check_interval(where: str, every_s: float) -> None:
    """Raise InputError unless the sampling interval is positive and finite."""
    if not 0.0 < every_s < math.inf:
        raise InputError(
            f"{where}: expected a time above 0 between samples, such as '0.1 s', got {every_s:g} s"
        )
