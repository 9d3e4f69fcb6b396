"""First-come-first-served station of a device that may fail.

A device that cannot fail uses :class:`edgesim.engine.device.station.Station`.
"""

from __future__ import annotations

from edgesim.engine.device.site import Site
from edgesim.engine.device.watched import Job, WatchedStation
from edgesim.engine.device.work import Pass
from edgesim.engine.request import LiveRequest

__all__ = ["WatchedCompute"]


class WatchedCompute(WatchedStation):
    """The compute station of a device that may fail, whose times are drawn, or whose speed changes.

    First come, first served; the start of a pass is known when it is queued, and so is its speed.
    """

    __slots__ = ("_speed_at",)
    can_be_kept = True

    def __init__(self, site: Site) -> None:
        super().__init__(site.clock, site.recording)
        self._speed_at = site.speed_at

    def ask(self, work: Pass) -> None:
        """Queue a pass."""
        self._ask(work)

    def ask_next(self, work: Pass) -> None:
        """Queue a pass for which the station is reserved: it begins when the pass before it ends."""
        job = self._ask(work)
        job.asked_at_s = job.started_at_s

    def _ask(self, work: Pass) -> Job:
        job = Job(work.request.id, work.token, work.price.code, work.done, n_tokens=work.n_new)
        self.take(job, work.alone_s() / self._speed_at(max(self._clock._now, self.free_at_s)))
        return job

    def withdraw(self, request: LiveRequest) -> list[Pass]:
        """Not supported: no cache grows here."""
        raise NotImplementedError

    def work_s(self, at_s: float) -> float:
        """Time until all booked work is done [s]."""
        return max(0.0, self.free_at_s - at_s)

    def leave(self, request: LiveRequest) -> None:
        """Do nothing: the booked passes of a request that has ended continue."""
