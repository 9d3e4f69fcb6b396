"""Sweep a scenario in one call, given as a file, a name, a dictionary or an object."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from rich.console import Console

from edgesim import runner
from edgesim.api.running import read_scenario, training
from edgesim.api.wording import in_python
from edgesim.errors import InputError
from edgesim.report.progress import counting_up, measuring_progress
from edgesim.scenario.schema.scenario import Scenario
from edgesim.sweep.reader import Sweep
from edgesim.sweep.running import run_sweep
from edgesim.sweep.sweep_options import Options, checked_sweep

__all__ = ["sweep"]


def sweep(
    scenario: str | PathLike[str] | Mapping[str, Any] | Scenario,
    values: Mapping[str, Sequence[Any]] | None = None,
    out: str | PathLike[str] | None = None,
    *,
    cases: Mapping[str, Sequence[str]] | None = None,
    zipped: bool = False,
    overrides: Iterable[str] = (),
    seed: int | None = None,
    replications: int | None = None,
    only: Sequence[str] = (),
    jobs: int = 1,
    dask: str | None = None,
    keep: str = "results",
    until: str | None = None,
    at_least: int | None = None,
    at_most: int | None = None,
    capacity: str | None = None,
    attain: float | None = None,
    meets: str | None = None,
    resolution: float | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    refresh: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> Sweep:
    """Run a scenario for all combinations of parameter values, and store the results as one data set.

    Every combination of values (a cell) has the same requests in the same replication.

    Parameters
    ----------
    scenario
        As for :func:`edgesim.run`, except a study.
    values
        Values by path in the scenario: ``{"workload.arrivals.poisson": ["1 Hz", "2 Hz"]}``.
    out
        Folder of the sweep; by default ``sweeps/NAME``, numbered if it exists.
    cases
        Named lists of changes, such as ``{"crowd": ["topology.devices.camera.count=8"]}``; together they form
        one more axis.
    zipped
        Whether the axes advance together, instead of combining each value with every other.
    overrides, seed, replications, only, refresh, force, quiet
        As for :func:`edgesim.run`.
    jobs, dask
        Number of processes; or the address of a Dask scheduler, or ``local:2`` for two local Dask workers.
        The data are the same to the byte.
    keep
        ``results``; or also the tables of ``requests`` (and devices), or of ``spans``.
    until, at_least, at_most
        Add replications, by default 10 to 100, until the mean of a metric is as precise as stated, such as
        ``"e2e_mean_s±2%"``.
    capacity, attain, meets, resolution
        Search ``"workload.arrivals.poisson=0.1..5 Hz"`` for the highest load at which a share of requests
        meets the scenario's objectives, or a metric meets a limit (``"e2e_p95_s<=0.5"``).
    resume, retry_failed
        Whether to continue a stopped sweep in `out`, and to repeat its failed runs.

    Raises
    ------
    InputError
        For every error that can be found before anything runs, in all cells at once.

    Warns
    -----
    UserWarning
        For remarks on valid scenarios that affect the results.
    """
    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    fixed = [*overrides, *([] if seed is None else [f"seed={seed}"])]
    with in_python(), measuring_progress(notes) as measuring, counting_up(notes, "sweeping") as count:
        if resume and out is None:
            raise InputError("--resume: name the sweep to continue, by its folder (out)")
        asked = checked_sweep(
            lambda changes: read_scenario(scenario, [*fixed, *changes]),
            values or {},
            Options(
                cases=cases,
                zipped=zipped,
                replications=replications,
                keep=keep,
                until=until,
                at_least=at_least,
                at_most=at_most,
                capacity=capacity,
                attain=attain,
                meets=meets,
                resolution=resolution,
            ),
            only=tuple(only),
            measuring=measuring,
            trainer=training(notes),
            refresh=refresh,
            force=force,
        )
        folder = runner.free_folder(Path("sweeps"), _name(scenario)) if out is None else Path(out)
        return run_sweep(
            asked,
            folder,
            jobs=jobs,
            dask=dask,
            resume=resume,
            retry_failed=retry_failed,
            on_progress=lambda unit, failed, n_asked: count(f"cell {unit.cell}", n_asked),
            remark=lambda text: warnings.warn(text, stacklevel=4),
        )


def _name(scenario: str | PathLike[str] | Mapping[str, Any] | Scenario) -> str:
    if isinstance(scenario, Scenario):
        return scenario.name
    return str(scenario.get("name", "sweep")) if isinstance(scenario, Mapping) else Path(scenario).stem
