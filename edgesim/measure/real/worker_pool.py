"""Start and command worker processes: one order per line, one answer per line, both in JSON.

A worker ends when its standard input closes, and therefore with the process that started it, however that
ends. This module does not import torch.
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

_END_S = 2.0  # time for a worker to end by itself
_TAIL_BYTES = 2000  # of a lost worker's last output
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def free_cores() -> tuple[int, ...]:
    """Return the numbers of the cores that this process may use; where unknown, those of all cores."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


class Worker:
    """A process pinned to one core, with one computing thread."""

    def __init__(self, name: str, core: int) -> None:
        self.name = name
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
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
            stderr=self._errors,
            env=environment,
        )
        self._received = b""

    def order(self, order: Order) -> None:
        """Send an order.

        Raises
        ------
        WorkerLostError
            If the process has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(dict(order)).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._lost() from None

    def fileno(self) -> int:
        """Return the file descriptor of the worker's answers."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def receive(self) -> Answer | None:
        """Read available output; return an answer once it is complete, else None.

        Raises
        ------
        InputError
            If the worker refused its order.
        WorkerLostError
            If the process has ended or failed.
        """
        part = os.read(self.fileno(), 1 << 16)
        if not part:
            raise self._lost()
        self._received += part
        line, newline, rest = self._received.partition(b"\n")
        if not newline:
            return None
        self._received = rest
        answer: Answer = json.loads(line)
        if "refused" in answer:
            raise InputError(str(answer["refused"]))
        if "failed" in answer:
            raise WorkerLostError(f"worker process {self.name!r} failed: {answer['failed']}")
        return answer

    def end(self) -> None:
        """End the process and wait for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):  # unsent output, which nothing reads any more
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def busy_s(self) -> float:
        """Return the processor time so far [s]."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def let_go(self) -> None:
        """Ask the process to end, without waiting for it."""
        if self._process.poll() is None:
            self._process.terminate()

    def _lost(self) -> WorkerLostError:
        try:
            status: int | str = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            status = "unknown"
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _TAIL_BYTES))
        last = self._errors.read().decode(errors="replace").strip()
        return WorkerLostError(
            f"worker process {self.name!r} ended (exit status {status}) in the middle of its work"
            + (f"; last output: {last}" if last else "; if memory was short, choose a smaller model")
        )


class Crew:
    """Worker processes that end when the context is left."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []

    def hire(self, name: str, core: int) -> Worker:
        """Start another worker."""
        worker = Worker(name, core)
        self._workers.append(worker)
        return worker

    def ask(self, orders: Sequence[tuple[Worker, Order]], *, timeout_s: float) -> list[Answer]:
        """Send orders to several workers, and wait for an answer from each; return them in the same order.

        Raises
        ------
        WorkerLostError
            If one of them has ended, failed, or does not answer in time.
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
                    raise WorkerLostError(f"no answer from {', '.join(late)} within {timeout_s:g} s")
                for key, _ in ready:
                    worker, _ = orders[key.data]
                    if (answer := worker.receive()) is not None:
                        answers[key.data] = answer
                        selector.unregister(worker)
        return [answers[index] for index in range(len(orders))]

    def busy_s(self) -> float:
        """Return the processor time of all workers so far [s]."""
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
