"""Running of scenarios: preparation with all checks before time zero, then simulation to a trace."""

from __future__ import annotations

from edgesim.runner.prepared import Lesson, Prepared, RunFinished, Trainer
from edgesim.runner.preparing import lesson, prepare
from edgesim.runner.running import free_folder, run, unfinished_folder
from edgesim.runner.sampling import interval_s
from edgesim.scenario.timings import Measuring

__all__ = [
    "Lesson",
    "Measuring",
    "Prepared",
    "RunFinished",
    "Trainer",
    "free_folder",
    "interval_s",
    "lesson",
    "prepare",
    "run",
    "unfinished_folder",
]
