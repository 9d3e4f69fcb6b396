"""Batteries that empty during the simulation."""

from __future__ import annotations

from collections.abc import Callable

from edgesim.engine.process.clock import Clock
from edgesim.world.battery import TOLERANCE, Battery

__all__ = ["Discharge"]


class Discharge:
    """Find the instant at which a battery is empty, without ticks.

    A device's energy drawn is known exactly at any instant, and so is its greatest power. The battery cannot
    be empty before its remaining energy is drawn at that power; at that instant the remaining energy is
    evaluated again. These evaluations converge, by the factor 1 - p / p_max each, to the instant at which the
    battery is empty, and end when no more than a billionth of the capacity is left.

    Parameters
    ----------
    drawn_j
        Returns the energy that the device has drawn so far [J].
    most_w
        The greatest power that it can draw [W].
    empty
        Called when the battery is empty.
    """

    def __init__(
        self,
        clock: Clock,
        battery: Battery,
        drawn_j: Callable[[], float],
        most_w: float,
        empty: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._battery = battery
        self._drawn_j = drawn_j
        self._most_w = most_w
        self._empty = empty
        if most_w > 0:
            self._check()

    @property
    def left_j(self) -> float:
        """Energy left [J]."""
        return max(0.0, self._battery.initial_j - self._drawn_j())

    def _check(self) -> None:
        left_j = self.left_j
        now_s = self._clock._now
        next_s = now_s + left_j / self._most_w
        if left_j <= TOLERANCE * self._battery.capacity_j or next_s == now_s:
            self._empty()
        else:
            self._clock.call_at(next_s, self._check)
