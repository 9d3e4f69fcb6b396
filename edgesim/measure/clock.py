"""Two clocks: the host's, and a GPU's own."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Protocol

__all__ = ["Clock", "CudaClock", "HostClock", "clock_for"]


class Clock(Protocol):
    """Notes instants now, and tells the seconds between them later."""

    def mark(self) -> Any:
        """Note this instant, in the device's own order of work."""
        ...

    def settle(self) -> None:
        """Wait until every noted instant has passed on the device."""
        ...

    def seconds(self, began: Any, ended: Any) -> float:
        """Seconds from one noted instant to a later one; only after :meth:`settle`."""
        ...


class HostClock:
    """The processor's monotonic clock: on a CPU, an operation has ended when its call returns."""

    def mark(self) -> float:
        """Note this instant."""
        return perf_counter()

    def settle(self) -> None:
        """Nothing to wait for."""

    def seconds(self, began: float, ended: float) -> float:
        """Seconds between two instants."""
        return ended - began


class CudaClock:
    """Events in the GPU's stream: they pass when the work queued before them is done.

    Nothing waits between two events, so that work is queued ahead as it is in real use; where the GPU
    waits for the host, that waiting is part of the time, as it is in real use.
    """

    def mark(self) -> Any:
        """Queue an event."""
        import torch

        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def settle(self) -> None:
        """Wait for the GPU."""
        import torch

        torch.cuda.synchronize()

    def seconds(self, began: Any, ended: Any) -> float:
        """Seconds between two events."""
        return float(began.elapsed_time(ended)) / 1e3


def clock_for(device: str) -> Clock:
    """Choose the clock of a device, ``cpu`` or ``cuda``."""
    return CudaClock() if device == "cuda" else HostClock()
