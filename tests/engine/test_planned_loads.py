"""What plans take requests to ask of servers, against what they ask in a run: for each way to fill caches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from miniature import PerBlock, run
from scipy.stats import t as student
from staged import city, records, stages_of

from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.propagated_paths import ExitOutputs, PropagatedPaths
from edgesim.planning.offloading.flow import flow_of, mean_delay_s
from edgesim.strategies.early_exit import EarlyExit
from edgesim.strategies.early_exit.demand import n_reaching
from edgesim.strategies.early_exit.network import network_of
from edgesim.strategy import Fleet
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.world.world import World

SURE = 0.9
SAID = records(3, 0.4, n_tokens=20_000)
BLOCK_S, HEAD_S = [[0.01, 0.02], [0.01, 0.02], [0.01]], 0.015
N_RUNS, N_REQUESTS = 10, 60


def propagated(said: ExitRecords) -> PropagatedPaths:
    """As if states propagated did no harm: the same exits as with complete caches."""
    left, n = said.leave(confidence=(SURE, SURE)), said.n_tokens
    answers = ExitOutputs(left, np.full(n, 0.95), np.zeros(n), said.is_correct[np.arange(n), left])
    return PropagatedPaths(said.blocks, {ExitRule((SURE, SURE)): answers})


def there(n_output: int) -> World:
    """Stages of unlike servers whose heads take time, and so few requests that none waits for another."""
    made = city(BLOCK_S, 2, hop_s=0.0, n_requests=N_REQUESTS, exits=SAID, tuning_exits=SAID)
    devices = {
        id_: each if each.group == "d" else replace(each, timing=PerBlock(each.timing.block_s, HEAD_S))
        for id_, each in made.devices.items()
    }
    asked = replace(
        made.workload, arrivals=Deterministic(0.05), prompt_tokens=Fixed(5), output_tokens=Fixed(n_output)
    )
    return replace(made, devices=devices, workload=asked, paths=propagated(SAID))


@pytest.mark.parametrize("n_output", [1, 2, 16])
@pytest.mark.parametrize("caches", [str(fill) for fill in CacheFill])
def test_servers_are_as_busy_as_planned(caches: str, n_output: int) -> None:
    """Busy seconds per request at each server, and the mean delay of all: Student intervals over runs.

    99.9 % together over all servers (Bonferroni). They are narrow enough to tell a prompt that passes all
    stages from one that leaves with its first token, by which the plan of 16 tokens was off by a quarter.
    """
    strategy = EarlyExit.model_validate(
        {"stages": [["s1"], ["s2"], ["s3"]], "offloading": "cf", "thresholds": SURE, "caches": caches}
    )
    world = there(n_output)
    fleet = Fleet.of(world)
    placement = strategy.place(world.model, fleet)
    network = network_of(placement.layout, fleet, "links", CacheFill(caches))
    network = network.with_shares(np.array(placement.continues)).scaled(1e-9)
    flow = flow_of(network, np.array(placement.plan))
    servers = [name.split("/")[1] for name in network.names[2:]]
    planned = [*(flow.utilisation[2:] / network.total_per_s), mean_delay_s(flow)]
    seen = []
    for replication in range(N_RUNS):
        tables = run(replace(world, replication=replication), strategy, placement)
        computed = tables.spans[tables.spans["kind"] == "compute"]
        took = (computed["ended_at_s"] - computed["started_at_s"]).groupby(computed["device"]).sum()
        delays_s = tables.requests["ended_at_s"] - tables.requests["arrived_at_s"]
        seen.append([*(took.get(server, 0.0) / N_REQUESTS for server in servers), delays_s.mean()])
    means, errors = np.mean(seen, axis=0), np.std(seen, axis=0, ddof=1) / np.sqrt(N_RUNS)
    half_widths = student.ppf(1 - 0.001 / 2 / len(planned), N_RUNS - 1) * errors
    assert np.all(np.abs(means - planned) <= half_widths + 1e-9), (means, planned, half_widths)
    if n_output == 16 and caches != "same-path":
        assert half_widths[-1] < 0.05 * means[-1]


@pytest.mark.parametrize(("share", "n_later"), [(0.3, 1), (0.3, 6), (1.0, 5), (0.0, 4), (0.7, 12)])
def test_tokens_along_are_those_of_all_ways_to_leave(share: float, n_later: int) -> None:
    """Against every sequence of tokens that come and tokens that stay, by its probability."""
    expected = np.zeros(n_later)
    for ways in np.ndindex(*(2,) * n_later):
        waiting, probability = 0, 1.0
        counts = np.zeros(n_later)
        for comes in ways:
            probability *= share if comes else 1 - share
            if comes:
                counts[waiting] += 1
            waiting = 0 if comes else waiting + 1
        expected += probability * counts
    assert n_reaching(share, n_later) == pytest.approx(expected, abs=1e-12)
    assert n_reaching(share, n_later).sum() == pytest.approx(share * n_later)


def test_rounds_count_requests_where_they_come() -> None:
    """With one path for a request none comes behind its exit; else all come to all stages."""
    for caches, shares in (("recompute", (1.0, 1.0)), ("same-path", (0.6, 0.36))):
        world = there(3)
        strategy = EarlyExit.model_validate(
            {"stages": stages_of(world), "offloading": "cf", "thresholds": SURE, "caches": caches}
        )
        placement = strategy.place(world.model, Fleet.of(world))
        runs = []
        strategy_run = type(strategy).begin

        class Watched(EarlyExit):
            def begin(self, *args: object, **facts: object) -> object:
                runs.append(strategy_run(self, *args, **facts))  # noqa: B023
                return runs[-1]  # noqa: B023

        run(world, Watched.model_validate(strategy.model_dump(exclude_unset=True)), placement)
        state = runs[0].walk.state
        came = np.bincount(state.network.stage, state.n_came)
        assert came[0] == came[1] == N_REQUESTS
        for count, share in zip(came[2:], shares, strict=True):
            half_width = 3.3 * np.sqrt(share * (1 - share) * N_REQUESTS)  # 99.9 % of a binomial's
            assert abs(count - share * N_REQUESTS) <= half_width
