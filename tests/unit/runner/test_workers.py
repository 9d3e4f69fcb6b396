"""Worker processes and what becomes of them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

# A process with a worker that is busy for ten minutes, as `edgesim run --jobs` has them.
PARENT = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from edgesim.runner.workers import leave_with_parent

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer={initializer})
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600).result()
"""


def is_at_work(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@pytest.mark.parametrize(("initializer", "stays"), [("leave_with_parent", False), ("None", True)])
def test_workers_leave_when_their_parent_is_killed(tmp_path: Path, initializer: str, stays: bool) -> None:
    """And would not, if nobody told them to."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(initializer=initializer))
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        worker = psutil.Process(int(parent.stdout.readline()))
    try:
        assert is_at_work(worker)
        parent.kill()
        parent.wait()
        give_up_at_s = time.monotonic() + (1.0 if stays else 30.0)
        while is_at_work(worker) and time.monotonic() < give_up_at_s:
            time.sleep(0.02)
        assert is_at_work(worker) == stays
    finally:
        if is_at_work(worker):
            worker.kill()
