"""What each request has of the devices' memories, and what it waits for."""

from __future__ import annotations

import simpy

from edgesim.engine.process.verb import WorkLost
from edgesim.engine.request import LiveRequest

__all__ = ["Claim", "Claims"]


class Claim:
    """One request's, in one attempt at it.

    Attributes
    ----------
    reserved
        By device, bytes of KV cache.
    asked
        Devices that count it among their requests: those where it has a cache or waits for one.
    awaited
        By device for which it waits, the event of its admission.
    lost
        Devices whose cache of it is gone, and why.
    """

    __slots__ = ("asked", "awaited", "lost", "reserved")

    def __init__(self) -> None:
        self.reserved: dict[str, int] = {}
        self.asked: list[str] = []
        self.awaited: dict[str, simpy.Event] = {}
        self.lost: dict[str, WorkLost] = {}


class Claims:
    """Those of all requests that have asked for memory and not ended."""

    def __init__(self) -> None:
        self._of: dict[LiveRequest, Claim] = {}

    def of(self, request: LiveRequest) -> Claim:
        """A request's claim; an empty one if it has asked for nothing yet."""
        claim = self._of.get(request)
        if claim is None:
            claim = self._of[request] = Claim()
        return claim

    def known(self, request: LiveRequest) -> Claim | None:
        """A request's claim, if it has any."""
        return self._of.get(request)

    def forget(self, request: LiveRequest) -> None:
        """Forget a claim of which nothing is reserved or awaited any more."""
        self._of.pop(request, None)
