"""Requests are distributed over the servers in turn, whatever the servers are doing."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from edgesim import Architecture, Cluster, Fleet, LiveRequest, Placement, Serving, Stage, Strategy

__all__ = ["RoundRobin"]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class RoundRobin(Strategy):
    """Offload request number k to server k modulo the number of servers.

    A dispatcher that knows nothing about the servers; the baseline for those that do.
    """

    to: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = Field(
        description="Server, group of servers, or a list of either"
    )

    def place(self, model: Architecture, fleet: Fleet) -> Placement:
        """Put the whole model on every server."""
        servers = fleet.select(self.to)
        for source in fleet.sources:
            for server in servers:
                fleet.check_reach(source, server)
        return Placement(tuple(Stage(server, model.whole) for server in servers))

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Placement) -> Serving:
        """Send the prompt to the server whose turn it is, and stream the answer back."""
        # The turn is a function of the request, not a counter: a strategy keeps no state between calls.
        stage = placement.stages[request.id % len(placement.stages)]
        server = stage.device
        yield from cluster.admit(request, (server,))
        yield from cluster.send(request, request.source, server, request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, server, stage.part, token)
            yield from cluster.emit(request, server, token)
