"""Executors of units: in this process, or in local worker processes, any of which may be killed."""

from __future__ import annotations

import pickle
import signal
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from edgesim.runner.workers import end_process, end_with_parent, process_context
from edgesim.sweep.studies import Studies
from edgesim.sweep.unit import Failed, Outcome, Studied, Unit, work

__all__ = ["MOST_LOSSES", "Executor", "InProcess", "LocalProcesses"]

MOST_LOSSES = 3  # of worker processes while running one unit, before the unit counts as failed
_ENDS_WITHIN_S = 2.0


class Executor(Protocol):
    """Runs units. Used as a context manager; on exit nothing is left running."""

    @property
    def n_slots(self) -> int:
        """Number of units that may be submitted at a time."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None: ...

    def submit(self, unit: Unit) -> None:
        """Start a unit, or queue it."""

    def wait(self) -> Outcome:
        """Wait until any submitted unit ends, and return its outcome."""


class InProcess:
    """Runs one unit at a time, in this process."""

    n_slots = 1

    def __init__(self, studies: Studies) -> None:
        self._studies = studies
        self._begun: deque[Unit] = deque()
        self._at_hand: Studied | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._at_hand = None

    def submit(self, unit: Unit) -> None:
        """Queue a unit."""
        self._begun.append(unit)

    def wait(self) -> Outcome:
        """Run the next unit."""
        unit = self._begun.popleft()
        self._at_hand = _at_hand(self._studies.file(unit.cell), unit, self._at_hand)
        return work(self._at_hand, unit)


@dataclass
class _Worker:
    """Parent's handle on a worker process."""

    process: BaseProcess
    connection: Connection
    at: Unit | None = None

    def end(self) -> None:
        """End the process; by force if it is running a unit."""
        end_process(self.process, self.connection, is_at_work=self.at is not None)


class LocalProcesses:
    """Local worker processes. One that dies while running a unit is replaced, and the unit restarted.

    Parameters
    ----------
    jobs
        Number of processes.
    """

    def __init__(self, studies: Studies, jobs: int) -> None:
        self.n_slots = jobs
        self._studies = studies
        self._context = process_context(__name__)
        self._workers: list[_Worker] = []
        self._losses: Counter[Unit] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def submit(self, unit: Unit) -> None:
        """Send a unit to an idle worker, or start one; at most `n_slots` units may run at a time."""
        idle = [worker for worker in self._workers if worker.at is None]
        worker = idle[0] if idle else self._started()
        try:
            worker.connection.send((self._studies.file(unit.cell), unit))
        except (BrokenPipeError, ConnectionError):  # it was killed while it was idle
            self._workers.remove(worker)
            worker.end()
            self.submit(unit)
            return
        worker.at = unit

    def wait(self) -> Outcome:
        """Wait for any unit; if a worker is lost, only its own unit is restarted."""
        while True:
            busy = {worker.connection: worker for worker in self._workers if worker.at is not None}
            for ready in wait(list(busy)):
                worker = busy[ready]  # type: ignore[index]
                unit = worker.at
                assert unit is not None
                try:
                    outcome: Outcome = worker.connection.recv()
                except (EOFError, ConnectionError):
                    self._workers.remove(worker)
                    worker.process.join(_ENDS_WITHIN_S)
                    exitcode = worker.process.exitcode
                    worker.end()
                    self._losses[unit] += 1
                    if self._losses[unit] < MOST_LOSSES:
                        self.submit(unit)
                        continue
                    return Failed(
                        unit,
                        f"WorkerLostError: {MOST_LOSSES} processes ended while running this unit (exit code "
                        f"{exitcode}): they were killed, or ran out of memory; try fewer jobs",
                    )
                worker.at = None
                return outcome

    def _started(self) -> _Worker:
        own, its = self._context.Pipe()
        process: Any = self._context.Process(target=_live, args=(its,), daemon=True)
        process.start()
        its.close()
        worker = _Worker(process, own)
        self._workers.append(worker)
        return worker


def _live(connection: Connection) -> None:
    """Run units in a worker process until its parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # sent by a terminal to all processes; the parent decides
    end_with_parent()
    at_hand: Studied | None = None
    with suppress(EOFError, ConnectionError, KeyboardInterrupt):  # the parent has ended
        while True:
            file, unit = connection.recv()
            try:
                at_hand = _at_hand(file, unit, at_hand)
            except Exception as error:  # such as a strategy whose module this process cannot find
                connection.send(
                    Failed(unit, f"cannot be loaded in another process: {type(error).__name__}: {error}")
                )
                continue
            connection.send(work(at_hand, unit))


def _at_hand(file: Path, unit: Unit, last: Studied | None) -> Studied:
    if last is not None and last.cell == unit.cell:
        return last
    found: Studied = pickle.loads(file.read_bytes())
    return found
