"""Rivals that decide task by task, from queue states that were reported: pure rules.

Both see what the last report said, whatever has happened since.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["backpressure", "join_shortest_expected"]

Floats = NDArray[np.float64]


def join_shortest_expected(
    transfer_s: Floats, n_queued: Floats, service_s: Floats, onward_s: Floats | float = 0.0
) -> int:
    """JSED: the hop by which a task is expected to be served first; of equals, the first.

    Shortest expected delay routing in exponential queues (Banawan and Zahorjan 1989,
    doi:10.1109/INFCOM.1989.101448) with the way there added.

    Parameters
    ----------
    transfer_s : [n_hops]
        Time to each hop, with what already waits for that link; inf: it is down.
    n_queued : [n_hops]
        Tasks at each hop, the one in service among them, as reported.
    service_s : [n_hops]
        Mean service time there.
    onward_s : [n_hops]
        What is expected after it, if it is known.
    """
    return int(np.argmin(transfer_s + (n_queued + 1) * service_s + onward_s))


def backpressure(
    n_queued_here: float, n_queued_there: Floats, transfer_s: Floats, *, least_pressure: float = 0.0
) -> int | None:
    """Backpressure: the hop with the largest difference of queues times the link's rate; None: keep the task.

    Tassiulas and Ephremides 1992, doi:10.1109/9.182479, each offloader alone (no conflict between links), and
    links' rates as tasks per second.

    Parameters
    ----------
    n_queued_here
        Tasks that wait at the offloader for the next stage, this one among them.
    n_queued_there, transfer_s : [n_hops]
        Tasks at each hop, as reported, and the time over each link; 0 s counts as the quickest of all, inf
        as a link that is down.
    least_pressure
        Difference of queues up to which a task is kept.
    """
    pressure = n_queued_here - n_queued_there
    weight = np.where(np.isfinite(transfer_s), pressure / np.maximum(transfer_s, 1e-9), -np.inf)
    best = int(np.argmax(weight))
    return best if np.isfinite(weight[best]) and pressure[best] > least_pressure else None
