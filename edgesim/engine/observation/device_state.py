"""What a strategy sees of a device at one instant: a frozen value, which may be kept and sent."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DeviceState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """A device at one instant.

    Attributes
    ----------
    at_s
        When it was so [s].
    is_up
        Whether it was up.
    backlog_s
        Time until the device has done all work that is booked ahead [s]: exact where it serves first come,
        first served, and 0 where passes share it.
    work_s
        Time that what is asked for there would take from now on, nothing else coming [s]: under first come,
        first served `backlog_s`, under processor sharing the work that is left, both exact; in batches what
        is left of the running iteration, and all other passes one by one, which is more than they will take.
    n_passes
        Passes in service and waiting for it, of requests that go on; who waits for memory, or for a place
        among those that are batched, is counted by `n_requests` alone.
    n_requests
        Requests that hold memory there or wait for it.
    free_bytes
        Memory not taken by weights, process and KV caches [byte].
    battery_j
        Energy left in its battery [J]; None on the mains.
    """

    at_s: float
    device: str
    is_up: bool
    backlog_s: float
    work_s: float
    n_passes: int
    n_requests: int
    free_bytes: int
    battery_j: float | None
