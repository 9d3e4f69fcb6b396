"""Every installed strategy, edgesim's own like anybody's, against the public conformance test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import PrivateAttr

from edgesim.errors import PlacementError, StrategyError
from edgesim.model.architecture import Slice
from edgesim.strategies.local import Local
from edgesim.strategy import Placement, Strategy, discover, strategy_class
from edgesim.testing import check_strategy

# Options for strategies that cannot do without; the kit's worlds have the groups `source` and `server`.
OPTIONS: dict[str, list[dict[str, object]]] = {
    "offload": [{"to": "server"}, {"to": ["source", "server"], "choose": "first"}],
    "pipeline": [{}, {"partition": "even"}, {"partition": "mdi"}, {"partition": "latency", "over": "server"}],
    "early_exit": [
        {"period": "0.3 s"},
        {"start": "uniform", "period": "0.1 s", "exchanges": 1, "exit_rule": "entropy"},
        {"offloading": "optimum", "thresholds": 0.9, "caches": "same-path"},
        {"offloading": "cf", "thresholds": "none", "reach": "routes"},
        {"offloading": "bf", "drop_late": "1000 s"},
        {"offloading": "ngto", "exit_rule": "channel-aware"},
        {"offloading": "ga", "evaluations": 100},
        {"offloading": "jsed", "period": "0.1 s"},
        {"offloading": "backpressure", "period": "0.1 s", "stages": ["server", "server"], "cuts": [3]},
    ],
    "rl_split": [{"to": "server"}, {"to": "server", "policy": "greedy", "decide": "token"}],
    "round_robin": [{"to": "server"}],
}


def installed() -> Iterator[tuple[str, dict[str, object]]]:
    for name in discover():
        for options in OPTIONS.get(name, [{}]):
            yield name, options


@pytest.mark.parametrize(("name", "options"), list(installed()))
def test_installed_strategies_keep_the_contract(name: str, options: dict[str, object]) -> None:
    check_strategy(strategy_class(name)(**options))


class Forgetful(Local):
    """Emits one token too few."""

    def serve(self, request, cluster, placement):
        for token in request.tokens():
            yield from cluster.compute(request, request.source, placement.stages[0].part, token)
            if not token.is_last:
                yield from cluster.emit(request, request.source, token)


class Refuser(Local):
    """Fails every request."""

    def serve(self, request, cluster, placement):
        yield from cluster.sleep(0.0)
        cluster.fail(request, "no")


class Repeater(Local):
    """Computes the first block as often as there are blocks, and never embedding or head."""

    def serve(self, request, cluster, placement):
        for token in request.tokens():
            for _ in range(6):
                yield from cluster.compute(request, request.source, Slice(0, 1), token)
            yield from cluster.emit(request, request.source, token)


class Hasty(Local):
    """Emits everything first and computes afterwards."""

    def serve(self, request, cluster, placement):
        tokens = list(request.tokens())
        for token in tokens:
            yield from cluster.emit(request, request.source, token)
        for token in tokens:
            yield from cluster.compute(request, request.source, placement.stages[0].part, token)


class Early(Local):
    """Leaves where an exit is sure; not broken at all, where answers were measured."""

    def place(self, model, fleet):
        placement = super().place(model, fleet)
        if model.n_blocks != 6:
            raise PlacementError("exits stand after blocks 2, 4 and 6")
        return placement

    def serve(self, request, cluster, placement):
        for token in request.tokens():
            for first in (0, 2, 4):
                part = Slice(first, first + 2, embedding=first == 0, head=True)
                yield from cluster.compute(request, request.source, part, token)
                if cluster.measures_answers and cluster.exits(request, token, first + 2, confidence=0.9):
                    break
            yield from cluster.emit(request, request.source, token)


def test_a_strategy_that_exits_early_keeps_the_contract() -> None:
    check_strategy(Early())


class Lazy(Local):
    """Skips the decode steps' compute."""

    def serve(self, request, cluster, placement):
        for token in request.tokens():
            if token.index == 0:
                yield from cluster.compute(request, request.source, placement.stages[0].part, token)
            yield from cluster.emit(request, request.source, token)


class Moody(Local):
    """Remembers earlier runs, and serves later ones more slowly."""

    _mood: list[int] = PrivateAttr(default_factory=list)

    def serve(self, request, cluster, placement):
        self._mood.append(request.id)
        yield from cluster.sleep(0.001 * len(self._mood))
        yield from super().serve(request, cluster, placement)


class Fickle(Local):
    """Places the model somewhere else each time."""

    _n: list[int] = PrivateAttr(default_factory=lambda: [0])

    def place(self, model, fleet):
        self._n[0] += 1
        ids = [d.id for d in fleet.devices]
        first = ids[self._n[0] % len(ids)]
        stages = super().place(model, fleet).stages
        return Placement(tuple(type(stages[0])(first, s.part) for s in stages))


class Picky(Local):
    """Refuses every world."""

    def place(self, model, fleet):
        raise PlacementError("not here")


@pytest.mark.parametrize(
    ("strategy", "complaint"),
    [
        (Forgetful, "5 of its 6 tokens emitted"),
        (Lazy, "the id of token 1 must be there"),
        (Refuser, "although there was memory and time"),
        (Repeater, "needs the token.s hidden state after the embedding"),
        (Hasty, "the id of token 0 must be there"),
        (Moody, r"the strategy._mood\[\d+\] changed during a run"),
        (Fickle, "two different placements"),
        (Picky, "refused every world"),
    ],
)
def test_a_broken_strategy_is_caught_and_told_why(strategy: type[Strategy], complaint: str) -> None:
    with pytest.raises(Exception, match=complaint) as caught:
        check_strategy(strategy())
    assert isinstance(caught.value, AssertionError) or "Contract" in type(caught.value).__name__


def test_an_unknown_strategy_is_told_with_the_nearest() -> None:
    with pytest.raises(StrategyError, match="did you mean 'pipeline'"):
        strategy_class("pipline")
