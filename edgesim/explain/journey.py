"""The journey of one request: the steps to its last token, and the requests served while it waited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from edgesim.errors import InputError
from edgesim.explain.chain import NONE
from edgesim.explain.parts import Part
from edgesim.explain.path_pieces import covered_s, pieces
from edgesim.explain.span_arrays import gather, is_within
from edgesim.trace.reader import Trace
from edgesim.trace.schema import HOPS, SpanKind

__all__ = ["Journey", "journey"]

_PLACE = ["kind", "device", "peer", "via", "token"]
_OF_OTHERS = ["request_id", "kind", "device", "peer", "started_at_s", "ended_at_s"]
_WAITS = (Part.QUEUEING_FOR_COMPUTE, Part.STAGING, Part.QUEUEING_FOR_NETWORK)


@dataclass(frozen=True)
class Journey:
    """The steps of a request, and the requests ahead of it.

    Attributes
    ----------
    request
        Its row of the requests table.
    steps
        One row per step, in order of time: ``part``, ``from_s``, ``seconds``, and ``kind``, ``device``,
        ``peer``, ``via`` and ``token`` of its span (null where there is none). The seconds sum to the
        latency of the request or, if it failed or was cut off, to the time until then.
    ahead
        The requests served at a station while this one waited for it: ``part``, ``device`` and ``peer`` of
        the wait, ``request_id`` of the other request (null: control traffic), and the ``seconds`` of its
        service during the wait, longest first. Where several requests are served at once (a batch, a shared
        device), the seconds count for each of them.
    """

    request: pd.Series[Any]
    steps: pd.DataFrame
    ahead: pd.DataFrame

    def parts_s(self) -> dict[str, float]:
        """Return the seconds spent in each part, without the parts that took no time."""
        totals = self.steps.groupby("part", sort=False)["seconds"].sum()
        return {part.value: float(totals[part.value]) for part in Part if part.value in totals.index}


def journey(trace: Trace, strategy: str, replication: int, request_id: int) -> Journey:
    """Trace the steps of one request, and the requests ahead of it.

    Raises
    ------
    InputError
        If there is no request with that number.
    TraceError
        If the trace contains no spans of this run.
    """
    requests = trace.requests(strategy, replication)
    found = requests[(requests["request_id"] == request_id).to_numpy()]
    if found.empty:
        ids = requests["request_id"]
        there = f"{ids.min()} to {ids.max()}" if len(ids) else "none"
        raise InputError(
            f"--request: no request {request_id} under {strategy}, replication {replication}; expected the "
            f"number of an existing request ({there})"
        )
    request = found.iloc[0]
    until_s = request["ended_at_s"]
    if pd.isna(until_s):
        until_s = float(trace.devices(strategy, replication)["duration_s"].max())
    life_s = np.array([float(request["arrived_at_s"])]), np.array([float(until_s)])
    with_open = request["outcome"] != "completed"
    spans = gather(trace, strategy, replication, np.array([request_id]), life_s[1], with_open=with_open)
    retries = bool(trace.run.get("retries", False))
    cut = pieces(spans, slice(0, len(spans)), 0, life_s, retries=retries)
    own = _own(trace, strategy, replication, request_id, float(until_s), with_open=with_open)
    order = np.lexsort((cut.span, cut.from_s))
    names = [part.value for part in Part]
    steps = pd.DataFrame(
        {
            "part": [names[part] for part in cut.part[order].tolist()],
            "from_s": cut.from_s[order],
            "seconds": cut.seconds[order],
        }
    )
    of_span = cut.span[order]
    for column in _PLACE:
        values = np.array([*own[column].tolist(), None], dtype=object)
        steps[column] = values[np.where(of_span == NONE, len(own), of_span)]
    return Journey(request, steps, _ahead(trace, strategy, replication, request_id, steps))


def _own(
    trace: Trace, strategy: str, replication: int, request_id: int, until_s: float, *, with_open: bool
) -> pd.DataFrame:
    """Read the request's spans that :func:`gather` keeps, in the order in which they were booked."""
    found = []
    columns = ["request_id", *_PLACE, "asked_at_s", "ended_at_s"]
    for spans in trace.span_parts(strategy, replication, columns):
        is_own = (spans["request_id"] == request_id).to_numpy(np.bool_, na_value=False)
        own = spans[is_own & is_within(spans, until_s, with_open=with_open)]
        found.append(own.astype({"token": object}))
    return pd.concat([part.astype(object) for part in found], ignore_index=True)


def _ahead(
    trace: Trace, strategy: str, replication: int, request_id: int, steps: pd.DataFrame
) -> pd.DataFrame:
    """Sum the service of other requests at each station while the request waited there."""
    waits = steps[steps["part"].isin([part.value for part in _WAITS])]
    keys = ["part", "device", "peer", "request_id"]
    if waits.empty:
        return pd.DataFrame(columns=[*keys, "seconds"])
    stations = []
    for key, own in waits.groupby(["part", "kind", "device", "peer"], dropna=False, sort=False):
        part, kind, device, peer = cast("tuple[str, str, str, Any]", key)
        stretches_s = np.stack([own["from_s"], own["from_s"] + own["seconds"]])  # disjoint, ascending
        stations.append((part, kind, device, None if pd.isna(peer) else str(peer), stretches_s))
    devices = trace.devices(strategy, replication)
    shares = set(devices.loc[devices["messages_on_compute"].to_numpy(np.bool_), "device"].astype(str))
    until_s = float((waits["from_s"] + waits["seconds"]).max())
    found = []
    for spans in trace.span_parts(strategy, replication, _OF_OTHERS):
        is_near = (
            (spans["started_at_s"] < until_s)
            & ~(
                spans["ended_at_s"] <= float(waits["from_s"].min())
            )  # a span without an end was under way, too
            & ~(spans["request_id"] == request_id).fillna(False)
        )
        near = spans[is_near.to_numpy(np.bool_, na_value=False)]
        for part, kind, device, peer, stretches_s in stations:
            there = near[_is_station(near, kind, device, peer, shares).to_numpy(np.bool_, na_value=False)]
            started_s, ended_s = (
                there[name].to_numpy(np.float64, na_value=np.inf) for name in ("started_at_s", "ended_at_s")
            )
            seconds = covered_s(stretches_s, started_s, np.minimum(ended_s, until_s))
            owner = there["request_id"].to_numpy(np.float64, na_value=np.nan)
            rows = pd.DataFrame({"request_id": owner, "seconds": seconds})[seconds > 0.0]
            found.append(rows.assign(part=part, device=device, peer=peer))
    totals = pd.concat(found).groupby(keys, dropna=False, sort=False)["seconds"].sum().reset_index()
    return totals.sort_values("seconds", ascending=False, ignore_index=True)


def _is_station(
    near: pd.DataFrame, kind: str, device: str, peer: str | None, shares: set[str]
) -> pd.Series[bool]:
    """Mark the spans served by the station that a span of this kind, device and peer waited for."""
    if kind in HOPS:
        return near["kind"].isin(HOPS) & (near["device"] == device) & (near["peer"] == peer)
    kinds = [SpanKind.COMPUTE, SpanKind.ENDPOINT] if device in shares else [SpanKind(kind)]
    return near["kind"].isin(kinds) & (near["device"] == device)
