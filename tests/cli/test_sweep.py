"""The command `edgesim sweep`: killed at any moment, shared out in any way, it comes to the same bytes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from effort import IS_LONG

SCENARIO = """
name: four
seed: 7
horizon: 10 s
model: {architecture: edgesim-tiny, dtype: float32}
profile: analytic
topology:
  devices:
    - {id: phone, kind: raspberry-pi-4b}
    - {id: box, kind: jetson-orin-nano}
  links:
    - {between: [phone, box], wired: {rate: 50 Mbit/s, latency: 5 ms}}
workload: {arrivals: {poisson: 1 Hz}, prompt_tokens: 24, output_tokens: 8}
objectives: {e2e: 500 ms}
strategies:
  - {use: local}
  - {use: offload, to: box}
  - {use: pipeline, partition: even}
  - {use: pipeline, partition: latency}
"""
N_KILLS = 20 if IS_LONG else 2
N_RATES, N_SEEDS = (5, 5) if IS_LONG else (3, 2)
N_UNITS = N_RATES * N_SEEDS
RATES = ",".join(f"{rate} Hz" for rate in (1, 2, 4, 8, 16)[:N_RATES])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.parquet")}


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("scenario") / "four.yaml"
    file.write_text(SCENARIO)
    return file


def command(scenario: Path, folder: Path, *more: str) -> list[str]:
    words = ["sweep", scenario, "--set", f"workload.arrivals.poisson={RATES}", "--replications", N_SEEDS]
    words += ["--keep", "requests", "--quiet", "--out", folder, *more]
    return [sys.executable, "-m", "edgesim", *map(str, words)]


def started(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def whole_units(folder: Path) -> set[Path]:
    return set(folder.glob("results/cell=*/replication-*.parquet"))


@pytest.fixture(scope="module")
def undisturbed(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    subprocess.run(command(scenario, folder), check=True, stdout=subprocess.DEVNULL)
    assert len(whole_units(folder)) == N_UNITS
    return contents(folder)


@pytest.mark.slow
def test_a_sweep_killed_at_random_moments_comes_to_the_bytes_of_one_that_was_not(
    scenario: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    folder, draws = tmp_path / "sweep", random.Random(1)
    kept: dict[Path, int] = {}
    for number in range(N_KILLS):
        more = ["--resume"] if (folder / "sweep.json").exists() else []
        process = started(command(scenario, folder, *more, "--jobs", "2"))
        n_before = len(whole_units(folder))
        # From the moment when it begins to write, a random while: less than what two units take on average.
        deadline_s = time.monotonic() + 120
        if number % 2:
            while len(whole_units(folder)) == n_before < N_UNITS and process.poll() is None:
                assert time.monotonic() < deadline_s
                time.sleep(0.002)
        else:
            while not (folder / "sweep.json").exists() and process.poll() is None:
                time.sleep(0.002)
        time.sleep(draws.uniform(0, 0.2))
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        psutil.wait_procs(family, timeout=60)  # workers leave with their parent
        for file, written_at in kept.items():
            assert file.stat().st_mtime_ns == written_at  # what was whole was not written again
        kept = {file: file.stat().st_mtime_ns for file in whole_units(folder)}
    subprocess.run(
        command(scenario, folder, "--resume", "--jobs", "2"), check=True, stdout=subprocess.DEVNULL
    )
    assert all(file.stat().st_mtime_ns == written_at for file, written_at in kept.items())
    assert contents(folder) == undisturbed


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(
    scenario: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    process = started(command(scenario, folder, "--jobs", "2"))
    while not whole_units(folder):
        assert process.poll() is None
        time.sleep(0.002)
    family = psutil.Process(process.pid).children(recursive=True)
    at_work = next(
        each for each in family if each.ppid() != process.pid
    )  # a child of the server of processes
    at_work.kill()
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert contents(folder) == undisturbed


@pytest.mark.slow
def test_a_dask_cluster_comes_to_the_same_bytes_also_where_a_worker_is_killed(
    scenario: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    folder = tmp_path / "sweep"
    process = started(command(scenario, folder, "--dask", "local:2"))
    while not whole_units(folder):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
    family = psutil.Process(process.pid).children(recursive=True)
    workers = [each for each in family if "spawn_main" in " ".join(each.cmdline())]
    workers[0].kill()
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert contents(folder) == undisturbed


def test_it_prints_a_row_for_each_cell_and_strategy(edgesim, scenario: Path, tmp_path: Path) -> None:
    words = ("sweep", scenario, "--set", "workload.arrivals.poisson=1 Hz,2 Hz", "--set", "horizon=4 s")
    said = edgesim(*words, "--replications", "2", "--strategy", "local", "--out", tmp_path / "a")
    assert said.status == 0
    assert said.out.count("local") == 2
    assert "1 Hz" in said.out
    assert f"sweep: {tmp_path / 'a'}" in said.err
    said = edgesim(*words, "--replications", "1", "--out", tmp_path / "b", "--json", "--quiet")
    told = json.loads(said.out)
    assert [row["poisson"] for row in told["results"]] == ["1 Hz"] * 4 + ["2 Hz"] * 4
    assert set(told["results"][0]) >= {"cell", "strategy", "replication", "e2e_mean_s", "ttft_p95_s"}
    assert said.err == ""


def test_cases_and_zipped_axes(edgesim, scenario: Path, tmp_path: Path) -> None:
    said = edgesim(
        *(
            "sweep",
            scenario,
            "--strategy",
            "local",
            "--set",
            "horizon=2 s,3 s",
            "--replications",
            "1",
            "--zip",
        ),
        *("--case", "slow: workload.arrivals.poisson=1 Hz", "--case", "fast: workload.arrivals.poisson=9 Hz"),
        *("--out", tmp_path / "out", "--json"),
    )
    rows = json.loads(said.out)["results"]
    assert [(row["case"], row["horizon"]) for row in rows] == [("slow", "2 s"), ("fast", "3 s")]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--set", "horizn=1 s,2 s"), "did you mean 'horizon'"),
        (("--set", "horizon"), "--set horizon: expected path=value,value"),
        (("--resume",), "--resume: name the sweep to continue"),
        (("--seed", "3", "--set", "seed=1,2"), "--seed: the seed is set by --set or --case as well"),
        (("--seed", "3", "--case", "other: seed=1"), "--seed: the seed is set by --set or --case as well"),
        (("--case", "more: replications=3"), "give --replications"),
        (("--retry-failed", "--out", "x"), "--retry-failed: it requires --resume"),
        (("--strategy", "nope"), "no strategy has the label 'nope'"),
        (("--dask", "tcp://127.0.0.1:1", "--out", "{out}"), "no scheduler answers there"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(edgesim, scenario, tmp_path, monkeypatch, words, told) -> None:
    if "--dask" in words:
        pytest.importorskip("distributed")
        monkeypatch.setattr("edgesim.sweep.on_dask._ANSWERS_WITHIN_S", 0.5)
    monkeypatch.chdir(tmp_path)
    said = edgesim("sweep", scenario, *(word.format(out=tmp_path / "out") for word in words))
    assert said.status == 2
    assert told in said.err
    assert "Traceback" not in said.err
