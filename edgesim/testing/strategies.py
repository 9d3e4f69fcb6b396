"""A conformance test for strategies."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from edgesim.engine.simulation import simulate
from edgesim.errors import PlacementError
from edgesim.isolation import Interrupted, Watch, global_generators, refuse_shared_state
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.architecture import Architecture, Slice
from edgesim.model.ceilings import Ceilings
from edgesim.model.scaling import AnalyticTiming
from edgesim.rng import Streams
from edgesim.strategy import Placement, Strategy, check_memory
from edgesim.trace.laws.parts import FILL, SHARD
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder
from edgesim.workload.arrivals import Poisson
from edgesim.workload.closed import ClosedLoop
from edgesim.workload.lengths import Fixed, Uniform
from edgesim.workload.requests import Workload
from edgesim.workload.think import FixedThink
from edgesim.world.device import Device, Endpoint, Power
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.routes import link_facts
from edgesim.world.stages import check_stages
from edgesim.world.world import World

__all__ = ["check_strategy", "worlds"]

_LABEL = "checked"


def check_strategy(strategy: Strategy) -> None:
    """Check a strategy against its contract, on several small worlds.

    The worlds have the groups ``source`` (where requests arise) and ``server``; one has a single device,
    one two, one free links, one slow links with costly endpoints, one ends while requests are in flight,
    one has little memory, in one users wait for answers before they ask again, in one servers serve
    requests in batches, in two answers have one token. A strategy may refuse a world with a
    ``PlacementError``, but not all of them.

    What is checked on each world: ``place`` is pure, its placement and the strategy can travel to another
    process, weights fit; data are where they are used, and every verb is waited for (as in any run:
    :mod:`edgesim.engine.ledger`); the run obeys every law of the trace; every request ends, and completes
    where there is room and time; every token of a completed request has passed the embedding, each block
    and the head before it was emitted (a token that left early through ``exits``: the blocks up to its
    exit); the same seed gives the same bytes, also after another run and with another run in its middle.
    Runs share nothing: the states that ``begin`` makes for two runs have no part in common that may change,
    and neither the strategy, nor its placement, nor an attribute of its class, nor a global of its package's
    modules changes during a run (a function's cache may grow); nothing draws from the global generators of
    ``random`` and ``numpy.random``.

    Raises
    ------
    AssertionError
        Saying in a sentence what is not as it should be, and on which world.
    ContractError
        If data are not where they are used, or a verb is never waited for.
    """
    before = strategy.model_dump_json()
    served = [name for name, world in worlds().items() if _check_on(name, world, strategy)]
    assert served, f"{strategy!r} refused every world; it must serve at least one of {', '.join(worlds())}"
    assert strategy.model_dump_json() == before, (
        f"{strategy!r} was changed by its own runs; keep what it learns in the state that begin makes"
    )


def worlds() -> Mapping[str, World]:
    """Worlds on which strategies are checked: small, different, and quick to simulate."""
    wired, slow = (
        Link(between=("", ""), rate_bps=1e8, latency_s=1e-3),
        Endpoint(overhead_s=2e-3, staging_bytes_per_s=1e8),
    )
    return {
        "one device": _world(n_servers=0, link=wired),
        "two devices": _world(n_servers=1, link=wired),
        "free links": _world(n_servers=2, link=Link(between=("", ""), rate_bps=1e15)),
        "slow links": _world(
            n_servers=3, link=Link(between=("", ""), rate_bps=1e6, latency_s=0.02), endpoint=slow
        ),
        "a horizon": _world(
            n_servers=2,
            link=Link(between=("", ""), rate_bps=1e6, latency_s=0.2),
            endpoint=slow,
            horizon_s=3.0,
        ),
        "measured answers": replace(_world(n_servers=2, link=wired), exits=_answers()),
        "answers of one token": replace(_world(n_servers=3, link=wired, n_output_tokens=1), exits=_answers()),
        "one token, no answers": _world(n_servers=2, link=wired, n_output_tokens=1, endpoint=slow),
        "little memory": _world(n_servers=2, link=wired, spare_tokens=40),
        "little memory, no queue": _world(n_servers=2, link=wired, spare_tokens=40, memory_policy="reject"),
        "users who wait for answers": _closed(_world(n_servers=2, link=wired)),
        "batches": _batched(_world(n_servers=2, link=wired)),
    }


def _closed(world: World) -> World:
    """The world with four users in the place of arrivals by the clock."""
    return replace(
        world,
        workload=ClosedLoop(
            n_users=4,
            think=FixedThink(0.05),
            prompt_tokens=Uniform(4, 24),
            output_tokens=Fixed(6),
            sources=("source-0",),
            n_requests=20,
        ),
    )


def _batched(world: World) -> World:
    """The world with servers that serve requests in continuous batches."""
    serving = ContinuousBatching(max_batch=4, cache="grow")
    return replace(
        world,
        devices={
            id_: device if device.group == "source" else replace(device, serving=serving)
            for id_, device in world.devices.items()
        },
    )


def _answers() -> ExitRecords:
    """Three exits that are sure of every other token, every third, and all."""
    token = np.arange(60)[:, None]
    sure = np.hstack([token % 2 == 0, token % 3 == 0, token >= 0])
    return ExitRecords((2, 4, 6), np.where(sure, 0.95, 0.05), sure, entropy=np.where(sure, 0.2, 3.0))


def _world(
    *,
    n_servers: int,
    link: Link,
    endpoint: Endpoint | None = None,
    horizon_s: float | None = None,
    spare_tokens: int = 100_000,
    n_output_tokens: int = 6,
    memory_policy: Literal["queue", "reject"] = "queue",
) -> World:
    model = Architecture.from_config(
        {
            "model_type": "llama",
            "hidden_size": 256,
            "intermediate_size": 768,
            "num_hidden_layers": 6,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "vocab_size": 4096,
            "max_position_embeddings": 512,
        },
        name="check",
        dtype="float32",
    )
    memory_bytes = model.weight_bytes(model.whole) + spare_tokens * model.kv_bytes_per_token(model.n_blocks)
    ids = ["source-0", *(f"server-{i}" for i in range(n_servers))]
    devices = {
        id_: Device(
            id=id_,
            group=id_.partition("-")[0],
            kind="check",
            memory_bytes=memory_bytes,
            timing=AnalyticTiming(model, Ceilings(2e9 * (1 + n), 5e8 * (1 + n), 1e-4)),
            power=Power(idle_w=1.0, active_w=3.0, tx_w=0.5, rx_w=0.25),
            endpoint=endpoint or Endpoint(),
        )
        for n, id_ in enumerate(ids)
    }
    pairs = [(a, b) for n, a in enumerate(ids) for b in ids[n + 1 :]]
    return World(
        model=model,
        devices=devices,
        links=tuple(Link(between=pair, rate_bps=link.rate_bps, latency_s=link.latency_s) for pair in pairs),
        workload=Workload(
            arrivals=Poisson(rate_hz=4.0),
            prompt_tokens=Uniform(4, 24),
            output_tokens=Fixed(n_output_tokens),
            sources=("source-0",),
            n_requests=20,
            horizon_s=horizon_s,
        ),
        seed=1,
        horizon_s=horizon_s,
        memory_policy=memory_policy,
    )


def _check_on(name: str, world: World, strategy: Strategy) -> bool:
    """Check one world; whether the strategy serves it."""
    where = f"{strategy!r} on the world '{name}': "
    try:
        placement = strategy.place(world.model, Fleet.of(world))
        check_memory(placement, world.model, Fleet.of(world))
        check_stages(world.model, world.devices, placement.holdings)
    except PlacementError:
        return False
    assert placement == strategy.place(world.model, Fleet.of(world)), (
        f"{where}place gave two different placements for one fleet; it must be pure"
    )
    strategy, placement = pickle.loads(pickle.dumps((strategy, placement)))
    with tempfile.TemporaryDirectory() as folder:
        try:
            watch = Watch(strategy, placement)
            refuse_shared_state(strategy, placement, world)
            watch.check()
            runs = _Runs(Path(folder), watch, strategy, placement)
            first = runs.run("first", world)
            beside = replace(world, replication=world.replication + 1)
            other = runs.run("other", beside)
            middle = Interrupted(strategy, lambda: runs.run("inner", beside))
            again = runs.run("again", world, middle)
            inner = Trace(Path(folder) / "inner")
        except AssertionError as error:
            raise AssertionError(f"{where}{error}") from None
        sentences = first.check()
        assert not sentences, f"{where}{'; '.join(sentences)}"
        for sentence in _unserved(first, world):
            raise AssertionError(where + sentence)
        for one, alike in ((first, again), (other, inner)):
            assert _digest(one) == _digest(alike), (
                f"{where}two runs with one seed differ; draw from cluster.random alone, and share nothing "
                "between runs"
            )
    return True


@dataclass
class _Runs:
    """Runs of one strategy in one process, under watch."""

    folder: Path
    watch: Watch
    strategy: Strategy
    placement: Placement
    n_runs: int = 0

    def run(self, name: str, world: World, serving: Strategy | Interrupted | None = None) -> Trace:
        """Simulate; the global generators stand somewhere else each time."""
        trace = TraceFolder(self.folder / name)
        facts = {"status": "complete", "strategies": [_LABEL], "links": link_facts(world.links)}
        trace.write_run(facts)
        write = trace.parts(_LABEL, 0).write
        self.n_runs += 1

        def watched(table: str, rows: pa.Table) -> None:
            write(table, rows)
            if table != "spans":  # the run is still there, and with it what was kept for its sake
                self.watch.check()

        with global_generators(self.n_runs):
            simulate(world, serving or self.strategy, self.placement, self.placement.holdings, watched)
        return Trace(self.folder / name)


def _unserved(trace: Trace, world: World) -> Iterator[str]:
    """Say what was not served, or not computed."""
    requests, spans = trace.requests(_LABEL, 0), trace.spans(_LABEL, 0)
    n_arrived = world.workload.extent(Streams(world.seed, world.replication)).n_requests
    if len(requests) != n_arrived:
        yield f"{len(requests)} requests are told of, {n_arrived} arrived"
    if world.horizon_s is None and (requests["outcome"] == "censored").any():
        yield "a request never ended, though the run had no horizon"
    if world.horizon_s is None and world.memory_policy == "queue" and (requests["outcome"] == "failed").any():
        told = requests.loc[requests["outcome"] == "failed", "reason"].iloc[0]
        yield f"a request failed ({told}), though there was room and time for all"
    completed = requests[requests["outcome"] == "completed"]
    work, emitted = (
        _work(spans),
        spans[spans["kind"] == "emit"].set_index(["request_id", "token"])["ended_at_s"],
    )
    for id_, n_prompt, n_output, exit_block in zip(
        completed["request_id"],
        completed["n_prompt_tokens"],
        completed["n_output_tokens"],
        completed["mean_exit_block"],
        strict=True,
    ):
        for token in range(n_output):
            n_new = n_prompt if token == 0 else 1
            may_exit = not np.isnan(exit_block)
            # An answer that leaves early may leave its pass behind: a prompt goes on to fill caches.
            by_s = emitted[id_, token] * (1 + 1e-12) if may_exit else np.inf
            passes = _Passes.of(work.get((id_, token), ()), by_s)
            if not passes.cover(world.model.n_blocks, n_new, may_exit=may_exit):
                yield (
                    f"token {token} of request {id_} passed {passes}; it needs the embedding, each of "
                    f"{world.model.n_blocks} blocks ({n_new} tokens), and the head"
                )
                return
            if passes.ended_at_s > emitted[id_, token] * (1 + 1e-12):
                yield f"token {token} of request {id_} was emitted before it was computed"
                return


class _Work(NamedTuple):
    """One pass of a part of the model."""

    part: Slice
    n_tokens: int
    ended_at_s: float


@dataclass
class _Passes:
    """What one token went through: tokens by block, embedding and heads, and when that was done."""

    blocks: Counter[int] = field(default_factory=Counter)
    n_embedded: int = 0
    n_heads: int = 0
    ended_at_s: float = 0.0

    @classmethod
    def of(cls, works: Iterable[_Work], by_s: float) -> _Passes:
        """What ended by an instant."""
        passes = cls()
        for work in works:
            if work.ended_at_s > by_s:
                continue
            passes.blocks.update(dict.fromkeys(range(work.part.first, work.part.last), work.n_tokens))
            passes.n_embedded += work.n_tokens * work.part.embedding
            passes.n_heads += work.part.head
            passes.ended_at_s = max(passes.ended_at_s, work.ended_at_s)
        return passes

    def cover(self, n_blocks: int, n_new: int, *, may_exit: bool) -> bool:
        """Whether that is all that the token needed; the same computed anew, or by a replica, is no fault."""
        depth = max(self.blocks, default=-1) + 1
        enough = 0 < depth <= n_blocks if may_exit else depth == n_blocks
        all_passed = all(self.blocks[block] >= n_new for block in range(depth))
        return enough and all_passed and self.n_embedded >= n_new and self.n_heads >= 1

    def __str__(self) -> str:
        return f"embedding {self.n_embedded}, blocks {dict(sorted(self.blocks.items()))}, head {self.n_heads}"


def _work(spans: pd.DataFrame) -> dict[tuple[int, int], list[_Work]]:
    """What every token of every request went through."""
    work: dict[tuple[int, int], list[_Work]] = defaultdict(list)
    computed = spans[(spans["kind"] == "compute") & spans["ended_at_s"].notna()]
    for id_, token, via, n_tokens, ended_at_s in zip(
        *(computed[c] for c in ("request_id", "token", "via", "n_tokens", "ended_at_s")), strict=True
    ):
        if str(via).startswith((SHARD, FILL)):
            continue  # a group's root stands for all of it; keys and values are of tokens that left early
        done = _Work(Slice.parse(str(via)), int(n_tokens), float(ended_at_s))
        work[int(id_), int(token)].append(done)
    return work


def _digest(trace: Trace) -> str:
    parts = sorted(trace.path.rglob("*.parquet"))
    return json.dumps({str(part.relative_to(trace.path)): part.read_bytes().hex() for part in parts})
