"""Worker processes that simulate the runs of a study in parallel."""

from __future__ import annotations

import ctypes
import io
import operator
import os
import pickle
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread, active_count, current_thread, main_thread
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel

from edgesim.errors import EdgesimError, InputError, WorkerLostError
from edgesim.runner.prepared import Prepared, RunFinished
from edgesim.runner.simulating import simulate_to_folder

__all__ = ["end_process", "end_with_parent", "pickled", "process_context", "simulated_in_workers"]

_ENDS_WITHIN_S = 2.0  # time for a worker to end before it is killed
_ENDING = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG = 1  # prctl(2)
_MAPPED = Path("/proc/self/maps")
_THREADS = Path("/proc/self/task")
_BLAS_THREAD_COUNTS = tuple(
    f"{prefix}openblas_get_num_threads{suffix}" for prefix in ("", "scipy_") for suffix in ("", "64_", "_64_")
)
_FORK_SAFE = frozenset(
    (
        *("_cvxcore", "_ruamel_yaml", "charset_normalizer", "clarabel", "cvxpy", "highspy", "markupsafe"),
        *("numpy", "osqp", "pandas", "psutil", "pyarrow", "pydantic_core", "qdldl", "safetensors", "scipy"),
        "scs",
    )
)
"""Packages that start no threads on import, or only threads with fork handlers, such as OpenBLAS (numpy,
scipy, scs) and Arrow's memory pool. Threads that a solver (Clarabel, HiGHS) has started later are counted."""
_HIGHS = (("highspy", "Highs"), ("scipy.optimize._highspy._core", "_Highs"))
"""Modules and classes of the copies of HiGHS, which keeps threads after a solve and has no fork handler."""


class _Task(NamedTuple):
    """A worker's task: the study, the trace's folder, and the sampling interval of counters [s], if any."""

    prepared: Prepared
    out: Path
    counters_s: float | None


def simulated_in_workers(
    prepared: Prepared,
    out: Path,
    left: Sequence[tuple[str, int]],
    jobs: int,
    counters_s: float | None = None,
) -> Iterator[RunFinished]:
    """Simulate runs of a study in worker processes, and yield a report of each as it ends.

    Workers are forked from this process if that is safe, and then share its imports and cached values.
    Otherwise the study is sent once to each. A worker takes a replication and keeps its world until all of
    its strategies are done; if no replication is left, it takes strategies of one in progress, whose world it
    builds itself. The bytes of a trace do not depend on any of this.
    """
    task = _Task(prepared, out, counters_s)
    waiting = _Waiting(left)
    workers: dict[Connection, _Worker] = {}
    _end_threads_of_highs()
    start = _forking(task) if _can_fork() else _served(task)
    try:
        with _ending_later():
            for _ in range(jobs):
                worker = start(tuple(workers))
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
    finally:  # also on an error and on Ctrl-C: runs that have not started are dropped
        for worker in workers.values():
            worker.end()


@contextmanager
def _ending_later() -> Iterator[None]:
    """Defer SIGINT and SIGTERM until all workers are registered; each unblocks them when it is ready."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    except OSError as error:
        raise EdgesimError(
            f"jobs: no further process can be started ({error.strerror or error}); use fewer jobs"
        ) from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Waiting:
    """Queue of the runs that have not started, by replication."""

    def __init__(self, left: Sequence[tuple[str, int]]) -> None:
        self._labels: dict[int, list[str]] = {}
        for label, replication in left:
            self._labels.setdefault(replication, []).append(label)
        self._begun: set[int] = set()

    def next(self, replication: int | None) -> tuple[str, int] | None:
        """Return the next run for a worker that has the world of `replication`; None if none is left."""
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
    """Parent-side handle of a worker process."""

    process: BaseProcess
    connection: Connection
    at: tuple[str, int] | None = None
    replication: int | None = None

    def take(self, waiting: _Waiting) -> None:
        """Start the next run, if there is one."""
        self.at = waiting.next(self.replication)
        if self.at is not None:
            self.replication = self.at[1]
            self.connection.send(self.at)

    def done(self) -> RunFinished:
        """Return the worker's report; an exception in the worker is raised here."""
        assert self.at is not None
        label, replication = self.at
        try:
            answer, where = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join(_ENDS_WITHIN_S)
            raise WorkerLostError(
                f"the process that simulated {label!r}, replication {replication}, ended before it finished "
                f"(exit code {self.process.exitcode}): it was killed, or ran out of memory; finished runs "
                "are kept: continue with 'resume', with fewer jobs if memory is short"
            ) from None
        if isinstance(answer, BaseException):
            raise answer from None if isinstance(answer, InputError) else _RemoteError(where)
        assert isinstance(answer, RunFinished)
        return answer

    def end(self) -> None:
        """End the worker: normally if it is idle, by termination if it is running."""
        end_process(self.process, self.connection, is_at_work=self.at is not None)


def end_process(process: BaseProcess, connection: Connection, *, is_at_work: bool) -> None:
    """End a worker: normally if it is idle; terminate it if it is running, kill it if it takes too long."""
    connection.close()
    if is_at_work:
        process.terminate()
    process.join(_ENDS_WITHIN_S)
    if process.is_alive():
        process.kill()
        process.join()


class _RemoteError(Exception):
    """Traceback of an exception in a worker, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _can_fork() -> bool:
    """Whether this process can be forked safely.

    Threads do not survive a fork, and their locks stay locked. So no other Python thread may be running, no
    library with waiting worker threads (torch, OpenMP, TBB, polars) may be loaded, and no native threads may
    exist except those with fork handlers.
    """
    if sys.platform != "linux" or active_count() > 1 or current_thread() is not main_thread():
        return False
    if not _MAPPED.is_file():
        return False
    libraries = _libraries(_MAPPED.read_text(errors="replace"))
    return all(map(_is_fork_safe, libraries)) and _native_threads() <= 1 + sum(map(_blas_threads, libraries))


def _native_threads() -> int:
    """Return the number of threads of this process, without that of Arrow's memory pool."""
    names = [(task / "comm").read_text().strip() for task in _THREADS.iterdir()]
    return sum(name != "jemalloc_bg_thd" for name in names)


def _blas_threads(library: str) -> int:
    """Return the number of a library's threads if it is an OpenBLAS, which restarts them around a fork."""
    if "openblas" not in library:
        return 0
    loaded = ctypes.CDLL(library)
    for name in _BLAS_THREAD_COUNTS:
        if hasattr(loaded, name):
            return max(0, int(getattr(loaded, name)()) - 1)
    return 0


def _end_threads_of_highs() -> None:
    """Reset HiGHS's scheduler, so that it restarts its threads; a forked child would wait for lost ones."""
    for module, name in _HIGHS:
        solver = getattr(sys.modules.get(module), name, None)
        if solver is not None and hasattr(
            solver, "resetGlobalScheduler"
        ):  # threads of older versions are counted like those of any library
            solver.resetGlobalScheduler(True)


def _libraries(maps: str) -> set[str]:
    """Return the paths of a process's loaded shared libraries, from the text of its ``maps`` (proc(5))."""
    last = (line.split(maxsplit=5)[5:] for line in maps.splitlines())
    return {path for path in chain.from_iterable(last) if re.search(r"\.so(\.|$)", path)}


def _is_fork_safe(library: str) -> bool:
    """Whether a library is known to have no threads, or to handle them in a fork."""
    package = re.search(r"/(?:site|dist)-packages/([^/.]+)", library)
    if package is not None:
        return package[1] in _FORK_SAFE
    of_system = library.startswith(("/lib", "/usr/lib", "/usr/local/lib", sys.base_prefix, sys.prefix))
    return of_system and re.search(r"lib[a-z]*omp|tbb|cuda", library.rpartition("/")[2]) is None


def _forking(task: _Task) -> Callable[[tuple[Connection, ...]], _Worker]:
    """Return a function that forks a worker from this process, which inherits the study."""
    context = get_context("fork")

    def start(of_others: tuple[Connection, ...]) -> _Worker:
        own, its = context.Pipe()
        process = context.Process(
            target=_forked, args=(its, (own, *of_others), os.getpid(), task), daemon=True
        )
        with warnings.catch_warnings():  # Python 3.12 also warns about the threads of numpy and Arrow
            warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
            process.start()
        its.close()
        return _Worker(process, own)

    return start


def _served(task: _Task) -> Callable[[tuple[Connection, ...]], _Worker]:
    """Return a function that starts a worker without shared memory and sends it the pickled study."""
    study, context = pickled(task), process_context()

    def start(of_others: tuple[Connection, ...]) -> _Worker:
        del of_others  # not inherited
        own, its = context.Pipe()
        process = context.Process(target=_handed, args=(its,), daemon=True)
        process.start()
        its.close()
        own.send_bytes(study)
        return _Worker(process, own)

    return start


def process_context(module: str = __name__) -> Any:
    """Return a context for processes without shared memory: a fork server if available, else spawn.

    The server imports `module` once for all of them.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["__main__", module])
    return context


def _forked(connection: Connection, of_parent: Iterable[Connection], parent: int, task: _Task) -> None:
    """Run a worker that has inherited the study."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))  # end with the parent
    if os.getppid() != parent:
        os._exit(1)
    for inherited in of_parent:  # else no worker would detect its parent's end
        inherited.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent's signal handlers are not for workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    _work(connection, lambda: task)


def _handed(connection: Connection) -> None:
    """Run a worker that receives the pickled study."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # sent to all processes of a terminal; the parent handles it
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    end_with_parent()
    _work(connection, lambda: pickle.loads(connection.recv_bytes()))


def _work(connection: Connection, task: Callable[[], _Task]) -> None:
    """Get the study, then simulate runs until the parent closes the connection."""
    with suppress(EOFError, ConnectionError, KeyboardInterrupt):  # the parent has ended
        prepared, out, counters_s = task()
        while True:
            label, replication = connection.recv()
            connection.send(_answer(prepared, out, label, replication, counters_s))


def _answer(
    prepared: Prepared, out: Path, label: str, replication: int, counters_s: float | None
) -> tuple[object, str]:
    try:
        return simulate_to_folder(prepared, out, label, replication, counters_s), ""
    except Exception as error:  # raised again in the parent
        where = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # a user-defined exception may not be picklable
            return EdgesimError(f"{type(error).__name__}: {error}"), where
        return error, where


def end_with_parent() -> None:
    """End this worker when its parent is killed."""
    parent = parent_process()
    if parent is not None:
        watch = Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True)
        watch.start()


def pickled(value: object) -> bytes:
    """Pickle a study or a task for other processes; ``pickle.loads`` restores it.

    Raises
    ------
    InputError
        If a part of it cannot be pickled.
    """
    stream = io.BytesIO()
    try:
        _Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"jobs: a part of this study cannot be sent to other processes ({error}); use one job, or define "
            "its classes in a module"
        ) from error
    return stream.getvalue()


class _Pickler(pickle.Pickler):
    """Pickler that also supports read-only mappings and parametrised generic models."""

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
