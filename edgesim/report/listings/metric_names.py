"""Names of metrics: titles for tables and axes, meanings and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgesim.errors import InputError
from edgesim.nearest import suggest
from edgesim.report.numbers import TIME_UNITS
from edgesim.statistics import metric

__all__ = ["COUNTS", "METRICS", "MetricName", "metric_name", "unit_of"]

COUNTS = ("offered", "completed", "failed", "censored")
"""Counts of requests by outcome, listed together with the metrics."""


@dataclass(frozen=True, slots=True)
class MetricName:
    """The name, title and unit of a metric.

    Attributes
    ----------
    name
        As in ``Result.summary()``.
    title
        Title for tables and axes. It contains the unit, except that of times.
    unit
        ``s`` for times, which are shown in s, ms or µs, depending on their size.
    meaning
        Short definition (docs/reference/metrics.md has the full one).
    is_better_low
        Whether lower values are better; None if neither is.
    """

    name: str
    title: str
    unit: str
    meaning: str
    is_better_low: bool | None = None

    @property
    def is_time(self) -> bool:
        """Whether the metric is a duration."""
        return self.unit == "s"


def _known() -> dict[str, MetricName]:
    found = [
        MetricName(one.name, one.title, one.unit, one.meaning, one.is_better_low)
        for one in metric.METRICS.values()
    ]
    found += [MetricName(name, f"requests {name}", "1", f"requests {name}") for name in COUNTS]
    return {each.name: each for each in found}


METRICS: Mapping[str, MetricName] = MappingProxyType(_known())
"""All metrics and counts by name, in the order of display."""


def metric_name(name: str) -> MetricName:
    """Return the metric with this name.

    Raises
    ------
    InputError
        If there is no such metric.
    """
    if name not in METRICS:
        raise InputError(f"--metric: there is no metric {name!r}; {suggest(name, METRICS)}")
    return METRICS[name]


def unit_of(named: MetricName, largest: float) -> tuple[float, str]:
    """Return a divisor for values and the resulting unit; for times, chosen by the largest value."""
    if not named.is_time:
        return 1.0, ""
    return next((entry for entry in TIME_UNITS if largest >= entry[0]), TIME_UNITS[-1])
