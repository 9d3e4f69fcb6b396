"""Run or resume a sweep: keep complete units, run the remaining ones, and write the folder."""

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
from edgesim.sweep.capacity import CapacityPlan, Search, capacity_axis
from edgesim.sweep.executors import Executor, InProcess, LocalProcesses
from edgesim.sweep.folder import SweepFolder, read_results
from edgesim.sweep.on_dask import OnDask, local_workers
from edgesim.sweep.plans import Listed, Plan
from edgesim.sweep.precision import Precision, Sequential
from edgesim.sweep.reader import Sweep
from edgesim.sweep.studies import Preparing, Studies
from edgesim.sweep.unit import Failed, Outcome, Unit, Worked, results_file

__all__ = ["OnProgress", "SweepDefinition", "run_sweep"]

_Started = Callable[[Studies], AbstractContextManager[Executor]]
"""Makes an executor for the given studies."""


@dataclass(frozen=True, kw_only=True)
class SweepDefinition:
    """Definition of a sweep.

    Attributes
    ----------
    axes, cells
        The varied quantities, and their combinations.
    n_replications
        Per cell; None: the scenario's number.
    preparing
        How cells become studies.
    precision
        If given, add replications until it is reached; `n_replications` is then the greatest number.
    capacity, label
        If given, search for the capacity in each of the `cells`, which do not set the searched value, with
        `n_replications` per evaluated load. `label` names the searched axis.
    """

    axes: Sequence[Axis]
    cells: Sequence[Cell]
    n_replications: int | None
    preparing: Preparing
    precision: Precision | None = None
    capacity: Search | None = None
    label: str = ""


class OnProgress(Protocol):
    """Callback for every finished unit; `n_asked` is None while the total is unknown."""

    def __call__(self, unit: Unit, failed: str | None, n_asked: int | None, /) -> None: ...


def run_sweep(
    asked: SweepDefinition,
    out: Path,
    *,
    jobs: int = 1,
    dask: str | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    on_progress: OnProgress | None = None,
    remark: Callable[[str], None] | None = None,
) -> Sweep:
    """Run all units of a sweep and write its folder.

    Parameters
    ----------
    out
        The folder; made only after all checks have passed.
    jobs
        Number of worker processes. The data are byte-identical for any number.
    dask
        Address of a Dask scheduler to use instead, or ``local:2``; the data are the same.
    resume
        Whether to continue the sweep in `out`, keeping its complete units.
    retry_failed
        Whether to run units again that failed before.
    on_progress
        Called for each finished unit, including those that were already complete.
    remark
        Called with each remark about the studies.

    Raises
    ------
    InputError
        For every error detectable before the first run, of all cells together; or if `out` cannot be
        used, or contains anything other than this sweep.
    """
    if jobs < 1:
        raise InputError(f"jobs: expected at least 1 process, got {jobs}")
    start = _started(jobs, dask)
    with tempfile.TemporaryDirectory(prefix="edgesim-sweep-") as there:
        if asked.capacity is not None:
            plan: Plan = CapacityPlan(asked.capacity, asked.cells, asked.n_replications or 0)
            axes = [*asked.axes, capacity_axis(asked.capacity, asked.label, ())]
        else:
            plan, axes = Listed((), 0), list(asked.axes)
        studies = Studies(asked.preparing, axes, Path(there))
        studies.add(plan.first if isinstance(plan, CapacityPlan) else asked.cells)
        n_replications = asked.n_replications or studies.n_replications
        if asked.precision is not None:
            plan = Sequential(asked.cells, asked.precision)
        elif asked.capacity is None:
            plan = Listed(asked.cells, n_replications)
        elif asked.capacity.goal.metric in ("attainment", "goodput_per_s") and not studies.has_objectives:
            raise InputError(
                "--capacity: the scenario has no objectives, so none can be met; give it objectives (--set "
                "objectives.e2e='1 s'), or a limit on a metric (--meets)"
            )
        if remark is not None:
            for each in studies.remarks:
                remark(each)
        folder = SweepFolder(out, resume=resume)
        with folder.locked(resume=resume):
            _Run(asked, n_replications, plan, studies, folder, on_progress).go(
                start, resume=resume, retry_failed=retry_failed
            )
    return Sweep(out)


def _started(jobs: int, dask: str | None) -> _Started:
    if dask is not None:
        if jobs != 1:
            raise InputError("--jobs: with --dask, its workers share the work; leave one of them out")
        n_local = local_workers(dask)
        return lambda studies: OnDask(studies, dask, n_local)
    return lambda studies: InProcess(studies) if jobs == 1 else LocalProcesses(studies, jobs)


@dataclass
class _Run:
    """A sweep being run."""

    asked: SweepDefinition
    n_replications: int
    plan: Plan
    studies: Studies
    folder: SweepFolder
    on_progress: OnProgress | None
    before: Mapping[str, Any] = field(default_factory=dict)
    """The cells of the sweep being resumed, as recorded in ``sweep.json``."""

    def go(self, executor: _Started, *, resume: bool, retry_failed: bool) -> None:
        if resume:
            before, now = Sweep(self.folder.path).record, self._facts("running")
            check_unchanged(self.folder.path, _asked_for(before), _asked_for(now))
            self.before = before["cells"]
            self._check_cells()
            if isinstance(self.plan, CapacityPlan):
                self.plan.reuse_numbers(self.before)
        began_s = time.perf_counter()
        try:
            if resume:
                self._take_up(retry_failed)
            self.studies.save_profiles(self.folder.path / "profiles")
            self.folder.write_record(self._facts("running"))
            with executor(self.studies) as working:
                self._work(working)
            for unit in self.plan.not_needed():
                self.folder.drop(unit)
        except BaseException as error:
            status = f"failed: {type(error).__name__}: {error}" if isinstance(error, Exception) else "stopped"
            self.folder.write_record(self._facts(status))
            if isinstance(error, InputError) and not resume:
                self.folder.abandon()
            raise
        took = {"simulating_took_s": round(time.perf_counter() - began_s, 3)}
        self.folder.write_record(self._facts("complete") | took)

    def _take_up(self, retry_failed: bool) -> None:
        """Pass an earlier sweep's outcomes to the plan, or remove its failed units to retry them."""
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
            if fresh := self.plan.fresh():
                self.studies.add(fresh)
                self._check_cells()
                self.folder.write_record(self._facts("running"))
            while len(begun) < executor.n_slots and (unit := self.plan.next()) is not None:
                executor.submit(unit)
                begun.add(unit)
            if not begun:
                return
            outcome = executor.wait()
            begun.discard(outcome.unit)
            self._done(outcome)

    def _check_cells(self) -> None:
        """Raise if a cell of the earlier sweep differs from the cell of the same number now."""
        both = [number for number in map(str, self.studies.identities) if number in self.before]
        before = {number: self.before[number] for number in both}
        now = {number: self.studies.identities[int(number)] for number in both}
        check_unchanged(self.folder.path, {"cells": before}, {"cells": now})

    def _done(self, outcome: Outcome) -> None:
        self.folder.keep(outcome)
        if isinstance(outcome, Failed):
            self._found(outcome.unit, None, outcome.reason)
        else:
            assert isinstance(outcome, Worked)
            self._found(outcome.unit, read_results(outcome.files[results_file(outcome.unit)]))

    def _found(self, unit: Unit, results: Any, reason: str | None = None) -> None:
        if self.plan.record(unit, results) and self.on_progress is not None:
            self.on_progress(unit, reason, self.plan.n_asked())

    def _facts(self, status: str) -> dict[str, object]:
        asked = self.asked
        return {
            **self.studies.facts,
            "status": status,
            "strategies": list(self.studies.labels),
            "replications": self.n_replications,
            "axes": [
                {
                    "label": axis.label,
                    "path": axis.path,
                    "values": list(axis.values),
                    "changes": [list(changes) for changes in axis.changes],
                }
                for axis in self._axes()
            ],
            "keep": asked.preparing.keep,
            "until": None if asked.precision is None else asked.precision.facts(),
            "capacity": None if asked.capacity is None else asked.capacity.facts(),
            "n_units": self.plan.n_asked() or 0,
            # Earlier cells are kept until the end: their files exist, and a search recognises them by these.
            "cells": {str(number): identity for number, identity in self.studies.identities.items()}
            | ({} if status == "complete" else dict(self.before)),
            **self.plan.facts(),
        }

    def _axes(self) -> list[Axis]:
        if not isinstance(self.plan, CapacityPlan) or self.asked.capacity is None:
            return list(self.asked.axes)
        return [*self.asked.axes, capacity_axis(self.asked.capacity, self.asked.label, self.plan.values())]


def _asked_for(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options in ``sweep.json`` without its findings, which include a search's cells and loads."""
    asked = {
        name: value for name, value in record.items() if name not in ("stopping", "capacities", "n_units")
    }
    if record.get("capacity"):
        del asked["cells"]
        *axes, loads = record["axes"] or [{}]
        asked["axes"] = [*axes, {name: loads[name] for name in ("label", "path") if name in loads}]
    return asked
