"""Starting and commanding worker processes: one order a line, one answer a line, both JSON.

A worker ends when its standard input does, and so with whoever started it, however that ends. Everything here
does without torch.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import psutil

from edgesim.errors import InputError, WorkerLostError

__all__ = ["Answer", "Crew", "Order", "Worker", "free_cores"]

Order = Mapping[str, Any]
Answer = dict[str, Any]

_END_S = 2.0  # for a worker to end by itself
_TAIL_BYTES = 2000  # of what a lost worker said last
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def free_cores() -> tuple[int, ...]:
    """Cores that this process may use, by number; their count alone where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


class Worker:
    """One process, pinned to one core, with one thread that computes."""

    def __init__(self, name: str, core: int) -> None:
        self.name = name
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        root = Path(__file__).parents[3]
        paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        environment = {
            **os.environ,
            **dict.fromkeys(_ONE_THREAD, "1"),
            "PYTHONPATH": os.pathsep.join(paths),
            "GLOO_SOCKET_IFNAME": loopback,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "edgesim.measure.real.worker", str(core)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment,
        )
        self._heard = b""

    def order(self, order: Order) -> None:
        """Send an order.

        Raises
        ------
        WorkerLostError
            If the process is gone.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(dict(order)).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._lost() from None

    def fileno(self) -> int:
        """Where its answers come from."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def hear(self) -> Answer | None:
        """Read what has come; an answer once it is whole.

        Raises
        ------
        InputError
            If the worker refused what it was given.
        WorkerLostError
            If the process is gone, or failed.
        """
        part = os.read(self.fileno(), 1 << 16)
        if not part:
            raise self._lost()
        self._heard += part
        line, newline, rest = self._heard.partition(b"\n")
        if not newline:
            return None
        self._heard = rest
        answer: Answer = json.loads(line)
        if "refused" in answer:
            raise InputError(str(answer["refused"]))
        if "failed" in answer:
            raise WorkerLostError(f"worker process {self.name!r} failed: {answer['failed']}")
        return answer

    def end(self) -> None:
        """End the process, and wait until it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):  # what was still to be written is not read any more
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._said.close()

    def busy_s(self) -> float:
        """Processor time so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def let_go(self) -> None:
        """Have it end, without waiting for it."""
        if self._process.poll() is None:
            self._process.terminate()

    def _lost(self) -> WorkerLostError:
        try:
            status: int | str = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            status = "unknown"
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, self._said.tell() - _TAIL_BYTES))
        last = self._said.read().decode(errors="replace").strip()
        return WorkerLostError(
            f"worker process {self.name!r} ended (exit status {status}) in the middle of its work"
            + (f"; it said last: {last}" if last else "; on a machine short of memory choose a smaller model")
        )


class Crew:
    """Worker processes that end together with the block in which they were hired."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []

    def hire(self, name: str, core: int) -> Worker:
        """Start one more worker."""
        worker = Worker(name, core)
        self._workers.append(worker)
        return worker

    def ask(self, orders: Sequence[tuple[Worker, Order]], *, timeout_s: float) -> list[Answer]:
        """Give orders to several workers at once, and wait for an answer of each, in the same order.

        Raises
        ------
        WorkerLostError
            If one of them is gone, failed, or has no answer in time.
        InputError
            If one of them refused its order.
        """
        for worker, order in orders:
            worker.order(order)
        answers: dict[int, Answer] = {}
        ends_at_s = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            for index, (worker, _) in enumerate(orders):
                selector.register(worker, selectors.EVENT_READ, index)
            while len(answers) < len(orders):
                ready = selector.select(max(0.0, ends_at_s - time.monotonic()))
                if not ready and time.monotonic() >= ends_at_s:
                    late = [worker.name for i, (worker, _) in enumerate(orders) if i not in answers]
                    raise WorkerLostError(f"no answer of {', '.join(late)} within {timeout_s:g} s")
                for key, _ in ready:
                    worker, _ = orders[key.data]
                    if (answer := worker.hear()) is not None:
                        answers[key.data] = answer
                        selector.unregister(worker)
        return [answers[index] for index in range(len(orders))]

    def busy_s(self) -> float:
        """Processor time of all workers so far."""
        return sum(worker.busy_s() for worker in self._workers)

    def dismiss(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.let_go()
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.dismiss()
