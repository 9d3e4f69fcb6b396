"""How long a device has been up."""

from __future__ import annotations

__all__ = ["Uptime"]


class Uptime:
    """How long a device has been up, and how often it went down.

    Attributes
    ----------
    n_failures
        Times that it went down during the run; one that was down from the beginning had not failed yet.
    """

    def __init__(self) -> None:
        self.n_failures = 0
        self._up_s = 0.0
        self._since_s: float | None = 0.0

    def until(self, at_s: float) -> float:
        """Time up to an instant that it was up [s]."""
        return self._up_s + (0.0 if self._since_s is None else at_s - self._since_s)

    def fall(self, at_s: float) -> None:
        """Hear that it goes down."""
        self._up_s, self._since_s = self.until(at_s), None

    def rise(self, at_s: float) -> None:
        """Hear that it comes up."""
        self._since_s = at_s
