"""What every metric means, by its name in JSON and DataFrames, and its unit."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgesim.statistics import metric

__all__ = ["METRICS"]

METRICS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {name: (one.unit, one.meaning) for name, one in metric.METRICS.items()}
)
"""Name: unit, and what it is (docs/reference/metrics.md defines them)."""
