"""Recurrent pipeline parallelism: the blocks divided into contiguous stages on a ring of devices.

Macario, Seferoglu, Koyuncu, "Model-Distributed Inference for Large Language Models at the Edge", IEEE
LANMAN 2025 (arXiv 2505.18164). The starter holds the embedding, the first blocks, the final norm, the
head and the sampling; each secondary holds a contiguous range of blocks. A token traverses the ring and
returns to the starter, which samples and immediately starts the next one. With as many requests in flight as
there are stages, every stage is busy: the round robin results from first come, first served and is not
programmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from edgesim.engine.cluster import Cluster
from edgesim.engine.request import LiveRequest
from edgesim.errors import PlacementError
from edgesim.model.architecture import Architecture, Slice
from edgesim.planning.chain import FloatArray, LatencyProblem
from edgesim.planning.cutting import Cut, PartitionOption, cut_by
from edgesim.strategy import Placement, Serving, Stage, Strategy
from edgesim.world.fleet import Fleet

__all__ = ["Pipeline", "Ring"]


@dataclass(frozen=True)
class Ring(Placement):
    """A pipeline's placement: the starter first, then the secondaries, then the starter's head.

    Its ``stages`` are, in the order in which a token traverses them: the starter's embedding and first
    blocks, each secondary's blocks, and the head on the starter or on the last of the secondaries.

    Attributes
    ----------
    remark_text
        Note on how the blocks were divided; empty if there is none.
    """

    remark_text: str = ""

    @property
    def remark(self) -> str:
        """Note on the division of the blocks, such as its gap to the optimum; empty if there is none."""
        return self.remark_text

    @property
    def starter(self) -> Stage:
        """Embedding and first blocks."""
        return self.stages[0]

    @property
    def secondaries(self) -> tuple[Stage, ...]:
        """Stages of the secondaries along the ring."""
        return self.stages[1:-1]

    @property
    def head(self) -> Stage:
        """Final norm, head and sampling."""
        return self.stages[-1]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Pipeline(Strategy):
    """Split the blocks into contiguous stages on a ring (recurrent pipeline parallelism, MDI-LLM).

    Departures from the paper's code: requests arise at the scenario's sources, so a prompt is sent to the
    starter as token ids and tokens are sent back; the KV cache is reserved for a request's own length, not
    for the model's whole context; a message has no framing bytes (endpoint costs represent them).
    """

    partition: PartitionOption = Field(
        "latency",
        description="Name of a partition: even (equal numbers of blocks); even-fit (as even as memory "
        "allows); mdi (fewer blocks on the starter, Macario et al. 2025); memory (blocks in proportion to "
        "free memory, as in exo); latency (the chain of least latency for one request) or "
        "throughput (the chain of highest throughput for many), both of Zhang et al. 2024 with "
        "memory respected exactly; or each stage's number of blocks",
    )
    over: Annotated[
        tuple[str, ...], BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...])
    ] = Field(
        (),
        description="Devices or groups that may take part, the starter first; default: all that compute. "
        "`latency` and `throughput` choose among them; the other partitions use all of them",
    )
    starter: str | None = Field(
        None,
        description="Device that holds embedding and head; default: the first of `over`, or the choice of "
        "`latency` or `throughput`",
    )
    head: Literal["starter", "last"] = Field(
        "starter",
        description="Where final norm, head and sampling run: on the starter, to which the last activation "
        "returns (MDI-LLM), or on the last stage, from which the token returns (EdgeShard)",
    )
    in_flight: int = Field(
        1,
        ge=1,
        description="Number of requests for whose KV caches the partitions by memory or time reserve room; "
        "`throughput` assumes that as many are computed together where devices are `batched`",
    )

    def place(self, model: Architecture, fleet: Fleet) -> Ring:
        """Divide the blocks into stages, and place them along the ring."""
        devices = self._devices(fleet)
        task = _Task(model, fleet, devices, self.starter is not None, self.head, self.in_flight)
        ring = self._ring(model, task)
        for stage, following in pairwise((*ring.stages, ring.starter)):
            fleet.check_reach(stage.device, following.device)
        return ring

    def _ring(self, model: Architecture, task: _Task) -> Ring:
        if isinstance(self.partition, str):
            cut = cut_by(self.partition, task)
        else:
            cut = Cut.along(_counted(self.partition, model.n_blocks, len(task.devices)))
        stages = [(task.devices[device], n_blocks) for device, n_blocks in cut.stages]
        return _ring(model, stages, self.head, cut.remark)

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
        """Traverse the ring once per token."""
        starter, secondaries, head = placement.starter, placement.secondaries, placement.head
        yield from cluster.admit(request, placement.devices)
        yield from cluster.send(request, request.source, starter.device, request.prompt_bytes)
        tokens = request.tokens()
        if not secondaries and head.device == starter.device:
            # A single device is not a ring: a token is one visit to it, as without a pipeline.
            whole = Slice(starter.part.first, starter.part.last, embedding=True, head=True)
            for token in tokens:
                yield from cluster.compute(request, starter.device, whole, token)
                yield from cluster.emit(request, starter.device, token)
            return
        token = next(tokens)
        is_elsewhere = head.device != starter.device
        yield from cluster.compute(request, starter.device, starter.part, token)
        while True:
            at = starter.device
            for number, stage in enumerate(secondaries, 1):
                yield from cluster.send(request, at, stage.device, token.activation_bytes)
                keep = (head.part, token) if is_elsewhere and number == len(secondaries) else None
                yield from cluster.compute(request, stage.device, stage.part, token, keep=keep)
                at = stage.device
            if is_elsewhere:
                yield from cluster.compute(request, at, head.part, token)
                yield from cluster.send(request, at, starter.device, request.token_bytes)
            else:
                yield from cluster.send(request, at, starter.device, token.activation_bytes)
            following = next(tokens, None)
            if not is_elsewhere:
                # MDI-LLM's starter samples this token and starts the next in one operation.
                keep = None if following is None else (starter.part, following)
                yield from cluster.compute(request, head.device, head.part, token, keep=keep)
            yield from cluster.emit(request, starter.device, token)
            if following is None:
                return
            token = following
            yield from cluster.compute(request, starter.device, starter.part, token)


def _counted(counts: tuple[int, ...], n_blocks: int, n_stages: int) -> tuple[int, ...]:
    """Return the numbers of blocks given as an option, checked against model and devices."""
    if len(counts) != n_stages or sum(counts) != n_blocks or min(counts) < 0:
        raise PlacementError(
            f"partition {list(counts)} places {sum(counts)} blocks on {len(counts)} devices; "
            f"the model has {n_blocks}, and {n_stages} devices take part: give one count for each"
        )
    return counts


def _ring(
    model: Architecture, stages: Sequence[tuple[str, int]], head: Literal["starter", "last"], remark: str = ""
) -> Ring:
    """Build the ring from the numbers of blocks, the starter first; devices without blocks are left out."""
    laid, first = [], 0
    for number, (device, n_blocks) in enumerate(stages):
        if n_blocks or number == 0:
            laid.append(Stage(device, Slice(first, first + n_blocks, embedding=number == 0)))
        first += n_blocks
    end = laid[0 if head == "starter" else -1].device
    return Ring((*laid, Stage(end, Slice(model.n_blocks, model.n_blocks, head=True))), remark)


@dataclass(frozen=True, slots=True)
class _Task:
    """A model and the devices of a pipeline, as EdgeShard's problems for a typical request."""

    model: Architecture
    fleet: Fleet
    devices: tuple[str, ...]
    starter_is_fixed: bool
    head_at: Literal["starter", "last"]
    in_flight: int

    @property
    def n_blocks(self) -> int:
        """Blocks of the model."""
        return self.model.n_blocks

    def latency(self) -> LatencyProblem:
        """Return the problem of one request's latency, with room for the caches of the longest requests."""
        fleet, devices, n_blocks = self.fleet, self.devices, self.model.n_blocks
        embedding, head = Slice(0, 0, embedding=True), Slice(n_blocks, n_blocks, head=True)
        back_s = [[fleet.request_return_seconds(a, b) for b in devices] for a in devices]
        # Costs of being the starter: the prompt's transfer to it, and the last token's from it.
        home_s = np.array([_home_seconds(fleet, d) for d in devices])
        return LatencyProblem(
            block_s=np.array([[fleet.request_seconds(d, Slice(0, 1))] * n_blocks for d in devices]),
            hop_s=np.array([[fleet.request_transfer_seconds(a, b) for b in devices] for a in devices]),
            memory_bytes=np.array([fleet.room_bytes(d) for d in devices]),
            block_bytes=np.full(n_blocks, self._block_bytes),
            weight_room_bytes=np.array([fleet.weight_room_bytes(d) for d in devices]),
            block_weight_bytes=np.full(n_blocks, self._weight_bytes),
            starter=0 if self.starter_is_fixed else None,
            first_block_at_starter=False,
            embedding_s=np.array([fleet.request_seconds(d, embedding) for d in devices]) + home_s,
            head_s=np.array([fleet.request_seconds(d, head) for d in devices]),
            embedding_bytes=self._embedding_bytes,
            head_bytes=self._head_bytes,
            head_at=self.head_at,
            return_s=None if self.head_at == "starter" else np.array(back_s),
        )

    def throughput(self) -> LatencyProblem:
        """Return the problem of many requests: the time that each occupies devices and links."""
        fleet, devices, n_blocks = self.fleet, self.devices, self.model.n_blocks
        embedding, head = Slice(0, 0, embedding=True), Slice(n_blocks, n_blocks, head=True)
        beside_s = np.array(
            [0.0 if _on_compute(fleet, d) else fleet.request_message_seconds(d) for d in devices]
        )
        link_s = np.array([[fleet.request_link_seconds(a, b) for b in devices] for a in devices])
        # Endpoints that work in parallel with the processor can also be the bottleneck, at either end.
        hop_s = np.maximum(link_s, np.maximum(beside_s[:, None], beside_s[None, :]))
        return replace(
            self.latency(),
            hop_s=hop_s,
            return_s=None
            if self.head_at == "starter"
            else np.zeros_like(hop_s),  # tokens occupy links for a negligible time
            block_s=np.array([[self._share_s(d, Slice(0, 1))] * n_blocks for d in devices]),
            embedding_s=np.array([self._share_s(d, embedding) for d in devices]),
            head_s=np.array([self._share_s(d, head) for d in devices]),
        )

    def _share_s(self, device: str, part: Slice) -> float:
        """Return a request's time of a stage; with batching, its share with all requests in flight."""
        serving = self.fleet.device(device).serving
        together = 1 if serving is None or serving.is_in_lockstep else serving.most_prompts_at_once
        batch = min(together, self.in_flight)
        return self.fleet.request_seconds(device, part, batch=batch)

    def message_s(self) -> FloatArray:
        """Return, by device, the processor time that a stage's messages occupy."""
        on_compute = [_on_compute(self.fleet, d) for d in self.devices]
        costs_s = [self.fleet.request_message_seconds(d) for d in self.devices]
        return np.where(on_compute, costs_s, 0.0)

    def room(self) -> tuple[list[int], list[int]]:
        """Return, by device, the memory left after embedding and head, and the most blocks that fit."""
        at_head = 0 if self.head_at == "starter" else len(self.devices) - 1
        ends_bytes = [0] * len(self.devices)
        ends_bytes[0] += self._embedding_bytes
        ends_bytes[at_head] += self._head_bytes
        free = [self.fleet.room_bytes(d) - n for d, n in zip(self.devices, ends_bytes, strict=True)]
        loadable = [
            self.fleet.weight_room_bytes(d) - n for d, n in zip(self.devices, ends_bytes, strict=True)
        ]
        for device, n_bytes in zip(self.devices, map(min, free, loadable), strict=True):
            if n_bytes < 0:
                raise PlacementError(
                    f"partition by memory: embedding and head take {sum(ends_bytes) / 1e9:.3g} GB, and "
                    f"{device!r} has no room for its part of them; put a larger device first, or last"
                )
        most = [
            min(room // self._block_bytes, weights // self._weight_bytes)
            for room, weights in zip(free, loadable, strict=True)
        ]
        return free, most

    @property
    def _weight_bytes(self) -> int:
        return self.model.weight_bytes(Slice(0, 1))

    @property
    def _block_bytes(self) -> int:
        return self._weight_bytes + self.in_flight * self.fleet.kv_bytes(1)

    @property
    def _embedding_bytes(self) -> int:
        return self.model.weight_bytes(Slice(0, 0, embedding=True))

    @property
    def _head_bytes(self) -> int:
        """Bytes of the head alone: on the embedding's device it may share a matrix with the embedding."""
        if self.head_at == "last":
            return self.model.weight_bytes(Slice(0, 0, head=True))
        return self.model.weight_bytes(Slice(0, 0, embedding=True, head=True)) - self._embedding_bytes


def _on_compute(fleet: Fleet, device: str) -> bool:
    return fleet.device(device).endpoint.on_compute


def _home_seconds(fleet: Fleet, starter: str) -> float:
    """Return the mean over sources of a prompt's time to the starter plus its last token's time back."""
    prompt_bytes = fleet.typical.n_prompt_tokens * fleet.prompt_bytes_per_token
    ways_s = [
        fleet.transfer_seconds(source, starter, prompt_bytes)
        + fleet.transfer_seconds(starter, source, fleet.answer_bytes_per_token)
        for source in fleet.sources
    ]
    return sum(ways_s) / len(ways_s)
