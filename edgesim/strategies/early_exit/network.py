"""The offloading problem of a layout on a fleet: service times, transfer times, arrival rates.

Not modelled here, although a simulation includes them: messages that wait for one another on a link, a
processor that serves several stages from one queue, endpoints that work on the processor, prompts of
different lengths, and the return of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from edgesim.errors import PlacementError
from edgesim.planning.offloading.capacity import largest_scale
from edgesim.planning.offloading.network import Heads, OffloadingNetwork, OffloadingNode
from edgesim.strategies.early_exit.demand import SeveralTokens, device_of, hop_bytes
from edgesim.strategies.early_exit.layout import Layout, without_head
from edgesim.strategy import CacheFill
from edgesim.world.fleet import Fleet

__all__ = ["Reach", "network_of"]

Reach = Literal["links", "routes"]

_ASSUMED_LOAD = 0.5  # relative to the largest flow, where arrivals depend on the answers


def network_of(
    layout: Layout, fleet: Fleet, reach: Reach, caches: CacheFill = CacheFill.RECOMPUTE
) -> OffloadingNetwork:
    """Return a layout as the planners' network, with nodes named ``stage/device``.

    Parameters
    ----------
    reach
        Servers of the next stage that a node may send to: those that a link leads to, or a route.
    caches
        Treatment of missing keys and values, where answers have several tokens.

    Raises
    ------
    PlacementError
        If a node reaches no server of the next stage.
    """
    rates = fleet.rates_hz or dict.fromkeys(layout.sources, 1.0)
    nodes = [
        OffloadingNode(f"0/{source}", 0, arrivals_per_s=rates.get(source, 0.0)) for source in layout.sources
    ]
    transfer_s: dict[tuple[str, str], float] = {}
    senders = layout.sources
    for stage, (servers, part) in enumerate(zip(layout.layers, layout.parts, strict=True), 1):
        nodes += [
            OffloadingNode(
                f"{stage}/{server}",
                stage,
                service_s=fleet.request_seconds(server, part),
                scv=fleet.service_scv(server),
            )
            for server in servers
        ]
        for sender in senders:
            hops = list(_hops(fleet, sender, servers, stage, reach))
            if not hops:
                how = "a direct link" if reach == "links" else "a route"
                raise PlacementError(
                    f"{sender!r} reaches no server of stage {stage} over {how}; link it to one of "
                    f"{', '.join(map(repr, servers[:3]))}" + (", or set 'reach: routes'" * (reach == "links"))
                )
            transfer_s |= {(f"{stage - 1}/{sender}", f"{stage}/{server}"): s for server, s in hops}
        senders = servers
    network = _with_heads(OffloadingNetwork.of(nodes, transfer_s), layout, fleet)
    if fleet.typical.n_output_tokens > 1:

        def hop_s(sender: str, server: str, size_bytes: float) -> float:
            return _hop_s(fleet, sender, server, size_bytes)

        work = SeveralTokens.of(layout, fleet, caches, network, hop_s)
        network = replace(network, work=work, heads=None).with_shares(np.ones(network.n_stages - 2))
    return network if fleet.rates_hz else network.scaled(_ASSUMED_LOAD * largest_scale(network))


def _with_heads(network: OffloadingNetwork, layout: Layout, fleet: Fleet) -> OffloadingNetwork:
    """For tasks of one token: separate the heads of inner exits, since closed exits compute none."""
    bare_s = network.service_s.copy()
    for node in np.flatnonzero((network.stage > 0) & (network.stage < network.n_stages - 1)).tolist():
        part = layout.parts[int(network.stage[node]) - 1]
        bare_s[node] = fleet.request_seconds(device_of(network.names[node]), without_head(part))
    heads = Heads(bare_s, network.service_s - bare_s)
    return replace(network, heads=heads).with_shares(np.ones(network.n_stages - 2))


def _hops(
    fleet: Fleet, sender: str, servers: tuple[str, ...], stage: int, reach: Reach
) -> Iterator[tuple[str, float]]:
    """Yield the servers that a node may send to, and the time to each on an idle network."""
    size_bytes = hop_bytes(fleet, stage)
    for server in servers:
        if server == sender or fleet.are_linked(sender, server) or reach == "routes":
            yield server, _hop_s(fleet, sender, server, size_bytes)


def _hop_s(fleet: Fleet, sender: str, server: str, size_bytes: float) -> float:
    """Return the time of a message of this size on an idle network."""
    if server == sender:
        return 0.0
    if fleet.are_linked(sender, server):
        return fleet.hop_seconds(sender, server, size_bytes)
    return fleet.transfer_seconds(sender, server, size_bytes)
