"""Which station serves a discipline: the one of the discipline's name.

A station arrives through the entry point group ``edgesim.stations``; edgesim's own are modules of
:mod:`edgesim.engine.serving.stations`.
"""

from __future__ import annotations

from typing import Any

from edgesim import plugins
from edgesim.engine.device.site import Site
from edgesim.engine.device.watched import WatchedStation
from edgesim.engine.device.work import SharedStation
from edgesim.engine.serving.watched_compute import WatchedCompute
from edgesim.errors import InputError, ScenarioError
from edgesim.plugins import EntryPointGroup
from edgesim.world.discipline import ServingDiscipline

__all__ = ["STATIONS", "DisciplineStation", "station_of"]


class DisciplineStation:
    """Base of stations that serve a discipline; a subclass is a :class:`SharedStation` as well.

    One whose discipline is in turn is a :class:`~edgesim.engine.device.watched.WatchedStation`, on which
    messages can be booked among the passes.

    Parameters
    ----------
    site
        What a run gives to the station of a device: clock, recording, speed.
    discipline
        The discipline with its options.
    """

    __slots__ = ()

    can_be_kept = False

    def __init__(self, site: Site, discipline: Any) -> None:
        raise NotImplementedError


def _check(kind: type[DisciplineStation]) -> None:
    lacking = [
        name
        for name in (
            "ask",
            "ask_next",
            "leave",
            "withdraw",
            "lose",
            "owners",
            "busy_until",
            "work_s",
            "close",
        )
        if not callable(getattr(kind, name, None))
    ]
    if lacking:
        raise InputError(
            f"class {kind.__qualname__} lacks {', '.join(lacking)} (edgesim.engine.device.work.SharedStation)"
        )


STATIONS: EntryPointGroup[type[DisciplineStation]] = EntryPointGroup(
    "edgesim.stations",
    "station",
    "serving",
    DisciplineStation,
    "edgesim.engine.serving.station.DisciplineStation",
    ScenarioError,
    _check,
    home="edgesim.engine.serving.stations",
    joint="-",
)
"""The entry point group of stations; edgesim's own are modules of its home."""


def station_of(serving: ServingDiscipline | None, site: Site) -> SharedStation:
    """Return a new station of a device; without a discipline it serves first come, first served.

    Raises
    ------
    InputError
        If the discipline has no station, or one on which messages cannot be booked although they may be.
    """
    if serving is None:
        return WatchedCompute(site)
    station: Any = plugins.load(STATIONS, serving.name)(site, serving)
    if serving.is_in_turn and not isinstance(station, WatchedStation):
        raise InputError(
            f"discipline {serving.name!r} says is_in_turn, and its station {type(station).__qualname__} is "
            "not an edgesim.engine.device.watched.WatchedStation, on which messages are booked; derive it "
            "from one, or set is_in_turn to False"
        )
    found: SharedStation = station
    return found
