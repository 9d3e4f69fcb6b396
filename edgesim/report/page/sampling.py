"""Selection of the requests that the page shows span by span, bounded for runs of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.errors import TraceError
from edgesim.report.page.span_summary import GANTT_COLUMNS
from edgesim.statistics.requests import floats
from edgesim.trace.schema import SpanKind

__all__ = ["Sampled", "gantt", "sampled_requests"]

IntArray = npt.NDArray[np.int64]

_MOST_REQUESTS = 200
_MOST_UNANSWERED = 20
_MOST_SPANS_OF_ONE = 4000
_LANDMARKS = (
    ("slowest", 1.0),
    ("99th percentile", 0.99),
    ("95th percentile", 0.95),
    ("median", 0.5),
    ("fastest", 0.0),
)

# Kinds of work of spans; the script has a colour for each.
_WORK = ("compute", "air", "wire", "recorded", "all_reduce", "endpoint", "wait", "emit")
_CARRIED = {"radio": "air", "wired": "wire", "recorded": "recorded"}


@dataclass(frozen=True, slots=True)
class Sampled:
    """Ids of the selected requests, in order of importance, and labels of some, such as ``median``."""

    request_ids: IntArray
    landmarks: dict[int, str]


def sampled_requests(requests: pd.DataFrame) -> Sampled:
    """Select quantiles of the end-to-end latency, some unanswered requests, and others evenly spread."""
    done = requests[(requests["outcome"] == "completed").to_numpy()]
    latency_s = floats(done, "ended_at_s") - floats(done, "arrived_at_s")
    ranked = done["request_id"].to_numpy(np.int64)[np.argsort(latency_s, kind="stable")]
    others = requests.loc[(requests["outcome"] != "completed").to_numpy(), "request_id"].to_numpy(np.int64)
    landmarks: dict[int, str] = {}
    if len(ranked):
        for name, level in _LANDMARKS:
            landmarks.setdefault(int(ranked[round(level * (len(ranked) - 1))]), name)
    # In van der Corput order, so that any prefix of the selection is spread over all latencies.
    spread = (
        [int(ranked[round(share * (len(ranked) - 1))]) for share in _van_der_corput(2 * _MOST_REQUESTS)]
        if len(ranked)
        else []
    )
    chosen = [*landmarks, *map(int, others[:_MOST_UNANSWERED]), *spread]
    return Sampled(np.array(list(dict.fromkeys(chosen))[:_MOST_REQUESTS], dtype=np.int64), landmarks)


def _van_der_corput(n: int) -> list[float]:
    """Sequence 1/2, 1/4, 3/4, 1/8, ... of van der Corput (1935), any prefix of which is evenly spread."""
    return [float(int(f"{k:b}"[::-1], 2)) / (1 << k.bit_length()) for k in range(1, n + 1)]


def gantt(requests: pd.DataFrame, sampled: Sampled, spans: pd.DataFrame, n_most_spans: int) -> dict[str, Any]:
    """Encode the spans of sampled requests as integers, up to `n_most_spans` spans in total.

    Each span is seven numbers: device, peer (-1: none), kind of work, token, and three durations in
    microseconds: from the request's arrival until the span was requested, from there to its start, and its
    length (-1: not started, or not ended, in the run).
    """
    chosen = requests[requests["request_id"].isin(sampled.request_ids)]
    rows: dict[int, dict[Any, Any]] = {int(row["request_id"]): row for row in chosen.to_dict("records")}
    names: dict[str, int] = {}
    groups = dict(iter(spans[GANTT_COLUMNS].groupby("request_id", sort=False))) if len(spans) else {}
    written: list[dict[str, Any]] = []
    room = n_most_spans
    for request_id in map(int, sampled.request_ids):
        row = rows[request_id]
        own = groups.get(request_id)
        n_spans = 0 if own is None else min(len(own), _MOST_SPANS_OF_ONE)
        if n_spans > room and written:
            continue
        room -= n_spans
        arrived_s = float(row["arrived_at_s"])
        ended_s = float(row["ended_at_s"]) if pd.notna(row["ended_at_s"]) else None
        written.append(
            {
                "id": request_id,
                "mark": sampled.landmarks.get(request_id),
                "source": str(row["source"]),
                "outcome": str(row["outcome"]),
                "reason": str(row["reason"]) if pd.notna(row["reason"]) else None,
                "arrived": round(arrived_s, 6),
                "length": None if ended_s is None else round(1e6 * (ended_s - arrived_s)),
                "prompt": int(row["n_prompt_tokens"]),
                "tokens": int(row["n_emitted_tokens"]),
                "cut": 0 if own is None else len(own) - n_spans,
                "spans": [] if own is None else _written(own.iloc[:n_spans], arrived_s, names),
            }
        )
    return {"names": list(names), "work": list(_WORK), "requests": written}


def _written(spans: pd.DataFrame, arrived_s: float, names: dict[str, int]) -> list[int]:
    kinds = [
        _CARRIED.get(carried, "wire") if kind in ("send", "control") else kind
        for kind, carried in zip(spans["kind"], spans["link_kind"], strict=True)
    ]
    if unknown := sorted({str(kind) for kind in kinds}.difference(_WORK)):
        raise TraceError(
            f"spans: kind contains {', '.join(unknown)}; expected {', '.join(SpanKind)}: the trace was not "
            "written by edgesim, or is damaged"
        )
    asked_s, started_s, ended_s = (floats(spans, f"{name}_at_s") for name in ("asked", "started", "ended"))
    columns = [
        np.array([names.setdefault(name, len(names)) for name in spans["device"]]),
        np.array([-1 if pd.isna(peer) else names.setdefault(peer, len(names)) for peer in spans["peer"]]),
        np.array([_WORK.index(kind) for kind in kinds]),
        spans["token"].fillna(-1).to_numpy(np.int64),
        _microseconds(asked_s - arrived_s, least=None),
        _microseconds(started_s - asked_s, least=0.0),
        _microseconds(ended_s - started_s, least=0.0),
    ]
    return [int(value) for value in np.stack(columns, axis=1).ravel()]


def _microseconds(lengths_s: npt.NDArray[np.float64], least: float | None) -> IntArray:
    clipped = lengths_s if least is None else np.maximum(lengths_s, least)
    return np.where(np.isnan(clipped), -1, np.nan_to_num(1e6 * clipped).round()).astype(np.int64)
