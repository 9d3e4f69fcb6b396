"""Served without a KV cache: passes, messages, memory and planners against what is worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from miniature import Serve, device, model, run, world

from edgesim.engine.simulation import simulate
from edgesim.errors import InputError
from edgesim.model.architecture import Slice
from edgesim.scenario.check import architecture
from edgesim.scenario.load import parse
from edgesim.strategies.pipeline import Pipeline
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder
from edgesim.workload.lengths import Fixed
from edgesim.world.disciplines.batched import DynamicBatching
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.static import StaticBatching
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.routes import link_facts

WHOLE = Slice(0, 4, embedding=True, head=True)
N_PROMPT, N_OUTPUT = 5, 4
BARE = replace(model(), keeps_cache=False)


@dataclass(frozen=True)
class Quadratic:
    """A block takes 1 ms per pass, 0.1 ms per token and 0.01 ms per pair of tokens; the ends nothing."""

    origin: ClassVar[str] = "analytic"

    def seconds(self, part: Slice, *, batch: int, n_new: Any, n_context: Any, n_shards: int = 1) -> Any:
        new, context = np.broadcast_arrays(np.asarray(n_new, float), np.asarray(n_context, float))
        return part.n_blocks * (1e-3 + batch * (1e-4 * new + 1e-5 * new * (new + context)))

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Any length is known."""


def pass_s(n_tokens: int, n_blocks: int = 4) -> float:
    return n_blocks * (1e-3 + 1e-4 * n_tokens + 1e-5 * n_tokens**2)


def local(request: Any, cluster: Any) -> Any:
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from cluster.emit(request, "a-0", token)


FACTS = {"prompt": Fixed(N_PROMPT), "output": Fixed(N_OUTPUT), "architecture": BARE}
LENGTHS = range(N_PROMPT, N_PROMPT + N_OUTPUT)


@pytest.mark.parametrize(
    "serving", [None, ContinuousBatching(max_tokens=1000), DynamicBatching(), StaticBatching()]
)
def test_every_step_is_a_prefill_of_all_tokens_so_far(serving: Any) -> None:
    ran = run(world([device("a-0", Quadratic(), serving=serving)], **FACTS), Serve(local))
    computed = ran.spans[ran.spans["kind"] == "compute"]
    assert computed["n_tokens"].tolist() == list(LENGTHS)
    assert ran.requests["first_token_at_s"].item() == pytest.approx(pass_s(N_PROMPT))
    assert ran.requests["ended_at_s"].item() == pytest.approx(sum(map(pass_s, LENGTHS)))


def test_no_memory_is_set_aside() -> None:
    """A device with room for the weights alone serves; with a cache it would be refused."""
    room_bytes = BARE.weight_bytes(WHOLE)
    ran = run(world([device("a-0", Quadratic(), memory_bytes=room_bytes)], **FACTS), Serve(local))
    assert ran.requests["outcome"].item() == "completed"
    assert ran.devices["peak_memory_bytes"].item() == room_bytes
    kept = run(
        world([device("a-0", Quadratic(), memory_bytes=room_bytes)], **FACTS | {"architecture": model()}),
        Serve(local),
    )
    assert kept.requests["outcome"].item() == "failed"


def ring(architecture: Any = BARE) -> Any:
    stages = [device(f"s-{n}", Quadratic()) for n in range(2)]
    links = [Link(between=("s-0", "s-1"), rate_bps=8e6)]  # 1 ms for the 1,000 bytes of a token's state
    return world(stages, links, **FACTS | {"architecture": architecture})


@pytest.mark.parametrize("head", ["starter", "last"])
def test_messages_of_a_pipeline_carry_the_whole_prefix(head: Any) -> None:
    made = ring()
    strategy = Pipeline(over=("s-0", "s-1"), partition=(2, 2), head=head)
    ran = run(made, strategy, strategy.place(made.model, Fleet.of(made)))
    sent = ran.spans[ran.spans["kind"] == "send"]
    there = sent[sent["device"] == "s-0"]["size_bytes"].tolist()
    back = sent[sent["device"] == "s-1"]["size_bytes"].tolist()
    assert there == [1000 * n for n in LENGTHS]
    assert back == (there if head == "starter" else [4] * N_OUTPUT)
    back_s = 1e-3 * sum(LENGTHS) if head == "starter" else N_OUTPUT * 4e-6
    expected_s = sum(map(pass_s, LENGTHS)) + 1e-3 * sum(LENGTHS) + back_s
    assert ran.requests["ended_at_s"].item() == pytest.approx(expected_s)


def test_planners_count_the_same() -> None:
    fleet = Fleet.of(ring())
    assert fleet.request_seconds("s-0", Slice(0, 2)) == pytest.approx(sum(pass_s(n, 2) for n in LENGTHS))
    assert fleet.request_transfer_seconds("s-0", "s-1") == pytest.approx(1e-3 * sum(LENGTHS))
    assert fleet.request_link_seconds("s-0", "s-1") == pytest.approx(1e-3 * sum(LENGTHS))
    assert fleet.kv_bytes(4) == 0


def test_a_trace_keeps_its_laws(tmp_path: Path) -> None:
    made = ring()
    strategy = Pipeline(over=("s-0", "s-1"), partition=(2, 2))
    placement = strategy.place(made.model, Fleet.of(made))
    folder = TraceFolder(tmp_path / "trace")
    folder.write_run({"status": "complete", "strategies": ["ring"], "links": link_facts(made.links)})
    simulate(made, strategy, placement, placement.holdings, folder.parts("ring", 0).write)
    assert Trace(tmp_path / "trace").check() == []


SCENARIO = """\
name: bare
model: {architecture: gpt2, dtype: float32, kv_cache: false}
topology: {devices: [{id: a, kind: jetson-agx-orin}]}
workload: {sources: a, arrivals: {poisson: 1 Hz}, requests: 1, prompt_tokens: 4, output_tokens: 2}
strategies: [{use: local}]
"""


def test_a_scenario_says_it() -> None:
    read = architecture(parse(SCENARIO))
    assert not read.keeps_cache
    assert read.kv_bytes_per_token(12) == 0
    kept = architecture(parse(SCENARIO.replace(", kv_cache: false", "")))
    assert read.digest != kept.digest
    assert read.plain.digest == kept.plain.digest
    with pytest.raises(InputError, match=r"model\.kv_cache: bert-base is an encoder and has none"):
        parse(SCENARIO.replace("gpt2", "bert-base").replace("output_tokens: 2", "output_tokens: 1"))
