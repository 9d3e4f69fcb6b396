"""First-come-first-served stations in closed form: what devices and links are made of."""

from __future__ import annotations

__all__ = ["Station"]


class Station:
    """A single server, first come first served, in closed form.

    A job that arrives at ``now`` leaves at ``max(now, free_at_s) + service``: Lindley's recursion
    (Lindley 1952), evaluated when the job arrives. Jobs must be booked in the order of their arrival,
    which an event loop does by itself.

    Attributes
    ----------
    free_at_s
        When the work booked so far will be done.
    busy_s
        Service booked so far, work not yet done included.
    """

    __slots__ = ("busy_s", "free_at_s")

    def __init__(self) -> None:
        self.free_at_s = 0.0
        self.busy_s = 0.0

    def book(self, now_s: float, service_s: float) -> tuple[float, float]:
        """Book one job; when it starts and when it leaves."""
        free_at_s = self.free_at_s
        started_at_s = now_s if now_s > free_at_s else free_at_s
        self.free_at_s = ended_at_s = started_at_s + service_s
        self.busy_s += service_s
        return started_at_s, ended_at_s

    def busy_until(self, at_s: float) -> float:
        """Service given up to an instant that no later job was booked after [s].

        What is booked beyond that instant is one unbroken run of work, so it is just cut off.
        """
        return self.busy_s - max(0.0, self.free_at_s - at_s)
