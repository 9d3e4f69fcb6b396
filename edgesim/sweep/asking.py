"""From what a user asks to what is swept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgesim.errors import InputError
from edgesim.nearest import suggest
from edgesim.scenario.schema.scenario import Scenario
from edgesim.sweep.axes import Axis, axes_of, cases_axis, grid, labels_of
from edgesim.sweep.capacity import Search
from edgesim.sweep.goals import Goal
from edgesim.sweep.precision import LEAST, Precision
from edgesim.sweep.running import Asked
from edgesim.sweep.studies import Preparing
from edgesim.sweep.unit import KEPT

__all__ = ["asked_for"]


def asked_for(
    read: Callable[[Sequence[str]], Scenario],
    swept: Mapping[str, Sequence[Any]],
    *,
    cases: Mapping[str, Sequence[str]] | None = None,
    zipped: bool = False,
    replications: int | None = None,
    keep: str = "results",
    until: str | None = None,
    at_least: int | None = None,
    at_most: int | None = None,
    capacity: str | None = None,
    attain: float | None = None,
    meets: str | None = None,
    resolution: float | None = None,
    **preparing: Any,
) -> Asked:
    """Put a sweep together.

    Parameters
    ----------
    read
        Reads the scenario with changes.
    swept
        Values for paths of the scenario.
    cases
        Named lists of changes, an axis by themselves.
    zipped
        Whether the axes go in step, instead of each value with every other.
    replications
        Others than the scenario's; with `capacity` of each look, by default 10.
    keep
        ``results``, or also the tables of ``requests`` (and devices) or ``spans``.
    until, at_least, at_most
        Replications are added until a metric is as precise as ``e2e_mean_s±2%``.
    capacity, attain, meets, resolution
        Search ``path=LOW..HIGH`` for the highest load at which a share of requests meets the scenario's
        objectives, or a metric a limit.
    **preparing
        More of :class:`~edgesim.sweep.studies.Preparing`.

    Raises
    ------
    InputError
        Where these do not go together.
    """
    if keep not in KEPT:
        raise InputError(f"--keep: no choice '{keep}'; {suggest(keep, KEPT)}")
    search = _search(capacity, attain, meets, resolution)
    precision = _precision(until, at_least, at_most)
    if search is not None and precision is not None:
        raise InputError(
            "--until: a search for capacity has a fixed number of replications; leave one of them out"
        )
    if precision is not None and replications is not None:
        raise InputError("--until: it decides on the replications; give --at-most instead of --replications")
    if "replications" in (path.strip() for path in swept):
        raise InputError("--set replications: each cell has the same number; give --replications")
    for name, changes in (cases or {}).items():
        if "replications" in (change.partition("=")[0].strip() for change in changes):
            raise InputError(
                f"--case {name}: each cell has the same number of replications; give --replications instead"
            )
    paths = [*swept, *([] if search is None else [search.path])]
    labels = labels_of(paths)
    if search is not None and search.path in swept:
        raise InputError(f"--capacity: {search.path} is swept as well; leave one of them out")
    axes: list[Axis] = [*([cases_axis(cases)] if cases else []), *axes_of(swept, labels)]
    if cases and any(axis.label == "case" for axis in axes[1:]):
        raise InputError("--case: a path that is swept ends in 'case' as well; give it among the cases")
    n = 10 if search is not None and replications is None else replications
    if search is not None and n is not None and n < 2:
        raise InputError(
            f"--replications: {n} leaves a search for capacity without intervals, by which loads are judged; "
            "expected 2 or more, or leave it out (10)"
        )
    if precision is not None:
        n = precision.at_most
    fixed = [] if n is None else [f"replications={n}"]

    def reading(changes: Sequence[str]) -> Scenario:
        return read([*fixed, *changes])

    return Asked(
        axes=axes,
        cells=grid(axes, zipped=zipped),
        n_replications=n,
        preparing=Preparing(read=reading, keep=keep, **preparing),
        precision=precision,
        capacity=search,
        label="" if search is None else labels[search.path],
    )


def _search(
    capacity: str | None, attain: float | None, meets: str | None, resolution: float | None
) -> Search | None:
    if capacity is None:
        for option, value in (("attain", attain), ("meets", meets), ("resolution", resolution)):
            if value is not None:
                raise InputError(
                    f"--{option}: it belongs to a search for capacity; give --capacity PATH=LOW..HIGH"
                )
        return None
    if (attain is None) == (meets is None):
        raise InputError(
            "--capacity: say what has to be met, by one of --attain 0.99 (a share of requests that meet the "
            "scenario's objectives) and --meets 'e2e_p95_s<=0.5'"
        )
    goal = Goal.attain(attain) if attain is not None else Goal.parse(meets or "")
    return Search.parse(capacity, goal, 0.01 if resolution is None else resolution)


def _precision(until: str | None, at_least: int | None, at_most: int | None) -> Precision | None:
    if until is not None:
        least = LEAST if at_least is None else at_least
        return Precision.parse(until, at_least=least, at_most=max(100, least) if at_most is None else at_most)
    for option, value in (("at-least", at_least), ("at-most", at_most)):
        if value is not None:
            raise InputError(f"--{option}: it belongs to a precision; give --until such as 'e2e_mean_s±2%'")
    return None
