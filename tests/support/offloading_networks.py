"""Heterogeneous networks of end devices and staged servers, drawn from a seed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from edgesim.planning.offloading.network import OffloadingNetwork, OffloadingNode

__all__ = ["drawn_network"]


def drawn_network(
    seed: int,
    *,
    n_devices: int = 8,
    n_servers: tuple[int, ...] = (3, 3, 2),
    n_reached: int = 2,
    continues: float = 0.8,
    scv: float = 1.0,
    link_scv: float | None = None,
    speeds: tuple[float, ...] = (1.0, 2.5, 8.0),
) -> OffloadingNetwork:
    """Servers of three speeds (about a Jetson TX2, NX and AGX), 20 ms of the slowest for each sub-model, and
    links of 5 to 100 Mbit/s (drawn evenly on a logarithmic scale) that carry 0.5 Mbit."""
    rng = np.random.default_rng(seed)
    stages = [[f"d{i}" for i in range(n_devices)]]
    nodes = [OffloadingNode(name, 0, arrivals_per_s=float(rng.uniform(0.5, 1.5))) for name in stages[0]]
    for stage, n in enumerate(n_servers, start=1):
        stages.append([f"s{stage}.{i}" for i in range(n)])
        nodes += [
            OffloadingNode(name, stage, 0.02 / float(rng.choice(speeds)), scv=scv) for name in stages[-1]
        ]
    times = {}
    for here, there in pairwise(stages):
        for number, name in enumerate(here):
            reached = set(rng.choice(there, min(n_reached, len(there)), replace=False).tolist())
            reached.add(there[number % len(there)])  # every server is reached
            for head in sorted(reached):
                times[name, head] = 0.5e6 / float(np.exp(rng.uniform(np.log(5e6), np.log(100e6))))
    queues = None if link_scv is None else dict.fromkeys(times, link_scv)
    return OffloadingNetwork.of(nodes, times, [continues] * (len(n_servers) - 1), link_scv=queues)
