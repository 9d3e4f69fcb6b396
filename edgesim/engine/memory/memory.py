"""Memory: weights and KV caches on every device, and the admission of requests to it."""

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


class NoRoom(Exception):  # noqa: N818  # a fact that the cluster turns into an outcome, not a failure of ours
    """A request's KV cache does not fit; the message says where and by how much."""


class DeviceMemory:
    """One device's memory: what is taken for good, what requests hold, and the most ever held.

    Parameters
    ----------
    n_places
        Requests that may hold something here at once, whatever its size; None: any number.

    Attributes
    ----------
    capacity_bytes
        Size of the memory.
    resident_bytes
        Weights and the serving process, there from time zero to the end.
    used_bytes, peak_bytes
        All that is taken now, and the most that ever was.
    holders
        Requests that hold a cache here, each of which takes one of the places, in order of admission.
    on_change
        Called, where it is set, with the bytes of all KV caches whenever these change.
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
        """Whether one more request may hold something here."""
        return self.n_places is None or len(self.holders) < self.n_places

    def fits(self, size_bytes: int) -> bool:
        """Whether this much more fits now."""
        return self.used_bytes + size_bytes <= self.capacity_bytes

    def take(self, size_bytes: int) -> None:
        """Take memory that fits."""
        self.used_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)
        if self.on_change is not None:
            self.on_change(self.used_bytes - self.resident_bytes)

    def give_back(self, size_bytes: int) -> None:
        """Give back memory that was taken."""
        self.used_bytes -= size_bytes
        if self.on_change is not None:
            self.on_change(self.used_bytes - self.resident_bytes)


class Admission:
    """Admits requests to memory on one or several devices at once, first come first served.

    Where a device serves so many requests at once and no more, its places are admitted to together with its
    memory: a request holds its place as long as its cache.

    A request gets all it asks for at one instant, or waits holding nothing more: requests that ask for
    all their devices at once can therefore not block one another for ever (those that ask device by
    device, holding one while they wait for the next, can). On each device the order of
    arrival holds; a request overtakes only those with which it shares no device.

    Parameters
    ----------
    policy
        ``queue``: wait for room. ``reject``: refuse what does not fit into the memory at once; for a place
        a request waits all the same, and is refused if there is no room when it gets one.
    queue_limits
        Requests that may wait for a device, by device; any number where it names none.
    turned_away
        Called with a request that has waited in vain, and the devices for which it waits no more.
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
        self._n_waiting: Counter[str] = Counter()  # requests that wait for a device
        self._again: dict[simpy.Event, None] = {}  # of those that wait: the preempted

    def ask(
        self, request: LiveRequest, sizes_bytes: dict[str, int], ever_bytes: Mapping[str, int] | None = None
    ) -> simpy.Event | None:
        """Reserve memory now (None), or get the event of its being reserved later.

        Parameters
        ----------
        ever_bytes
            The most that it will ever hold, where that is more than it asks for now.

        Raises
        ------
        NoRoom
            If it can never fit beside the weights, or does not fit now and the policy is to reject.
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
        """Queue a request that was preempted, before all that were not, the oldest of its like first."""
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
        """Take a request that has ended out of the queue."""
        its = [event for event, (waiting, _) in self._waiting.items() if waiting is request]
        freed = {device for event in its for device in self._pop(event)}
        if freed:
            self.admit(freed)  # the requests behind it may fit

    def give_up(self, event: simpy.Event) -> None:
        """Take one wait out of the queue; its request may have others."""
        self.admit(self._pop(event))  # the requests behind it may fit

    def lose(self, device: str, error: WorkLost) -> None:
        """Turn away all that wait for memory of a device that has failed."""
        freed: dict[str, int] = {}
        for event in [event for event, (_, sizes_bytes) in self._waiting.items() if device in sizes_bytes]:
            request, was_preempted = self._waiting[event][0], event in self._again
            sizes_bytes = self._pop(event)
            lost = self._claims.of(request).lost
            if was_preempted:
                lost |= dict.fromkeys(sizes_bytes, error)  # its caches there are gone, too
            lost[device] = error
            self._turn_away(request, sizes_bytes)
            freed |= sizes_bytes
            event.defused = True  # it reaches what waits for it
            event.fail(error)
        self.admit(freed)  # the requests behind them may fit

    def release(self, request: LiveRequest) -> None:
        """Give back all that a request has reserved, and admit those that can be admitted now."""
        claim = self._claims.known(request)
        if claim is None or not claim.reserved:
            return
        for device, size_bytes in claim.reserved.items():
            self._memories[device].give_back(size_bytes)
            del self._memories[device].holders[request]
        released, claim.reserved = claim.reserved, {}
        self.admit(released)

    def admit(self, released: Iterable[str]) -> None:
        """Admit what the released devices have room for, up to the first on each that they have none for."""
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
            event.defused = True  # it reaches what waits for it
            event.fail(RequestFailed(f"memory: {_no_room_now(full, sizes_bytes[full])}"))

    def grow(self, request: LiveRequest, device: str, size_bytes: int) -> bool:
        """Take room for more of a cache that a request holds, if there is any."""
        if not self._memories[device].fits(size_bytes):
            return False
        self._take(request, {device: size_bytes})
        return True

    def drop(self, request: LiveRequest, device: str) -> None:
        """Take a request's cache away on one device, for those that are being served."""
        self._memories[device].give_back(self._claims.of(request).reserved.pop(device))
        del self._memories[device].holders[request]

    def _pop(self, event: simpy.Event) -> dict[str, int]:
        """Take one out of the queue; what it waited for."""
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
        """Whether one that has waited for a place finds no room, and may not wait for that."""
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
