"""What a metric is, and the one table of all: summaries, tables, pages and the documentation follow it.

A metric arrives through the entry point group ``edgesim.metrics``; edgesim's own stand in
:mod:`edgesim.statistics.metrics`, a file each.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import signature

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim import plugins
from edgesim.errors import InputError
from edgesim.plugins import EntryPointGroup
from edgesim.statistics.window import Window

__all__ = ["METRICS", "METRIC_GROUP", "SHARE", "Family", "Metric", "MetricTable", "Observed"]

SHARE = "share"
"""The unit of metrics between 0 and 1."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One strategy in one replication, as its trace tells it: what a metric is computed from.

    Attributes
    ----------
    requests, devices
        The trace's tables of these names; requests in the order of their ids.
    counts : [n_requests]
        Whether a request counts: it arrived from the end of the warm-up to just before the horizon.
    warmup_s, horizon_s, ended_at_s
        Where counting begins and ends (None: with the run), and where observation does.
    window
        Of rates: :func:`~edgesim.statistics.window.steady_window`. None without requests.
    """

    strategy: str
    replication: int
    requests: pd.DataFrame
    devices: pd.DataFrame
    counts: npt.NDArray[np.bool_]
    warmup_s: float
    horizon_s: float | None
    ended_at_s: float | None
    window: Window | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number of a strategy in a replication.

    Parameters
    ----------
    name
        In JSON, in tables for programs and in Python; it ends with its unit (``_s``, ``_per_s``, ``_j``).
    title
        In tables and on axes: without the unit where that is ``s`` (times are shown in what suits them),
        else with it.
    meaning
        What it is, in a line.
    unit
        ``s``, ``1/s``, ``J``, ``share`` (between 0 and 1), ``1``, or another.
    is_better_low
        Whether less is better; None where neither is.
    of
        Computes it; None where it is undefined. Absent of those that a summary has as attributes.
    least
        No value is less; 0 or more, since intervals are on the logarithm (of shares: the logit).
    place
        Where it stands in tables: those with less come first.
    """

    name: str
    title: str
    meaning: str
    unit: str
    is_better_low: bool | None
    of: Callable[[Observed], float | None] | None = None
    least: float = 0.0
    place: float = 100.0

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Itself."""
        return (self,)

    def value(self, run: Observed) -> float | None:
        """Compute it; what a stranger's function does wrong costs a warning, and its number alone."""
        assert self.of is not None, "a metric that a summary has is not computed"
        try:
            found = self.of(run)
            value = None if found is None else float(found)
        except (Exception, SystemExit) as error:
            warnings.warn(
                f"metric {self.name!r} cannot be computed, and is left out: {type(error).__name__}: {error}",
                stacklevel=2,
            )
            return None
        most = 1.0 if self.unit == SHARE else math.inf
        if value is not None and not self.least <= value <= most:
            warnings.warn(
                f"metric {self.name!r} is {value}, and is left out; expected {self.least:g} to {most:g}",
                stacklevel=2,
            )
            return None
        return value


@dataclass(frozen=True, slots=True)
class Family:
    """Several metrics that belong together: means and percentiles of one quantity."""

    metrics: tuple[Metric, ...]


def _check(entry: Metric | Family) -> None:
    if not all(isinstance(metric, Metric) for metric in entry.metrics):
        raise InputError(f"a family of {entry.metrics!r}; expected metrics")
    names = [metric.name for metric in entry.metrics]
    for metric in entry.metrics:
        if not isinstance(metric.name, str) or not _NAME.fullmatch(metric.name):
            raise InputError(f"name {metric.name!r}; expected small letters, digits and _, a letter first")
        if names.count(metric.name) > 1:
            raise InputError(f"two metrics {metric.name!r}; rename one")
        for part in ("title", "meaning", "unit"):
            if not isinstance(getattr(metric, part), str) or not getattr(metric, part):
                raise InputError(f"metric {metric.name!r} has no {part}; write one")
        if not math.isfinite(metric.place):
            raise InputError(f"metric {metric.name!r} has the place {metric.place}; expected a finite number")
        if (metric.unit == "s") != (metric.name.endswith("_s") and not metric.name.endswith("_per_s")):
            raise InputError(
                f"metric {metric.name!r} is in {metric.unit!r}; names of times, and of nothing else, end "
                "with _s"
            )
        if not metric.least >= 0.0:
            raise InputError(f"metric {metric.name!r} may be {metric.least:g} at least; expected 0 or more")
        if metric.of is not None:
            try:
                signature(metric.of).bind("run")
            except TypeError:
                raise InputError(f"metric {metric.name!r}: 'of' does not take (run); write of(run)") from None


METRIC_GROUP: EntryPointGroup[Metric | Family] = EntryPointGroup(
    "edgesim.metrics",
    "metric",
    "metrics",
    (Metric, Family),
    "edgesim.statistics.metric.Metric",
    InputError,
    _check,
    is_object=True,
    home="edgesim.statistics.metrics",
)
"""Metrics arrive through this group of entry points, and edgesim's own beside them."""


class MetricTable(Mapping[str, Metric]):
    """All metrics by name, in the order of tables; found when it is first asked for any.

    Parameters
    ----------
    find
        Returns the entries of the group; what stands in the place of one that cannot be loaded is left out
        and kept in :attr:`broken`.
    """

    def __init__(
        self,
        find: Callable[[], Mapping[str, Metric | Family | InputError]] = lambda: plugins.discover_all(
            METRIC_GROUP
        ),
    ) -> None:
        self._find = find
        self._broken: dict[str, str] = {}

    @cached_property
    def _metrics(self) -> Mapping[str, Metric]:
        own = set(plugins.own_names(METRIC_GROUP))
        found: list[Metric] = []
        for name, entry in sorted(self._find().items(), key=lambda item: item[0] not in own):
            if isinstance(entry, InputError):
                self._broken[name] = str(entry)
                continue
            taken = {metric.name for metric in found} & {metric.name for metric in entry.metrics}
            if taken:
                self._broken[name] = (
                    f"metric {name!r} calls a number {min(taken)!r}, which is another's name; rename it in "
                    "its package, or uninstall it"
                )
                continue
            if name not in own and any(metric.of is None for metric in entry.metrics):
                self._broken[name] = f"metric {name!r} has no 'of', which computes it; write of(run)"
                continue
            found += entry.metrics
        return {metric.name: metric for metric in sorted(found, key=lambda metric: metric.place)}

    @property
    def broken(self) -> Mapping[str, str]:
        """Why an entry is left out, by its name."""
        return self._broken if self._metrics else {}

    def __getitem__(self, name: str) -> Metric:
        return self._metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)


METRICS = MetricTable()
"""Every metric that is known, edgesim's own and those of installed packages."""
