"""A scenario so small that a sweep of it takes a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgesim.api.running import read_scenario
from edgesim.scenario.schema.scenario import Scenario
from edgesim.sweep.reader import Sweep
from edgesim.sweep.running import run_sweep
from edgesim.sweep.sweep_options import Options, checked_sweep

PAIR: dict[str, Any] = {
    "name": "pair",
    "seed": 4,
    "replications": 2,
    "model": {"architecture": "edgesim-tiny", "dtype": "float32"},
    "profile": "analytic",
    "topology": {
        "devices": [{"id": "phone", "kind": "raspberry-pi-4b"}, {"id": "box", "kind": "jetson-orin-nano"}],
        "links": [{"between": ["phone", "box"], "wired": {"rate": "50 Mbit/s", "latency": "5 ms"}}],
    },
    "workload": {"arrivals": {"poisson": "4 Hz"}, "prompt_tokens": 24, "output_tokens": 4, "requests": 20},
    "objectives": {"e2e": "200 ms"},
    "strategies": [{"use": "local"}, {"use": "offload", "to": "box"}],
}
RATE = "workload.arrivals.poisson"
RATES = {RATE: ["2 Hz", "4 Hz", "8 Hz"]}


def reading(scenario: Any = PAIR) -> Callable[[Sequence[str]], Scenario]:
    return lambda changes: read_scenario(scenario, list(changes))


def swept(out: Path, values: Any = RATES, *, scenario: Any = PAIR, **options: Any) -> Sweep:
    running = {
        name: options.pop(name)
        for name in ("jobs", "dask", "resume", "retry_failed", "on_progress")
        if name in options
    }
    return run_sweep(checked_sweep(reading(scenario), values, Options(**options)), out, **running)


def contents(folder: Path) -> dict[str, bytes]:
    """The data files, those of what failed included."""
    files = [*folder.rglob("*.parquet"), *folder.glob("failures/*/*.json")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


__all__ = ["PAIR", "RATE", "RATES", "contents", "reading", "swept"]
