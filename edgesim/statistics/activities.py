"""Decomposition of each request's end-to-end latency into activities, which add up to it exactly."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["CARRIED", "PASS_PARTS", "Activity", "activities"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Activity(StrEnum):
    """Activity of a request, in order of precedence if several overlap."""

    COMPUTING = "computing"
    STRAGGLING = "waiting for the slowest"
    AIR = "on the air"
    WIRE = "on wires"
    RECORDED = "on recorded links"
    HANDLING = "handling messages"
    QUEUEING_FOR_COMPUTE = "queueing for compute"
    QUEUEING_FOR_NETWORK = "queueing for network"
    WAITING_FOR_MEMORY = "waiting for memory"
    OTHER = "other"


_RANKS = {activity: rank for rank, activity in enumerate(Activity)}

CARRIED: Mapping[str, Activity] = MappingProxyType(
    {"radio": Activity.AIR, "wired": Activity.WIRE, "recorded": Activity.RECORDED}
)
"""Activity of a transmission, by kind of link."""

# Activity by kind of span: after the start of the span (on links: CARRIED), and before it.
_STARTED = {
    "compute": Activity.COMPUTING,
    "endpoint": Activity.HANDLING,
    "send": Activity.WIRE,
    "all_reduce": Activity.WIRE,
    "wait": Activity.WAITING_FOR_MEMORY,
}
_ASKED = {
    "compute": Activity.QUEUEING_FOR_COMPUTE,
    "endpoint": Activity.QUEUEING_FOR_NETWORK,
    "send": Activity.QUEUEING_FOR_NETWORK,
    "all_reduce": Activity.QUEUEING_FOR_NETWORK,
}

PASS_PARTS: Mapping[str, Activity] = MappingProxyType(
    {
        "straggler_s": Activity.STRAGGLING,
        "air_s": Activity.AIR,
        "wire_s": Activity.WIRE,
        "handling_s": Activity.HANDLING,
    }
)
"""Activity of each column with a time in a group's pass during which a member does not compute."""

_PASS = ["request_id", "token", "started_at_s", "ended_at_s"]
"""Columns with equal values in all members' spans of one pass."""


def activities(requests: pd.DataFrame, spans: pd.DataFrame) -> pd.DataFrame:
    """Divide the time from arrival to end of every completed request into activities.

    If spans of one request overlap (such as a token being delivered while the next is computed), each instant
    counts once, for the first :class:`Activity` that applies. The activities of a row therefore add up to the
    request's end-to-end latency.

    The time of a group's pass is divided by its members' activities, averaged over the members: if one of
    four computes while three wait for it, a quarter of that time is computing. A group's pass takes
    precedence over all activities except computing by a pass outside groups.

    Returns
    -------
    DataFrame
        Seconds, one row per completed request (index ``request_id``), one column per activity.
    """
    completed = requests[requests["outcome"] == "completed"]
    owned = spans[spans["request_id"].notna()]
    is_pass = _of_groups(owned)
    starts, ends, ranks, owners = _intervals(owned, is_pass)
    shares = _group_shares(owned[is_pass])
    order = np.argsort(owners, kind="stable")
    owners = owners[order]
    rows = []
    for id_, arrived_at_s, ended_at_s in zip(
        completed["request_id"].to_numpy(np.int64),
        completed["arrived_at_s"].to_numpy(np.float64),
        completed["ended_at_s"].to_numpy(np.float64),
        strict=True,
    ):
        own = order[np.searchsorted(owners, id_) : np.searchsorted(owners, id_, side="right")]
        seconds = _cut(starts[own], ends[own], ranks[own], arrived_at_s, ended_at_s)
        seconds, in_passes_s = seconds[:-1], seconds[-1]
        if in_passes_s:
            seconds = seconds + in_passes_s * shares[id_]
        rows.append(seconds)
    columns = [activity.value for activity in Activity]
    index = pd.Index(completed["request_id"].to_numpy(), name="request_id")
    return pd.DataFrame(np.array(rows).reshape(-1, len(columns)), index=index, columns=columns)


_IN_PASS = len(Activity)
"""Provisional rank of a group's pass, until its time is divided among activities."""


def _intervals(
    spans: pd.DataFrame, is_pass: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """Return starts, ends, ranks and request ids of all intervals with an activity."""
    kinds = spans["kind"].astype(str)
    queueing = kinds.map(_ASKED)
    doing = spans["link_kind"].astype(object).map(CARRIED)
    doing = doing.where(doing.notna(), kinds.map(_STARTED))
    starts, ends, ranks, owners = [], [], [], []
    for activity, begin, end in (
        (queueing, "asked_at_s", "started_at_s"),
        (doing, "started_at_s", "ended_at_s"),
    ):
        known = (activity.notna() & spans[end].notna()).to_numpy()
        rank = activity[known].map(_RANKS).to_numpy(np.int64)
        ranks.append(np.where(is_pass[known], _IN_PASS, rank) if activity is doing else rank)
        starts.append(spans.loc[known, begin].to_numpy(np.float64))
        ends.append(spans.loc[known, end].to_numpy(np.float64))
        owners.append(spans.loc[known, "request_id"].to_numpy(np.int64))
    return tuple(np.concatenate(parts) for parts in (starts, ends, ranks, owners))  # type: ignore[return-value]


def _of_groups(spans: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which spans belong to a member in a group's pass."""
    is_compute = (spans["kind"] == "compute").to_numpy() & spans["ended_at_s"].notna().to_numpy()
    waits = is_compute & (spans[list(PASS_PARTS)] > 0.0).any(axis=1).to_numpy()
    if not waits.any():
        return waits
    # A member that computes all the time has no parts; it is recognised by the members that wait for it.
    passes = pd.MultiIndex.from_frame(spans[_PASS])
    return is_compute & passes.isin(passes[waits])


def _group_shares(passes: pd.DataFrame) -> dict[int, FloatArray]:
    """Return, by request, each activity's share of the time of its groups' passes, [n_activities]."""
    if passes.empty:
        return {}
    means = passes.groupby(_PASS)[list(PASS_PARTS)].mean().reset_index()
    means["length_s"] = means["ended_at_s"] - means["started_at_s"]
    totals = means.groupby("request_id")[["length_s", *PASS_PARTS]].sum()
    shares = {}
    for id_, (length_s, *parts_s) in zip(totals.index, totals.to_numpy(np.float64), strict=True):
        share = np.zeros(len(Activity))
        for activity, part_s in zip(PASS_PARTS.values(), parts_s, strict=True):
            share[_RANKS[activity]] = part_s / length_s
        share[_RANKS[Activity.COMPUTING]] = 1.0 - share.sum()
        shares[int(id_)] = share
    return shares


def _cut(starts: FloatArray, ends: FloatArray, ranks: IntArray, from_s: float, until_s: float) -> FloatArray:
    """Return the time of each activity of one request, then of groups' passes, [n_activities + 1] in s."""
    cuts = np.unique(np.clip(np.concatenate([starts, ends, [from_s, until_s]]), from_s, until_s))
    rank_at = np.full(len(cuts) - 1, _RANKS[Activity.OTHER])
    first, last = (
        np.searchsorted(cuts, np.clip(starts, from_s, until_s)),
        np.searchsorted(cuts, np.clip(ends, from_s, until_s)),
    )
    # From the lowest to the highest precedence, which overwrites; a group's pass comes next to computing.
    importance = np.where(ranks == _IN_PASS, 0.5, ranks)
    for span in np.argsort(-importance, kind="stable"):
        rank_at[first[span] : last[span]] = ranks[span]
    seconds: FloatArray = np.bincount(rank_at, np.diff(cuts), len(Activity) + 1).astype(np.float64)
    return seconds
