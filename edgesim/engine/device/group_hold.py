"""Stretches for which a device is held for one piece of work that keeps it busy only part of the time."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Hold", "Holds"]


class Hold(NamedTuple):
    """A device held by a group; what it does is spread evenly over the time for which it is held."""

    started_at_s: float
    ended_at_s: float
    busy: float
    """Share of the time for which it computes."""
    tx: float
    """Share of the time for which it sends."""
    rx: float
    """Share of the time for which it receives."""

    def after_s(self, at_s: float) -> float:
        """How much of it lies beyond an instant."""
        return max(0.0, self.ended_at_s - max(at_s, self.started_at_s))


class Holds:
    """The holds of one device that may reach beyond the present, and the books of all.

    Attributes
    ----------
    tx_s, rx_s
        Time for which it sends and receives in all holds booked so far.
    """

    __slots__ = ("_pending", "rx_s", "tx_s")

    def __init__(self) -> None:
        self._pending: list[Hold] = []
        self.tx_s = self.rx_s = 0.0

    def add(self, now_s: float, hold: Hold) -> None:
        """Book a hold; those that have ended are forgotten."""
        length_s = hold.ended_at_s - hold.started_at_s
        self.tx_s += hold.tx * length_s
        self.rx_s += hold.rx * length_s
        self._pending = [one for one in self._pending if one.ended_at_s > now_s]
        self._pending.append(hold)

    def idle_after_s(self, at_s: float) -> float:
        """Time beyond an instant for which it is held and does not compute."""
        return sum(one.after_s(at_s) * (1.0 - one.busy) for one in self._pending)

    def tx_until(self, at_s: float) -> float:
        """Time for which it has sent up to an instant [s]."""
        return self.tx_s - sum(one.after_s(at_s) * one.tx for one in self._pending)

    def rx_until(self, at_s: float) -> float:
        """Time for which it has received up to an instant [s]."""
        return self.rx_s - sum(one.after_s(at_s) * one.rx for one in self._pending)
