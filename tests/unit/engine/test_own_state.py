"""A state of the strategy's own: made once for each run, and handed to `serve` and `control` alone."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from miniature import PerBlock, device, run, world

from edgesim.errors import StrategyError
from edgesim.strategies.local import Local
from edgesim.strategy import STRATEGIES, Strategy, strategy_class
from edgesim.workload.lengths import Fixed
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link

THERE = world(
    [device("a", PerBlock(1e-3)), device("b", PerBlock(1e-3))],
    [Link(between=("a", "b"), rate_bps=1e9)],
    output=Fixed(2),
    n_requests=3,
)


class Counting(Local):
    """Counts requests, and keeps what it has seen."""

    def begin(self, placement, model, fleet):
        return {"placement": placement, "model": model, "sources": fleet.sources, "met": [], "looked": []}

    def serve(self, request, cluster, placement, state):
        state["met"].append((request.id, placement is state["placement"]))
        TOLD.append(state)
        yield from super().serve(request, cluster, placement)

    def control(self, cluster, placement, state):
        TOLD.append(state)
        yield from cluster.sleep(0.5)
        state["looked"].append(list(state["met"]))


TOLD: list[dict[str, object]] = []


def test_one_state_goes_to_every_call_of_a_run_and_to_none_of_another() -> None:
    placement = Local().place(THERE.model, Fleet.of(THERE))
    states = []
    for _ in range(2):
        TOLD.clear()
        run(THERE, Counting(), placement)
        assert len(TOLD) == 4  # control and three requests
        assert all(state is TOLD[0] for state in TOLD)
        states.append(TOLD[0])
    first, second = states
    assert first is not second
    assert first["met"] == second["met"] == [(0, True), (1, True), (2, True)]
    assert first["looked"] == [[(0, True)]]  # requests arrive at 0, 1, 2 s
    assert first["model"] is THERE.model
    assert first["sources"] == ("a",)


def test_a_strategy_without_begin_is_called_as_ever() -> None:
    told = run(THERE, Local(), Local().place(THERE.model, Fleet.of(THERE)))
    assert list(told.requests["outcome"]) == ["completed"] * 3
    assert not Local.makes_state
    assert Counting.makes_state


class Unheard(Local):
    """Makes a state that `serve` does not take."""

    def begin(self, placement, model, fleet):
        return []


class Unmade(Local):
    """Wants a state that nothing makes."""

    def serve(self, request, cluster, placement, state):
        yield from super().serve(request, cluster, placement)


class Blind(Local):
    """Makes a state that `control` does not take."""

    def begin(self, placement, model, fleet):
        return []

    def serve(self, request, cluster, placement, state):
        yield from super().serve(request, cluster, placement)

    def control(self, cluster, placement):
        return None


class Few(Local):
    """Takes less than it is given."""

    def serve(self, request, cluster):
        yield from cluster.sleep(0.0)


class Beginner(Local):
    """Does not take what a state is made of."""

    def begin(self, placement):
        return []


REFUSED = [
    (Unheard, r"begin makes a state, and serve does not take it; write serve\(self, request, cluster, plac"),
    (Unmade, r"serve takes a state, and nothing makes one; write begin\(self, placement, model, fleet\)"),
    (Blind, "begin makes a state, and control does not take it"),
    (Few, r"write serve\(self, request, cluster, placement\)"),
    (Beginner, r"write begin\(self, placement, model, fleet\)"),
]


@pytest.mark.parametrize(("kind", "why"), REFUSED)
def test_a_mismatch_is_refused_before_the_run(kind: type[Strategy], why: str) -> None:
    with pytest.raises(StrategyError, match=f"class {kind.__name__}: {why}"):
        run(THERE, kind(), Local().place(THERE.model, Fleet.of(THERE)))


@pytest.mark.parametrize(("kind", "why"), REFUSED)
def test_a_mismatch_is_refused_where_a_strategy_is_found(
    kind: type[Strategy], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("toy", f"{__name__}:{kind.__name__}", STRATEGIES.name)
    monkeypatch.setattr("edgesim.plugins.entry_points", lambda group: [point])
    with pytest.raises(StrategyError, match=f"strategy 'toy' .*{why}"):
        strategy_class("toy")


def test_a_state_may_be_taken_by_default() -> None:
    class Either(Local):
        def serve(self, request, cluster, placement, state=None):
            assert state is None
            yield from super().serve(request, cluster, placement)

    told = run(THERE, Either(), Local().place(THERE.model, Fleet.of(THERE)))
    assert list(told.requests["outcome"]) == ["completed"] * 3
