"""Device memory for weights and KV caches, and the admission of requests to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import simpy

from edgesim.engine.memory.claims import Claims
from edgesim.engine.process.clock import Clock
from edgesim.engine.process.verb import RequestFailed, WorkLost
from edgesim.engine.request import LiveRequest

__all__ = ["Admission", "DeviceMemory", "NoRoom"]


class NoRoom(Exception):  # noqa: N818  # a fact that the cluster turns into an outcome, not an error
    """A request's KV cache does not fit; the message gives the device and the size."""


class DeviceMemory:
    """One device's memory: the resident part, the requests' caches, and the peak.

    Parameters
    ----------
    n_places
        Greatest number of requests with a cache here at once, whatever its size; None: any number.

    Attributes
    ----------
    capacity_bytes
        Size of the memory.
    resident_bytes
        Weights and the serving process, resident for the whole run.
    used_bytes, peak_bytes
        Memory in use now, and its greatest value so far.
    holders
        Requests with a cache here, each of which occupies one place, in order of admission.
    on_change
        If set, called with the total size of all KV caches in bytes whenever it changes.
    """

    __slots__ = (
        "capacity_bytes",
        "holders",
        "n_places",
        "on_change",
        "peak_bytes",
        "resident_bytes",
        "used_bytes",
    )

    def __init__(self, capacity_bytes: int, resident_bytes: int, n_places: int | None = None) -> None:
        self.capacity_bytes = capacity_bytes
        self.resident_bytes = resident_bytes
        self.used_bytes = resident_bytes
        self.peak_bytes = resident_bytes
        self.n_places = n_places
        self.holders: dict[LiveRequest, None] = {}
        self.on_change: Callable[[int], None] | None = None

    @property
    def has_place(self) -> bool:
        """Whether a place is free for one more request."""
        return self.n_places is None or len(self.holders) < self.n_places

    def fits(self, size_bytes: int) -> bool:
        """Whether a further amount of memory fits now."""
        return self.used_bytes + size_bytes <= self.capacity_bytes

    def take(self, size_bytes: int) -> None:
        """Reserve an amount that fits."""
        self.used_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)
        if self.on_change is not None:
            self.on_change(self.used_bytes - self.resident_bytes)

    def give_back(self, size_bytes: int) -> None:
        """Release an amount that was reserved."""
        self.used_bytes -= size_bytes
        if self.on_change is not None:
            self.on_change(self.used_bytes - self.resident_bytes)


class Admission:
    """Admission of requests to memory on one or several devices at once, first come first served.

    If a device limits the number of requests that it serves at once, its places are granted together with its
    memory: a request occupies its place as long as its cache.

    A request gets everything that it requests at one instant, or waits without reserving any of it: requests
    that request all their devices at once therefore cannot deadlock (those that request device by device, and
    keep one while they wait for the next, can). The order of arrival applies on each device; a request
    overtakes only those with which it shares no device.

    Parameters
    ----------
    policy
        ``queue``: wait for room. ``reject``: refuse a cache that does not fit into the memory at once; a
        request still waits for a place, and is refused if there is no room when it gets one.
    queue_limits
        By device, the number of requests that may wait for it; unlimited for devices not named.
    turned_away
        Called with a request whose wait ended without admission, and the devices that it no longer waits for.
    """

    def __init__(
        self,
        clock: Clock,
        claims: Claims,
        memories: Mapping[str, DeviceMemory],
        policy: Literal["queue", "reject"],
        queue_limits: Mapping[str, int | None] | None = None,
        turned_away: Callable[[LiveRequest, Iterable[str]], None] | None = None,
    ) -> None:
        self._clock = clock
        self._claims = claims
        self._memories = memories
        self._policy = policy
        self._queue_limits = queue_limits or {}
        self._turned_away = turned_away
        self._waiting: dict[simpy.Event, tuple[LiveRequest, dict[str, int]]] = {}  # in order of arrival
        self._n_waiting: Counter[str] = Counter()  # by device
        self._again: dict[simpy.Event, None] = {}  # the waiting requests that were preempted

    def ask(
        self, request: LiveRequest, sizes_bytes: dict[str, int], ever_bytes: Mapping[str, int] | None = None
    ) -> simpy.Event | None:
        """Reserve memory now and return None, or return the event of its later reservation.

        Parameters
        ----------
        ever_bytes
            Greatest sizes that the caches will reach, if larger than requested now.

        Raises
        ------
        NoRoom
            If a cache can never fit with the weights, or does not fit now and the policy is to reject.
        """
        reserved = self._claims.of(request).reserved
        for device, size_bytes in (ever_bytes or sizes_bytes).items():
            memory = self._memories[device]
            room_bytes = memory.capacity_bytes - memory.resident_bytes - reserved.get(device, 0)
            if size_bytes > room_bytes:
                raise NoRoom(f"{device}: a KV cache of {size_bytes} bytes can never fit into {room_bytes}")
        contested = any(self._n_waiting[device] for device in sizes_bytes)
        if not contested and self._fits(sizes_bytes):
            self._take(request, sizes_bytes)
            return None
        if self._policy == "reject":
            for device, size_bytes in sizes_bytes.items():
                if not self._memories[device].fits(size_bytes) or self._awaits_memory(device):
                    raise _no_room_now(device, size_bytes)
        for device in sizes_bytes:
            limit = self._queue_limits.get(device)
            if limit is not None and self._n_waiting[device] >= limit:
                raise NoRoom(f"{device}: the queue of {limit} requests is full")
        return self._wait(request, sizes_bytes)

    def ask_again(self, request: LiveRequest, sizes_bytes: dict[str, int]) -> simpy.Event:
        """Queue a preempted request before all others, oldest preempted request first."""
        admitted = self._wait(request, sizes_bytes)
        self._again[admitted] = None
        again = sorted(self._again, key=lambda event: self._waiting[event][0].rank)
        others = [event for event in self._waiting if event not in self._again]
        self._again = dict.fromkeys(again)
        self._waiting = {event: self._waiting[event] for event in again + others}
        return admitted

    def _wait(self, request: LiveRequest, sizes_bytes: dict[str, int]) -> simpy.Event:
        admitted = simpy.Event(self._clock)
        self._waiting[admitted] = (request, sizes_bytes)
        self._n_waiting.update(sizes_bytes.keys())
        return admitted

    def forget(self, request: LiveRequest) -> None:
        """Remove a request that has ended from the queue."""
        its = [event for event, (waiting, _) in self._waiting.items() if waiting is request]
        freed = {device for event in its for device in self._pop(event)}
        if freed:
            self.admit(freed)  # later requests may fit

    def give_up(self, event: simpy.Event) -> None:
        """Remove one wait from the queue; its request may have others."""
        self.admit(self._pop(event))  # later requests may fit

    def lose(self, device: str, error: WorkLost) -> None:
        """Turn away all requests that wait for memory of a device that has failed."""
        freed: dict[str, int] = {}
        for event in [event for event, (_, sizes_bytes) in self._waiting.items() if device in sizes_bytes]:
            request, was_preempted = self._waiting[event][0], event in self._again
            sizes_bytes = self._pop(event)
            lost = self._claims.of(request).lost
            if was_preempted:
                lost |= dict.fromkeys(sizes_bytes, error)  # its caches on these devices were dropped, too
            lost[device] = error
            self._turn_away(request, sizes_bytes)
            freed |= sizes_bytes
            event.defused = True  # the failure is raised in the waiting process
            event.fail(error)
        self.admit(freed)  # later requests may fit

    def release(self, request: LiveRequest) -> None:
        """Release all that a request has reserved, and admit waiting requests that fit now."""
        claim = self._claims.known(request)
        if claim is None or not claim.reserved:
            return
        for device, size_bytes in claim.reserved.items():
            self._memories[device].give_back(size_bytes)
            del self._memories[device].holders[request]
        released, claim.reserved = claim.reserved, {}
        self.admit(released)

    def admit(self, released: Iterable[str]) -> None:
        """Admit waiting requests in order; stop per released device at the first that does not fit."""
        blocked: set[str] = set()  # devices for which an earlier request still waits
        admitted, refused = [], []
        for event, (request, sizes_bytes) in self._waiting.items():
            if blocked.isdisjoint(sizes_bytes) and self._fits(sizes_bytes):
                self._take(request, sizes_bytes)
                admitted.append(event)
            elif blocked.isdisjoint(sizes_bytes) and self._is_to_refuse(event, sizes_bytes):
                refused.append(event)
            else:
                blocked.update(sizes_bytes)
                if blocked.issuperset(released):
                    break
        for event in admitted:
            self._pop(event)
            event.succeed()
        for event in refused:
            request, sizes_bytes = self._waiting[event][0], self._pop(event)
            self._turn_away(request, sizes_bytes)
            full = next(d for d, size in sizes_bytes.items() if not self._memories[d].fits(size))
            event.defused = True  # the failure is raised in the waiting process
            event.fail(RequestFailed(f"memory: {_no_room_now(full, sizes_bytes[full])}"))

    def grow(self, request: LiveRequest, device: str, size_bytes: int) -> bool:
        """Reserve room for the growth of a request's cache, if there is any."""
        if not self._memories[device].fits(size_bytes):
            return False
        self._take(request, {device: size_bytes})
        return True

    def drop(self, request: LiveRequest, device: str) -> None:
        """Drop a request's cache on one device, to make room for requests being served."""
        self._memories[device].give_back(self._claims.of(request).reserved.pop(device))
        del self._memories[device].holders[request]

    def _pop(self, event: simpy.Event) -> dict[str, int]:
        """Remove a wait from the queue; return its sizes by device."""
        _, sizes_bytes = self._waiting.pop(event)
        self._again.pop(event, None)
        self._n_waiting.subtract(sizes_bytes.keys())
        return sizes_bytes

    def _turn_away(self, request: LiveRequest, devices: Iterable[str]) -> None:
        if self._turned_away is not None:
            self._turned_away(request, devices)

    def _awaits_memory(self, device: str) -> bool:
        """Whether a preempted request waits for a device: under ``reject`` no other waits for memory."""
        return any(device in self._waiting[event][1] for event in self._again)

    def _is_to_refuse(self, event: simpy.Event, sizes_bytes: Mapping[str, int]) -> bool:
        """Whether a request that waited for a place finds no room, and may not wait for room."""
        if self._policy != "reject" or event in self._again:
            return False
        return all(self._memories[device].has_place for device in sizes_bytes)

    def _fits(self, sizes_bytes: Mapping[str, int]) -> bool:
        memories = self._memories
        return all(memories[d].has_place and memories[d].fits(size) for d, size in sizes_bytes.items())

    def _take(self, request: LiveRequest, sizes_bytes: Mapping[str, int]) -> None:
        reserved = self._claims.of(request).reserved
        for device, size_bytes in sizes_bytes.items():
            memory = self._memories[device]
            memory.take(size_bytes)
            memory.holders[request] = None
            reserved[device] = reserved.get(device, 0) + size_bytes


def _no_room_now(device: str, size_bytes: int) -> NoRoom:
    return NoRoom(f"{device}: no room for a KV cache of {size_bytes} bytes at this moment")
