"""A token that goes deeper than earlier ones needs their keys and values there: each way to forget them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from kept import kept

from edgesim.engine.simulation import simulate
from edgesim.errors import ContractError, InputError, PlacementError
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.propagated_paths import PropagatedPaths, Said
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.strategies.early_exit.generation import generate
from edgesim.strategy import Placement, Slice, Stage, Strategy
from edgesim.testing import check_strategy, worlds
from edgesim.workload.lengths import Fixed
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.fifo import FirstComeFirstServed
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.faults import Faults, Retry
from edgesim.world.fleet import Fleet
from edgesim.world.service import Exponential
from edgesim.world.world import World

RULE = ExitRule((0.9, 0.9))
BLOCKS = (2, 4, 6)


class Leaving(Strategy):
    """Three stages on two devices, and exits where answers were measured."""

    caches: CacheFill = CacheFill.RECOMPUTE

    def place(self, model, fleet):
        devices = [device.id for device in fleet.devices]
        if model.n_blocks != 6 or len(devices) < 2:
            raise PlacementError("exits stand after blocks 2, 4 and 6 of two devices")
        names = (devices[1], devices[0], devices[1])
        return Placement(
            tuple(
                Stage(name, Slice(last - 2, last, embedding=last == 2, head=True))
                for name, last in zip(names, BLOCKS, strict=True)
            )
        )

    def serve(self, request, cluster, placement):
        rule = RULE if cluster.measures_answers else None
        yield from generate(request, cluster, placement.stages, rule, self.caches)


@pytest.mark.parametrize("caches", [CacheFill.RECOMPUTE, CacheFill.SAME_PATH])
def test_generation_with_exits_keeps_the_contract(caches: CacheFill) -> None:
    check_strategy(Leaving(caches=caches))


def measured(**changes: Any) -> World:
    """Exits that are sure of token 0 of every pair, and with propagated caches the same."""
    there = worlds()["measured answers"]
    assert there.exits is not None
    exits = there.exits.leave(RULE.thresholds)
    n = len(exits)
    said = Said(exits, np.ones(n), np.zeros(n), np.ones(n, dtype=np.bool_))
    return replace(there, paths=PropagatedPaths(BLOCKS, {RULE: said}), **changes)


def run(there: World, strategy: Strategy) -> list[str]:
    placement = strategy.place(there.model, Fleet.of(there))
    parts: list[pa.Table] = []

    def write(name: str, table: pa.Table) -> None:
        if name == "requests":
            parts.append(table)

    simulate(there, strategy, placement, placement.holdings, write)
    return pa.concat_tables(parts).column("outcome").to_pylist()


class ByHand(Strategy):
    """Two stages on two devices: nothing is forgotten, but for what `broken` says."""

    broken: str = ""
    caches: CacheFill = CacheFill.RECOMPUTE

    def place(self, model, fleet):
        return Placement(
            (
                Stage("server-0", Slice(0, 2, embedding=True, head=True)),
                Stage("server-1", Slice(2, 6, head=True)),
            )
        )

    def serve(self, request, cluster, placement):
        near, far = (stage.device for stage in placement.stages)
        broken = self.broken
        yield from cluster.send(request, request.source, near, request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, near, placement.stages[0].part, token)
            how = {"rule": RULE, "caches": self.caches}
            if broken == "old style":
                how = {"confidence": 0.9}
            elif broken == "another way" and token.index % 2:
                how["caches"] = CacheFill.SAME_PATH
            elif broken == "off the grid":
                how["rule"] = ExitRule((0.8, 0.9))
            at = near
            leaves = cluster.exits(request, token, 2, **how)
            if not leaves or broken == "deeper":
                n_waiting = cluster.missing(request, 2)
                n_sent = 0 if broken == "states" else n_waiting
                size_bytes = token.activation_bytes + n_sent * request.token_activation_bytes
                if broken == "half":
                    size_bytes -= min(1, n_sent) * request.token_activation_bytes // 2
                yield from cluster.send(request, near, far, size_bytes)
                blocks = (Slice(2, 4, head=True), Slice(4, 6, head=True))
                if broken == "at once" and token.index % 3 == 0:
                    blocks = (Slice(2, 6, head=True),)
                for part in blocks:
                    is_filled = self.caches is CacheFill.PROPAGATE or broken == "old style"
                    if is_filled and broken != "fill":
                        yield from cluster.fill(request, far, part)
                    if broken == "late fill":
                        cluster.fill(request, far, part)
                    yield from cluster.compute(request, far, part, token)
                    if part.last == 6 or cluster.exits(request, token, part.last, **how):
                        break
                if part.last == 6 and broken != "old style":
                    cluster.exits(request, token, 6, **how)
                at = far
            if not token.is_last:
                yield from cluster.send(request, at, near, request.token_bytes)
            yield from cluster.emit(request, at, token)


@pytest.mark.parametrize("caches", list(CacheFill))
def test_what_forgets_nothing_completes(caches: CacheFill) -> None:
    strategy = Leaving(caches=caches)
    assert set(run(measured(), strategy)) == {"completed"}
    if caches is not CacheFill.SAME_PATH:
        assert set(run(measured(), ByHand(caches=caches))) == {"completed"}


@pytest.mark.parametrize(
    ("broken", "caches", "law"),
    [
        (
            "states",
            "recompute",
            "keys and values of all earlier tokens, and .* left early: their hidden states",
        ),
        (
            "half",
            "recompute",
            "keys and values of all earlier tokens, and .* left early: their hidden states",
        ),
        (
            "states",
            "propagate",
            "keys and values of all earlier tokens, and .* left early: their hidden states",
        ),
        ("fill", "propagate", "keys and values of all earlier tokens, and .* fill them there first"),
        ("old style", "recompute", "fill: .* exits were asked for other caches"),
        ("another way", "recompute", "was asked with caches='recompute', and now with 'same-path'"),
        ("at once", "recompute", "block 4 needs the keys and values .* not all at one exit"),
        ("deeper", "same-path", "all tokens of this request leave after block 1 (same-path)"),
        ("late fill", "propagate", "never waited for: fill"),
    ],
)
def test_what_forgets_them_is_refused(broken: str, caches: str, law: str) -> None:
    law = re.escape(law).replace(r"\.\*", ".*")
    with pytest.raises(ContractError, match=law):
        run(measured(), ByHand(broken=broken, caches=CacheFill(caches)))


def test_what_one_request_may_do_another_with_other_caches_may_not() -> None:
    """Where data lie so, requests that recompute have passed; one that is to propagate has not filled."""

    class Both(ByHand):
        def serve(self, request, cluster, placement):
            caches = CacheFill.PROPAGATE if request.id == 19 else CacheFill.RECOMPUTE
            return ByHand(caches=caches, broken="fill").serve(request, cluster, placement)

    there = measured()
    there = replace(there, workload=replace(there.workload, prompt_tokens=Fixed(8), n_requests=20))
    with pytest.raises(ContractError, match="fill them there first"):
        run(there, Both())


def test_propagated_answers_are_known_on_the_grid_only() -> None:
    with pytest.raises(InputError, match=r"nearest of 1 measured rules is confidence \(0.9, 0.9\)"):
        run(measured(), ByHand(broken="off the grid", caches=CacheFill.PROPAGATE))
    with pytest.raises(InputError, match="not measured for this scenario"):
        run(worlds()["measured answers"], ByHand(caches=CacheFill.PROPAGATE))


def test_a_later_answer_is_no_exit_of_the_same_path() -> None:
    class Further(ByHand):
        def serve(self, request, cluster, placement):
            token = next(request.tokens())
            cluster.exits(request, token, 2, rule=ExitRule((0.0, 0.0)), caches="same-path")
            cluster.exits(request, token, 4, rule=ExitRule((0.0, 0.0)), caches="same-path")
            yield from cluster.sleep(0.0)

    with pytest.raises(
        ContractError, match="leave after block 1 \\(same-path\\), and token 0 has gone further"
    ):
        run(measured(), Further())


def served(caches: CacheFill, **changes: Any) -> World:
    """The same with servers of another kind, or that fail."""
    there = measured()
    devices = {
        id_: device if device.group == "source" else replace(device, **changes)
        for id_, device in there.devices.items()
    }
    return replace(there, devices=devices)


@pytest.mark.parametrize("caches", list(CacheFill))
@pytest.mark.parametrize(
    "changes",
    [
        {"serving": ProcessorSharing()},
        {"serving": ContinuousBatching(max_batch=4, cache="grow")},
        {"serving": FirstComeFirstServed(queue_limit=50)},
        {"service": Exponential()},
    ],
    ids=lambda changes: str(next(iter(changes.values()))),
)
def test_however_servers_serve_the_trace_obeys_the_laws(
    caches: CacheFill, changes: dict[str, Any], tmp_path: Path
) -> None:
    trace = kept(served(caches, **changes), Leaving(caches=caches), tmp_path / "trace")
    assert trace.check() == []
    assert set(trace.requests("one", 0)["outcome"]) == {"completed"}
    fills = trace.spans("one", 0)["via"].astype(str).str.startswith("keys and values of ")
    assert fills.any() == (caches is CacheFill.PROPAGATE)


@pytest.mark.parametrize("caches", list(CacheFill))
def test_what_a_failed_server_had_of_waiting_tokens_is_computed_again(
    caches: CacheFill, tmp_path: Path
) -> None:
    there = replace(
        measured(),
        faults=Faults(devices={"server-0": ScheduledOutages([(at_s, at_s + 0.05) for at_s in range(1, 6)])}),
        retry=Retry(limit=50, backoff_s=0.1),
    )
    trace = kept(there, Leaving(caches=caches), tmp_path / "trace")
    assert trace.check() == []
    assert set(trace.requests("one", 0)["outcome"]) == {"completed"}
    spans = trace.spans("one", 0)
    prompts = spans[(spans["via"].astype(str) == "embedding+0-1+head") & (spans["token"] == 0)]
    assert prompts.groupby("request_id").size().max() > 1  # somebody was served again
