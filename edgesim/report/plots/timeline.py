"""Gantt chart of the spans of a request, or of all spans in a window of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from edgesim.errors import InputError, TraceError
from edgesim.report.numbers import TIME_UNITS
from edgesim.report.plots.style import Width, paper_style, subplots, tidy
from edgesim.statistics.window import counted
from edgesim.trace.reader import Trace
from edgesim.trace.schema import HOPS, LinkKind, SpanKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["spans_of_request", "spans_within", "timeline", "typical_request"]

_COLUMNS = [
    "request_id",
    "token",
    "kind",
    "device",
    "peer",
    "via",
    "link_kind",
    "asked_at_s",
    "started_at_s",
    "ended_at_s",
]
_MOST_LANES = 24
_MOST_SPANS = 20_000
_LANE_IN, _FRAME_IN = 0.19, 0.85

# Colour and hatch of bars by activity. Bars of waiting are light and thinner.
_ACTS: Mapping[str, tuple[str, str]] = {
    "compute": ("#004488", ""),
    "sums of a group": ("#BB5566", "////"),
    "on the air": ("#DDAA33", ""),
    "on a wire": ("#228833", "...."),
    "on a recorded link": ("#66CCEE", "----"),
    "handling at an end": ("#888888", ""),
    "waiting for memory": ("#AA3377", "xxxx"),
    "queueing": ("#D0D0D0", ""),
}
_BY_LINK = {
    LinkKind.RADIO: "on the air",
    LinkKind.WIRED: "on a wire",
    LinkKind.RECORDED: "on a recorded link",
}
_BY_KIND = {
    SpanKind.COMPUTE: "compute",
    SpanKind.ALL_REDUCE: "sums of a group",
    SpanKind.ENDPOINT: "handling at an end",
    SpanKind.WAIT: "waiting for memory",
}


def timeline(
    trace: Trace,
    *,
    strategy: str | None = None,
    replication: int | None = None,
    request: int | None = None,
    window_s: tuple[float, float] | None = None,
    width: Width = "page",
) -> Figure:
    """Draw a lane per device and per direction of a link, and a bar per span, preceded by its queueing.

    Parameters
    ----------
    strategy, replication
        The run; default: the first that is complete.
    request
        Draw the spans of this request, with ticks for the deliveries of its tokens; default:
        :func:`typical_request`.
    window_s
        Draw the spans of all requests between two instants instead, in alternating shades.

    Raises
    ------
    InputError
        If there is no such request, or the window contains too many spans.
    TraceError
        If the trace has no spans.
    """
    strategy, replication = _run(trace, strategy, replication)
    if window_s is None:
        if request is None:
            request = typical_request(trace, strategy, replication)
        spans = spans_of_request(trace, strategy, replication, request)
        about = f"request {request}, {strategy}"
    else:
        spans = spans_within(trace, strategy, replication, window_s)
        about = strategy
    if spans.empty:
        raise TraceError(f"{trace.path}: no spans of {about}; nothing to draw")
    begin_s = float(spans["asked_at_s"].min()) if window_s is None else window_s[0]
    until_s = float(np.nanmax(spans[["asked_at_s", "started_at_s", "ended_at_s"]].to_numpy(float)))
    until_s = until_s if window_s is None else window_s[1]
    scale, unit = next((e for e in TIME_UNITS if until_s - begin_s >= e[0]), TIME_UNITS[-1])
    work = spans[spans["kind"] != SpanKind.EMIT].copy()
    work["lane"] = _lanes(work)
    order = work.groupby("lane")["asked_at_s"].min().sort_values(kind="stable").index.tolist()
    n_left_out = max(0, len(order) - _MOST_LANES)
    order = order[:_MOST_LANES]
    with paper_style():
        height_in = _FRAME_IN + _LANE_IN * max(len(order), 3)
        figure, (panel,) = subplots(1, 1, width=width, height_in=height_in)
        _draw(
            panel,
            work[work["lane"].isin(order)],
            order,
            begin_s,
            until_s,
            scale,
            is_shaded=window_s is not None,
        )
        emits = spans[(spans["kind"] == SpanKind.EMIT) & spans["ended_at_s"].notna()]
        if window_s is None and len(emits):
            at = (emits["ended_at_s"].to_numpy(float) - begin_s) / scale
            panel.plot(at, np.full(len(at), -0.85), "|", color="black", ms=5, mew=0.7, clip_on=False)
            panel.annotate(
                "tokens", (1.005, -0.85), xycoords=("axes fraction", "data"), va="center", fontsize="small"
            )
        panel.set_yticks(range(len(order)), order)
        panel.set_ylim(len(order) - 0.4, -1.3 if window_s is None else -0.6)
        panel.set_xlim(0.0, (until_s - begin_s) / scale * (1.0 if window_s else 1.01))
        panel.tick_params(axis="y", length=0)
        since = f"since {begin_s:.6g} s" if window_s else "since the first span"
        more = f"; {n_left_out} more lanes" if n_left_out else ""
        panel.set_xlabel(f"time, {unit} {since} ({about}{more})")
        tidy(panel, grid="x")
        handles, labels = panel.get_legend_handles_labels()
        n_columns = min(len(labels), 5 if width == "page" else 3)
        figure.legend(handles, labels, loc="outside upper center", ncols=n_columns, columnspacing=1.2)
        return figure


def typical_request(trace: Trace, strategy: str, replication: int) -> int:
    """Return the completed request with the (lower) median latency of the counted requests.

    Raises
    ------
    TraceError
        If no counted request was completed.
    """
    run = cast("Mapping[str, Any]", trace.run)
    requests = trace.requests(strategy, replication)
    arrived_at_s = requests["arrived_at_s"].to_numpy(np.float64)
    chosen = counted(arrived_at_s, run["warmup_s"], run["horizon_s"])
    done = requests[chosen & (requests["outcome"] == "completed").to_numpy()]
    if done.empty:
        raise TraceError(
            f"{trace.path}: {strategy} completed no request in replication {replication}; name one with "
            "--request"
        )
    latency_s = (done["ended_at_s"] - done["arrived_at_s"]).to_numpy(np.float64)
    middle = np.argsort(latency_s, kind="stable")[(len(done) - 1) // 2]
    return int(done["request_id"].iloc[middle])


def spans_of_request(trace: Trace, strategy: str, replication: int, request: int) -> pd.DataFrame:
    """Read all spans of one request.

    Raises
    ------
    InputError
        If the run has no such request.
    """
    requests = trace.requests(strategy, replication)
    if not (requests["request_id"] == request).any():
        raise InputError(
            f"--request: {strategy} has no request {request} in replication {replication}; there are "
            f"{requests['request_id'].min()} to {requests['request_id'].max()}"
        )
    return _gathered(
        part[part["request_id"] == request] for part in trace.span_parts(strategy, replication, _COLUMNS)
    )


def spans_within(
    trace: Trace, strategy: str, replication: int, window_s: tuple[float, float]
) -> pd.DataFrame:
    """Read all spans that overlap a window, including their waits.

    Raises
    ------
    InputError
        If the window is empty, or contains more spans than can be drawn.
    """
    from_s, until_s = window_s
    if not from_s < until_s:
        raise InputError(
            f"--from, --until: {from_s:g} s to {until_s:g} s is no window; expected --from before --until"
        )

    def within(part: pd.DataFrame) -> pd.DataFrame:
        return part[(part["asked_at_s"] < until_s) & ~(part["ended_at_s"] < from_s)]

    found = _gathered(within(part) for part in trace.span_parts(strategy, replication, _COLUMNS))
    if len(found) > _MOST_SPANS:
        raise InputError(
            f"--from, --until: {len(found):,} spans lie in the window; at most {_MOST_SPANS:,} can be drawn: "
            "narrow it"
        )
    return found


def _gathered(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    found = [part for part in parts if len(part)]
    if not found:
        return pd.DataFrame(columns=_COLUMNS).astype(dict.fromkeys(_COLUMNS[-3:], float))
    names = [name for name in _COLUMNS if isinstance(found[0][name].dtype, pd.CategoricalDtype)]
    return pd.concat([part.astype(dict.fromkeys(names, object)) for part in found], ignore_index=True)


def _run(trace: Trace, strategy: str | None, replication: int | None) -> tuple[str, int]:
    """Return the strategy and replication to draw; default: the first complete run."""
    if strategy is None:
        strategy = next((one for one in trace.strategies if trace.replications(one)), None)
    if strategy is None:
        raise TraceError(f"{trace.path}: {trace.incomplete or 'no replication is complete'}; nothing to draw")
    if strategy not in trace.strategies:
        raise InputError(f"--strategy: no strategy {strategy!r}; there are {', '.join(trace.strategies)}")
    whole = trace.replications(strategy)
    if replication is None and whole:
        replication = whole[0]
    if replication not in whole or replication is None:
        there = ", ".join(map(str, whole)) or "none"
        raise InputError(f"--replication: {strategy} has no replication {replication}; there are {there}")
    if not trace.has_spans(strategy, replication):
        raise TraceError(f"{trace.path}: no spans were kept of {strategy}; nothing to draw")
    return strategy, replication


def _lanes(spans: pd.DataFrame) -> list[str]:
    """Return the lane of each span: the device or, for a hop, its sender and receiver."""
    is_hop = spans["kind"].isin([kind.value for kind in HOPS])
    return [
        f"{device} → {peer}" if hop and isinstance(peer, str) else str(device)
        for device, peer, hop in zip(spans["device"], spans["peer"], is_hop, strict=True)
    ]


def _act(kind: object, link_kind: object) -> str:
    if kind in HOPS:
        return _BY_LINK.get(cast("LinkKind", link_kind), "on a wire")
    return _BY_KIND.get(cast("SpanKind", kind), "compute")


def _draw(
    panel: Axes,
    work: pd.DataFrame,
    order: list[str],
    begin_s: float,
    until_s: float,
    scale: float,
    *,
    is_shaded: bool,
) -> None:
    places = {lane: place for place, lane in enumerate(order)}
    bars: dict[str, list[tuple[float, float, int, float]]] = {act: [] for act in _ACTS}
    for row in cast("Iterator[Any]", work.itertuples()):
        place = places[str(row.lane)]
        asked_s, started_s, ended_s = (
            float(one) for one in (row.asked_at_s, row.started_at_s, row.ended_at_s)
        )
        begun_s = until_s if np.isnan(started_s) else started_s
        if begun_s > asked_s:
            bars["queueing"].append((asked_s, begun_s - asked_s, place, 0.0))
        if not np.isnan(started_s):
            done_s = until_s if np.isnan(ended_s) else ended_s
            shade = 0.0 if not is_shaded or pd.isna(row.request_id) else float(int(row.request_id) % 2)
            bars[_act(row.kind, row.link_kind)].append((started_s, done_s - started_s, place, shade))
    for act, (colour, hatch) in _ACTS.items():
        if not bars[act]:
            continue
        starts, lengths, lanes, shades = (np.array(each) for each in zip(*bars[act], strict=True))
        is_wait, is_beside = act == "queueing", act == _BY_KIND[SpanKind.ALL_REDUCE]
        for shade in np.unique(shades):
            own = shades == shade
            panel.barh(
                lanes[own] + (0.2 if is_beside else 0.0),  # sums overlap with computing
                lengths[own] / scale,
                height=0.34 if is_wait or is_beside else 0.72,
                left=(starts[own] - begin_s) / scale,
                facecolor=colour,
                alpha=1.0 if shade == 0.0 else 0.7,
                hatch=hatch or None,
                edgecolor="white",
                linewidth=0.15,
                zorder=2 if is_wait else 4 if is_beside else 3,
                label=act if shade == shades.min() else None,
            )
