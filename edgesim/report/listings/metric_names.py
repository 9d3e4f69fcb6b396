"""Metrics by name: what people call them, what each is, and in which unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgesim.errors import InputError
from edgesim.nearest import suggest
from edgesim.report.numbers import TIME_UNITS
from edgesim.statistics.summary import LATENCIES, MOMENTS

__all__ = ["COUNTS", "METRICS", "MetricName", "metric_name", "unit_of"]

COUNTS = ("offered", "completed", "failed", "censored")
"""Requests by how they ended, which stand beside metrics."""


_LATENCIES = {
    "ttft": "time from a request's arrival to its first token",
    "tpot": "mean time per token after the first, of a request",
    "itl": "time between two consecutive tokens of a request",
    "e2e": "time from a request's arrival to its last token",
}
_MOMENTS = {"mean": "mean", "p50": "median", "p95": "95th percentile", "p99": "99th percentile"}


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
        MetricName(
            f"{latency}_{moment}_s",
            f"{latency.upper()} {moment}",
            "s",
            f"{latency.upper()}, {_LATENCIES[latency]}: {_MOMENTS[moment]}",
            True,
        )
        for latency in LATENCIES
        for moment in MOMENTS
    ]
    found += [
        MetricName(
            "output_tokens_per_s", "output tokens/s", "1/s", "tokens delivered in the steady window", False
        ),
        MetricName("requests_per_s", "requests/s", "1/s", "requests completed in the steady window", False),
        MetricName(
            "goodput_per_s", "goodput, requests/s", "1/s", "of these, those that met every objective", False
        ),
        MetricName(
            "attainment", "objectives met, share", "share", "requests that met every objective", False
        ),
        MetricName(
            "active_j_per_token",
            "active J/token",
            "J",
            "energy of computing, sending and receiving per token delivered",
            True,
        ),
        MetricName(
            "asker_j_per_token",
            "active J/token of devices that ask",
            "J",
            "of that, the part of the devices at which requests arise",
            True,
        ),
        MetricName(
            "total_j_per_token",
            "J/token with idling",
            "J",
            "energy per token delivered, with that of idling",
            True,
        ),
        MetricName(
            "perplexity",
            "perplexity",
            "1",
            "exp of the mean negative log likelihood per token, where answers are measured",
            True,
        ),
        MetricName(
            "accuracy",
            "right tokens, share",
            "share",
            "tokens that were right, where answers are measured",
            False,
        ),
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


def unit_of(metric: MetricName, largest: float) -> tuple[float, str]:
    """What values are divided by, and the unit that they are then in: that of the largest, for times."""
    if not metric.is_time:
        return 1.0, ""
    return next((entry for entry in TIME_UNITS if largest >= entry[0]), TIME_UNITS[-1])
