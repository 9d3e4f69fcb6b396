from __future__ import annotations

from pathlib import Path

import pytest
from drawn_traces import small_trace

from edgesim.trace.reader import Trace


@pytest.fixture(scope="session")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    return small_trace(tmp_path_factory.mktemp("drawn") / "street")


@pytest.fixture(scope="session")
def busier(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    folder: Path = tmp_path_factory.mktemp("drawn") / "busier"
    return small_trace(folder, rate="8 Hz")
