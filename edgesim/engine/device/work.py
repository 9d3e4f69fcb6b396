"""A pass on its way through a device, and what the cluster asks of a station that serves several at once.

Each such station takes passes by ``ask`` and lets their events happen when they are done; each can tell how
long it has been busy, and closes its books at the end of the run. Departures can still change: they are real
events.
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
"""Priority after all else that is due at an instant: a request just served may ask again first."""

LAST = EventPriority(3)
"""Priority after all iterations that begin at an instant: what is served then has not waited longer."""


class Pass:
    """One pass on its way through a station.

    Attributes
    ----------
    factor
        What the time of a pass that has the device to itself is multiplied by: 1, but where it is drawn.
    start_up_s
        What it takes besides as the first on its device.
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
        self.n_done = 0  # tokens of the prompt that earlier iterations have dealt with
        self.asked_at_s = asked_at_s
        self.done = done
        self.factor = factor
        self.start_up_s = start_up_s

    def alone_s(self) -> float:
        """Time that it takes with the device to itself [s]."""
        return self.price.alone(self.n_new, self.n_context) * self.factor + self.start_up_s

    def is_of(self, price: Price | None, token: Token) -> bool:
        """Whether it is the pass of a token through the part of the model that has this price."""
        return self.price is price and self.token == token.index and self.n_context == token.n_context

    def fail(self, error: RequestFailed) -> None:
        """Fail it, whether it is waited for or not: it is lost, or turned away."""
        self.done.defused = True
        self.done.fail(error)


Record = Callable[[Pass, int, float, float, float], None]
"""Records (pass, tokens, started_at_s, ended_at_s, share of the device's power)."""


SpeedAt = Callable[[float], float]
"""By what the times of passes are divided that begin at an instant [s]."""


class SharedStation(Protocol):
    """What the cluster asks of a station that serves several passes at once."""

    @property
    def can_be_kept(self) -> bool:
        """Whether it can be kept for a request's next pass, which then follows the latest at once."""
        ...

    def ask_next(self, work: Pass) -> None:
        """Take in a pass for which it is kept, where it can be."""
        ...

    def ask(self, work: Pass) -> None:
        """Take a pass in; its event happens when it is done."""
        ...

    def leave(self, request: LiveRequest) -> None:
        """Hear that a request has ended."""
        ...

    def withdraw(self, request: LiveRequest) -> list[Pass]:
        """Take back the passes of a request that is preempted, where caches grow."""
        ...

    def lose(self, error: WorkLost) -> None:
        """Lose all passes, now: the device has failed, and they fail."""
        ...

    def owners(self) -> set[int]:
        """Requests whose spans are yet to be recorded."""
        ...

    def busy_until(self, at_s: float) -> float:
        """Time worked up to an instant."""
        ...

    def work_s(self, at_s: float) -> float:
        """Time that all passes in hand would take from the present instant on; leaves no trace."""
        ...

    def close(self, at_s: float) -> None:
        """Record what is still going on at the end of the run."""
        ...
