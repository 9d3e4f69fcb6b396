"""Worker processes that share the runs of a study, each a replication at a time."""

from __future__ import annotations

import io
import operator
import os
import pickle
import signal
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from edgesim.errors import EdgesimError, InputError, WorkerLostError
from edgesim.runner.prepared import Prepared, Ran
from edgesim.runner.simulating import simulated

__all__ = ["leave_with_parent", "packed", "process_context", "shared_out"]

_ENDS_WITHIN_S = 2.0  # a worker that was asked to end, before it is killed


def shared_out(prepared: Prepared, out: Path, left: Sequence[tuple[str, int]], jobs: int) -> Iterator[Ran]:
    """Simulate runs of a study in worker processes, and tell of each as it ends.

    The study travels once to each worker. A worker takes a replication and keeps its world until all of its
    strategies are done; one that finds no replication left helps with one that is under way, whose world it
    then builds for itself. The bytes of a trace depend on none of it.
    """
    studied = packed((prepared, out))
    waiting = _Waiting(left)
    context = process_context()
    workers: dict[Connection, _Worker] = {}
    try:
        for _ in range(jobs):
            worker = _Worker.started(context, studied)
            workers[worker.connection] = worker
        for worker in workers.values():
            worker.take(waiting)
        while any(worker.at is not None for worker in workers.values()):
            for ready in wait(
                [connection for connection, worker in workers.items() if worker.at is not None]
            ):
                worker = workers[ready]  # type: ignore[index]
                yield worker.done()
                worker.take(waiting)
    finally:  # also on an error and on Ctrl-C: what has not begun is not begun
        for worker in workers.values():
            worker.end()


class _Waiting:
    """The runs that have not begun, replication by replication."""

    def __init__(self, left: Sequence[tuple[str, int]]) -> None:
        self._labels: dict[int, list[str]] = {}
        for label, replication in left:
            self._labels.setdefault(replication, []).append(label)
        self._begun: set[int] = set()

    def next(self, replication: int | None) -> tuple[str, int] | None:
        """The next run for a worker that has the world of a replication at hand; None where none is left."""
        if replication is None or not self._labels[replication]:
            fresh = [
                number for number, labels in self._labels.items() if labels and number not in self._begun
            ]
            most = max(self._labels, key=lambda number: len(self._labels[number]))
            replication = fresh[0] if fresh else most
        self._begun.add(replication)
        left = self._labels[replication]
        return (left.pop(0), replication) if left else None


@dataclass
class _Worker:
    """A worker process, from its parent's side."""

    process: BaseProcess
    connection: Connection
    at: tuple[str, int] | None = None
    replication: int | None = None

    @classmethod
    def started(cls, context: Any, studied: bytes) -> _Worker:
        """Start one, and hand the study over."""
        own, its = context.Pipe()
        process = context.Process(target=_work, args=(its,), daemon=True)
        process.start()
        its.close()
        own.send_bytes(studied)
        return cls(process, own)

    def take(self, waiting: _Waiting) -> None:
        """Begin the next run, if there is one."""
        self.at = waiting.next(self.replication)
        if self.at is not None:
            self.replication = self.at[1]
            self.connection.send(self.at)

    def done(self) -> Ran:
        """What it has done; what went wrong there goes wrong here."""
        assert self.at is not None
        label, replication = self.at
        try:
            answer, where = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join(_ENDS_WITHIN_S)
            raise WorkerLostError(
                f"the process that simulated {label!r}, replication {replication}, ended in the middle of it "
                f"(exit code {self.process.exitcode}): it was killed, or ran out of memory; what was "
                "finished is kept: go on with 'resume', with fewer jobs if memory is short"
            ) from None
        if isinstance(answer, BaseException):
            raise answer from None if isinstance(answer, InputError) else _RemoteError(where)
        assert isinstance(answer, Ran)
        return answer

    def end(self) -> None:
        """Let it go: at once if it is idle, by force if it is at work."""
        self.connection.close()
        if self.at is not None:
            self.process.terminate()
        self.process.join(_ENDS_WITHIN_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class _RemoteError(Exception):
    """The traceback of what went wrong in a worker, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def process_context(module: str = __name__) -> Any:
    """How processes are made: by a server without threads where the system has it, else from nothing.

    The server loads `module` once for all of them.

    Not forked from this process: measuring may have left threads behind, and threads do not survive a fork.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["__main__", module])
    return context


def _work(connection: Connection) -> None:
    """A worker's life: the study first, then run after run until its parent has no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches all processes of a terminal; the parent decides
    leave_with_parent()
    with suppress(EOFError, ConnectionError, KeyboardInterrupt):  # its parent is gone
        prepared, out = pickle.loads(connection.recv_bytes())
        while True:
            label, replication = connection.recv()
            connection.send(_answer(prepared, out, label, replication))


def _answer(prepared: Prepared, out: Path, label: str, replication: int) -> tuple[object, str]:
    try:
        return simulated(prepared, out, label, replication), ""
    except Exception as error:  # it is raised where the run was asked for
        where = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an author's own exception may not travel
            return EdgesimError(f"{type(error).__name__}: {error}"), where
        return error, where


def leave_with_parent() -> None:
    """Let a worker end when its parent is killed, instead of working on in vain."""
    parent = parent_process()
    if parent is not None:
        watch = Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True)
        watch.start()


def packed(value: object) -> bytes:
    """A study, with whatever goes along, as it travels between processes; ``pickle.loads`` unpacks it.

    Raises
    ------
    InputError
        If a part of it cannot travel.
    """
    stream = io.BytesIO()
    try:
        _Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"jobs: a part of this study cannot be handed to other processes ({error}); run it in this one, "
            "or define its classes in a module"
        ) from error
    return stream.getvalue()


class _Pickler(pickle.Pickler):
    """Knows read-only mappings, and models whose type is a parameter, which pickle by itself does not."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, MappingProxyType):
            return _read_only, (dict(value),)
        if isinstance(value, type) and issubclass(value, BaseModel):
            generic = value.__pydantic_generic_metadata__
            if generic["origin"] is not None:
                return operator.getitem, (generic["origin"], generic["args"])
        return NotImplemented


def _read_only(mapping: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(mapping)
