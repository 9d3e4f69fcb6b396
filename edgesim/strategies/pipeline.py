"""Recurrent pipeline parallelism: the blocks cut into contiguous stages on a ring of devices.

Macario, Seferoglu, Koyuncu, "Model-Distributed Inference for Large Language Models at the Edge", IEEE
LANMAN 2025 (arXiv 2505.18164). The starter holds the embedding, the first blocks, the final norm, the
head and the sampling; each secondary holds a run of blocks. A token walks the ring and comes back to the
starter, which samples and at once starts the next one. With as many requests in flight as there are
stages, every stage is busy: round robin is not programmed, it emerges from first come, first served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from edgesim.engine.cluster import Cluster
from edgesim.engine.fleet import Fleet
from edgesim.engine.request import LiveRequest
from edgesim.errors import PlacementError
from edgesim.model.architecture import Architecture, Slice
from edgesim.planning.chain import LatencyProblem
from edgesim.planning.latency import latency
from edgesim.planning.partition import even, mdi
from edgesim.strategy import Placement, Serving, Stage, Strategy

__all__ = ["Pipeline", "Ring"]


@dataclass(frozen=True)
class Ring(Placement):
    """A pipeline's placement: the starter first, then the secondaries, then the starter's head.

    Its ``stages`` are, in the order in which a token meets them: the starter's embedding and first
    blocks, each secondary's blocks, and the head on the starter.
    """

    @property
    def starter(self) -> Stage:
        """Embedding and first blocks."""
        return self.stages[0]

    @property
    def secondaries(self) -> tuple[Stage, ...]:
        """Runs of blocks along the ring."""
        return self.stages[1:-1]

    @property
    def head(self) -> Stage:
        """Final norm, head and sampling, on the starter."""
        return self.stages[-1]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Pipeline(Strategy):
    """Split the blocks into contiguous stages on a ring (recurrent pipeline parallelism, MDI-LLM).

    Departures from the paper's code: requests arise at the scenario's sources, so a prompt travels to
    the starter as token ids and tokens travel back; the KV cache is reserved for a request's own length,
    not for the model's whole context; a message has no framing bytes (endpoint costs stand for it).
    """

    partition: Literal["even", "mdi", "latency"] | tuple[int, ...] = Field(
        "latency",
        description="even; mdi (the starter holds fewer blocks, Macario et al. 2025); latency (the chain of "
        "least latency, Zhang et al. 2024, memory respected exactly); or the number of blocks of each stage",
    )
    over: Annotated[
        tuple[str, ...], BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...])
    ] = Field(
        (),
        description="Devices or groups that may take part, the starter first; all that compute if not given. "
        "`latency` chooses among them; the other partitions use every one",
    )
    starter: str | None = Field(
        None,
        description="Device that holds embedding and head; else the first of `over`, or `latency`'s choice",
    )

    def place(self, model: Architecture, fleet: Fleet) -> Ring:
        """Cut the blocks and lay them along the ring."""
        devices = self._devices(fleet)
        if self.partition == "latency":
            stages = _least_latency(model, fleet, devices, self.starter)
        else:
            counts = _counts(self.partition, model.n_blocks, len(devices))
            stages = list(zip(devices, counts, strict=True))
        return _ring(model, stages)

    def _devices(self, fleet: Fleet) -> tuple[str, ...]:
        devices = fleet.select(self.over) if self.over else tuple(d.id for d in fleet.devices)
        if self.starter is not None:
            starters = fleet.select((self.starter,))
            if len(starters) > 1:
                raise PlacementError(
                    f"starter {self.starter!r} stands for {len(starters)} devices; name one of them"
                )
            devices = (*starters, *(d for d in devices if d not in starters))
        for end in (*fleet.sources, *devices):
            fleet.check_reach(devices[0], end)
        return devices

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Ring) -> Serving:
        """Walk the ring once per token."""
        starter, secondaries, head = placement.starter, placement.secondaries, placement.head
        yield from cluster.admit(request, placement.devices)
        yield from cluster.send(request, request.source, starter.device, request.prompt_bytes)
        tokens = request.tokens()
        token = next(tokens)
        yield from cluster.compute(request, starter.device, starter.part, token)
        while True:
            at = starter.device
            for stage in secondaries:
                yield from cluster.send(request, at, stage.device, token.activation_bytes)
                yield from cluster.compute(request, stage.device, stage.part, token)
                at = stage.device
            yield from cluster.send(request, at, starter.device, token.activation_bytes)
            following = next(tokens, None)
            if following is None:
                yield from cluster.compute(request, head.device, head.part, token)
                yield from cluster.emit(request, head.device, token)
                return
            # MDI-LLM's starter does both in one go: sample this token, start the next.
            yield from cluster.compute(request, head.device, head.part, token, keep=(starter.part, following))
            yield from cluster.emit(request, head.device, token)
            token = following
            yield from cluster.compute(request, starter.device, starter.part, token)


def _counts(
    partition: Literal["even", "mdi"] | tuple[int, ...], n_blocks: int, n_stages: int
) -> tuple[int, ...]:
    """Blocks of each stage, where that does not depend on the devices' speed."""
    if partition == "even":
        return even(n_blocks, n_stages)
    if partition == "mdi":
        return mdi(n_blocks, n_stages)
    if len(partition) != n_stages or sum(partition) != n_blocks or min(partition) < 0:
        raise PlacementError(
            f"partition {list(partition)} places {sum(partition)} blocks on {len(partition)} devices; "
            f"the model has {n_blocks}, and {n_stages} devices take part: give one count for each"
        )
    return partition


def _ring(model: Architecture, stages: Sequence[tuple[str, int]]) -> Ring:
    """Stages from the numbers of blocks, the starter first; devices without a block drop out."""
    laid, first = [], 0
    for number, (device, n_blocks) in enumerate(stages):
        if n_blocks or number == 0:
            laid.append(Stage(device, Slice(first, first + n_blocks, embedding=number == 0)))
        first += n_blocks
    head = Stage(stages[0][0], Slice(model.n_blocks, model.n_blocks, head=True))
    return Ring((*laid, head))


def _least_latency(
    model: Architecture, fleet: Fleet, devices: tuple[str, ...], starter: str | None
) -> list[tuple[str, int]]:
    """EdgeShard's problem for a typical request, KV cache of the longest request included."""
    block, n_blocks = Slice(0, 1), model.n_blocks
    embedding, head = Slice(0, 0, embedding=True), Slice(n_blocks, n_blocks, head=True)
    block_s = np.array([[fleet.request_seconds(d, block)] * n_blocks for d in devices])
    hop_s = np.array([[fleet.request_transfer_seconds(a, b) for b in devices] for a in devices])
    # What the starter's place costs besides: the prompt's way there and the tokens' way back.
    home_s = np.array([_home_seconds(fleet, d) for d in devices])
    both_bytes = model.weight_bytes(Slice(0, 0, embedding=True, head=True))
    problem = LatencyProblem(
        block_s=block_s,
        hop_s=hop_s,
        memory_bytes=np.array([fleet.room_bytes(d) for d in devices]),
        block_bytes=np.full(n_blocks, model.weight_bytes(block) + fleet.kv_bytes(1)),
        starter=None if starter is None else 0,
        first_block_at_starter=False,
        embedding_s=np.array([fleet.request_seconds(d, embedding) for d in devices]) + home_s,
        head_s=np.array([fleet.request_seconds(d, head) for d in devices]),
        embedding_bytes=both_bytes,
    )
    return [(devices[s.device], s.last - s.first) for s in latency(problem).stages]


def _home_seconds(fleet: Fleet, starter: str) -> float:
    """Mean time over the sources of a prompt's way to the starter and its last token's way back."""
    prompt_bytes = fleet.typical.n_prompt_tokens * fleet.prompt_bytes_per_token
    ways_s = [
        fleet.transfer_seconds(source, starter, prompt_bytes)
        + fleet.transfer_seconds(starter, source, fleet.prompt_bytes_per_token)
        for source in fleet.sources
    ]
    return sum(ways_s) / len(ways_s)
