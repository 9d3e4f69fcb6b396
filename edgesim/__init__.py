"""Discrete-event simulation of LLM inference over edge devices, charged with measured compute.

What a user's own code needs is importable from here; inside the package everything is imported from
the module that defines it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesim.engine.cluster import Cluster
    from edgesim.engine.request import LiveRequest
    from edgesim.engine.token import Token
    from edgesim.errors import EdgesimError, InputError, PlacementError
    from edgesim.model.architecture import Architecture, Slice
    from edgesim.model.profile import Profile
    from edgesim.runner import prepare, run
    from edgesim.scenario.load import load
    from edgesim.strategy import Placement, Serving, Stage, Strategy
    from edgesim.trace.reader import Trace
    from edgesim.world.fleet import Fleet

__all__ = [
    "Architecture",
    "Cluster",
    "EdgesimError",
    "Fleet",
    "InputError",
    "LiveRequest",
    "Placement",
    "PlacementError",
    "Profile",
    "Serving",
    "Slice",
    "Stage",
    "Strategy",
    "Token",
    "Trace",
    "__version__",
    "load",
    "prepare",
    "run",
]

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "edgesim.model.architecture",
    "Cluster": "edgesim.engine.cluster",
    "EdgesimError": "edgesim.errors",
    "Fleet": "edgesim.world.fleet",
    "InputError": "edgesim.errors",
    "LiveRequest": "edgesim.engine.request",
    "Placement": "edgesim.strategy",
    "PlacementError": "edgesim.errors",
    "Profile": "edgesim.model.profile",
    "Serving": "edgesim.strategy",
    "Slice": "edgesim.model.architecture",
    "Stage": "edgesim.strategy",
    "Strategy": "edgesim.strategy",
    "Token": "edgesim.engine.token",
    "Trace": "edgesim.trace.reader",
    "load": "edgesim.scenario.load",
    "prepare": "edgesim.runner",
    "run": "edgesim.runner",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its home when it is first asked for: importing edgesim costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
