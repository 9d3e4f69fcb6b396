"""Local inference: every source runs the whole model for its own requests."""

from __future__ import annotations

from edgesim.engine.cluster import Cluster
from edgesim.engine.request import LiveRequest
from edgesim.model.architecture import Architecture
from edgesim.strategy import Placement, Serving, Stage, Strategy
from edgesim.world.fleet import Fleet

__all__ = ["Local"]


class Local(Strategy):
    """Compute where the request arises; nothing is sent. The baseline of every comparison."""

    def place(self, model: Architecture, fleet: Fleet) -> Placement:
        """Put the whole model on every source."""
        return Placement(tuple(Stage(source, model.whole) for source in fleet.sources))

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Placement) -> Serving:
        """Prefill and decode at the source."""
        part = placement.stages[0].part
        for token in request.tokens():
            yield from cluster.compute(request, request.source, part, token)
            yield from cluster.emit(request, request.source, token)
