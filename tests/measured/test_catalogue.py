"""Published models on a small machine: the largest within 24 GiB, and a shard quicker than the whole."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from effort import long_only

pytest.importorskip("torch")
pytestmark = [pytest.mark.measured, pytest.mark.slow]

MEASURE = """
import json, resource, sys
from edgesim.measure.grid import Grid
from edgesim.measure.timing import measure_profile
from edgesim.scenario.catalogue import model

name, dtype, budget_s, *shards = sys.argv[1:]
shards = tuple(map(int, shards))
architecture = model(name).architecture(dtype)
grid = Grid(
    batches=(1,), prompts=(1, 8), contexts=(16, 32),
    held_out_prompts=(4,), held_out_contexts=(24,), shards=shards,
).within(architecture)
profile = measure_profile(architecture, threads=2, device="cpu", grid=grid, budget_s=float(budget_s))
block_s = [
    float(profile.component_seconds("block", batch=1, n_new=8, n_context=0, n_shards=n)) for n in shards
]
peak_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"peak_bytes": peak_bytes, "block_s": block_s}))
"""


def measured(name: str, dtype: str, budget_s: float, *shards: int) -> dict[str, Any]:
    """Measure in a process of its own, whose peak of memory is its own too."""
    program = [sys.executable, "-c", MEASURE, name, dtype, str(budget_s), *map(str, shards)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


OTHERS = [pytest.param(name, marks=long_only("half a minute")) for name in ("bert-base", "qwen2.5-0.5b")]


@pytest.mark.parametrize(
    "name",
    [*OTHERS, pytest.param("llama-3-70b", marks=long_only("builds blocks of 70 B parameters for a minute"))],
)
def test_a_model_of_the_catalogue_is_measured_within_24_gib(name: str) -> None:
    assert measured(name, "bfloat16", 2, 1)["peak_bytes"] < 24 * 2**30


def test_a_shard_takes_less_time_than_the_whole() -> None:
    whole_s, eighth_s = measured("tinyllama-1.1b", "float32", 0, 1, 8)["block_s"]
    assert eighth_s < whole_s
