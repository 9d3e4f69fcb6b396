"""First-come-first-served stations of devices and links that may fail, whose work can be lost.

A plain station books work ahead and keeps no record of it. Here each job is kept until it is done, so that a
failure can end it: waiting processes get the error, the accounts are corrected to that instant, and the span
ends there. A job costs two events instead of one; stations that cannot fail remain plain.
"""

from __future__ import annotations

from collections.abc import Iterable

import simpy

from edgesim.engine.device.station import Station
from edgesim.engine.process.clock import Clock
from edgesim.engine.process.verb import WorkLost
from edgesim.engine.recording import Recording

__all__ = ["Job", "WatchedStation"]


class Job:
    """Work on a watched station.

    Attributes
    ----------
    owner, token, code, n_tokens, size_bytes, asked_at_s
        Entries of its span.
    started_at_s, ended_at_s
        When the station begins and ends the job, unless something fails.
    arrives_at_s
        When the job is complete: later than its end by a link's latency.
    lost_code
        Code of its span if it is lost before it is complete.
    done
        Event that occurs when the job is complete, or fails when it is lost.
    """

    __slots__ = (
        "arrives_at_s",
        "asked_at_s",
        "code",
        "done",
        "ended_at_s",
        "lost_code",
        "n_tokens",
        "owner",
        "size_bytes",
        "started_at_s",
        "token",
    )

    def __init__(
        self,
        owner: int,
        token: int,
        code: int,
        done: simpy.Event,
        *,
        n_tokens: int = 0,
        size_bytes: float = 0.0,
        lost_code: int | None = None,
    ) -> None:
        self.owner = owner
        self.token = token
        self.code = code
        self.lost_code = code if lost_code is None else lost_code
        self.n_tokens = n_tokens
        self.size_bytes = size_bytes
        self.done = done
        self.asked_at_s = self.started_at_s = self.ended_at_s = self.arrives_at_s = 0.0


class WatchedStation(Station):
    """A single server, first come first served, whose work can be lost."""

    __slots__ = ("_clock", "_jobs", "_recording")

    def __init__(self, clock: Clock, recording: Recording) -> None:
        super().__init__()
        self._clock = clock
        self._recording = recording
        self._jobs: dict[Job, None] = {}  # incomplete jobs, in order

    def take(self, job: Job, service_s: float, *, latency_s: float = 0.0) -> simpy.Event:
        """Book a job; return the event of its completion."""
        job.asked_at_s = self._clock._now
        job.started_at_s, job.ended_at_s = self.book(job.asked_at_s, service_s)
        job.arrives_at_s = job.ended_at_s + latency_s
        self._jobs[job] = None
        self._clock.call_at(job.arrives_at_s, lambda: self._finish(job))
        return job.done

    def lose(self, error: WorkLost, *, spares_sent: bool = False) -> None:
        """Lose all work in hand because of a failure. Work that ends at this instant counts as done.

        Parameters
        ----------
        spares_sent
            Whether work that has left the station is not lost, as for a message whose sender fails while its
            last bits are in flight.
        """
        now_s = self._clock._now
        for job in list(self._jobs):
            if (job.ended_at_s if spares_sent else job.arrives_at_s) > now_s:
                self.cut(job)
                job.done.defused = True  # the failure is raised in the waiting process, if there is one
                job.done.fail(error)

    def cut(self, job: Job) -> float:
        """Remove a job now, and end its span; return the share of its service that it has received.

        The span ends when the station's work on the job ends; for a message whose last bits are lost in
        flight, that is when they left. All later jobs must be removed as well.
        """
        now_s = self._clock._now
        del self._jobs[job]
        until_s = min(max(now_s, job.started_at_s), job.ended_at_s)
        self.busy_s -= job.ended_at_s - until_s
        self.free_at_s = min(self.free_at_s, until_s)
        if now_s > job.started_at_s:
            self._record(job, until_s, job.lost_code)
        service_s = job.ended_at_s - job.started_at_s
        return (until_s - job.started_at_s) / service_s if service_s else float(now_s >= job.ended_at_s)

    def jobs(self) -> Iterable[Job]:
        """Incomplete jobs, in order."""
        return list(self._jobs)

    def owners(self) -> set[int]:
        """Ids of requests with spans still to be recorded."""
        return {job.owner for job in self._jobs}

    def close(self, at_s: float) -> None:
        """Record unfinished jobs at the end of the run."""
        del at_s  # the buffer truncates spans at the end of the run
        for job in self._jobs:
            self._record(job, job.arrives_at_s, job.code)

    def _finish(self, job: Job) -> None:
        if job in self._jobs:  # else it was lost
            del self._jobs[job]
            self._record(job, job.arrives_at_s, job.code)
            self._clock.let_happen(job.done)  # at once, like a sleeping process, so that ties resolve alike

    def _record(self, job: Job, ended_at_s: float, code: int) -> None:
        self._recording.span(
            job.owner,
            job.token,
            code,
            job.asked_at_s,
            job.started_at_s,
            ended_at_s,
            n_tokens=job.n_tokens,
            size_bytes=job.size_bytes,
        )
