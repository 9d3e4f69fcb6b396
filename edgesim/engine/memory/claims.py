"""Claims of requests on device memory: reservations and waits."""

from __future__ import annotations

import simpy

from edgesim.engine.process.verb import WorkLost
from edgesim.engine.request import LiveRequest

__all__ = ["Claim", "Claims"]


class Claim:
    """The claim of one request in one attempt.

    Attributes
    ----------
    reserved
        By device, bytes of KV cache.
    asked
        Devices that count the request among theirs: it has a cache there or waits for one.
    awaited
        By device for which it waits, the event of its admission.
    lost
        By device whose cache of the request is lost, the reason.
    """

    __slots__ = ("asked", "awaited", "lost", "reserved")

    def __init__(self) -> None:
        self.reserved: dict[str, int] = {}
        self.asked: list[str] = []
        self.awaited: dict[str, simpy.Event] = {}
        self.lost: dict[str, WorkLost] = {}


class Claims:
    """The claims of all requests that have requested memory and not ended."""

    def __init__(self) -> None:
        self._of: dict[LiveRequest, Claim] = {}

    def of(self, request: LiveRequest) -> Claim:
        """Return a request's claim; an empty one if it has requested nothing yet."""
        claim = self._of.get(request)
        if claim is None:
            claim = self._of[request] = Claim()
        return claim

    def known(self, request: LiveRequest) -> Claim | None:
        """Return a request's claim, or None."""
        return self._of.get(request)

    def forget(self, request: LiveRequest) -> None:
        """Drop a claim that no longer reserves or awaits anything."""
        self._of.pop(request, None)
