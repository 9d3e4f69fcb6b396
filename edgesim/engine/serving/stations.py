"""Which station serves a discipline: a new one is one line here."""

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
"""By discipline, what makes the station of a site that serves so."""


def station_of(serving: ServingDiscipline | None, site: Site) -> SharedStation:
    """The station of a device: first come, first served, and watched, where it names no discipline."""
    return WatchedCompute(site) if serving is None else STATIONS[type(serving)](site, serving)
