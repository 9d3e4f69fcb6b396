"""Memory: weights and KV caches on every device, and the admission of requests to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import simpy

from edgesim.engine.clock import Clock
from edgesim.engine.request import LiveRequest

__all__ = ["Admission", "Memory", "NoRoom"]


class NoRoom(Exception):  # noqa: N818  # a fact that the cluster turns into an outcome, not a failure of ours
    """A request's KV cache does not fit; the message says where and by how much."""


class Memory:
    """One device's memory: what is taken for good, what requests hold, and the most ever held.

    Attributes
    ----------
    capacity_bytes
        Size of the memory.
    resident_bytes
        Weights and the serving process, there from time zero to the end.
    used_bytes, peak_bytes
        All that is taken now, and the most that ever was.
    """

    __slots__ = ("capacity_bytes", "peak_bytes", "resident_bytes", "used_bytes")

    def __init__(self, capacity_bytes: int, resident_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.resident_bytes = resident_bytes
        self.used_bytes = resident_bytes
        self.peak_bytes = resident_bytes

    def fits(self, size_bytes: int) -> bool:
        """Whether this much more fits now."""
        return self.used_bytes + size_bytes <= self.capacity_bytes

    def take(self, size_bytes: int) -> None:
        """Take memory that fits."""
        self.used_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)


class Admission:
    """Admits requests to memory on one or several devices at once, first come first served.

    A request gets all it asks for at one instant, or waits holding nothing more: requests that ask for
    all their devices at once can therefore not block one another for ever (those that ask device by
    device, holding one while they wait for the next, can). On each device the order of
    arrival holds; a request overtakes only those with whom it shares no device.

    Parameters
    ----------
    policy
        ``queue``: wait for room. ``reject``: refuse what does not fit at once.
    queue_limit
        Requests that may wait for one device.
    """

    def __init__(
        self,
        clock: Clock,
        memories: Mapping[str, Memory],
        policy: Literal["queue", "reject"],
        queue_limit: int | None = None,
    ) -> None:
        self._clock = clock
        self._memories = memories
        self._policy = policy
        self._queue_limit = queue_limit
        self._waiting: dict[simpy.Event, tuple[LiveRequest, dict[str, int]]] = {}  # in order of arrival
        self._n_waiting: Counter[str] = Counter()  # requests that wait for a device

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
        for device, size_bytes in (ever_bytes or sizes_bytes).items():
            memory = self._memories[device]
            room_bytes = memory.capacity_bytes - memory.resident_bytes - request.held.get(device, 0)
            if size_bytes > room_bytes:
                raise NoRoom(f"{device}: a KV cache of {size_bytes} bytes can never fit into {room_bytes}")
        contested = any(self._n_waiting[device] for device in sizes_bytes)
        if not contested and self._fits(sizes_bytes):
            self._take(request, sizes_bytes)
            return None
        if self._policy == "reject":
            full = next(d for d, size in sizes_bytes.items() if not self._memories[d].fits(size))
            raise NoRoom(f"{full}: no room for a KV cache of {sizes_bytes[full]} bytes at this moment")
        for device in sizes_bytes:
            if self._queue_limit is not None and self._n_waiting[device] >= self._queue_limit:
                raise NoRoom(f"{device}: the queue of {self._queue_limit} requests is full")
        return self._wait(request, sizes_bytes)

    def ask_again(self, request: LiveRequest, device: str, size_bytes: int) -> simpy.Event:
        """Queue a request that was preempted, before all others, for the next room that is given back."""
        waiting, self._waiting = self._waiting, {}
        admitted = self._wait(request, {device: size_bytes})
        self._waiting.update(waiting)
        return admitted

    def _wait(self, request: LiveRequest, sizes_bytes: dict[str, int]) -> simpy.Event:
        admitted = simpy.Event(self._clock)
        self._waiting[admitted] = (request, sizes_bytes)
        self._n_waiting.update(sizes_bytes.keys())
        return admitted

    def forget(self, request: LiveRequest) -> None:
        """Take a request that has ended out of the queue."""
        for event in [event for event, (waiting, _) in self._waiting.items() if waiting is request]:
            _, sizes_bytes = self._waiting.pop(event)
            self._n_waiting.subtract(sizes_bytes.keys())
            self._admit(sizes_bytes)  # whoever stood behind it may fit

    def release(self, request: LiveRequest) -> None:
        """Give back all that a request holds, and admit who can be admitted now."""
        if not request.held:
            return
        for device, size_bytes in request.held.items():
            self._memories[device].used_bytes -= size_bytes
        released, request.held = request.held, {}
        self._admit(released)

    def _admit(self, released: Mapping[str, int]) -> None:
        """Admit whom the released devices have room for, up to the first on each for whom they have not."""
        blocked: set[str] = set()  # devices for which an earlier request still waits
        admitted = []
        for event, (request, sizes_bytes) in self._waiting.items():
            if blocked.isdisjoint(sizes_bytes) and self._fits(sizes_bytes):
                self._take(request, sizes_bytes)
                admitted.append(event)
            else:
                blocked.update(sizes_bytes)
                if blocked.issuperset(released):
                    break
        for event in admitted:
            self._n_waiting.subtract(self._waiting.pop(event)[1].keys())
            event.succeed()

    def grow(self, request: LiveRequest, device: str, size_bytes: int) -> bool:
        """Take room for more of a cache that a request holds, if there is any."""
        if not self._memories[device].fits(size_bytes):
            return False
        self._take(request, {device: size_bytes})
        return True

    def drop(self, request: LiveRequest, device: str) -> None:
        """Take a request's cache away on one device, for those who are being served."""
        self._memories[device].used_bytes -= request.held.pop(device)

    def _fits(self, sizes_bytes: Mapping[str, int]) -> bool:
        return all(self._memories[device].fits(size) for device, size in sizes_bytes.items())

    def _take(self, request: LiveRequest, sizes_bytes: Mapping[str, int]) -> None:
        for device, size_bytes in sizes_bytes.items():
            self._memories[device].take(size_bytes)
            request.held[device] = request.held.get(device, 0) + size_bytes
