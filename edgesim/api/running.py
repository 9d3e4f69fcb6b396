"""Run a scenario in one call, given as a file, a name, a dictionary or an object."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from ruamel.yaml import YAML

from edgesim import runner
from edgesim.api.result import Result
from edgesim.api.wording import in_python
from edgesim.errors import InputError
from edgesim.planning.splitting.policy import Policy
from edgesim.report.comparison import comparison
from edgesim.report.noise import noise
from edgesim.report.progress import counting, measuring_progress
from edgesim.report.requirements import require_training
from edgesim.report.uncertainty.spread import check_spread, parameter_spread
from edgesim.runner import Lesson, Prepared, RunFinished
from edgesim.scenario.build import resolve
from edgesim.scenario.load import load, parse
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.study import Study
from edgesim.scenario.text.problems import Path as Path_
from edgesim.scenario.text.problems import ProblemsError, path_text, shown

__all__ = ["read_scenario", "run", "training"]


def run(
    scenario: str | PathLike[str] | Mapping[str, Any] | Scenario | Study,
    out: str | PathLike[str] | None = None,
    *,
    overrides: Iterable[str] = (),
    seed: int | None = None,
    replications: int | None = None,
    only: Sequence[str] = (),
    jobs: int = 1,
    replace: bool = False,
    resume: bool = False,
    refresh: bool = False,
    force: bool = False,
    quiet: bool = False,
    on_progress: Callable[[RunFinished], None] | None = None,
    counters: str | None = None,
    parameters: int | None = None,
) -> Result:
    """Simulate every strategy of a scenario in every replication, and compare the strategies.

    Parameters
    ----------
    scenario
        A file; the name of a shipped scenario (``"first_steps"``); a dictionary with the contents of a file;
        a scenario from :func:`edgesim.load`; or a study, resolved or prepared, of which any part may have
        been replaced.
    out
        Folder of the trace; by default ``traces/NAME``, numbered if it exists.
    overrides
        Changes to the scenario, such as ``"workload.arrivals.poisson=1 Hz"``.
    seed, replications
        Replace the scenario's own.
    only
        Labels of the strategies to run; all if empty.
    jobs
        Number of processes; the trace is the same to the byte for any number.
    replace
        Whether an earlier trace in `out` may be overwritten.
    resume
        Whether to finish a run that was stopped, in `out` or in the newest trace of this name.
    refresh
        Whether to measure this machine even if a measured profile exists.
    force
        Whether to use a profile even if its error at held-out points exceeds 100 %.
    quiet
        Whether to hide progress. Warnings (:mod:`warnings`) are still issued.
    on_progress
        Called after each replication of each strategy, in the order in which they end.
    counters
        Sampling period of counters over time, such as ``"0.1 s"``. The trace then has a table ``counters``
        (:meth:`edgesim.trace.reader.Trace.counters`); all other tables are unchanged.
    parameters
        Number of further runs with other sets of fitted parameters (19 or more for 90 %), for devices with a
        ``runtime``: :meth:`edgesim.api.result.Result.uncertainty`.

    Warns
    -----
    UserWarning
        If a profile is noisy, and for other remarks on valid scenarios that affect the results.

    Raises
    ------
    InputError
        For every error that can be found before time zero; nothing has been written then.
    """
    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    counters_s = None if counters is None else runner.interval_s("counters", counters)
    numbers = {"seed": seed, "replications": replications}
    changes = [*overrides, *(f"{name}={number}" for name, number in numbers.items() if number is not None)]
    with in_python():
        prepared = _prepared(scenario, changes, only, refresh=refresh, force=force, notes=notes)
        _warn(prepared)
        if parameters is not None:
            check_spread(prepared, parameters)
        folder = _folder(prepared.scenario.name, resume=resume) if out is None else Path(out)
        n_runs = len(prepared.strategies) * prepared.scenario.replications
        with counting(notes, n_runs) as count:

            def report(ran: RunFinished) -> None:
                count(f"{ran.strategy}, replication {ran.replication}")
                if on_progress is not None:
                    on_progress(ran)

            trace = runner.run(
                prepared,
                folder,
                jobs=jobs,
                replace=replace,
                resume=resume,
                on_progress=report,
                counters_s=counters_s,
            )
        if parameters is None:
            return Result(trace)
        with counting(notes, n_runs * parameters) as count:
            spreads = parameter_spread(
                prepared,
                comparison(trace),
                parameters,
                jobs=jobs,
                on_progress=lambda ran: count(f"{ran.strategy}, replication {ran.replication}"),
            )
    return Result(trace, tuple(spreads))


def _folder(name: str, *, resume: bool) -> Path:
    choose = runner.unfinished_folder if resume else runner.free_folder
    return choose(Path("traces"), name)


def _prepared(
    asked: str | PathLike[str] | Mapping[str, Any] | Scenario | Study,
    changes: Sequence[str],
    only: Sequence[str],
    *,
    refresh: bool,
    force: bool,
    notes: Console,
) -> Prepared:
    if isinstance(asked, Prepared):
        if changes or only or refresh:
            raise InputError(
                "a prepared study runs as it is: pass overrides, seed, replications, 'only' and 'refresh' "
                "with a scenario, or replace parts of the prepared study (dataclasses.replace)"
            )
        return asked
    study = asked if isinstance(asked, Study) else resolve(read_scenario(asked, changes))
    if changes and isinstance(asked, Study):
        raise InputError("a study cannot be overridden; replace its parts (dataclasses.replace)")
    with measuring_progress(notes) as measuring:
        return runner.prepare(
            study, only=only, refresh=refresh, measuring=measuring, trainer=training(notes), force=force
        )


def read_scenario(
    asked: str | PathLike[str] | Mapping[str, Any] | Scenario, changes: Sequence[str]
) -> Scenario:
    """Read a scenario from a file, a shipped name, a dictionary or an object, and apply changes.

    Raises
    ------
    InputError
        If the scenario is invalid, or a scenario object without text is to be changed.
    """
    if isinstance(asked, Scenario):
        if not changes:
            return asked
        origin = asked.origin
        if not origin.text:
            raise InputError(
                "a scenario without text cannot be overridden; change it before, and pass no overrides"
            )
        return parse(origin.text, name=origin.name, folder=origin.folder, overrides=changes)
    if not isinstance(asked, Mapping):
        return load(asked, changes)
    text = io.StringIO()
    YAML().dump(_plain(asked, ()), text)
    try:
        scenario = parse(text.getvalue(), overrides=changes)
    except ProblemsError as error:  # its line numbers are meaningless without a file
        raise ProblemsError(error.problems) from None
    scenario.placed_by(path_text)
    return scenario


def _plain(value: object, path: Path_) -> object:
    """Convert a value to what YAML can represent; numpy numbers, arrays and paths are converted, too."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each, (*path, str(key))) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each, (*path, index)) for index, each in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, PathLike):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise InputError(f"{path_text(path)}: expected a mapping, a list, text or a number, got {shown(value)}")


def training(notes: Console) -> Callable[[Lesson], Policy]:
    """Return a function that trains a policy; it imports the training code only when called."""

    def train(lesson: Lesson) -> Policy:
        require_training()
        from edgesim.gym.teaching import trainer

        with measuring_progress(notes, unit="", doing="training") as report:
            return trainer(report)(lesson)

    return train


def _warn(prepared: Prepared) -> None:
    profiles = [prepared.profiles.base, *prepared.profiles.own.values()]
    said = [noise(profile) for profile in profiles if profile is not None]
    notes = [f"{text}, and measure again with refresh=True" for text in said if text]
    notes += [f"{label}: {each.remark}" for label, each in prepared.placements.items() if each.remark]
    for text in (*notes, *prepared.remarks):
        warnings.warn(text, stacklevel=3)
