"""Small cities: end devices, stages of servers of different speeds, and links between neighbouring stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from miniature import PerBlock, device, world

from edgesim.model.answers.exit_records import ExitRecords
from edgesim.units import bits
from edgesim.workload.arrivals import Poisson
from edgesim.world.device import Device
from edgesim.world.link import Link
from edgesim.world.world import World

BLOCKS_PER_STAGE = 1


def records(n_blocks: int, leaves: float, n_tokens: int = 4000, seed: int = 5) -> ExitRecords:
    """Exits after every block: at each, this share of the tokens is sure and right, the others neither."""
    draws = np.random.default_rng(seed)
    sure = draws.uniform(size=(n_tokens, n_blocks)) < leaves
    sure[:, -1] = draws.uniform(size=n_tokens) < 0.9
    return ExitRecords(tuple(range(1, n_blocks + 1)), np.where(sure, 0.95, 0.05), sure)


def city(
    service_s: Sequence[Sequence[float]],
    n_sources: int = 3,
    *,
    rate_hz: float = 1.0,
    hop_s: Sequence[Sequence[float]] | float = 0.001,
    law: Any = None,
    n_requests: int = 1000,
    seed: int = 1,
    head_s: float = 0.0,
    rates: dict[tuple[str, str], float] | None = None,
    **facts: Any,
) -> World:
    """Stages whose servers take so long for a block; every node is linked to all of the next stage.

    Links take `hop_s` of propagation and next to no time of transmission, so that nothing queues there.

    Parameters
    ----------
    head_s
        What a head takes on every server.
    rates
        Rates [bit/s] of the links that are slower, by their ends.
    """
    from miniature import model

    sources = [device(f"d-{i}", PerBlock(100.0)) for i in range(n_sources)]
    layers: list[list[Device]] = [
        [
            device(f"s{stage}-{i}", PerBlock(time_s, head_s), group=f"s{stage}", service=law)
            for i, time_s in enumerate(times_s)
        ]
        for stage, times_s in enumerate(service_s, 1)
    ]
    links: list[Link] = []
    for before, after in zip([sources, *layers], layers, strict=False):
        links += [
            Link(between=(a.id, b.id), rate_bps=(rates or {}).get((a.id, b.id), 1e15), latency_s=hop_s)
            for a in before
            for b in after
        ]
    home = [Link(between=(layers[-1][0].id, s.id), rate_bps=1e15) for s in sources]
    return world(
        [*sources, *(d for layer in layers for d in layer)],
        links + home,
        arrivals=Poisson(rate_hz),
        n_requests=n_requests,
        sources=tuple(s.id for s in sources),
        architecture=model(len(service_s) * BLOCKS_PER_STAGE),
        seed=seed,
        **facts,
    )


def stages_of(world: World) -> list[list[str]]:
    """The groups of a city's stages, as a strategy's option."""
    groups = dict.fromkeys(d.group for d in world.devices.values() if d.group != "d")
    return [[group] for group in groups]


def bits_of_state(world: World) -> float:
    """Bits of a one-token hidden state."""
    return bits(world.model.activation_bytes(1))
