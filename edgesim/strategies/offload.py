"""Offloading: sources send prompts to a server, which computes the whole answer and streams it back."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from edgesim.engine.cluster import Cluster
from edgesim.engine.request import LiveRequest
from edgesim.model.architecture import Architecture
from edgesim.strategy import Placement, Serving, Stage, Strategy
from edgesim.world.fleet import Fleet

__all__ = ["Offload"]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Offload(Strategy):
    """Send the prompt's token ids to a server, which streams the answer's tokens back as it generates them.

    With several servers, a request goes to the reachable one with the fewest requests in service or waiting
    (join the shortest queue; ties: least work booked, then the order of the scenario), as of the time at
    which it arises.

    Not modelled: the delay with which a dispatcher learns the servers' state.
    """

    to: Annotated[
        tuple[str, ...],
        BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...]),
        Field(min_length=1),
    ] = Field(description="Server, group of servers, or a list of either")
    choose: Literal["least-loaded", "first"] = Field(
        "least-loaded", description="Choice of the server for each request, if there are several"
    )

    def place(self, model: Architecture, fleet: Fleet) -> Placement:
        """Put the whole model on every server."""
        servers = fleet.select(self.to)
        if self.choose == "first":
            servers = servers[:1]
        for source in fleet.sources:
            for server in servers:
                fleet.check_reach(source, server)
        return Placement(tuple(Stage(server, model.whole) for server in servers))

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Placement) -> Serving:
        """Choose a server, reserve its memory, send the prompt, and compute there."""
        state = cluster.observe()
        ranked = sorted(
            placement.devices, key=lambda device: (state.n_requests(device), state.backlog_s(device))
        )
        server = ranked[0]
        if len(ranked) > 1:
            server = next((one for one in ranked if state.can_reach(request.source, one)), server)
        part = placement.stages[0].part
        yield from cluster.admit(request, (server,))
        yield from cluster.send(request, request.source, server, request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, server, part, token)
            yield from cluster.emit(request, server, token)
