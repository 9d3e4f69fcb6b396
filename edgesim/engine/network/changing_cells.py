"""Messages of terminals that change cells: over the serving cell, across handovers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Protocol

import simpy

from edgesim.engine.network.block_losses import Holes
from edgesim.engine.process.clock import Clock, Course
from edgesim.engine.process.verb import MessageLost, WorkLost
from edgesim.world.roaming import Roaming

__all__ = ["Cells", "Leg"]

_LOOK_AHEAD_S = 10.0  # horizon of the search for handovers while messages are in transit


class Leg(Protocol):
    """One direction between a terminal and a cell, as needed for a handover."""

    via: str

    def begin(self, owner: int, token: int, size_bytes: float, holes: Holes | None = None) -> simpy.Event:
        """Begin a message; the event's value is None when it has arrived, else the share that was sent."""
        ...

    def hand_over(self) -> None:
        """Remove all unsent data from the leg; each message's event gives the share that was sent."""
        ...

    def lose(self, error: WorkLost, *, spares_sent: bool = False) -> None:
        """Lose the messages on the leg; those whose last bit has left may be spared."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether there is no message on the leg."""
        ...


class Cells:
    """The terminals of a world that change cells, and their legs to each of the cells.

    Parameters
    ----------
    legs
        By sender and receiver, one of which is a terminal.
    """

    def __init__(
        self, clock: Clock, roaming: Mapping[str, Roaming], legs: Mapping[tuple[str, str], Leg]
    ) -> None:
        self._clock = clock
        self._roaming = roaming
        self._legs = legs
        self._looking: set[str] = set()  # terminals whose next handover is awaited

    def serving(self, terminal: str) -> str:
        """Return the cell that serves a terminal now."""
        return self._roaming[terminal].serving.cell(self._clock._now)

    def ready(self, terminal: str) -> Course:
        """Wait for the end of an interruption, if there is one."""
        serving = self._roaming[terminal].serving
        while (ready_s := serving.ready_s(self._clock._now)) > self._clock._now:
            yield ready_s

    def leg(self, sender: str, receiver: str, terminal: str) -> Leg:
        """Return the leg between two devices, and handle its handovers from now on."""
        if terminal not in self._looking:
            self._looking.add(terminal)
            self._look(terminal)
        return self._legs[sender, receiver]

    def _look(self, terminal: str) -> None:
        now_s = self._clock._now
        change = self._roaming[terminal].serving.next_handover(now_s, now_s + _LOOK_AHEAD_S)
        if change is None:
            self._clock.call_at(now_s + _LOOK_AHEAD_S, partial(self._look_on, terminal))
        else:
            self._clock.call_at(change.at_s, partial(self._hand_over, terminal, change.source))

    def _look_on(self, terminal: str) -> None:
        mine = (leg for ends, leg in self._legs.items() if terminal in ends)
        if all(leg.is_idle for leg in mine):
            self._looking.discard(terminal)
        else:
            self._look(terminal)

    def _hand_over(self, terminal: str, cell: str) -> None:
        for ends in ((terminal, cell), (cell, terminal)):
            leg = self._legs[ends]
            if self._roaming[terminal].in_flight == "keep":
                leg.hand_over()
            else:
                leg.lose(MessageLost(leg.via, "handover"), spares_sent=True)
        self._look_on(terminal)
