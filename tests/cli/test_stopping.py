"""Runs that are killed, terminated or interrupted, alone or with workers, and finished afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import psutil
import pytest
from effort import IS_LONG

N_RUNS = 12
WORDS = ("run", "first_steps", "--set", "profile=analytic", "--replications", "4", "--quiet", "--out")
STATUS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
# How it is stopped, with how many processes, and how many runs are whole then.
CASES = [(signal.SIGKILL, 1, 3), (signal.SIGTERM, 1, 5), (signal.SIGINT, 2, 2), (signal.SIGKILL, 2, 4)]
if IS_LONG:
    CASES = list(product(STATUS, (1, 2), (0, 1, 2, 4, 6, 8)))

pytestmark = pytest.mark.slow


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.parquet")}


def command(folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "edgesim", *WORDS, str(folder), *more]


def started(folder: Path, jobs: int, n_whole: int) -> subprocess.Popen[str]:
    """A run in a session of its own, when so many of its runs are whole."""
    process = subprocess.Popen(
        command(folder, "--jobs", str(jobs)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_interrupts,
    )
    while not (folder / "run.json").exists() or _n_whole(folder) < n_whole:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
    return process


def _heed_interrupts() -> None:
    """Undo what a shell does to a job in the background, which would inherit that it ignores interrupts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _n_whole(folder: Path) -> int:
    return len(list(folder.glob("devices/*/*/part-*.parquet")))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole") / "trace"
    subprocess.run(command(folder), check=True, stdout=subprocess.DEVNULL)
    return contents(folder)


@pytest.mark.parametrize(("number", "jobs", "n_whole"), CASES)
def test_a_run_that_is_stopped_is_finished_to_the_same_bytes(
    undisturbed: dict[str, bytes], tmp_path: Path, number: signal.Signals, jobs: int, n_whole: int
) -> None:
    folder = tmp_path / "trace"
    process = started(folder, jobs, n_whole)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does it
    else:
        process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == STATUS[number]
    if number != signal.SIGKILL:
        assert f"of {N_RUNS} runs are complete, and is kept; continue with --resume" in said
        assert "Traceback" not in said
    kept = contents(folder)
    assert n_whole <= _n_whole(folder) < N_RUNS
    subprocess.run(command(folder, "--resume"), check=True, stdout=subprocess.DEVNULL)
    assert kept.items() <= contents(folder).items() or number == signal.SIGKILL
    assert contents(folder) == undisturbed


@pytest.mark.parametrize("number", [signal.SIGKILL, *([signal.SIGTERM] if IS_LONG else [])])
def test_a_worker_that_is_killed_is_reported_and_made_up_for(
    undisturbed: dict[str, bytes], tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "trace"
    process = started(folder, 2, 2)
    family = psutil.Process(process.pid).children(recursive=True)
    at_work = max(family, key=psutil.Process.create_time)  # what serves workers begins before them
    at_work.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "was killed, or ran out of memory" in said
    assert "continue with --resume" in said
    assert "Traceback" not in said
    assert not psutil.pid_exists(at_work.pid)
    subprocess.run(command(folder, "--resume", "--jobs", "2"), check=True, stdout=subprocess.DEVNULL)
    assert contents(folder) == undisturbed
