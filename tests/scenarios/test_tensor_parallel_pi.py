"""distributed-llama's published rows of two Raspberry Pis, from its rows of one and a single fitted overhead.

Source: README of b4rtaz/distributed-llama, February 2025: mean ms per token, weights in Q40, values in Q80.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from scipy.optimize import brentq

from edgesim import runner
from edgesim.scenario.load import load

PUBLISHED_MS = {  # model, board: on one, on two
    ("llama-2-7b", "pi-5"): (441.0, 341.0),
    ("llama-3-8b", "pi-5"): (564.0, 444.0),
    ("llama-2-7b", "pi-4b"): (1313.0, 794.0),
    ("llama-2-13b", "pi-4b"): (None, 1497.0),  # one has no room: its speed is that of the 7B's row
}
MOST_ERROR = 0.10


def per_token_ms(out: Path, model: str, n: int, bytes_per_s: float, overhead_ms: float) -> float:
    """Milliseconds per token of a lone request on so many boards of one bandwidth."""
    kind = {
        "memory": "16 GB", "process_memory": "600 MB", "memory_bandwidth": f"{bytes_per_s} B/s",
        "compute": {"float16": "150 GFLOP/s"}, "overhead_per_call": "0.5 ms",
        "power": {"idle": "3 W", "active": "5 W", "tx": "0 W", "rx": "0 W"},
        "endpoint": {"overhead": "0 ms"}, "description": "a board",
    }  # fmt: skip
    group = {"use": "tensor_parallel", "over": ["hub", "pi"], "size": n, "all_reduce": "star"}
    group |= {"value_bytes": 1.0625, "per_sum": f"{overhead_ms} ms", "label": "tensor"}
    overrides = [
        f"model.architecture={model}", "model.weights=q40", f"kinds={{board: {kind}}}",
        "topology.devices.hub.kind=board", "topology.devices.pi.kind=board", "topology.devices.pi.count=7",
        "workload.requests=1", "replications=1", "warmup=0 s", "workload.prompt_tokens=16",
        "workload.output_tokens=8", f"strategies=[{group}]",
    ]  # fmt: skip
    trace = runner.run(runner.prepare(load("home_cluster_pi", overrides)), out, replace=True)
    request = trace.requests("tensor", 0).iloc[0]
    return 1e3 * (request.ended_at_s - request.first_token_at_s) / (request.n_emitted_tokens - 1)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory):
    """Milliseconds per token by (model, board, devices): bandwidths from rows of one, one overhead."""
    out = tmp_path_factory.mktemp("pi") / "trace"

    @cache
    def ms(model: str, n: int, bytes_per_s: float, overhead_ms: float) -> float:
        return per_token_ms(out, model, n, bytes_per_s, overhead_ms)

    bandwidths = {
        row: brentq(lambda rate, row=row, one=one: ms(row[0], 1, rate, 0.0) - one, 1e9, 2e10, xtol=1e6)
        for row, (one, _) in PUBLISHED_MS.items()
        if one is not None
    }
    bandwidths["llama-2-13b", "pi-4b"] = bandwidths["llama-2-7b", "pi-4b"]
    first, (_, two) = next(iter(PUBLISHED_MS.items()))
    overhead_ms = brentq(lambda o: ms(first[0], 2, bandwidths[first], o) - two, 0.0, 5.0, xtol=1e-3)
    return lambda model, board, n: ms(model, n, bandwidths[model, board], overhead_ms)


@pytest.mark.parametrize("row", PUBLISHED_MS)
def test_two_boards_are_within_ten_per_cent(row, calibrated) -> None:
    assert calibrated(*row, 2) == pytest.approx(PUBLISHED_MS[row][1], rel=MOST_ERROR)


@pytest.mark.parametrize("row", PUBLISHED_MS)
def test_more_boards_gain_less_and_less(row, calibrated) -> None:
    """Computing shrinks with the group, sums and the head do not."""
    times = [calibrated(*row, n) for n in (2, 4, 8)]
    assert times[0] > times[1]
    assert times[0] - times[1] > times[1] - times[2]
