"""Stations by serving discipline; a new discipline adds one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from edgesim.engine.device.site import Site
from edgesim.engine.device.work import SharedStation
from edgesim.engine.serving.batching import BatchedStation, StaticStation
from edgesim.engine.serving.fifo import WatchedCompute
from edgesim.engine.serving.joining import JoiningStation
from edgesim.engine.serving.queue_limits import LimitedCompute
from edgesim.engine.serving.time_sharing import TimeSharedStation
from edgesim.world.discipline import ServingDiscipline
from edgesim.world.disciplines.batched import DynamicBatching
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.fifo import FirstComeFirstServed
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.disciplines.static import StaticBatching

__all__ = ["STATIONS", "station_of"]

STATIONS: Mapping[type[ServingDiscipline], Callable[[Site, Any], SharedStation]] = MappingProxyType(
    {
        FirstComeFirstServed: LimitedCompute,
        ProcessorSharing: TimeSharedStation,
        StaticBatching: StaticStation,
        ContinuousBatching: BatchedStation,
        DynamicBatching: JoiningStation,
    }
)
"""By discipline, the constructor of a station that serves in this way."""


def station_of(serving: ServingDiscipline | None, site: Site) -> SharedStation:
    """Return the station of a device; without a discipline, the watched first-come-first-served one."""
    return WatchedCompute(site) if serving is None else STATIONS[type(serving)](site, serving)
