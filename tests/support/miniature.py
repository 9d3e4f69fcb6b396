"""Small worlds whose every number can be worked out by hand, and a way to run them."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from edgesim.engine.causality.data_locations import Ids, Place, Whereabouts
from edgesim.engine.cluster import Cluster
from edgesim.engine.request import LiveRequest
from edgesim.engine.simulation import simulate
from edgesim.engine.token import Token
from edgesim.model.architecture import Architecture, Slice
from edgesim.radio.adaptation.air_interface import Grant
from edgesim.radio.adaptation.shannon import Shannon
from edgesim.radio.radio_link import RadioState
from edgesim.trace.schema import arrow_schema
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.workload.requests import Workload
from edgesim.world.device import Device
from edgesim.world.link import Link
from edgesim.world.world import World

N_BLOCKS = 4
EVERY_SECOND = Deterministic(1.0)
ONE_TOKEN = Fixed(1)


def model(n_blocks: int = N_BLOCKS, **changes: object) -> Architecture:
    """A Llama of 4 blocks whose activation is 1,000 bytes per token: 1 ms at 8 Mbit/s."""
    config = {
        "model_type": "llama",
        "hidden_size": 500,
        "intermediate_size": 1000,
        "num_hidden_layers": n_blocks,
        "num_attention_heads": 5,
        "vocab_size": 100,
        "max_position_embeddings": 10**9,
    }
    return Architecture.from_config(config | changes, name="miniature", dtype="float16")


@dataclass(frozen=True)
class PerBlock:
    """Every block takes ``block_s`` per new token, the head ``head_s`` per pass, the context nothing."""

    block_s: float = 1.0
    head_s: float = 0.0
    origin: ClassVar[str] = "analytic"

    def seconds(self, part: Slice, *, batch: int, n_new: Any, n_context: Any, n_shards: int = 1) -> Any:
        news, _ = np.broadcast_arrays(np.asarray(n_new), np.asarray(n_context))
        return part.n_blocks * self.block_s * news + part.head * self.head_s

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Any length is known."""


@dataclass(frozen=True)
class InTurn:
    """Lengths one after the other, as given; requests are drawn in blocks, of which the first is read."""

    lengths: tuple[int, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.lengths))

    @property
    def longest(self) -> int:
        return max(self.lengths)

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        return np.resize(np.array(self.lengths, dtype=np.int64), n)


class Steady:
    """The channel of a radio link whose rate is always the same, and whose blocks all arrive."""

    air = Shannon()

    def __init__(self, rate_bps: float) -> None:
        self.rate_bps = rate_bps

    def state(
        self, at_s: float, *, uplink: bool, band_share: float = 1.0, interference_w: float = 0.0
    ) -> RadioState:
        grant = Grant(mcs=0, efficiency=1.0, block_bits=1000, slot_s=1e-3)
        return RadioState(1.0, 1.0, grant, self.rate_bps * band_share, (0.0,), math.inf)


def answered(request: LiveRequest, *devices: str) -> None:
    """Let devices know a request's ids and hidden states from the beginning.

    For tests of what becomes of messages and sums, in which nothing is computed.
    """
    trail = request.trail
    trail.in_hand = Token(request.n_output_tokens, 1, 0, 0, True)
    all_levels = (1 << 64) - 1
    known = Place(has_prompt=True, ids=Ids.NOW, levels=1, former=all_levels, older=all_levels)
    trail.there, trail.under_way = Whereabouts(tuple(sorted((id_, known) for id_ in devices))), []


def device(id_: str, timing: Any = PerBlock(), **facts: Any) -> Device:
    facts = {"group": id_.partition("-")[0], "kind": "miniature", "memory_bytes": 1 << 60} | facts
    return Device(id=id_, timing=timing, **facts)


def world(
    devices: Sequence[Device],
    links: Sequence[Link] = (),
    *,
    arrivals: Any = EVERY_SECOND,
    prompt: Any = ONE_TOKEN,
    output: Any = ONE_TOKEN,
    n_requests: int | None = 1,
    horizon_s: float | None = None,
    sources: tuple[str, ...] = (),
    architecture: Architecture | None = None,
    **facts: Any,
) -> World:
    """A world of given devices; the first one is the source."""
    return World(
        model=architecture or model(),
        devices={d.id: d for d in devices},
        links=tuple(links),
        workload=Workload(
            arrivals=arrivals,
            prompt_tokens=prompt,
            output_tokens=output,
            sources=sources or (devices[0].id,),
            n_requests=n_requests,
            horizon_s=horizon_s,
        ),
        horizon_s=horizon_s,
        **({"seed": 1} | facts),
    )


@dataclass(frozen=True)
class Serve:
    """A strategy given as its ``serve`` alone."""

    function: Callable[[LiveRequest, Cluster], Generator[Any, Any, Any]]
    controller: Callable[[Cluster], Generator[Any, Any, Any]] | None = None

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Any) -> Generator[Any, Any, Any]:
        del placement
        return self.function(request, cluster)

    def control(self, cluster: Cluster, placement: Any) -> Generator[Any, Any, Any] | None:
        del placement
        return None if self.controller is None else self.controller(cluster)


@dataclass(frozen=True)
class Tables:
    """What a run told, as pandas tables."""

    requests: pd.DataFrame
    spans: pd.DataFrame
    devices: pd.DataFrame
    cluster: Cluster

    def log(self, *columns: str) -> list[tuple[Any, ...]]:
        """Spans as a literal list in the order of booking, to the nanosecond; null is None."""
        asked = list(
            columns or ("request_id", "token", "kind", "device", "asked_at_s", "started_at_s", "ended_at_s")
        )
        rows = self.spans[asked].round(9).astype(object)
        return [tuple(row) for row in rows.where(rows.notna(), None).itertuples(index=False)]


def run(
    world: World,
    strategy: Any,
    placement: Any = None,
    holdings: Mapping[str, tuple[Slice, ...]] | None = None,
    *,
    keep_spans: bool = True,
) -> Tables:
    """Simulate; without a placement every computing device holds the whole model."""
    parts: dict[str, list[pa.Table]] = {"requests": [], "spans": [], "devices": []}
    if holdings is None and placement is not None:
        holdings = placement.holdings
    if holdings is None:
        holdings = {d.id: (world.model.whole,) for d in world.devices.values() if d.timing is not None}
    cluster = simulate(
        world, strategy, placement, holdings, lambda name, t: parts[name].append(t), keep_spans=keep_spans
    )
    frames = {
        name: (pa.concat_tables(tables) if tables else arrow_schema(name).empty_table()).to_pandas()
        for name, tables in parts.items()
    }
    return Tables(**frames, cluster=cluster)
