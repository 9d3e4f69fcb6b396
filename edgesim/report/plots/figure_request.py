"""Dispatch of a requested figure, with its options and sources, to the module that draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from edgesim.errors import InputError, TraceError
from edgesim.report.listings.listing import estimated, together
from edgesim.report.listings.metric_names import metric_name
from edgesim.report.listings.open_folders import SweepLike
from edgesim.report.plots.bars import bars
from edgesim.report.plots.distribution import distribution
from edgesim.report.plots.front import front, panels_of
from edgesim.report.plots.lines import lines
from edgesim.report.plots.map import draw_map
from edgesim.report.plots.not_drawn import not_drawn
from edgesim.report.plots.parts import parts
from edgesim.report.plots.series import series
from edgesim.report.plots.style import Width
from edgesim.report.plots.swept_traces import swept_traces
from edgesim.report.plots.timeline import timeline
from edgesim.trace.reader import Trace

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["KINDS", "FigureRequest", "drawn", "remarks"]

Sources: TypeAlias = Mapping[str, Trace | SweepLike]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRequest:
    """Kind and options of a requested figure; None or empty: the default of the kind.

    Attributes
    ----------
    where
        Values of a sweep's axes, as texts.
    from_s, until_s
        Window of a timeline.
    """

    kind: str
    metrics: tuple[str, ...] = ()
    x: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    against: str | None = None
    strategies: tuple[str, ...] = ()
    replication: int | None = None
    request: int | None = None
    from_s: float | None = None
    until_s: float | None = None
    width: Width | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    draw: Callable[[Sources, FigureRequest], Figure]
    options: tuple[str, ...]
    remarks: Callable[[Sources, FigureRequest], list[str]] = lambda sources, asked: []


def drawn(sources: Sources, asked: FigureRequest) -> Figure:
    """Draw a requested figure.

    Parameters
    ----------
    sources
        Traces, or one sweep, by their labels.

    Raises
    ------
    InputError
        If the kind does not exist, or an option is invalid or not one of this kind's.
    TraceError
        If the sources are of the wrong type for this kind, or contain nothing to draw.
    """
    if asked.kind not in KINDS:
        raise InputError(f"plot: no kind {asked.kind!r}; there are {', '.join(KINDS)}")
    kind = KINDS[asked.kind]
    for name, option in _OPTIONS.items():
        is_given = getattr(asked, name) not in (None, (), {})
        if is_given and name not in kind.options:
            able = ", ".join(other for other, one in KINDS.items() if name in one.options)
            raise InputError(f"{option}: {asked.kind} has no such option; it belongs to {able}")
    return kind.draw(sources, asked)


def remarks(sources: Sources, asked: FigureRequest) -> list[str]:
    """List, in sentences, what the figure returned by :func:`drawn` leaves out."""
    return KINDS[asked.kind].remarks(sources, asked)


def _distribution(sources: Sources, asked: FigureRequest) -> Figure:
    if len(asked.metrics) > 1:
        raise InputError(f"--metric: a distribution shows one metric, got {', '.join(asked.metrics)}")
    metric = asked.metrics[0] if asked.metrics else "e2e"
    return distribution(
        _traces(sources, asked), metric=metric, strategies=asked.strategies, width=asked.width or "column"
    )


def _bars(sources: Sources, asked: FigureRequest) -> Figure:
    return bars(together(sources).only(asked.strategies), _known(asked), width=asked.width or "column")


def _front(sources: Sources, asked: FigureRequest) -> Figure:
    return front(together(sources).only(asked.strategies), _known(asked), width=asked.width or "page")


def _front_remarks(sources: Sources, asked: FigureRequest) -> list[str]:
    listing = together(sources).only(asked.strategies)
    x_name, names = panels_of(listing, _known(asked))
    return not_drawn(listing.rows, [(x_name, name) for name in names])


def _lines(sources: Sources, asked: FigureRequest) -> Figure:
    results, axes, x = _swept(sources, asked)
    metrics = _known(asked) or _LINE
    width = asked.width or ("column" if len(metrics) == 1 else "page")
    return lines(
        results,
        axes,
        x=x,
        metrics=metrics,
        fixed=asked.where,
        against=asked.against,
        strategies=asked.strategies,
        width=width,
    )


def _lines_remarks(sources: Sources, asked: FigureRequest) -> list[str]:
    results, axes, _ = _swept(sources, asked)
    rows = [
        row
        for row in estimated(results, list(axes))
        if all(str(row.where[axis]) == text for axis, text in asked.where.items())
        and (not asked.strategies or row.strategy in (*asked.strategies, asked.against))
    ]
    return not_drawn(rows, [(name,) for name in _known(asked) or _LINE], against=asked.against)


def _swept(
    sources: Sources, asked: FigureRequest
) -> tuple[pd.DataFrame, Mapping[str, Sequence[object]], str | None]:
    """Return the results and axes of a sweep, or of traces as a sweep, and the axis along which to draw."""
    first, x = next(iter(sources.values())), asked.x
    if isinstance(first, Trace):
        if x is None:
            raise InputError(
                "plot lines: traces need --x PATH, the value that differs between their scenarios, such as "
                "workload.arrivals.poisson"
            )
        return *swept_traces(_traces(sources, asked), x), None
    if len(sources) > 1:
        raise TraceError(f"{', '.join(sources)}: lines need one sweep, or traces")
    results = first.results()
    if results.empty:
        raise TraceError(f"{first.path}: {first.incomplete or 'no cell has a result'}; nothing to draw")
    return results, dict(first.axes), x


def _timeline(sources: Sources, asked: FigureRequest) -> Figure:
    trace = _one(sources, asked)
    window_s = None
    if asked.from_s is not None or asked.until_s is not None:
        if asked.from_s is None or asked.until_s is None:
            raise InputError("--from, --until: expected both, or neither")
        if asked.request is not None:
            raise InputError("--request: expected a request or a window, got both")
        window_s = (asked.from_s, asked.until_s)
    return timeline(
        trace,
        strategy=_single(asked),
        replication=asked.replication,
        request=asked.request,
        window_s=window_s,
        width=asked.width or "page",
    )


def _series(sources: Sources, asked: FigureRequest) -> Figure:
    trace = _one(sources, asked)
    return series(
        trace, strategies=asked.strategies, replication=asked.replication, width=asked.width or "page"
    )


def _map(sources: Sources, asked: FigureRequest) -> Figure:
    return draw_map(_one(sources, asked), strategy=_single(asked), width=asked.width or "column")


def _parts(sources: Sources, asked: FigureRequest) -> Figure:
    return parts(_one(sources, asked), strategies=asked.strategies, width=asked.width or "page")


def _known(asked: FigureRequest) -> tuple[str, ...]:
    return tuple(metric_name(name).name for name in asked.metrics)


def _traces(sources: Sources, asked: FigureRequest) -> dict[str, Trace]:
    found = {label: one for label, one in sources.items() if isinstance(one, Trace)}
    if len(found) < len(sources):
        name = next(label for label in sources if label not in found)
        raise TraceError(f"{name}: a sweep has no {asked.kind}; name traces, or draw lines")
    return found


def _one(sources: Sources, asked: FigureRequest) -> Trace:
    found = _traces(sources, asked)
    if len(found) > 1:
        raise TraceError(f"{', '.join(found)}: a {asked.kind} shows one trace; name one")
    return next(iter(found.values()))


def _single(asked: FigureRequest) -> str | None:
    if len(asked.strategies) > 1:
        raise InputError(f"--strategy: a {asked.kind} shows one strategy, got {', '.join(asked.strategies)}")
    return asked.strategies[0] if asked.strategies else None


_LINE = ("e2e_mean_s",)

_OPTIONS = {
    "metrics": "--metric",
    "x": "--x",
    "where": "--where",
    "against": "--against",
    "replication": "--replication",
    "request": "--request",
    "from_s": "--from",
    "until_s": "--until",
}

KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "distribution": _Kind(_distribution, ("metrics",)),
        "bars": _Kind(_bars, ("metrics",)),
        "lines": _Kind(_lines, ("metrics", "x", "where", "against"), _lines_remarks),
        "front": _Kind(_front, ("metrics",), _front_remarks),
        "timeline": _Kind(_timeline, ("replication", "request", "from_s", "until_s")),
        "series": _Kind(_series, ("replication",)),
        "map": _Kind(_map, ()),
        "parts": _Kind(_parts, ()),
    }
)
"""All kinds of figures by name: the function that draws it, and its options."""
