"""Requests go where they would be done first: by the link as it is, and by what each server last reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field

from edgesim import Architecture, Cluster, Fleet, LiveRequest, Placement, Serving, Stage, Strategy

__all__ = ["BestLink"]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


@dataclass(frozen=True)
class Cells(Placement):
    """The whole model on every server, and who asks them."""

    sources: tuple[str, ...] = ()


class BestLink(Strategy):
    """Best signal plus queue: the least sum of the way there and the work that waits there.

    A terminal sees its own links as they are; of servers' queues it knows what their last report said, and
    counts them down by its age. Servers report once a period, in messages that cost what messages cost.
    """

    to: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = Field(
        description="Server, group of servers, or a list of either"
    )
    period_s: float = Field(0.5, gt=0, description="Time between two reports of a server")
    report_bytes: int = Field(64, ge=0, description="Size of a report")
    least_snr_db: float = Field(-5.0, description="Servers behind weaker links are a last resort")

    def place(self, model: Architecture, fleet: Fleet) -> Cells:
        """Put the whole model on every server."""
        servers = fleet.select(self.to)
        for source in fleet.sources:
            for server in servers:
                fleet.check_reach(source, server)
        return Cells(tuple(Stage(server, model.whole) for server in servers), tuple(fleet.sources))

    def control(self, cluster: Cluster, placement: Cells) -> Serving:
        """Let every server report to every source, once a period; what gets lost is lost."""
        while True:
            for server in placement.devices:
                for source in placement.sources:
                    cluster.report(server, source, self.report_bytes, links=(), wait=False)
            yield from cluster.sleep(self.period_s)

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Cells) -> Serving:
        """Choose a server, send the prompt there, and stream the answer back."""
        source = request.source
        air, known = cluster.observe(), cluster.observe(at=source)

        def done_s(server: str) -> tuple[bool, float]:
            way, queue_s = air.route(source, server), 0.0
            if known.knows(server):
                queue_s = max(0.0, known.work_s(server) - known.age_s(server))
            is_weak = not way.is_up or (way.snr_db is not None and way.snr_db < self.least_snr_db)
            return is_weak, way.seconds(request.prompt_bytes) + queue_s

        server = min(placement.devices, key=done_s)
        part = placement.stages[0].part
        yield from cluster.admit(request, (server,))
        yield from cluster.send(request, source, server, request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, server, part, token)
            yield from cluster.emit(request, server, token)
