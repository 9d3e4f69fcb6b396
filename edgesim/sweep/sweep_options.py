"""Turn a user's options into a checked sweep: axes, cells, precision or capacity search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgesim.errors import InputError
from edgesim.nearest import suggest
from edgesim.scenario.schema.scenario import Scenario
from edgesim.sweep.axes import Axis, axes_of, cases_axis, grid, labels_of
from edgesim.sweep.capacity import Search
from edgesim.sweep.goals import Goal
from edgesim.sweep.precision import LEAST, Precision
from edgesim.sweep.running import SweepDefinition
from edgesim.sweep.studies import Preparing
from edgesim.sweep.unit import KEPT

__all__ = ["Options", "checked_sweep"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a sweep, except for the swept values.

    Attributes
    ----------
    cases
        Named lists of changes; together they form one axis.
    zipped
        Whether to step through all axes together, instead of combining each value with every other.
    replications
        Overrides the scenario's number. With `capacity`: replications per evaluated load, 10 by default.
    keep
        ``results``, or also the tables of ``requests`` (with devices) or ``spans``.
    until, at_least, at_most
        Add replications until a metric has the given precision, such as ``e2e_mean_s±2%``; with the least
        and the greatest number of replications.
    capacity, attain, meets, resolution
        Search ``path=LOW..HIGH`` for the highest load at which a share of requests meets the scenario's
        objectives, or a metric meets a limit.
    """

    cases: Mapping[str, Sequence[str]] | None = None
    zipped: bool = False
    replications: int | None = None
    keep: str = "results"
    until: str | None = None
    at_least: int | None = None
    at_most: int | None = None
    capacity: str | None = None
    attain: float | None = None
    meets: str | None = None
    resolution: float | None = None

    def search(self) -> Search | None:
        """Return the requested capacity search, or None.

        Raises
        ------
        InputError
            If the options for it are incompatible.
        """
        if self.capacity is None:
            _refuse_alone(
                {"attain": self.attain, "meets": self.meets, "resolution": self.resolution},
                "a search for capacity; give --capacity PATH=LOW..HIGH",
            )
            return None
        if (self.attain is None) == (self.meets is None):
            raise InputError(
                "--capacity: expected exactly one goal, of --attain 0.99 (a share of requests that meet "
                "the scenario's objectives) and --meets 'e2e_p95_s<=0.5'"
            )
        goal = Goal.attain(self.attain) if self.attain is not None else Goal.parse(self.meets or "")
        return Search.parse(self.capacity, goal, 0.01 if self.resolution is None else self.resolution)

    def precision(self) -> Precision | None:
        """Return the requested precision, or None.

        Raises
        ------
        InputError
            If the options for it are incompatible.
        """
        if self.until is None:
            _refuse_alone(
                {"at-least": self.at_least, "at-most": self.at_most},
                "a precision; give --until such as 'e2e_mean_s±2%'",
            )
            return None
        least = LEAST if self.at_least is None else self.at_least
        most = max(100, least) if self.at_most is None else self.at_most
        return Precision.parse(self.until, at_least=least, at_most=most)


def _refuse_alone(options: Mapping[str, object], to: str) -> None:
    for option, value in options.items():
        if value is not None:
            raise InputError(f"--{option}: only valid with {to}")


def checked_sweep(
    read: Callable[[Sequence[str]], Scenario],
    swept: Mapping[str, Sequence[Any]],
    options: Options,
    **preparing: Any,
) -> SweepDefinition:
    """Check the options of a sweep against each other and return the sweep to run.

    Parameters
    ----------
    read
        Reads the scenario with changes applied.
    swept
        Values by path in the scenario.
    options
        All other options.
    **preparing
        Further fields of :class:`~edgesim.sweep.studies.Preparing`.

    Raises
    ------
    InputError
        If options are invalid or incompatible.
    """
    keep, cases, replications = options.keep, options.cases, options.replications
    if keep not in KEPT:
        raise InputError(f"--keep: no choice '{keep}'; {suggest(keep, KEPT)}")
    search, precision = options.search(), options.precision()
    if search is not None and precision is not None:
        raise InputError(
            "--until: a search for capacity has a fixed number of replications; leave one of them out"
        )
    if precision is not None and replications is not None:
        raise InputError(
            "--until: it sets the number of replications; give --at-most instead of --replications"
        )
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
        raise InputError(
            "--case: a swept path ends in 'case', the name of the cases' axis; set it within the cases"
        )
    n = 10 if search is not None and replications is None else replications
    if search is not None and n is not None and n < 2:
        raise InputError(
            f"--replications: a capacity search judges loads by confidence intervals, which {n} cannot give; "
            "expected 2 or more, or leave it out (10)"
        )
    if precision is not None:
        n = precision.at_most
    fixed = [] if n is None else [f"replications={n}"]

    def reading(changes: Sequence[str]) -> Scenario:
        return read([*fixed, *changes])

    return SweepDefinition(
        axes=axes,
        cells=grid(axes, zipped=options.zipped),
        n_replications=n,
        preparing=Preparing(read=reading, keep=keep, **preparing),
        precision=precision,
        capacity=search,
        label="" if search is None else labels[search.path],
    )
