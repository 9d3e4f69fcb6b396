"""Exceptions of edgesim, as one hierarchy.

::

    EdgesimError
    ├── InputError            the user's input is wrong: one clear message, exit status 2
    │   ├── ScenarioError     a scenario file, or an override of one
    │   ├── PlacementError    a strategy cannot place this model on this fleet
    │   ├── ProfileError      a profile is missing, of another model, or does not cover what is needed
    │   ├── RecordingError    a file of recorded tracks or rates cannot be used
    │   ├── StrategyError     a strategy is unknown, or its options are wrong
    │   ├── TraceError        a folder contains no trace, or one of another schema version
    │   └── WorkloadError     a file of recorded requests cannot be replayed
    ├── WorkerLostError       a worker process was killed, or crashed: exit status 1
    └── ContractError         a strategy broke its contract: a bug in its code, exit status 1

Each message states where the error is, what was found, what was expected and what to do.
"""

from __future__ import annotations

__all__ = [
    "ContractError",
    "EdgesimError",
    "InputError",
    "PlacementError",
    "ProfileError",
    "RecordingError",
    "ScenarioError",
    "StrategyError",
    "TraceError",
    "WorkerLostError",
    "WorkloadError",
]


class EdgesimError(Exception):
    """Base class of all errors that edgesim raises on purpose."""


class InputError(EdgesimError):
    """The user's input is wrong; the message states where, and how to correct it."""


class ScenarioError(InputError):
    """A scenario file, or an override of one, is invalid."""


class PlacementError(InputError):
    """A strategy cannot place this model on this fleet: not enough memory, no route, or an unknown device."""


class ProfileError(InputError):
    """A profile is missing, belongs to another model, or does not cover the sizes needed."""


class RecordingError(InputError):
    """A file of recorded tracks or rates cannot be used; the message names the line."""


class StrategyError(InputError):
    """A strategy is not installed, or its options are wrong."""


class TraceError(InputError):
    """A folder contains no trace, a damaged one, or one of another schema version."""


class WorkloadError(InputError):
    """A file of recorded requests cannot be replayed; the message names the line."""


class WorkerLostError(EdgesimError):
    """A worker process ended before its work was done: killed, out of memory, or crashed."""


class ContractError(EdgesimError):
    """A strategy broke its contract during a run; this is a bug in the strategy's code."""
