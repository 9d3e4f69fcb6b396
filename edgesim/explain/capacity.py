"""An upper bound of what any placement of the model could answer per second: a linear programme."""

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
    """One way of a link.

    Attributes
    ----------
    sender, receiver
        Its ends.
    rate_bps
        Bits per second that it carries.
    band
        Ways of one name share their time, as those of a cell's links; empty: it is on its own.
    """

    sender: str
    receiver: str
    rate_bps: float
    band: str = ""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The most that devices and links could answer.

    Attributes
    ----------
    per_s
        Requests per second.
    computed_per_s
        By device, the requests' worth of computing that it does in one way of reaching that.
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
    """Maximise the rate of requests that devices and links can bear.

    Requests are a fluid: any share of one may be computed on any device, at the time that the whole model
    takes there times that share; the same share of its prompt has to reach the device, and of its answer to
    come home, over any routes at once. Memory, latency, queues and what stages send one another are left
    out, and each of them can only lower what is reached: it is an upper bound for every placement in which
    each token passes the whole model, alone or in the batches for which `seconds` stand. How much of the rate
    each source gets is free, as it is where requests of one are answered and those of another queue.

    Variables are each source's rate, what each device computes, and what each way carries of prompts and of
    answers;
    it is linear, and solved by HiGHS (Huangfu and Hall 2018) as SciPy has it.

    Parameters
    ----------
    seconds
        By device, time that a typical request takes it altogether.
    pipes
        Both ways of every link; nodes that are in `pipes` alone forward.
    sources
        Devices at which requests arise.
    prompt_bits, answer_bits
        Least size of what goes to a device that computes a request, and comes back.
    """
    devices, askers = list(seconds), list(dict.fromkeys(sources))
    nodes = list(
        dict.fromkeys([*devices, *askers, *chain.from_iterable((p.sender, p.receiver) for p in pipes)])
    )
    at = {node: row for row, node in enumerate(nodes)}
    n_askers, n_devices, n_pipes, n_nodes = len(askers), len(devices), len(pipes), len(nodes)
    n_before_pipes = n_askers + n_devices
    n_columns = n_before_pipes + 2 * n_pipes
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []

    def put(row: int, column: int, value: float) -> None:
        rows.append(row)
        columns.append(column)
        values.append(value)

    # Prompts and answers are conserved at every node: two rows each.
    for number, source in enumerate(askers):
        put(at[source], number, 1.0)
        put(n_nodes + at[source], number, -1.0)
    for number, device in enumerate(devices):
        put(at[device], n_askers + number, -1.0)
        put(n_nodes + at[device], n_askers + number, 1.0)
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
    goal[:n_askers] = -1.0
    free = (0.0, None)
    most = [*[free] * n_askers, *((0.0, 1.0 / seconds[d]) for d in devices), *[free] * (2 * n_pipes)]
    found = linprog(  # type: ignore[call-overload]  # its stubs leave sparse matrices out
        goal,
        A_ub=shared if bands else None,
        b_ub=np.ones(len(bands)) if bands else None,
        A_eq=balance,
        b_eq=np.zeros(2 * n_nodes),
        bounds=most,
        method="highs",
    )
    assert found.success, found.message  # nothing at all is feasible, and devices bound the rate
    done = found.x[n_askers:n_before_pipes]
    return Capacity(float(found.x[:n_askers].sum()), dict(zip(devices, done.tolist(), strict=True)))
