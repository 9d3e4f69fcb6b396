"""Executor of units on a Dask cluster, whose workers share no files with this process.

SLURM, Kubernetes and the like start such clusters with Dask's own deployers (dask-jobqueue, dask-kubernetes);
only the address of the scheduler is needed here.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from edgesim.errors import InputError
from edgesim.runner.provenance import versions
from edgesim.sweep.executors import MOST_LOSSES
from edgesim.sweep.studies import Studies
from edgesim.sweep.unit import Failed, Outcome, Unit, work_packed

__all__ = ["OnDask", "local_workers"]

_LOCAL = "local:"
_AHEAD = 2  # units submitted per worker thread, so that no thread idles waiting for this process
_MOST_STUDIES = 64  # kept in the cluster's memory
_ANSWERS_WITHIN_S = 15.0
_LOOKED_EVERY_S = 5.0


class OnDask:
    """The workers of a Dask cluster. When one is lost, Dask gives its units, and no others, to other workers.

    Parameters
    ----------
    address
        Address of a scheduler, such as ``tcp://10.0.0.1:8786``.
    n_local
        If positive, start a cluster of that many workers on this machine instead.

    Raises
    ------
    InputError
        On entering the context, if Dask is not installed or no scheduler answers.
    """

    def __init__(self, studies: Studies, address: str, n_local: int) -> None:
        self._studies = studies
        self._address = address
        self._n_local = n_local
        self._run = uuid.uuid4().hex[:12]  # part of task names, since two sweeps may share a cluster
        self._at_hand: dict[int, Any] = {}
        self._units: dict[str, Unit] = {}
        self._futures: dict[str, Any] = {}
        self._n_threads, self._looked_at_s = 0, float("-inf")
        self._cluster: Any = None
        self._client: Any = None
        self._completed: Any = None

    @property
    def n_slots(self) -> int:
        """Number of units that may be submitted at a time, given the workers connected now."""
        if time.monotonic() > self._looked_at_s + _LOOKED_EVERY_S:
            with self._reached():
                self._n_threads = sum(self._client.ncores().values())
            self._looked_at_s = time.monotonic()
        return max(_AHEAD, _AHEAD * self._n_threads)

    def __enter__(self) -> Self:
        try:
            import distributed
        except ImportError:
            raise InputError(
                "--dask: needs Dask, which is not installed; pip install 'edgesim[dask]'"
            ) from None
        try:
            if self._n_local:
                self._cluster = distributed.LocalCluster(
                    n_workers=self._n_local, threads_per_worker=1, dashboard_address=None
                )
            self._client = distributed.Client(self._cluster or self._address, timeout=_ANSWERS_WITHIN_S)
        except (OSError, ValueError) as error:  # TimeoutError is one
            self.__exit__(None, None, None)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"--dask {self._address}: no scheduler answers there ({reason}); expected an address such as "
                "tcp://10.0.0.1:8786, or local:2"
            ) from None
        self._completed = distributed.as_completed([])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._client is not None:
            if self._futures:
                self._client.cancel(list(self._futures.values()))
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def submit(self, unit: Unit) -> None:
        """Submit a unit. Its study is sent to the cluster once, as a task that Dask can repeat."""
        key = f"edgesim-unit-{self._run}-{unit.cell}-{unit.replication}"
        with self._reached():
            future = self._client.submit(_work, self._study(unit.cell), unit, versions(), key=key, pure=False)
        self._units[key], self._futures[key] = unit, future
        self._completed.add(future)

    def wait(self) -> Outcome:
        """Wait until any submitted unit ends, and return its outcome."""
        from distributed.scheduler import KilledWorker

        future = next(self._completed)
        unit = self._units.pop(future.key)
        del self._futures[future.key]
        try:
            with self._reached():
                outcome: Outcome = future.result()
        except KilledWorker:
            return Failed(
                unit,
                f"WorkerLostError: more than {MOST_LOSSES} workers ended while running this unit: they were "
                "killed, or ran out of memory; give them more memory",
            )
        except (ImportError, AttributeError) as error:
            raise InputError(
                f"--dask {self._address}: a worker cannot load the study it is to run ({error}); install the "
                "same edgesim, with the same strategies, where workers run"
            ) from None
        return outcome

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Replace errors of a lost scheduler, with which all submitted units are lost, by one sentence."""
        try:
            yield
        except (CancelledError, OSError) as error:  # a lost connection cancels submitted units
            raise InputError(
                f"--dask {self._address}: the scheduler is gone ({type(error).__name__}); complete units "
                "are kept: start the scheduler again, and continue with --resume"
            ) from None

    def _study(self, cell: int) -> Any:
        if cell not in self._at_hand:
            if len(self._at_hand) >= _MOST_STUDIES:
                self._at_hand.pop(next(iter(self._at_hand)))  # unfinished units keep a reference to it
            key = f"edgesim-study-{self._run}-{cell}-{uuid.uuid4().hex[:8]}"
            self._at_hand[cell] = self._client.submit(_same, self._studies.pickled(cell), key=key, pure=False)
        return self._at_hand[cell]


def _same(packed: bytes) -> bytes:
    """Return the study unchanged: a task that Dask repeats if the worker that stores its result is lost."""
    return packed


def _work(packed: bytes, unit: Unit, expected: dict[str, str]) -> Outcome:
    """Run a unit on a worker, whose package versions must equal those of the submitting process."""
    found = versions()
    for name in ("edgesim", "simpy", "numpy", "pyarrow"):
        if found.get(name) != expected.get(name):
            raise InputError(
                f"--dask: a worker has {name} {found.get(name)}, but this process {expected.get(name)}; the "
                "data could differ: install the same versions"
            )
    return work_packed(packed, unit)


def local_workers(address: str) -> int:
    """Return how many local workers an address such as ``local:2`` requests; 0 for a scheduler's address.

    Raises
    ------
    InputError
        If the number is missing or 0.
    """
    if not address.startswith(_LOCAL):
        return 0
    number = address.removeprefix(_LOCAL)
    if not number.isdecimal() or not int(number):
        raise InputError(f"--dask {address}: expected a number of processes from 1, such as local:2")
    return int(number)
