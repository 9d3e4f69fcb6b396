"""A pass being served by a device, and the interface of stations that serve several passes at once.

Such a station takes passes by ``ask`` and triggers their events when they are done; it also returns its busy
time, and completes its accounts at the end of the run. Departures can still change: they are real events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import simpy
from simpy.events import EventPriority

from edgesim.engine.device.price import Price
from edgesim.engine.process.verb import RequestFailed, WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token

__all__ = ["LAST", "LATE", "Pass", "Record", "SharedStation", "SpeedAt"]


LATE = EventPriority(2)
"""Priority after everything else due at an instant, so that a request just served can queue again first."""

LAST = EventPriority(3)
"""Priority after all iterations that begin at an instant: passes served then have not waited too long."""


class Pass:
    """A pass being served by a station.

    Attributes
    ----------
    factor
        Multiplier of the time of a pass that has the device to itself: 1 unless service times are drawn.
    start_up_s
        Extra time of the first pass on its device [s].
    """

    __slots__ = (
        "asked_at_s",
        "device",
        "done",
        "factor",
        "n_context",
        "n_done",
        "n_new",
        "price",
        "request",
        "start_up_s",
        "token",
    )

    def __init__(
        self,
        request: LiveRequest,
        device: str,
        token: Token,
        price: Price,
        asked_at_s: float,
        done: simpy.Event,
        factor: float = 1.0,
        start_up_s: float = 0.0,
    ) -> None:
        self.request = request
        self.device = device
        self.token = token.index
        self.price = price
        self.n_new = token.n_new
        self.n_context = token.n_context
        self.n_done = 0  # tokens of the prompt that earlier iterations have processed
        self.asked_at_s = asked_at_s
        self.done = done
        self.factor = factor
        self.start_up_s = start_up_s

    def alone_s(self) -> float:
        """Time of the pass with the device to itself [s]."""
        return self.price.alone(self.n_new, self.n_context) * self.factor + self.start_up_s

    def is_of(self, price: Price | None, token: Token) -> bool:
        """Whether this is the pass of a token through the part of the model that has this price."""
        return self.price is price and self.token == token.index and self.n_context == token.n_context

    def fail(self, error: RequestFailed) -> None:
        """Fail a lost or refused pass, whether a process waits for it or not."""
        self.done.defused = True
        self.done.fail(error)


Record = Callable[[Pass, int, float, float, float], None]
"""Records (pass, tokens, started_at_s, ended_at_s, share of the device's power)."""


SpeedAt = Callable[[float], float]
"""Function from an instant [s] to the divisor of the times of passes that begin then."""


class SharedStation(Protocol):
    """Interface of a station that serves several passes at once."""

    @property
    def can_be_kept(self) -> bool:
        """Whether the station can be reserved for a request's next pass, to follow its latest at once."""
        ...

    def ask_next(self, work: Pass) -> None:
        """Queue a pass for which the station is reserved, if it can be."""
        ...

    def ask(self, work: Pass) -> None:
        """Queue or start a pass; its event occurs when it is done."""
        ...

    def leave(self, request: LiveRequest) -> None:
        """Remove a request that has ended."""
        ...

    def withdraw(self, request: LiveRequest) -> list[Pass]:
        """Withdraw the passes of a preempted request, where caches grow."""
        ...

    def lose(self, error: WorkLost) -> None:
        """Fail all passes now, because the device has failed."""
        ...

    def owners(self) -> set[int]:
        """Ids of requests with spans still to be recorded."""
        ...

    def busy_until(self, at_s: float) -> float:
        """Time worked up to an instant [s]."""
        ...

    def work_s(self, at_s: float) -> float:
        """Time that all passes in hand would take from the present instant [s]; changes no state."""
        ...

    def close(self, at_s: float) -> None:
        """Record unfinished work at the end of the run."""
        ...
