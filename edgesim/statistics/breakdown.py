"""Where a request's time went: its life cut into activities that add up to it exactly."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["Activity", "breakdown"]

FloatArray = npt.NDArray[np.float64]


class Activity(StrEnum):
    """What a request was doing, the first that applies where it did several things at once."""

    COMPUTING = "computing"
    HANDLING = "handling messages"
    SENDING = "sending"
    QUEUEING_FOR_COMPUTE = "queueing for compute"
    QUEUEING_FOR_NETWORK = "queueing for network"
    WAITING_FOR_MEMORY = "waiting for memory"
    OTHER = "other"


# Kind of span -> what the request does once it has started, and before.
_STARTED = {
    "compute": Activity.COMPUTING,
    "endpoint": Activity.HANDLING,
    "send": Activity.SENDING,
    "all_reduce": Activity.SENDING,
    "retransmit": Activity.SENDING,
    "wait": Activity.WAITING_FOR_MEMORY,
}
_ASKED = {
    "compute": Activity.QUEUEING_FOR_COMPUTE,
    "endpoint": Activity.QUEUEING_FOR_NETWORK,
    "send": Activity.QUEUEING_FOR_NETWORK,
    "all_reduce": Activity.QUEUEING_FOR_NETWORK,
    "retransmit": Activity.QUEUEING_FOR_NETWORK,
}
_RANKS = {activity: rank for rank, activity in enumerate(Activity)}


def breakdown(requests: pd.DataFrame, spans: pd.DataFrame) -> pd.DataFrame:
    """Cut the time from arrival to end of every completed request into activities.

    Where spans of one request overlap (a token on its way home while the next one is computed), each
    instant counts once, for the first of :class:`Activity` that applies. A row's activities therefore sum
    to the request's end-to-end latency.

    Returns
    -------
    DataFrame
        Seconds, one row per completed request (index ``request_id``), one column per activity.
    """
    completed = requests[requests["outcome"] == "completed"]
    starts, ends, ranks, owners = _intervals(spans[spans["request_id"].notna()])
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
        rows.append(_cut(starts[own], ends[own], ranks[own], arrived_at_s, ended_at_s))
    columns = [activity.value for activity in Activity]
    index = pd.Index(completed["request_id"].to_numpy(), name="request_id")
    return pd.DataFrame(np.array(rows).reshape(-1, len(columns)), index=index, columns=columns)


def _intervals(
    spans: pd.DataFrame,
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Starts, ends, ranks and owners of all intervals in which something was going on."""
    kinds = spans["kind"].astype(str)
    starts, ends, ranks, owners = [], [], [], []
    for activities, begin, end in (
        (_ASKED, "asked_at_s", "started_at_s"),
        (_STARTED, "started_at_s", "ended_at_s"),
    ):
        told = spans[kinds.isin(activities) & spans[end].notna()]
        starts.append(told[begin].to_numpy(np.float64))
        ends.append(told[end].to_numpy(np.float64))
        ranks.append(
            told["kind"].astype(str).map(lambda kind, a=activities: _RANKS[a[kind]]).to_numpy(np.int64)
        )
        owners.append(told["request_id"].to_numpy(np.int64))
    return tuple(np.concatenate(parts) for parts in (starts, ends, ranks, owners))  # type: ignore[return-value]


def _cut(
    starts: FloatArray, ends: FloatArray, ranks: npt.NDArray[np.int64], from_s: float, until_s: float
) -> FloatArray:
    """Seconds of each activity within one life."""
    cuts = np.unique(np.clip(np.concatenate([starts, ends, [from_s, until_s]]), from_s, until_s))
    going_on = np.full(len(cuts) - 1, _RANKS[Activity.OTHER])
    # From the least to the most important, so that the latter overwrites.
    first, last = (
        np.searchsorted(cuts, np.clip(starts, from_s, until_s)),
        np.searchsorted(cuts, np.clip(ends, from_s, until_s)),
    )
    for span in np.argsort(-ranks, kind="stable"):
        going_on[first[span] : last[span]] = ranks[span]
    seconds: FloatArray = np.bincount(going_on, np.diff(cuts), len(Activity)).astype(np.float64)
    return seconds
