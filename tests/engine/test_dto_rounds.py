"""DTO-EE in messages during a run: where rounds lead, after what changes, and with messages lost."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from miniature import Tables, run
from staged import city, records, stages_of

from edgesim.engine.cluster import Cluster
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.planning.offloading.flow import flow_of, mean_delay_s
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.optimum import optimal_plan
from edgesim.strategies.early_exit import EarlyExit
from edgesim.strategy import Fleet
from edgesim.world.world import World

SERVICE_S = [[0.04, 0.1, 0.15], [0.05, 0.08, 0.2], [0.06, 0.03]]
FULL_HZ = 1 / 0.04 + 1 / 0.1 + 1 / 0.15  # stage 1 carries no more
PERIOD_S = 5.0


def followed(
    world: World, *, believed: Callable[[Fleet], Fleet] = lambda fleet: fleet, **options: object
) -> tuple[Tables, list[float], Any]:
    """Run, and how far each round's plan is from the optimum of what really comes (relative), and the run.

    `believed` changes what the strategy takes the fleet for.
    """
    runs: list[Any] = []
    gaps: list[float] = []

    class Followed(EarlyExit):
        def begin(self, placement: Any, model: Any, fleet: Fleet) -> Any:
            runs.append(super().begin(placement, model, believed(fleet)))
            return runs[-1]

        def control(self, cluster: Cluster, placement: Any, state: Any) -> Any:
            return watched(super().control(cluster, placement, state))

    def watched(rounds: Any) -> Generator[Any, Any, None]:
        seen, network = None, _network(runs[0].walk.state.network, Fleet.of(world))
        best_s, answer = optimal_plan(network).delay_s, None
        while True:
            plan = runs[0].walk.state.plan
            if plan is not seen:
                seen = plan
                gaps.append(mean_delay_s(flow_of(network, plan)) / best_s - 1)
            answer = yield rounds.send(answer)

    strategy = Followed.model_validate({"stages": stages_of(world), "period": f"{PERIOD_S} s"} | options)
    placement = strategy.place(world.model, believed(Fleet.of(world)))
    return run(world, strategy, placement), gaps, runs[0]


def _network(network: OffloadingNetwork, fleet: Fleet) -> OffloadingNetwork:
    """The network at the rates that the world really has."""
    rates = [fleet.rates_hz.get(name.removeprefix("0/"), 0.0) for name in network.names]
    return replace(network, arrivals_per_s=np.array(rates))


def loaded(share: float, n_requests: int, **facts: Any) -> World:
    return city(SERVICE_S, 4, rate_hz=share * FULL_HZ, hop_s=0.005, n_requests=n_requests, **facts)


def test_from_equal_rows_rounds_lead_to_the_optimum() -> None:
    """At 0.8 of the most that can flow: within 5 % after ten rounds, within 2 % after twenty."""
    _, gaps, _ = followed(loaded(0.8, 3600), start="uniform")
    assert gaps[0] > 1  # equal rows overload the slowest server
    assert len(gaps) > 21
    assert max(gaps[10:]) < 0.05
    assert max(gaps[20:]) < 0.02


def test_from_the_plan_they_stay_there() -> None:
    """What is counted scatters, and rows come to rest all the same: within 1 % at every round."""
    _, gaps, _ = followed(loaded(0.8, 3600))
    assert len(gaps) > 20
    assert max(gaps) < 0.01


def test_they_follow_arrivals_that_were_not_planned_for() -> None:
    """Twice as many tasks as were planned for, from the first round on: within 5 % ten rounds later."""

    def halved(fleet: Fleet) -> Fleet:
        return replace(fleet, rates_hz={source: rate / 2 for source, rate in fleet.rates_hz.items()})

    _, gaps, _ = followed(loaded(0.8, 7000), believed=halved, period="10 s")
    assert gaps[0] > 0.2
    assert max(gaps[10:]) < 0.05


def test_a_silence_does_no_lasting_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No message arrives for a round while rows are still on their way: the optimum all the same."""
    report = Cluster.report

    def silent(self: Cluster, *arguments: Any, **facts: Any) -> Any:
        return () if 20 < self.now_s < 26 else report(self, *arguments, **facts)

    monkeypatch.setattr(Cluster, "report", silent)
    _, gaps, _ = followed(loaded(0.8, 3600), start="uniform")
    assert max(gaps[15:]) < 0.05


def test_lost_messages_do_no_lasting_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """One message in twenty, drawn at random, never leaves: rows stray at times, and come back."""
    _lose(monkeypatch, 0.05)
    _, gaps, _ = followed(loaded(0.8, 4500), start="uniform")
    assert np.median(gaps[10:]) < 0.02
    assert gaps[-1] < 0.05


def test_a_time_of_heavy_losses_does_no_lasting_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three messages in ten are lost in the first twelve rounds, from rows that overload: ten later, 5 %."""
    _lose(monkeypatch, 0.3, until_s=12 * PERIOD_S)
    _, gaps, _ = followed(loaded(0.8, 4500), start="uniform")
    assert max(gaps[22:]) < 0.05


def test_where_rows_are_at_rest_lost_messages_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    _lose(monkeypatch, 0.3)
    _, gaps, _ = followed(loaded(0.8, 3600))
    assert len(gaps) > 20
    assert max(gaps) < 0.01


def _lose(monkeypatch: pytest.MonkeyPatch, share: float, until_s: float = math.inf) -> None:
    """Let such a share of the messages never leave."""
    draws, report = np.random.default_rng(7), Cluster.report

    def lossy(self: Cluster, *arguments: Any, **facts: Any) -> Any:
        is_lost = self.now_s < until_s and draws.random() < share
        return () if is_lost else report(self, *arguments, **facts)

    monkeypatch.setattr(Cluster, "report", lossy)


def test_control_messages_are_in_the_trace_with_their_size_and_their_number() -> None:
    """Two exchanges a round, an offer and a price over every link in each."""
    tables, gaps, run_ = followed(loaded(0.5, 800), message="48 B")
    told = tables.spans[tables.spans["kind"] == "control"]
    n_links = run_.walk.state.network.n_links
    n_rounds = len(gaps) - 1  # whole ones, and a part
    assert 4 * n_links * n_rounds <= len(told) <= 4 * n_links * (n_rounds + 1)
    assert set(told["size_bytes"]) == {48}


def test_thresholds_follow_the_load() -> None:
    """Planned for a tenth of what comes, exits are strict; servers then let more tasks leave."""

    def tenth(fleet: Fleet) -> Fleet:
        return replace(fleet, rates_hz={source: rate / 10 for source, rate in fleet.rates_hz.items()})

    draws = np.random.default_rng(3)
    sure = draws.uniform(size=(4000, 3))
    sure[:, -1] = 0.95  # calibrated: right as often as sure
    said = ExitRecords((1, 2, 3), sure, draws.uniform(size=sure.shape) < sure)
    there = city([[0.02] * 2, [0.08] * 2, [0.08] * 2], 2, rate_hz=23.0, n_requests=4000, exits=said)
    _, _, run_ = followed(there, believed=tenth, exchange="1 s", period="10 s")
    strategy = EarlyExit.model_validate({"stages": stages_of(there), "exchange": "1 s"})
    planned = strategy.place(there.model, tenth(Fleet.of(there))).thresholds[0]
    state = run_.walk.state
    first = np.array(state.thresholds)[state.network.stage == 1]
    assert np.all(first.astype(float) < planned)


def test_an_exit_whose_head_costs_more_than_it_saves_stays_closed() -> None:
    """One task in twenty would leave, and each would compute a head as long as the next stage."""
    said = records(2, 0.05)
    there = city([[0.02] * 2, [0.02] * 2], 2, rate_hz=30.0, n_requests=1500, head_s=0.02, exits=said)
    _, gaps, run_ = followed(there)
    assert len(gaps) > 8
    state = run_.walk.state
    assert set(np.array(state.thresholds)[state.network.stage == 1]) == {np.inf}


def test_a_run_is_the_same_again() -> None:
    one, other = (followed(loaded(0.7, 400), start="uniform")[0] for _ in range(2))
    assert one.spans.equals(other.spans)
    assert one.requests.equals(other.requests)
