"""Breakdown of the latency of every request of a run into parts that sum to it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from edgesim.explain.parts import Part
from edgesim.explain.path_pieces import pieces
from edgesim.explain.span_arrays import gather
from edgesim.trace.reader import Trace

__all__ = ["breakdown"]


def breakdown(trace: Trace, strategy: str, replication: int) -> pd.DataFrame:
    """Split the time from arrival to the last token of every completed request into parts.

    The critical path of a request is followed backwards from the delivery of its last token: the
    predecessor of a span is the span of the same request that ended last by the instant at which the
    successor was requested. A span counts from the instant at which it was requested: first its wait, then
    its work. Of parallel work, only the branch that was waited for counts, and each instant counts once.

    A group's pass is divided by what its members did in it, averaged over the members. Of a radio hop with n
    attempts, the share (n - 1) / n counts as retransmission: this assumes that all its blocks took as many
    attempts as the worst one, so it is an upper bound. Time that no span covers is classified by where it
    lies: before the first work; before the prompt is served again, if work was lost and the scenario has
    retries; while control traffic was under way anywhere; otherwise it is not explained.

    Not modelled: the cost of sharing. Where passes share a device, or messages a band, a span takes longer,
    and the trace does not record by how much.

    Returns
    -------
    DataFrame
        Seconds, one row per completed request (column ``request_id``, ascending) and one column per
        :class:`~edgesim.explain.parts.Part`; each row sums to ``ended_at_s`` - ``arrived_at_s``.

    Raises
    ------
    TraceError
        If the trace contains no spans of this run.
    """
    requests = trace.requests(strategy, replication)
    requests = requests[(requests["outcome"] == "completed").to_numpy()].sort_values("request_id")
    request_id = requests["request_id"].to_numpy(np.int64)
    arrived_at_s, ended_at_s = (
        requests[name].to_numpy(np.float64) for name in ("arrived_at_s", "ended_at_s")
    )
    spans = gather(trace, strategy, replication, request_id, ended_at_s)
    retries = bool(trace.run.get("retries", False))
    parts_s = np.zeros((len(request_id), len(Part)))
    for begun, until, rows in spans.stretches(len(request_id)):
        life_s = arrived_at_s[begun:until], ended_at_s[begun:until]
        found = pieces(spans, rows, begun, life_s, retries=retries)
        parts_s[begun:until] = found.totals_s(until - begun)
    table = pd.DataFrame(parts_s, columns=[part.value for part in Part])
    table.insert(0, "request_id", request_id)
    return table
