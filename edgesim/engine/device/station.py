"""First-come-first-served stations in closed form, the basis of devices and links."""

from __future__ import annotations

__all__ = ["Station"]


class Station:
    """A single server, first come first served, in closed form.

    A job that arrives at ``now`` leaves at ``max(now, free_at_s) + service``: Lindley's recursion (Lindley
    1952), evaluated when the job arrives. Jobs must be booked in the order of their arrival, which an event
    loop ensures.

    Attributes
    ----------
    free_at_s
        When the work booked so far will be done.
    busy_s
        Service time booked so far, including work not yet done.
    """

    __slots__ = ("busy_s", "free_at_s")

    def __init__(self) -> None:
        self.free_at_s = 0.0
        self.busy_s = 0.0

    def book(self, now_s: float, service_s: float) -> tuple[float, float]:
        """Book one job; return when it starts and when it leaves."""
        free_at_s = self.free_at_s
        started_at_s = now_s if now_s > free_at_s else free_at_s
        self.free_at_s = ended_at_s = started_at_s + service_s
        self.busy_s += service_s
        return started_at_s, ended_at_s

    def busy_until(self, at_s: float) -> float:
        """Service time up to an instant after which no later job was booked [s].

        Work booked beyond that instant is contiguous, so it is simply subtracted.
        """
        return self.busy_s - max(0.0, self.free_at_s - at_s)
