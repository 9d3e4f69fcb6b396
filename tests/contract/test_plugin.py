"""A package of somebody else's, really installed by pip, is as good as what edgesim ships."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[1] / "plugin_example"

SCENARIO = """\
# Two servers, one user: does a strategy from outside run?
name: plugin
seed: 3
profile: analytic
model: {architecture: gpt2, dtype: float32}
topology:
  devices:
    - {id: user, kind: box}
    - {id: server, kind: box, count: 2}
  links:
    - {between: [user, server], wired: {rate: 100 Mbit/s, latency: 1 ms}}
kinds:
  box:
    memory: 8 GB
    process_memory: 0 GB
    memory_bandwidth: 10 GB/s
    compute: {float32: 100 GFLOP/s}
    overhead_per_call: 0 ms
    power: {idle: 0 W, active: 0 W, tx: 0 W, rx: 0 W}
    endpoint: {overhead: 0 ms}
workload:
  sources: [user]
  arrivals: {deterministic: {every: 10 s}}
  prompt_tokens: 8
  output_tokens: 3
  requests: 4
strategies:
  - {use: round_robin, to: server}
"""


@pytest.fixture(scope="module")
def with_plugin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the plug-in installed."""
    site = tmp_path_factory.mktemp("site")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    done = subprocess.run(
        [*pip, "--target", str(site), str(PLUGIN)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path}


def run(env: dict[str, str], *command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *command], env=env, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_listed_beside_the_built_in_ones(with_plugin: dict[str, str]) -> None:
    listed = run(with_plugin, "-m", "edgesim", "list", "strategies")
    assert {"local", "offload", "pipeline", "round_robin"} <= set(listed.replace("│", " ").split())


def test_it_is_not_there_unless_installed() -> None:
    listed = run(dict(os.environ), "-m", "edgesim", "list", "strategies")
    assert "round_robin" not in listed


def test_it_runs_and_deals_requests_out_in_turn(with_plugin: dict[str, str], tmp_path: Path) -> None:
    scenario = tmp_path / "plugin.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    run(with_plugin, "-m", "edgesim", "run", str(scenario), "--out", "out", "--quiet", cwd=tmp_path)
    from edgesim.trace.reader import Trace

    trace = Trace(tmp_path / "out")
    (label,) = trace.strategies
    assert list(trace.requests(label, 0)["outcome"]) == ["completed"] * 4
    spans = trace.spans(label, 0)
    computed_at = spans[spans["kind"] == "compute"].groupby("request_id")["device"].unique()
    assert [list(devices) for devices in computed_at] == [["server-0"], ["server-1"]] * 2


def test_it_keeps_the_contract(with_plugin: dict[str, str]) -> None:
    check = (
        "from edgesim.testing import check_strategy\n"
        "from edgesim_example_plugin import RoundRobin\n"
        "check_strategy(RoundRobin(to='server'))\n"
    )
    run(with_plugin, "-c", check)


def test_best_signal_plus_queue_keeps_the_contract(with_plugin: dict[str, str]) -> None:
    check = (
        "from edgesim.testing import check_strategy\n"
        "from edgesim_example_plugin.best_link import BestLink\n"
        "check_strategy(BestLink(to='server'))\n"
        "check_strategy(BestLink(to=['source', 'server'], period_s=0.01))\n"
    )
    run(with_plugin, "-c", check)


def test_its_option_is_checked_like_any_other(with_plugin: dict[str, str], tmp_path: Path) -> None:
    scenario = tmp_path / "plugin.yaml"
    scenario.write_text(SCENARIO.replace("to: server", "too: server"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "edgesim", "check", str(scenario)],
        env=with_plugin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "'to'" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
