"""Table of the uncertainty of a run's metrics due to sampling and due to parameters, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

from edgesim.report.listings.metric_names import METRICS, unit_of
from edgesim.report.uncertainty.spread import Spread

__all__ = ["SpreadTable"]


@dataclass(frozen=True, slots=True)
class SpreadTable:
    """A rich renderable: uncertainty due to sampling and due to parameters, side by side."""

    spreads: Sequence[Spread]
    n_draws: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render one row per strategy and metric."""
        table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        for heading in ("strategy", "metric", "mean", "95 % by sampling", "90 % by parameters"):
            table.add_column(heading, justify="left" if heading in ("strategy", "metric") else "right")
        for one in self.spreads:
            metric = METRICS[one.metric]
            scale, unit = unit_of(metric, one.parameters[1])
            title = f"{metric.title}, {unit}" if unit else metric.title
            table.add_row(
                one.strategy,
                title,
                f"{one.centre / scale:.3g}",
                "–" if one.sampling is None else _interval(one.sampling, scale),
                _interval(one.parameters, scale),
            )
        yield table
        yield (
            f"Parameters: {self.n_draws} sets, equally likely given the published rates, including the error "
            "of the fitted law; same seeds and placements for each."
        )


def _interval(ends: tuple[float, float], scale: float) -> str:
    return f"{ends[0] / scale:.3g} to {ends[1] / scale:.3g}"
