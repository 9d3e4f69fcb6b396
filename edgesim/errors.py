"""What can go wrong, as one tree.

::

    EdgesimError
    ├── InputError            the user's input is wrong: one clear message, exit status 2
    │   ├── ScenarioError     a scenario file, or an override of one
    │   ├── PlacementError    a strategy cannot place this model on this fleet
    │   ├── ProfileError      a profile is missing, foreign, or asked beyond what it measured
    │   ├── RecordingError    a file of recorded tracks or rates cannot be used
    │   ├── StrategyError     a strategy is unknown, or its options are wrong
    │   ├── TraceError        a folder holds no trace, or one of another schema version
    │   └── WorkloadError     a file of recorded requests cannot be replayed
    ├── WorkerLostError       a process that shared the work was killed, or crashed: exit status 1
    └── ContractError         a strategy broke its contract: a bug in its code, exit status 1

A message says where, what was found, what was expected and what to do.
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
    """Every error that edgesim raises on purpose."""


class InputError(EdgesimError):
    """The user's input is wrong; the message says where and what to do about it."""


class ScenarioError(InputError):
    """A scenario file, or an override of one, cannot be used as it stands."""


class PlacementError(InputError):
    """A strategy cannot place this model on this fleet: no room, no route, no such device."""


class ProfileError(InputError):
    """A profile is missing, belongs to another model, or was asked beyond what it measured."""


class RecordingError(InputError):
    """A file of recorded tracks or rates cannot be used; the message names the line."""


class StrategyError(InputError):
    """A strategy is not installed, or its options are wrong."""


class TraceError(InputError):
    """A folder holds no trace, a broken one, or one of another schema version."""


class WorkloadError(InputError):
    """A file of recorded requests cannot be replayed; the message names the line."""


class WorkerLostError(EdgesimError):
    """A worker process ended in the middle of its work: killed, out of memory, or crashed."""


class ContractError(EdgesimError):
    """A strategy broke its contract during a run, which is a bug in its code."""
