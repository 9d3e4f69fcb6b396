"""Where the time of every request of a run went: parts of its latency that add up to it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from edgesim.explain.gathered import gather
from edgesim.explain.parts import Part
from edgesim.explain.pieces import pieces
from edgesim.trace.reader import Trace

__all__ = ["breakdown"]


def breakdown(trace: Trace, strategy: str, replication: int) -> pd.DataFrame:
    """Cut the time from arrival to the last token of every completed request into parts.

    Its critical path is followed backwards from the delivery of the last token: before each span stands the
    one of the same request that ended last by the instant at which it was asked for. A span counts from
    when it was asked for: what it waited, and what it did. Of parallel work only what was waited for
    counts, and each instant once.

    A group's pass counts by what its members did in it, on average over them. Of a radio hop with n attempts
    the share (n - 1) / n counts as repeating: as if all its blocks had met the fate of the unluckiest, so
    it is the most that repeating can have taken. What no span covers is named by where it lies: before the
    first work; before the prompt is served again, where work was lost and the scenario has retries; while
    control traffic was under way anywhere; else it is not explained.

    Not modelled: what sharing costs. Where passes share a device, or messages a band, a span is longer for
    it, and the trace does not say by how much.

    Returns
    -------
    DataFrame
        Seconds, one row per completed request (column ``request_id``, ascending) and one column per
        :class:`~edgesim.explain.parts.Part`; they add up to ``ended_at_s`` - ``arrived_at_s``.

    Raises
    ------
    TraceError
        If this run has kept no spans.
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
