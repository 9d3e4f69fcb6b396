"""Decisions: made by the strategy in a plain run, from outside where the run pauses; the run is the same."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from operator import mod

import numpy as np
import pytest
from miniature import PerBlock, Serve, device, run, world

from edgesim.engine.simulation import Simulation, simulate
from edgesim.errors import ContractError
from edgesim.model.architecture import Slice
from edgesim.strategy import Fleet, Placement, Stage, Strategy
from edgesim.testing import check_strategy, worlds

WHOLE = Slice(0, 4, embedding=True, head=True)
THERE = world([device("a", PerBlock(1e-3))], n_requests=4)


class Asking(Strategy):
    """Asks before every request which device serves it, and before every token whether to pause."""

    n_asked: int = 3
    controls: bool = False

    def place(self, model, fleet):
        return Placement(tuple(Stage(d.id, model.whole) for d in fleet.devices))

    def serve(self, request, cluster, placement):
        devices = placement.devices

        def choose() -> int:
            return int(cluster.random("server", request).integers(len(devices)))

        seen = [cluster.observe().backlog_s(device) for device in devices]
        there = devices[
            (yield from cluster.ask("server", seen, choose, n_actions=len(devices), request=request))
        ]
        if there != request.source:
            yield from cluster.send(request, request.source, there, request.prompt_bytes)
        for token in request.tokens():
            pauses = yield from cluster.ask("pause", [], partial(mod, token.index, 2), n_actions=2)
            yield from cluster.sleep(1e-3 * pauses)
            yield from cluster.compute(request, there, placement.stages[0].part, token)
            yield from cluster.emit(request, there, token)

    def control(self, cluster, placement):
        return self._beat(cluster) if self.controls else None

    def _beat(self, cluster):
        while True:
            yield from cluster.sleep(
                (yield from cluster.ask("beat", [cluster.now_s], lambda: 1, n_actions=3)) + 0.1
            )


def tables(there, strategy, outside=None, answer=None):
    """The tables of a run, and the decisions it paused at."""
    placement = strategy.place(there.model, Fleet.of(there))
    parts, paused = [], []

    def write(name, table):
        parts.append((name, table))

    if outside is None:
        simulate(there, strategy, placement, placement.holdings, write)
        return parts, paused
    simulation = Simulation(there, strategy, placement, placement.holdings, write, outside=outside)
    while (decision := simulation.advance()) is not None:
        paused.append(decision)
        simulation.decide(decision.choose() if answer is None else answer(decision))
    simulation.finish()
    return parts, paused


def same(one, other) -> bool:
    return [name for name, _ in one] == [name for name, _ in other] and all(
        mine.equals(theirs) for (_, mine), (_, theirs) in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("name", worlds())
@pytest.mark.parametrize("outside", ["server", "pause", "beat", "never asked"])
def test_a_run_that_pauses_and_gets_the_strategys_own_choices_is_the_plain_run(
    name: str, outside: str
) -> None:
    strategy = Asking(controls=True)
    plain, _ = tables(worlds()[name], strategy)
    paused, decisions = tables(worlds()[name], strategy, outside)
    assert same(plain, paused)
    assert {decision.name for decision in decisions} == ({outside} - {"never asked"})


def test_a_strategy_that_asks_keeps_every_law() -> None:
    check_strategy(Asking())
    check_strategy(Asking(controls=True))


def test_the_answer_from_outside_is_what_the_strategy_gets() -> None:
    there = worlds()["free links"]
    devices = Asking().place(there.model, Fleet.of(there)).devices
    parts, decisions = tables(there, Asking(), "server", answer=lambda decision: 2)
    spans = [table for name, table in parts if name == "spans"]
    computed = {row["device"] for table in spans for row in table.to_pylist() if row["kind"] == "compute"}
    assert computed == {devices[2]}
    assert [decision.request_id for decision in decisions] == list(range(20))
    instants_s = [decision.at_s for decision in decisions]
    assert instants_s == sorted(instants_s)
    assert {decision.n_actions for decision in decisions} == {len(devices)}


def test_no_time_passes_and_nothing_happens_while_the_run_stands() -> None:
    there = worlds()["two devices"]
    strategy = Asking()
    placement = strategy.place(there.model, Fleet.of(there))
    simulation = Simulation(there, strategy, placement, placement.holdings, lambda *_: None, outside="server")
    decision = simulation.advance()
    assert decision is simulation.advance()  # not answered yet: it stands where it stood
    assert simulation.clock.now == decision.at_s
    assert list(simulation.in_flight) == [decision.request_id]


def asked_once(*, n_times: int = 1, **asked):
    """A run whose requests ask like that."""

    def serve(request, cluster):
        token = next(request.tokens())
        for _ in range(n_times):
            yield from cluster.ask("d", request=request, **asked)
        yield from cluster.compute(request, "a", WHOLE, token)
        yield from cluster.emit(request, "a", token)

    run(THERE, Serve(serve))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"choose": lambda: 2, "n_actions": 2, "seen": []}, "an action from 0 to 1, got 2"),
        ({"choose": lambda: -1, "n_actions": 2, "seen": []}, "an action from 0 to 1, got -1"),
        ({"choose": lambda: 0.5, "n_actions": 2, "seen": []}, "as an integer, got 0.5"),
        (
            {"choose": lambda: 1, "n_actions": 2, "seen": [], "allowed": [True, False]},
            "action 1 is not allowed",
        ),
        ({"choose": lambda: 0, "n_actions": 2, "seen": [], "allowed": [True]}, "2 actions, and 1 entries"),
        ({"choose": lambda: 0, "n_actions": 2, "seen": [], "allowed": [False] * 2}, "no action is allowed"),
        ({"choose": lambda: 0, "n_actions": 0, "seen": []}, "at least one action"),
        ({"choose": lambda: 0, "n_actions": 1, "seen": [0.0, np.inf]}, "found inf at index 1"),
        ({"choose": lambda: 0, "n_actions": 1, "seen": [np.nan]}, "found nan at index 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(asked, message) -> None:
    with pytest.raises(ContractError, match=message):
        asked_once(**asked)


def test_shapes_stay() -> None:
    def serve(lengths, actions):
        def ask(request, cluster):
            yield from cluster.ask(
                "d", [0.0] * lengths[request.id > 0], lambda: 0, n_actions=actions[request.id > 0]
            )
            token = next(request.tokens())
            yield from cluster.compute(request, "a", WHOLE, token)
            yield from cluster.emit(request, "a", token)

        return Serve(ask)

    run(THERE, serve((1, 1), (2, 2)))
    with pytest.raises(ContractError, match="found 2 features, and 1 before"):
        run(THERE, serve((1, 2), (2, 2)))
    with pytest.raises(ContractError, match="found 3 actions, and 2 before"):
        run(THERE, serve((1, 1), (2, 3)))


def test_an_action_that_is_not_allowed_is_refused_from_outside_too() -> None:
    there = worlds()["free links"]
    with pytest.raises(ContractError, match="an action from 0 to 2, got 3"):
        tables(there, Asking(), "server", answer=lambda decision: 3)


def test_one_that_is_not_waited_for_is_refused() -> None:
    def serve(request, cluster):
        token = next(request.tokens())
        cluster.ask("d", [], lambda: 0, n_actions=1, request=request)
        yield from cluster.compute(request, "a", WHOLE, token)
        yield from cluster.emit(request, "a", token)

    with pytest.raises(ContractError, match=r"never waited for: ask\(request 0, 'd'\)"):
        run(replace(THERE), Serve(serve))
