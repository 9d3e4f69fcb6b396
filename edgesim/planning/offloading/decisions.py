"""Baselines that decide task by task from reported queue states, as pure functions.

They use the last report and do not account for changes since.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["backpressure", "join_shortest_expected"]

Floats = NDArray[np.float64]


def join_shortest_expected(
    transfer_s: Floats, n_queued: Floats, service_s: Floats, onward_s: Floats | float = 0.0
) -> int:
    """JSED: return the hop with the shortest expected delay of a task; of equal ones, the first.

    Shortest expected delay routing in exponential queues (Banawan and Zahorjan 1989,
    doi:10.1109/INFCOM.1989.101448), with the transfer time added.

    Parameters
    ----------
    transfer_s : [n_hops]
        Time to each hop, including the backlog of its link; inf: the link is down.
    n_queued : [n_hops]
        Reported number of tasks at each hop, including the one in service.
    service_s : [n_hops]
        Mean service time at each hop.
    onward_s : [n_hops]
        Expected delay after each hop, if known.
    """
    return int(np.argmin(transfer_s + (n_queued + 1) * service_s + onward_s))


def backpressure(
    n_queued_here: float, n_queued_there: Floats, transfer_s: Floats, *, least_pressure: float = 0.0
) -> int | None:
    """Backpressure: return the hop of largest queue difference times link rate, or None to keep the task.

    Tassiulas and Ephremides 1992, doi:10.1109/9.182479, for each offloader separately (links do not
    conflict), with link rates in tasks per second.

    Parameters
    ----------
    n_queued_here
        Tasks waiting at the offloader for the next stage, this one included.
    n_queued_there, transfer_s : [n_hops]
        Reported number of tasks at each hop, and the time over each link; 0 s counts as the fastest, inf as a
        link that is down.
    least_pressure
        Queue difference up to which the task is kept.
    """
    pressure = n_queued_here - n_queued_there
    weight = np.where(np.isfinite(transfer_s), pressure / np.maximum(transfer_s, 1e-9), -np.inf)
    best = int(np.argmax(weight))
    return best if np.isfinite(weight[best]) and pressure[best] > least_pressure else None
