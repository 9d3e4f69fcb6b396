"""A Dask cluster whose scheduler ends in the middle of a sweep."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from sweeping import PAIR, swept

from edgesim.errors import InputError

LONG = {**PAIR, "workload": {**PAIR["workload"], "requests": 1000}}


@pytest.mark.slow
def test_a_scheduler_that_is_killed_is_said_in_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    address_file = tmp_path / "scheduler.json"
    words = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    scheduler = subprocess.Popen([*words, "--scheduler-file", str(address_file)], stderr=subprocess.DEVNULL)
    try:
        address = _address(address_file)
        worker = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "distributed.cli.dask_worker",
                address,
                "--nthreads",
                "1",
                "--no-dashboard",
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            with pytest.raises(InputError, match=r"the scheduler is gone .*continue with --resume"):
                swept(
                    tmp_path / "out",
                    {},
                    scenario=LONG,
                    replications=12,
                    dask=address,
                    on_progress=lambda unit, failed, n: scheduler.kill(),
                )
        finally:
            for process in (*psutil.Process(worker.pid).children(recursive=True), worker):
                process.kill()
            worker.wait()
    finally:
        scheduler.kill()
        scheduler.wait()
    # What was whole has stayed.
    out = swept(tmp_path / "out", {}, scenario=LONG, replications=12, resume=True)
    assert len(out.results()) == 12 * 2


def _address(file: Path) -> str:
    """Where the scheduler listens, as it says once it does."""
    deadline_s = time.monotonic() + 30.0
    while not (file.exists() and file.read_text().strip().endswith("}")):
        assert time.monotonic() < deadline_s, "no scheduler has started"
        time.sleep(0.1)
    return str(json.loads(file.read_text())["address"])
