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

from edgesim.runner.workers import end_with_parent

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
@pytest.mark.parametrize(("initializer", "stays"), [("end_with_parent", False), ("None", True)])
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


# A run in two processes of a parent that has, or has not, what forbids to fork it.
RUN = """
import sys, threading
from pathlib import Path
from multiprocessing import process
from edgesim import runner
from edgesim.runner import workers
from edgesim.scenario.load import load

if {torch}:
    import torch
if {solvers}:
    import cvxpy
if {thread}:
    threading.Thread(target=threading.Event().wait, daemon=True).start()

started = []
start = process.BaseProcess.start
process.BaseProcess.start = lambda self: (started.append(type(self).__name__), start(self))[1]

if __name__ == "__main__":
    prepared = runner.prepare(load("{scenario}", ["profile=analytic"]))
    runner.run(prepared, "{out}", jobs={jobs})
    print(sorted(set(started)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "kind"),
    [
        ("nothing", "ForkProcess"),
        ("solvers", "ForkProcess"),
        ("thread", "ForkServerProcess"),
        ("torch", "ForkServerProcess"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process is forked")
def test_workers_are_forked_only_where_nothing_is_half_done_and_the_bytes_are_the_same(
    tmp_path: Path, before: str, kind: str
) -> None:
    def files(jobs: int) -> dict[str, bytes]:
        script, out = tmp_path / f"{jobs}.py", tmp_path / f"out-{jobs}"
        has = {name: name == before for name in ("solvers", "thread", "torch")}
        text = RUN.format(**has, scenario="first_steps", out=out, jobs=jobs)
        script.write_text(text)
        ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == (str([kind]) if jobs > 1 else "[]"), ran.stderr
        return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*.parquet"))}

    alone = files(1)
    assert alone
    assert files(2) == alone


# A solve on eight threads, a fork, and the same solve in the child.
SOLVES = """
import os

import highspy
from edgesim.runner import workers

def solve():
    solver = highspy.Highs()
    for option, value in {"output_flag": False, "threads": 8, "parallel": "on"}.items():
        solver.setOptionValue(option, value)
    taken = [solver.addBinary(obj=-float(3 + item % 7)) for item in range(20)]
    for row in range(12):
        solver.addConstr(sum(float(1 + (row * item) % 11) * x for item, x in enumerate(taken)) <= 25.0)
    solver.run()
    return solver.getInfo().objective_function_value

print(solve(), flush=True)
workers._end_threads_of_highs()
child = os.fork()
if child == 0:
    print(solve(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process is forked")
def test_a_solver_with_threads_solves_on_after_a_fork(tmp_path: Path) -> None:
    """Without their end before it, the child waits for threads that it does not have."""
    pytest.importorskip("highspy")
    script = tmp_path / "solves.py"
    script.write_text(SOLVES)
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60
    )
    of_parent, of_child = ran.stdout.split()
    assert of_parent == of_child


# A problem so large that Clarabel takes several threads, if it may; is a fork safe before it, and after?
PARALLEL = """
import cvxpy as cp
import numpy as np
from edgesim.runner import workers

before = workers._can_fork()
x, drawn = cp.Variable(100), np.random.default_rng(0).random((100, 100))
cost = cp.sum_squares(drawn @ x - 1) + cp.sum(cp.inv_pos(x))
cp.Problem(cp.Minimize(cost), [x >= 0.01, x <= 5]).solve(solver=cp.CLARABEL, max_threads={threads})
print(before, workers._can_fork())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process is forked")
@pytest.mark.parametrize(("threads", "said"), [(1, "True True"), (4, "True False")])
def test_a_process_with_threads_of_a_solver_is_not_forked(threads: int, said: str) -> None:
    code = PARALLEL.format(threads=threads)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == said
