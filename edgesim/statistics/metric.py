"""Definition of metrics, and the table of all metrics that summaries, reports and documentation use.

Metrics are registered through the entry point group ``edgesim.metrics``; edgesim's own are the modules of
:mod:`edgesim.statistics.metrics`.
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
"""Unit of metrics between 0 and 1."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Data of one strategy in one replication, from which metrics are computed.

    Attributes
    ----------
    requests, devices
        The trace's tables of these names; requests in order of their ids.
    counts : [n_requests]
        Whether each request counts: it arrived at the end of the warm-up or later, and before the horizon.
    warmup_s, horizon_s, ended_at_s
        Start and end of counting (`horizon_s` None: end of the run), and end of observation.
    window
        Window for rates (:func:`~edgesim.statistics.window.steady_window`); None without requests.
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
    """Definition of a metric: one number per strategy and replication.

    Parameters
    ----------
    name
        Name in JSON, data tables and Python; ends with the unit (``_s``, ``_per_s``, ``_j``).
    title
        Name in printed tables and on axes, with the unit unless that is ``s`` (times are shown in a suitable
        unit).
    meaning
        Description in one line.
    unit
        ``s``, ``1/s``, ``J``, ``share`` (between 0 and 1), ``1``, or another.
    is_better_low
        Whether lower values are better; None if neither.
    of
        Function that computes the metric, or returns None where it is undefined. Not given for metrics that
        are attributes of a summary.
    least
        Lower bound of all values; 0 or more, since intervals are computed on the logarithm (shares: logit).
    place
        Sort key for the order in tables, ascending.
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
        """The metric itself, as a tuple, like the metrics of a family."""
        return (self,)

    def value(self, run: Observed) -> float | None:
        """Compute the metric; if its function fails or returns an invalid value, warn and return None."""
        assert self.of is not None, "a metric that is an attribute of summaries is not computed here"
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
    """A group of related metrics, such as the mean and percentiles of one quantity."""

    metrics: tuple[Metric, ...]


def _check(entry: Metric | Family) -> None:
    if not all(isinstance(metric, Metric) for metric in entry.metrics):
        raise InputError(f"a family contains {entry.metrics!r}; expected objects of class Metric only")
    names = [metric.name for metric in entry.metrics]
    for metric in entry.metrics:
        if not isinstance(metric.name, str) or not _NAME.fullmatch(metric.name):
            raise InputError(f"name {metric.name!r}; expected small letters, digits and _, a letter first")
        if names.count(metric.name) > 1:
            raise InputError(f"two metrics are named {metric.name!r}; rename one")
        for part in ("title", "meaning", "unit"):
            if not isinstance(getattr(metric, part), str) or not getattr(metric, part):
                raise InputError(f"metric {metric.name!r} has no {part}; write one")
        if not math.isfinite(metric.place):
            raise InputError(f"metric {metric.name!r} has place {metric.place}; expected a finite number")
        if (metric.unit == "s") != (metric.name.endswith("_s") and not metric.name.endswith("_per_s")):
            raise InputError(
                f"metric {metric.name!r} has the unit {metric.unit!r}; expected a name that ends with _s if, "
                "and only if, the unit is s"
            )
        if not metric.least >= 0.0:
            raise InputError(f"metric {metric.name!r} has 'least' {metric.least:g}; expected 0 or more")
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
"""Entry point group of metrics, edgesim's own included."""


class MetricTable(Mapping[str, Metric]):
    """All metrics by name, in the order of tables; loaded on first access.

    Parameters
    ----------
    find
        Function that returns the entries of the group by name. Entries that are errors are left out, and
        recorded in :attr:`broken`.
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
                    f"metric {name!r} defines {min(taken)!r}, which is the name of another metric; rename it "
                    "in its package, or uninstall the package"
                )
                continue
            if name not in own and any(metric.of is None for metric in entry.metrics):
                self._broken[name] = f"metric {name!r} has no function 'of' to compute it; write of(run)"
                continue
            found += entry.metrics
        return {metric.name: metric for metric in sorted(found, key=lambda metric: metric.place)}

    @property
    def broken(self) -> Mapping[str, str]:
        """Reason why an entry was left out, by the entry's name."""
        return self._broken if self._metrics else {}

    def __getitem__(self, name: str) -> Metric:
        return self._metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)


METRICS = MetricTable()
"""All metrics, edgesim's own and those of installed packages."""
