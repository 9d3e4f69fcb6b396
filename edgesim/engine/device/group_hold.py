"""Holds: intervals for which work occupies a device but keeps it busy only part of the time."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Hold", "Holds"]


class Hold(NamedTuple):
    """A device occupied by a group; its activity is spread evenly over the interval."""

    started_at_s: float
    ended_at_s: float
    busy: float
    """Share of the time for which it computes."""
    tx: float
    """Share of the time for which it sends."""
    rx: float
    """Share of the time for which it receives."""

    def after_s(self, at_s: float) -> float:
        """Part of the hold after an instant [s]."""
        return max(0.0, self.ended_at_s - max(at_s, self.started_at_s))


class Holds:
    """The holds of one device that may extend beyond the present, and the totals of all.

    Attributes
    ----------
    tx_s, rx_s
        Time for which the device sends and receives in all holds booked so far.
    """

    __slots__ = ("_pending", "rx_s", "tx_s")

    def __init__(self) -> None:
        self._pending: list[Hold] = []
        self.tx_s = self.rx_s = 0.0

    def add(self, now_s: float, hold: Hold) -> None:
        """Book a hold; drop those that have ended."""
        length_s = hold.ended_at_s - hold.started_at_s
        self.tx_s += hold.tx * length_s
        self.rx_s += hold.rx * length_s
        self._pending = [one for one in self._pending if one.ended_at_s > now_s]
        self._pending.append(hold)

    def idle_after_s(self, at_s: float) -> float:
        """Time after an instant for which the device is occupied without computing [s]."""
        return sum(one.after_s(at_s) * (1.0 - one.busy) for one in self._pending)

    def tx_until(self, at_s: float) -> float:
        """Time spent sending up to an instant [s]."""
        return self.tx_s - sum(one.after_s(at_s) * one.tx for one in self._pending)

    def rx_until(self, at_s: float) -> float:
        """Time spent receiving up to an instant [s]."""
        return self.rx_s - sum(one.after_s(at_s) * one.rx for one in self._pending)
