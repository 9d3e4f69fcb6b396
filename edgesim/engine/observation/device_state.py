"""The state of a device at one instant, as strategies see it: a frozen value, which may be kept and sent."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DeviceState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """A device at one instant.

    Attributes
    ----------
    at_s
        Instant of the state [s].
    is_up
        Whether it was up.
    backlog_s
        Time until the device has done all work that is booked ahead [s]: exact if it serves first come, first
        served, and 0 if passes share it.
    work_s
        Time for the work requested there, if nothing else arrives [s]: under first come, first served
        `backlog_s`, under processor sharing the remaining work, both exact; in batches the rest of the
        running iteration plus all other passes one by one, which is an upper bound.
    n_passes
        Passes in service and waiting for it, of requests in progress; requests that wait for memory, or for a
        place in the batch, are counted by `n_requests` only.
    n_requests
        Requests that occupy memory there or wait for it.
    free_bytes
        Memory not occupied by weights, process and KV caches [byte].
    battery_j
        Energy left in its battery [J]; None on mains power.
    speed
        Divisor of the time of a pass that begins then: 1 unless the scenario has a schedule.
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
    speed: float = 1.0
