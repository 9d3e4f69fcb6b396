"""The engine against the textbook model with simpy.Resource, as benchmarks/engine.py compares them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "engine.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("engine_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("n_requests", "n_tokens"), [(1, 1), (30, 7)])
def test_departures_are_identical(
    benchmark: ModuleType, n_requests: int, n_tokens: int, tmp_path: Path
) -> None:
    from edgesim.world.fleet import Fleet

    there = benchmark.world(n_requests, n_tokens)
    strategy = benchmark.Pipeline(partition="even")
    placement = strategy.place(there.model, Fleet.of(there))
    expected = benchmark.textbook(there, placement.stages)
    assert len(expected) == n_requests
    assert benchmark.edgesim(there, strategy, placement, None) == expected
    assert benchmark.edgesim(there, strategy, placement, tmp_path / "trace") == expected
