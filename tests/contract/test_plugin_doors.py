"""What a package offers beside strategies, really installed by pip, is as good as what edgesim ships."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from quick_commands import quick_edgesim

from edgesim.trace.reader import Trace

PLUGIN = Path(__file__).resolve().parents[1] / "plugin_example"

SCENARIO = """\
name: doors
seed: 3
profile: analytic
model: {architecture: gpt2, dtype: float32}
topology:
  devices:
    - {id: user, kind: box}
    - {id: server, kind: box, count: 2}
  links:
    - {between: [user, server], wired: {rate: 100 Mbit/s, latency: 1 ms}}
    - {between: [server-0, server-1], wired: {rate: 100 Mbit/s, latency: 1 ms}}
kinds:
  box:
    memory: 8 GB
    process_memory: 0 GB
    memory_bandwidth: 10 GB/s
    compute: {float32: 100 GFLOP/s}
    overhead_per_call: 0 ms
    power: {idle: 0 W, active: 1 W, tx: 0 W, rx: 0 W}
    endpoint: {overhead: 0 ms}
workload:
  sources: [user]
  arrivals: {deterministic: {every: 10 s}}
  prompt_tokens: 8
  output_tokens: 3
  requests: 4
strategies:
  - {use: pipeline, over: server, partition: even}
"""


QUICK = "QUICK_EDGESIM"  # the variable that names the command of an environment


@pytest.fixture(scope="module")
def with_plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a process that has the plug-in installed."""
    site = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, str(PLUGIN)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    quick = tmp_path_factory.mktemp("bin") / "edgesim"
    env = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", QUICK: str(quick)}
    with quick_edgesim(quick, env):
        yield env


def call(env: dict[str, str], *command: str, cwd: Path | None = None, status: int = 0) -> str:
    words = [sys.executable, *command]
    if QUICK in env and command[:2] == ("-m", "edgesim"):
        words = [env[QUICK], *command[2:]]
    done = subprocess.run(words, env=env, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    text = SCENARIO
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "doors.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def ran(env: dict[str, str], folder: Path, *changes: tuple[str, str]) -> Trace:
    """Run the scenario, changed, where the plug-in is installed."""
    out = folder / f"out-{len(list(folder.glob('out-*')))}"
    call(
        env, "-m", "edgesim", "run", str(written(folder, *changes)), "--out", str(out), "--quiet", cwd=folder
    )
    return Trace(out)


def check_code(name: str, module: str, kind: str) -> str:
    """What an author's test does."""
    imports = f"from edgesim.testing import {name}; from edgesim_example_plugin.{module} import {kind}"
    return f"{imports}; {name}({kind})"


SERVED = (
    ("{id: server, kind: box, count: 2}", "{id: server, kind: box, count: 2, serving: SERVING}"),
    ("{deterministic: {every: 10 s}}", "{bursts: {requests: 4, every: 1000 s}}"),
)


def test_a_discipline_is_listed_and_serves(with_plugin: dict[str, str], tmp_path: Path) -> None:
    assert "The newest pass first" in call(with_plugin, "-m", "edgesim", "list", "serving")
    assert '"newest-first"' in call(with_plugin, "-m", "edgesim", "schema")

    def lasted_s(serving: str) -> float:
        trace = ran(
            with_plugin, tmp_path, (SERVED[0][0], SERVED[0][1].replace("SERVING", serving)), SERVED[1]
        )
        (label,) = trace.strategies
        assert "newest-first" in set(trace.devices(label, 0)["serving"])
        return float(trace.requests(label, 0)["ended_at_s"].max())

    # Four requests of three passes on each server, and a pause after every pass on the one that ends last.
    assert lasted_s("{newest-first: {pause: 5 s}}") > lasted_s("newest-first") + 12 * 5
    wrong = (SERVED[0][0], SERVED[0][1].replace("SERVING", "{newest-first: {pause: 5}}"))
    said = call(with_plugin, "-m", "edgesim", "check", str(written(tmp_path, wrong)), status=2)
    assert "serving.newest-first.pause: expected a duration" in said


def test_without_the_package_its_discipline_is_one_clear_mistake(tmp_path: Path) -> None:
    named = (SERVED[0][0], SERVED[0][1].replace("SERVING", "newest-first"))
    said = call(dict(os.environ), "-m", "edgesim", "check", str(written(tmp_path, named)), status=2)
    assert "devices[1].serving: no serving discipline 'newest-first'; known are" in said
    assert len(said.strip().splitlines()) == 1


BY_LAW = """\
  arrivals: {deterministic: {every: 10 s}}
  prompt_tokens: 8
  output_tokens: 3
  requests: 4
"""
ON_OFF = ("{deterministic: {every: 10 s}}", "{on_off: {rate: 4 Hz, on: 2 s, off: 30 s}}")


def test_an_arrival_process_is_listed_checked_and_drawn(with_plugin: dict[str, str], tmp_path: Path) -> None:
    assert "rate, on, off" in call(with_plugin, "-m", "edgesim", "list", "arrivals")
    assert '"on_off"' in call(with_plugin, "-m", "edgesim", "schema")
    check = check_code("check_arrivals", "on_off", "OnOff").replace(
        "(OnOff)", "(OnOff(rate='2 Hz', on='1 s', off='3 s'))"
    )
    call(with_plugin, "-c", check)
    file = written(tmp_path, ON_OFF)
    said = call(with_plugin, "-m", "edgesim", "show-config", str(file))
    assert "on_off: {rate: 4 Hz, on: 2 s, off: 30 s}" in said
    trace = ran(with_plugin, tmp_path, ON_OFF, ("requests: 4", "requests: 60"))
    arrived_at_s = trace.requests(trace.strategies[0], 0)["arrived_at_s"]
    assert len(arrived_at_s) == 60
    assert (arrived_at_s % 32.0 < 2.0).all()
    wrong = written(tmp_path, (ON_OFF[0], "{on_off: {rate: 4 Hz, on: 2, off: 30 s}}"))
    said = call(with_plugin, "-m", "edgesim", "check", str(wrong), status=2)
    assert "$.workload.arrivals.on_off.on: expected a duration" in said


def test_without_the_package_its_arrival_process_is_one_clear_mistake(tmp_path: Path) -> None:
    said = call(dict(os.environ), "-m", "edgesim", "check", str(written(tmp_path, ON_OFF)), status=2)
    assert "$.workload.arrivals.on_off: no arrival process 'on_off'; known are" in said
    assert len(said.strip().splitlines()) == 1


def test_a_catalogue_is_listed_checked_and_used(with_plugin: dict[str, str], tmp_path: Path) -> None:
    assert "edgesim_example_plugin" in call(with_plugin, "-m", "edgesim", "list", "catalogues")
    assert "lab-board" in call(with_plugin, "-m", "edgesim", "list", "devices")
    assert "lab-wifi" in call(with_plugin, "-m", "edgesim", "list", "radios")
    call(with_plugin, "-c", check_code("check_catalogue", "lab", "LAB"))
    board, radio = ("{id: server, kind: box", "{id: server, kind: lab-board"), "{use: lab-wifi}"
    place = ("kind: box}", "kind: box, place: {at: [0 m, 0 m]}}")
    trace = ran(with_plugin, tmp_path, board)
    kinds = trace.devices(trace.strategies[0], 0).set_index("device")["kind"]
    assert dict(kinds) == {"user": "box", "server-0": "lab-board", "server-1": "lab-board"}
    wired = "between: [user, server], wired: {rate: 100 Mbit/s, latency: 1 ms}"
    servers = ("kind: box, count: 2}", "kind: lab-board, count: 2, place: {grid: 5 m, corner: [9 m, 0 m]}}")
    ran(with_plugin, tmp_path, place, servers, (wired, f"between: [user, server], radio: {radio}"))


def test_without_the_package_its_devices_are_one_clear_mistake(tmp_path: Path) -> None:
    file = written(tmp_path, ("{id: server, kind: box", "{id: server, kind: lab-board"))
    said = call(dict(os.environ), "-m", "edgesim", "check", str(file), status=2)
    assert said.count("lab-board") == 1


MODEM = (
    ("kind: box}", "kind: box, place: {at: [0 m, 0 m]}}"),
    ("kind: box, count: 2}", "kind: box, count: 2, place: {grid: 5 m, corner: [9 m, 0 m]}}"),
    (
        "between: [user, server], wired: {rate: 100 Mbit/s, latency: 1 ms}",
        "between: [user, server], radio: {use: nr-n78, adaptation: {modem: {efficiencies: [1, 2]}}}",
    ),
)


def test_a_link_rate_model_is_listed_checked_and_carries(with_plugin: dict[str, str], tmp_path: Path) -> None:
    assert "efficiencies, thresholds" in call(with_plugin, "-m", "edgesim", "list", "adaptation")
    assert '"modem"' in call(with_plugin, "-m", "edgesim", "schema")
    check = check_code("check_link_rate", "modem", "Modem").replace("(Modem)", "(Modem())")
    call(with_plugin, "-c", check)
    trace = ran(with_plugin, tmp_path, *MODEM)
    assert set(trace.requests(trace.strategies[0], 0)["outcome"]) == {"completed"}
    # A radio of a catalogue may name it, too: lab-modem is one, with the model's defaults.
    by_name = (MODEM[2][0], "between: [user, server], radio: {use: lab-modem}")
    ran(with_plugin, tmp_path, *MODEM[:2], by_name)
    wrong = (MODEM[2][0], MODEM[2][1].replace("[1, 2]", "[1, 2, 3, 4, 5]"))
    said = call(with_plugin, "-m", "edgesim", "check", str(written(tmp_path, *MODEM[:2], wrong)), status=2)
    assert "adaptation.modem: expected as many 'efficiencies' as 'thresholds', got 5 and 2" in said


def test_without_the_package_its_link_rate_model_is_one_clear_mistake(tmp_path: Path) -> None:
    said = call(dict(os.environ), "-m", "edgesim", "check", str(written(tmp_path, *MODEM)), status=2)
    assert "radio.adaptation.modem: no link-rate model 'modem'; known are" in said
    assert len(said.strip().splitlines()) == 1


def test_a_metric_is_listed_checked_and_reported(with_plugin: dict[str, str], tmp_path: Path) -> None:
    assert "ttft_jitter_s" in call(with_plugin, "-m", "edgesim", "list", "metrics")
    call(with_plugin, "-c", check_code("check_metric", "jitter", "JITTER"))
    # Bursts of two: the second of each waits for the first.
    bursts = ("deterministic: {every: 10 s}", "bursts: {requests: 2, every: 10 s}")
    trace = ran(with_plugin, tmp_path, bursts)
    requests = trace.requests(trace.strategies[0], 0)
    expected_s = (requests["first_token_at_s"] - requests["arrived_at_s"]).std(ddof=0)
    assert expected_s > 0
    show = ("-m", "edgesim", "show", str(trace.path))
    (row,) = json.loads(call(with_plugin, *show, "--as", "json"))["strategies"]
    assert row["metrics"]["ttft_jitter_s"]["mean"] == pytest.approx(expected_s)
    assert "TTFT jitter" in call(with_plugin, *show, "--metric", "ttft_jitter_s")
    assert "TTFT jitter, " in call(with_plugin, *show, "--metrics")
    words = (
        "sweep",
        str(written(tmp_path, bursts)),
        "--set",
        "workload.requests=4,6",
        "--out",
        "swept",
        "--quiet",
    )
    call(with_plugin, "-m", "edgesim", *words, cwd=tmp_path)
    # Whoever has not installed it reads the same sweep, with the number in it.
    from edgesim.sweep.reader import Sweep

    assert Sweep(tmp_path / "swept").results()["ttft_jitter_s"].min() == pytest.approx(expected_s)


def test_without_the_package_its_metric_is_one_clear_mistake(
    with_plugin: dict[str, str], tmp_path: Path
) -> None:
    trace = ran(with_plugin, tmp_path)
    show = ("-m", "edgesim", "show", str(trace.path), "--metric", "ttft_jitter_s")
    said = call(dict(os.environ), *show, status=2)
    assert "there is no metric 'ttft_jitter_s'" in said


LOG = """\
# tokens v1
1.5s 12>3
2.5s 7>2
"""


def test_a_reader_is_listed_checked_and_replayed(with_plugin: dict[str, str], tmp_path: Path) -> None:
    assert "access-log" in call(with_plugin, "-m", "edgesim", "list", "readers")
    (tmp_path / "requests.log").write_text(LOG, encoding="utf-8")
    check = (
        "from edgesim.testing import check_reader; from edgesim_example_plugin.access_log import ACCESS_LOG; "
        f"check_reader(ACCESS_LOG, {str(tmp_path / 'requests.log')!r})"
    )
    call(with_plugin, "-c", check)
    for trace in ("requests.log", "{file: requests.log, format: access-log}"):
        found = ran(with_plugin, tmp_path, (BY_LAW, f"  trace: {trace}\n"))
        requests = found.requests(found.strategies[0], 0)
        assert list(requests["arrived_at_s"]) == [1.5, 2.5]
        assert list(requests["n_prompt_tokens"]) == [12, 7]


CUT = ("partition: even", "partition: front-loaded")


def test_a_partition_is_listed_checked_and_cuts(with_plugin: dict[str, str], tmp_path: Path) -> None:
    assert "Fill one device after the other" in call(with_plugin, "-m", "edgesim", "list", "partitions")
    assert '"front-loaded"' in call(with_plugin, "-m", "edgesim", "schema")
    call(with_plugin, "-c", check_code("check_partition", "front_loaded", "FrontLoaded"))
    trace = ran(with_plugin, tmp_path, CUT)
    (label,) = trace.strategies
    spans = trace.spans(label, 0)
    # Both have room for the whole model, so the first has all of it.
    assert set(spans.loc[spans["kind"] == "compute", "device"]) == {"server-0"}


def test_without_the_package_its_partition_is_one_clear_mistake(tmp_path: Path) -> None:
    scenario = written(tmp_path, CUT)
    said = call(dict(os.environ), "-m", "edgesim", "check", str(scenario), status=2)
    assert said.count("front-loaded") == 1
    assert "strategies[0].partition: no partition 'front-loaded'; known are even, even-fit" in said
