"""Output of a trace's comparison, shared by commands."""

from __future__ import annotations

from rich.console import Console

from edgesim.report.comparison import about
from edgesim.report.comparison_json import Json, as_json
from edgesim.report.metrics import MetricsTable
from edgesim.report.table import ComparisonTable
from edgesim.statistics.comparison import Comparison
from edgesim.statistics.sum_errors import sum_errors
from edgesim.trace.reader import Trace

__all__ = ["compared_as_json", "print_compared"]


def print_compared(page: Console, trace: Trace, compared: Comparison, *, metrics: bool) -> None:
    """Print the comparison table, the errors of analog sums and, if `metrics`, a table of all metrics."""
    page.print(ComparisonTable(compared, about(trace)))
    for error in sum_errors(trace):
        page.print(str(error), markup=False, highlight=False, soft_wrap=True)
    if metrics:
        page.print(MetricsTable(compared))


def compared_as_json(trace: Trace, compared: Comparison) -> dict[str, Json]:
    """Return the comparison and the errors of analog sums as JSON, at full precision."""
    content = as_json(compared, about(trace)) | {"trace": str(trace.path)}
    if errors := sum_errors(trace):
        content["sum_errors"] = {each.strategy: each.as_json() for each in errors}
    return content
