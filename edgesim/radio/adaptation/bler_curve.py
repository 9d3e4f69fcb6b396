"""Block error rate over the signal-to-noise ratio: piecewise linear in log10(BLER) over dB."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["BlerCurve", "error_of_all", "error_of_one"]


def error_of_all(error: float, n_parts: int) -> float:
    """Return the error probability of a block whose n parts fail independently: 1 − (1−p)^n."""
    if n_parts == 1:
        return error
    if error >= 1.0:
        return 1.0
    return -math.expm1(n_parts * math.log1p(-error))


def error_of_one(error: float, n_parts: int) -> float:
    """Return the error probability of each of n independent parts that together fail with ``error``."""
    return -math.expm1(math.log1p(-error) / n_parts)


class BlerCurve:
    """BLER over a ratio in dB: log10(BLER) linear between equally spaced nodes; 1 left of them, 0 right.

    Parameters
    ----------
    start_db, step_db
        Position of the first node and distance between nodes, in dB.
    logs
        log10(BLER) at the nodes, non-increasing from 0. The curve ends at the last node.
    """

    __slots__ = ("_end", "_logs", "_per_db", "_start_db")

    def __init__(self, start_db: float, step_db: float, logs: Sequence[float]) -> None:
        if any(right > left for left, right in pairwise(logs)) or logs[0] > 0.0:
            raise ValueError("a block error rate never rises with the ratio, and is at most 1")
        self._start_db, self._per_db = start_db, 1.0 / step_db
        self._logs, self._end = tuple(map(float, logs)), len(logs) - 1

    def at(self, ratio_db: float) -> float:
        """Return the BLER at a ratio in dB."""
        place = (ratio_db - self._start_db) * self._per_db
        if place <= 0.0:
            return 1.0
        if place >= self._end:
            return 0.0
        index = int(place)
        low = self._logs[index]
        exponent: float = low + (place - index) * (self._logs[index + 1] - low)
        return 10.0**exponent if exponent < 0.0 else 1.0

    @property
    def end_db(self) -> float:
        """Ratio in dB from which the BLER is 0."""
        return self._start_db + self._end / self._per_db

    def threshold_db(self, bler: float) -> float:
        """Return the lowest ratio in dB from which the BLER is at most ``bler``, in (0, 1)."""
        wanted = math.log10(bler)
        for index, log in enumerate(self._logs):
            if log <= wanted:
                if index == 0:
                    return self._start_db
                before = self._logs[index - 1]
                return self._start_db + (index - 1 + (before - wanted) / (before - log)) / self._per_db
        return self.end_db

    def shifted(self, by_db: float) -> BlerCurve:
        """Return the curve shifted to the right by ``by_db``."""
        return BlerCurve(self._start_db + by_db, 1.0 / self._per_db, self._logs)
