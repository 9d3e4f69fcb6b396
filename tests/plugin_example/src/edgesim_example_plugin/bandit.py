"""Requests go to the server that has answered fastest so far; at times another is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field

from edgesim import Architecture, Cluster, Fleet, LiveRequest, Placement, Serving, Stage, Strategy

__all__ = ["Bandit", "Learned"]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


@dataclass
class Learned:
    """What one run has learned: by server, how many requests it has answered, and in how long."""

    n_answers: dict[str, int]
    mean_s: dict[str, float]

    def note(self, server: str, took_s: float) -> None:
        """Take one more answer into the mean."""
        self.n_answers[server] += 1
        self.mean_s[server] += (took_s - self.mean_s[server]) / self.n_answers[server]


class Bandit(Strategy):
    """Offload to the server of least measured latency; with a small probability to any (epsilon-greedy).

    It knows nothing of the servers but how long their answers took: a multi-armed bandit (Sutton and Barto
    2018, "Reinforcement Learning", section 2.4).
    """

    to: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = Field(
        description="Server, group of servers, or a list of either"
    )
    explore: float = Field(0.1, ge=0, le=1, description="Probability with which any server is tried")

    def place(self, model: Architecture, fleet: Fleet) -> Placement:
        """Put the whole model on every server."""
        servers = fleet.select(self.to)
        for source in fleet.sources:
            for server in servers:
                fleet.check_reach(source, server)
        return Placement(tuple(Stage(server, model.whole) for server in servers))

    def begin(self, placement: Placement, model: Architecture, fleet: Fleet) -> Learned:
        """Begin a run without knowing anything: a server that was never tried counts as the fastest."""
        return Learned(dict.fromkeys(placement.devices, 0), dict.fromkeys(placement.devices, 0.0))

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Placement, state: Learned) -> Serving:
        """Choose a server, have it answer, and learn how long that took."""
        # Numbers of the request's own: what it draws does not depend on what others have drawn.
        rng = cluster.random("explore", request)
        if rng.random() < self.explore:
            server = placement.devices[rng.integers(len(placement.devices))]
        else:
            server = min(placement.devices, key=state.mean_s.__getitem__)
        began_at_s = cluster.now_s
        yield from cluster.admit(request, (server,))
        yield from cluster.send(request, request.source, server, request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, server, placement.holdings[server][0], token)
            yield from cluster.emit(request, server, token)  # the last is waited for: the answer is complete
        state.note(server, cluster.now_s - began_at_s)
