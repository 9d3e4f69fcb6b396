"""Worker processes end with whoever hired them, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from edgesim.errors import WorkerLostError
from edgesim.measure.real.worker_pool import Crew, free_cores

CORE = free_cores()[0]
SOON_S = 20.0  # by far longer than it takes, on any machine


def workers_of(pid: int) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(pid).children()
        if any("real.worker" in word for word in child.cmdline())
    ]


def test_workers_are_gone_after_an_interrupt() -> None:
    mine: list[psutil.Process] = []

    def work() -> None:
        with Crew() as crew:
            crew.hire("one", CORE)
            crew.hire("two", CORE)
            mine.extend(workers_of(os.getpid()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(mine) == 2
    assert not any(process.is_running() for process in mine)


def test_a_worker_that_is_killed_is_noticed_at_once_and_the_others_end() -> None:
    with Crew() as crew:
        one, other = crew.hire("one", CORE), crew.hire("other", CORE)
        processes = workers_of(os.getpid())
        processes[0].kill()
        began_s = time.monotonic()
        with pytest.raises(WorkerLostError, match=r"'one' ended \(exit status -9\)"):
            crew.ask([(one, {"do": "leave"})], timeout_s=SOON_S)
        assert time.monotonic() - began_s < SOON_S
        processes[1].suspend()
        with pytest.raises(WorkerLostError, match=r"no answer from other within 0\.1 s"):
            crew.ask([(other, {"do": "listen"})], timeout_s=0.1)
    assert not any(process.is_running() for process in processes)


def test_workers_do_not_outlive_a_parent_that_is_killed() -> None:
    code = (
        "import time\n"
        "from edgesim.measure.real.worker_pool import Crew\n"
        f"crew = Crew(); crew.hire('one', {CORE}); crew.hire('two', {CORE})\n"
        "print('hired', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"hired\n"
        orphans = workers_of(parent.pid)
        assert len(orphans) == 2
        parent.send_signal(signal.SIGKILL)
    gone, left = psutil.wait_procs(orphans, timeout=SOON_S)
    assert len(gone) == 2, left
