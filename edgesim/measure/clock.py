"""Clocks of the host and of a GPU."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Protocol

__all__ = ["Clock", "CudaClock", "HostClock", "clock_for"]


class Clock(Protocol):
    """Records instants, and returns the seconds between them later."""

    def mark(self) -> Any:
        """Record the current instant, in the device's own order of work."""
        ...

    def settle(self) -> None:
        """Wait until every recorded instant has passed on the device."""
        ...

    def seconds(self, began: Any, ended: Any) -> float:
        """Return the seconds from one recorded instant to a later one; only valid after :meth:`settle`."""
        ...


class HostClock:
    """The host's monotonic clock: on a CPU, an operation has ended when its call returns."""

    def mark(self) -> float:
        """Return the current time [s]."""
        return perf_counter()

    def settle(self) -> None:
        """Do nothing: recorded instants have passed already."""

    def seconds(self, began: float, ended: float) -> float:
        """Return the seconds between two instants."""
        return ended - began


class CudaClock:
    """Events in the GPU's stream, which pass when the work queued before them is done.

    Nothing waits between two events, so that work is queued ahead as in real use. Where the GPU waits for the
    host, that waiting is part of the time, as in real use.
    """

    def mark(self) -> Any:
        """Record an event in the GPU's stream."""
        import torch

        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def settle(self) -> None:
        """Wait until the GPU has done all queued work."""
        import torch

        torch.cuda.synchronize()

    def seconds(self, began: Any, ended: Any) -> float:
        """Return the seconds between two events."""
        return float(began.elapsed_time(ended)) / 1e3


def clock_for(device: str) -> Clock:
    """Return the clock of a device, ``cpu`` or ``cuda``."""
    return CudaClock() if device == "cuda" else HostClock()
