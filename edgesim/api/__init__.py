"""Python interface: run or sweep a scenario in one call, with results as DataFrames."""

from __future__ import annotations

from edgesim.api.result import Result
from edgesim.api.running import run
from edgesim.api.sweeping import sweep

__all__ = ["Result", "run", "sweep"]
