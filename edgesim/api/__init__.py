"""For users of Python: a run in one call, its tables as DataFrames, and messages without a command line."""

from __future__ import annotations

from edgesim.api.result import Result
from edgesim.api.running import run
from edgesim.api.sweeping import sweep

__all__ = ["Result", "run", "sweep"]
