"""Discrete-event simulator of LLM inference on edge networks, with measured compute times.

This module exports the public names. Code inside the package imports each name from the module that
defines it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesim import statistics, sweep
    from edgesim.api import Result, run
    from edgesim.engine.cluster import Cluster
    from edgesim.engine.observation.observation import Observation
    from edgesim.engine.process.verb import DeviceDown, MessageLost, WorkLost
    from edgesim.engine.request import LiveRequest
    from edgesim.engine.token import Token
    from edgesim.errors import ContractError, EdgesimError, InputError, PlacementError
    from edgesim.fields import (
        BitsPerSecond,
        Bytes,
        BytesPerSecond,
        Decibels,
        DecibelsIsotropic,
        DecibelsMilliwatt,
        FlopPerSecond,
        Hertz,
        Joules,
        Metres,
        MetresPerSecond,
        Names,
        NonNegativeDecibels,
        PositiveBytes,
        PositiveMetres,
        PositiveMetresPerSecond,
        PositiveSeconds,
        Seconds,
        Watts,
    )
    from edgesim.model.architecture import Architecture, Slice
    from edgesim.model.profile import Profile
    from edgesim.planning.cutting import Cut, Partition
    from edgesim.runner import Prepared, prepare
    from edgesim.scenario.build import resolve
    from edgesim.scenario.load import load
    from edgesim.scenario.schema.arrival_process import ArrivalProcess
    from edgesim.scenario.schema.link_rate import LinkRate
    from edgesim.scenario.schema.scenario import Scenario
    from edgesim.scenario.study import Study
    from edgesim.strategy import Placement, Serving, Stage, Strategy
    from edgesim.sweep.reader import Sweep
    from edgesim.trace.reader import Trace
    from edgesim.world.fleet import Fleet

__all__ = [
    "Architecture",
    "ArrivalProcess",
    "BitsPerSecond",
    "Bytes",
    "BytesPerSecond",
    "Cluster",
    "ContractError",
    "Cut",
    "Decibels",
    "DecibelsIsotropic",
    "DecibelsMilliwatt",
    "DeviceDown",
    "EdgesimError",
    "Fleet",
    "FlopPerSecond",
    "Hertz",
    "InputError",
    "Joules",
    "LinkRate",
    "LiveRequest",
    "MessageLost",
    "Metres",
    "MetresPerSecond",
    "Names",
    "NonNegativeDecibels",
    "Observation",
    "Partition",
    "Placement",
    "PlacementError",
    "PositiveBytes",
    "PositiveMetres",
    "PositiveMetresPerSecond",
    "PositiveSeconds",
    "Prepared",
    "Profile",
    "Result",
    "Scenario",
    "Seconds",
    "Serving",
    "Slice",
    "Stage",
    "Strategy",
    "Study",
    "Sweep",
    "Token",
    "Trace",
    "Watts",
    "WorkLost",
    "__version__",
    "load",
    "prepare",
    "resolve",
    "run",
    "statistics",
    "sweep",
]

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "edgesim.model.architecture",
    "ArrivalProcess": "edgesim.scenario.schema.arrival_process",
    "BitsPerSecond": "edgesim.fields",
    "Bytes": "edgesim.fields",
    "BytesPerSecond": "edgesim.fields",
    "Cluster": "edgesim.engine.cluster",
    "ContractError": "edgesim.errors",
    "Cut": "edgesim.planning.cutting",
    "Decibels": "edgesim.fields",
    "DecibelsIsotropic": "edgesim.fields",
    "DecibelsMilliwatt": "edgesim.fields",
    "DeviceDown": "edgesim.engine.process.verb",
    "EdgesimError": "edgesim.errors",
    "Fleet": "edgesim.world.fleet",
    "FlopPerSecond": "edgesim.fields",
    "Hertz": "edgesim.fields",
    "InputError": "edgesim.errors",
    "Joules": "edgesim.fields",
    "LinkRate": "edgesim.scenario.schema.link_rate",
    "LiveRequest": "edgesim.engine.request",
    "MessageLost": "edgesim.engine.process.verb",
    "Metres": "edgesim.fields",
    "MetresPerSecond": "edgesim.fields",
    "Names": "edgesim.fields",
    "NonNegativeDecibels": "edgesim.fields",
    "Observation": "edgesim.engine.observation.observation",
    "Partition": "edgesim.planning.cutting",
    "Placement": "edgesim.strategy",
    "PlacementError": "edgesim.errors",
    "PositiveBytes": "edgesim.fields",
    "PositiveMetres": "edgesim.fields",
    "PositiveMetresPerSecond": "edgesim.fields",
    "PositiveSeconds": "edgesim.fields",
    "Prepared": "edgesim.runner",
    "Profile": "edgesim.model.profile",
    "Result": "edgesim.api",
    "Scenario": "edgesim.scenario.schema.scenario",
    "Seconds": "edgesim.fields",
    "Serving": "edgesim.strategy",
    "Slice": "edgesim.model.architecture",
    "Stage": "edgesim.strategy",
    "Strategy": "edgesim.strategy",
    "Study": "edgesim.scenario.study",
    "Sweep": "edgesim.sweep.reader",
    "Token": "edgesim.engine.token",
    "Trace": "edgesim.trace.reader",
    "Watts": "edgesim.fields",
    "WorkLost": "edgesim.engine.process.verb",
    "load": "edgesim.scenario.load",
    "prepare": "edgesim.runner",
    "resolve": "edgesim.scenario.build",
    "run": "edgesim.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first access, so that ``import edgesim`` is fast."""
    if name in ("statistics", "sweep"):
        return import_module(f"edgesim.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
