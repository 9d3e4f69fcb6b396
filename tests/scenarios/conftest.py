from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgesim import runner
from edgesim.scenario.load import load
from edgesim.trace.reader import Trace

Simulate = Callable[..., Trace]


@pytest.fixture
def simulate(tmp_path: Path) -> Simulate:
    """Run a shipped scenario as ``edgesim run NAME --set ... --strategy ...`` does."""

    def call(name: str, *overrides: str, only: tuple[str, ...] = ()) -> Trace:
        prepared = runner.prepare(load(name, list(overrides)), only=only)
        return runner.run(prepared, runner.free_folder(tmp_path, "trace"))

    return call
