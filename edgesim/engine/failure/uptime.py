"""Uptime of a device."""

from __future__ import annotations

__all__ = ["Uptime"]


class Uptime:
    """Uptime of a device, and the number of its failures.

    Attributes
    ----------
    n_failures
        Number of failures during the run; a device that is down from the beginning has not failed yet.
    """

    def __init__(self) -> None:
        self.n_failures = 0
        self._up_s = 0.0
        self._since_s: float | None = 0.0

    def until(self, at_s: float) -> float:
        """Uptime up to an instant [s]."""
        return self._up_s + (0.0 if self._since_s is None else at_s - self._since_s)

    def fall(self, at_s: float) -> None:
        """Record that the device goes down."""
        self._up_s, self._since_s = self.until(at_s), None

    def rise(self, at_s: float) -> None:
        """Record that the device comes up."""
        self._since_s = at_s
