"""A sweep from its plan to its folder: what is whole stays, what is left is worked at, wherever it is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edgesim.errors import InputError
from edgesim.runner.resuming import check_unchanged
from edgesim.sweep.axes import Axis, Cell
from edgesim.sweep.executors import Executor, InProcess, LocalProcesses
from edgesim.sweep.folder import SweepFolder, read_results
from edgesim.sweep.plans import Listed, Plan
from edgesim.sweep.reader import Sweep
from edgesim.sweep.studies import Preparing, Studies
from edgesim.sweep.unit import Failed, Outcome, Unit, Worked, results_file

__all__ = ["Asked", "Started", "Tell", "run_sweep"]

Started = Callable[[Studies], AbstractContextManager[Executor]]
"""Makes an executor of studies."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is swept.

    Attributes
    ----------
    axes, cells
        What is varied, and the combinations.
    n_replications
        Of each cell.
    preparing
        How cells become studies.
    options
        What else determines the data, for ``sweep.json``: it must be the same when the sweep is resumed.
    """

    axes: Sequence[Axis]
    cells: Sequence[Cell]
    n_replications: int
    preparing: Preparing
    options: Mapping[str, object] = field(default_factory=dict)


class Tell(Protocol):
    """Called of every unit that is done; `n_asked` is None where that is not known."""

    def __call__(self, unit: Unit, failed: str | None, n_asked: int | None) -> None: ...


def run_sweep(
    asked: Asked,
    out: Path,
    *,
    jobs: int = 1,
    executor: Started | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    tell: Tell | None = None,
    remark: Callable[[str], None] | None = None,
) -> Sweep:
    """Work at all units of a sweep, and write its folder.

    Parameters
    ----------
    out
        The folder; it is made once nothing can be refused any more.
    jobs
        Processes that share the work, where no `executor` is given. The data are the same to the byte for
        any number, and for any executor.
    resume
        Whether to go on with a sweep in `out`: whole units stay.
    retry_failed
        Whether units that came to nothing before are run again.
    tell
        Called for each unit that is done, also for those that are whole already.
    remark
        Called with each remark about the studies.

    Raises
    ------
    InputError
        For all that can be known to be wrong before anything runs, of all cells at once; if `out` cannot be
        used, or holds something else than what is asked.
    """
    if jobs < 1:
        raise InputError(f"jobs: expected at least 1 process, got {jobs}")
    with tempfile.TemporaryDirectory(prefix="edgesim-sweep-") as there:
        studies = Studies(asked.preparing, asked.axes, Path(there))
        studies.add(asked.cells)
        if remark is not None:
            for each in studies.remarks:
                remark(each)
        plan = Listed(asked.cells, asked.n_replications)
        folder = SweepFolder(out, resume=resume)
        with folder.held(resume=resume):
            _Run(asked, plan, studies, folder, tell).go(
                executor or _local(jobs), resume=resume, retry_failed=retry_failed
            )
    return Sweep(out)


def _local(jobs: int) -> Started:
    return lambda studies: InProcess(studies) if jobs == 1 else LocalProcesses(studies, jobs)


@dataclass
class _Run:
    """A sweep under way."""

    asked: Asked
    plan: Plan
    studies: Studies
    folder: SweepFolder
    tell: Tell | None

    def go(self, executor: Started, *, resume: bool, retry_failed: bool) -> None:
        if resume:
            check_unchanged(self.folder.path, Sweep(self.folder.path).record, self._facts("running"))
        began_s = time.perf_counter()
        try:
            if resume:
                self._take_up(retry_failed)
            self.studies.save_profiles(self.folder.path / "profiles")
            self.folder.write_record(self._facts("running"))
            with executor(self.studies) as working:
                self._work(working)
            for unit in self.plan.unasked():
                self.folder.drop(unit)
        except BaseException as error:
            status = f"failed: {type(error).__name__}: {error}" if isinstance(error, Exception) else "stopped"
            self.folder.write_record(self._facts(status))
            raise
        took = {"simulating_took_s": round(time.perf_counter() - began_s, 3)}
        self.folder.write_record(self._facts("complete") | took)

    def _take_up(self, retry_failed: bool) -> None:
        """Let the plan know what an earlier sweep has left, and remove what it has left of nothing."""
        for unit in self.folder.whole():
            self._found(unit, self.folder.results(unit))
        for unit, failed in self.folder.failed().items():
            if retry_failed:
                self.folder.drop(unit)
            else:
                self._found(unit, None, failed.reason)

    def _work(self, executor: Executor) -> None:
        begun: set[Unit] = set()
        while True:
            while len(begun) < executor.n_slots and (unit := self.plan.next(executor.n_slots)) is not None:
                executor.submit(unit)
                begun.add(unit)
            if not begun:
                return
            outcome = executor.wait()
            begun.discard(outcome.unit)
            self._done(outcome)

    def _done(self, outcome: Outcome) -> None:
        self.folder.keep(outcome)
        if isinstance(outcome, Failed):
            self._found(outcome.unit, None, outcome.reason)
        else:
            assert isinstance(outcome, Worked)
            self._found(outcome.unit, read_results(outcome.files[results_file(outcome.unit)]))

    def _found(self, unit: Unit, results: Any, reason: str | None = None) -> None:
        if self.plan.found(unit, results) and self.tell is not None:
            self.tell(unit, reason, self.asked.n_replications * len(self.asked.cells))

    def _facts(self, status: str) -> dict[str, object]:
        asked = self.asked
        return {
            **self.studies.facts,
            "status": status,
            "strategies": list(self.studies.labels),
            "replications": asked.n_replications,
            "axes": [
                {
                    "label": axis.label,
                    "path": axis.path,
                    "values": list(axis.values),
                    "changes": [list(changes) for changes in axis.changes],
                }
                for axis in asked.axes
            ],
            "keep": asked.preparing.keep,
            **asked.options,
            "n_units": len(asked.cells) * asked.n_replications,
            "cells": {str(number): told for number, told in self.studies.told.items()},
        }
