"""One direction of a link whose messages can be lost: by failures of the link or an end, or handovers."""

from __future__ import annotations

import simpy

from edgesim.engine.device.watched import Job, WatchedStation
from edgesim.engine.network.block_losses import Holes
from edgesim.engine.network.hop import Hop
from edgesim.engine.network.hop_state import Outlook
from edgesim.engine.process.clock import Clock
from edgesim.engine.process.verb import MessageLost, Verb, WorkLost, wait_for
from edgesim.engine.recording import Recording
from edgesim.world.link import Link

__all__ = ["FailingHop"]


class FailingHop(Hop):
    """A watched hop: its messages can be lost, or continue over another hop.

    Attributes
    ----------
    down
        The reason while the link is down; None while it is up.
    """

    __slots__ = ("_clock", "_line", "_lost_code", "down")
    can_fail = True
    is_watched = True

    def __init__(
        self,
        link: Link,
        sender: str,
        peer: str,
        codes: tuple[int, int],
        clock: Clock,
        recording: Recording,
    ) -> None:
        code, self._lost_code = codes
        super().__init__(link, sender, peer, code)
        self._clock = clock
        self._line = WatchedStation(clock, recording)
        self.down: str | None = None

    def carry(self, owner: int, token: int, size_bytes: float, holes: Holes | None = None) -> Verb:
        """Begin a message, as a verb."""
        return wait_for(self.begin(owner, token, size_bytes, holes))

    def begin(self, owner: int, token: int, size_bytes: float, holes: Holes | None = None) -> simpy.Event:
        """Begin a message; return the event of its end.

        The event's value is None when the whole message has arrived, and the share that was sent if a
        handover has removed the rest from the hop; the event fails with the error if the message is lost.
        """
        if self.down is not None:
            raise MessageLost(self.via, self.down)
        job = Job(
            owner, token, self.code, self._clock.event(), size_bytes=size_bytes, lost_code=self._lost_code
        )
        service_s = self.service_s(self._clock._now, self._line.free_at_s, size_bytes)
        return self._line.take(job, service_s, latency_s=self.latency_s)

    def lose(self, error: WorkLost, *, spares_sent: bool = False) -> None:
        """Lose the messages on the hop now."""
        self._line.lose(error, spares_sent=spares_sent)

    def hand_over(self) -> None:
        """Remove unsent data from the hop in order; each message's event gives the share that was sent."""
        now_s = self._clock._now
        for job in self._line.jobs():
            if job.ended_at_s > now_s:
                job.done.succeed(self._line.cut(job))

    def outlook(self, now_s: float) -> Outlook:
        """Return the current state of the hop: its rate, queued data, and whether it is down."""
        return self._outlook(now_s, self._line.free_at_s)._replace(down=self.down)

    @property
    def is_idle(self) -> bool:
        """Whether there is no message on the hop."""
        return not self._line.jobs()

    def busy_until(self, at_s: float) -> float:
        """Time spent transmitting up to an instant [s]."""
        return self._line.busy_until(at_s)

    def owners(self) -> set[int]:
        """Ids of requests with spans still to be recorded."""
        return self._line.owners()

    def close(self, at_s: float) -> None:
        """Record the unfinished messages at the end of the run."""
        self._line.close(at_s)
