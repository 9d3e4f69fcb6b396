"""Upper bound on the request rate that any placement of the model could serve: a linear programme."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

__all__ = ["Capacity", "Pipe", "capacity"]


@dataclass(frozen=True, slots=True)
class Pipe:
    """One direction of a link.

    Attributes
    ----------
    sender, receiver
        Its ends.
    rate_bps
        Rate in bit/s.
    band
        Name of the band. Directions with the same name share its time, as the links of a cell do; empty: not
        shared.
    """

    sender: str
    receiver: str
    rate_bps: float
    band: str = ""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Maximum request rate of devices and links.

    Attributes
    ----------
    per_s
        Requests per second.
    computed_per_s
        Requests per second computed by each device, in one optimal solution.
    """

    per_s: float
    computed_per_s: Mapping[str, float]


def capacity(
    seconds: Mapping[str, float],
    pipes: Sequence[Pipe],
    sources: Collection[str],
    *,
    prompt_bits: float,
    answer_bits: float,
) -> Capacity:
    """Maximise the total request rate that devices and links can sustain.

    Requests are a fluid: any fraction of a request may be computed on any device, in that fraction of the
    time that the whole model takes there. The same fraction of its prompt must reach the device, and of its
    answer return to the source, over any number of routes at once. Memory, latency, queues and the traffic
    between stages are left out; each can only lower the rate. The result is therefore an upper bound for
    every placement in which each token passes the whole model, alone or in the batches that `seconds`
    assumes. The split of the rate among the sources is free, since requests of one source may be answered
    while those of another queue.

    The variables are the rate of each source, the rate computed by each device, and the prompt and answer
    flows in each direction of each link. The problem is linear and solved by HiGHS (Huangfu and Hall 2018)
    through SciPy.

    Parameters
    ----------
    seconds
        By device, total time that a typical request occupies it.
    pipes
        Both directions of every link; nodes that occur only in `pipes` forward.
    sources
        Devices at which requests arrive.
    prompt_bits, answer_bits
        Minimum size of the message to a device that computes a request, and of the message back.
    """
    devices, unique_sources = list(seconds), list(dict.fromkeys(sources))
    nodes = list(
        dict.fromkeys(
            [*devices, *unique_sources, *chain.from_iterable((p.sender, p.receiver) for p in pipes)]
        )
    )
    at = {node: row for row, node in enumerate(nodes)}
    n_sources, n_devices, n_pipes, n_nodes = len(unique_sources), len(devices), len(pipes), len(nodes)
    n_before_pipes = n_sources + n_devices
    n_columns = n_before_pipes + 2 * n_pipes
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []

    def put(row: int, column: int, value: float) -> None:
        rows.append(row)
        columns.append(column)
        values.append(value)

    # Flow conservation at every node: one row for prompts, one for answers.
    for number, source in enumerate(unique_sources):
        put(at[source], number, 1.0)
        put(n_nodes + at[source], number, -1.0)
    for number, device in enumerate(devices):
        put(at[device], n_sources + number, -1.0)
        put(n_nodes + at[device], n_sources + number, 1.0)
    for number, pipe in enumerate(pipes):
        for kind in range(2):
            column = n_before_pipes + kind * n_pipes + number
            put(kind * n_nodes + at[pipe.sender], column, -1.0)
            put(kind * n_nodes + at[pipe.receiver], column, 1.0)
    balance = coo_array((values, (rows, columns)), shape=(2 * n_nodes, n_columns)).tocsr()
    rows, columns, values = [], [], []
    bands = list(dict.fromkeys(pipe.band or f"\0{number}" for number, pipe in enumerate(pipes)))
    of_band = {band: row for row, band in enumerate(bands)}
    for number, pipe in enumerate(pipes):
        row = of_band[pipe.band or f"\0{number}"]
        for kind, n_bits in enumerate((prompt_bits, answer_bits)):
            put(row, n_before_pipes + kind * n_pipes + number, n_bits / pipe.rate_bps)
    shared = coo_array((values, (rows, columns)), shape=(len(bands), n_columns)).tocsr()
    goal = np.zeros(n_columns)
    goal[:n_sources] = -1.0
    free = (0.0, None)
    most = [*[free] * n_sources, *((0.0, 1.0 / seconds[d]) for d in devices), *[free] * (2 * n_pipes)]
    found = linprog(  # type: ignore[call-overload]  # its stubs leave sparse matrices out
        goal,
        A_ub=shared if bands else None,
        b_ub=np.ones(len(bands)) if bands else None,
        A_eq=balance,
        b_eq=np.zeros(2 * n_nodes),
        bounds=most,
        method="highs",
    )
    assert found.success, found.message  # zero flow is feasible, and the devices bound the rate
    done = found.x[n_sources:n_before_pipes]
    return Capacity(float(found.x[:n_sources].sum()), dict(zip(devices, done.tolist(), strict=True)))
