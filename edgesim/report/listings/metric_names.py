"""Metrics by name: what people call them, what each is, and in which unit."""

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
"""Requests by how they ended, which stand beside metrics."""


@dataclass(frozen=True, slots=True)
class MetricName:
    """One metric.

    Attributes
    ----------
    name
        As in ``Result.summary()``.
    title
        For tables and axes, without the unit.
    unit
        ``s`` for times, which are shown in what suits them; that of others stands in their titles.
    meaning
        What it is (docs/reference/metrics.md defines it).
    is_better_low
        Whether less is better; None where neither is.
    """

    name: str
    title: str
    unit: str
    meaning: str
    is_better_low: bool | None = None

    @property
    def is_time(self) -> bool:
        """Whether it is a length of time."""
        return self.unit == "s"


def _known() -> dict[str, MetricName]:
    found = [
        MetricName(one.name, one.title, one.unit, one.meaning, one.is_better_low)
        for one in metric.METRICS.values()
    ]
    found += [MetricName(name, f"requests {name}", "1", f"requests {name}") for name in COUNTS]
    return {each.name: each for each in found}


METRICS: Mapping[str, MetricName] = MappingProxyType(_known())
"""By name, in the order in which they are shown."""


def metric_name(name: str) -> MetricName:
    """Look a metric up.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in METRICS:
        raise InputError(f"--metric: there is no metric {name!r}; {suggest(name, METRICS)}")
    return METRICS[name]


def unit_of(named: MetricName, largest: float) -> tuple[float, str]:
    """What values are divided by, and the unit that they are then in: that of the largest, for times."""
    if not named.is_time:
        return 1.0, ""
    return next((entry for entry in TIME_UNITS if largest >= entry[0]), TIME_UNITS[-1])
