"""The documentation's bandit learns: within a run, from nothing, and from what it has measured alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from miniature import PerBlock, device, model, run, world
from scipy import stats

from edgesim.rng import Streams, key_of, keyed_uniform
from edgesim.workload.arrivals import Deterministic
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.service import Exponential

PLUGIN = Path(__file__).resolve().parents[1] / "plugin_example" / "src"
MEAN_S = (0.5, 0.1, 0.3)
N_REQUESTS = 1000


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch):
    """The servers chosen; requests come one at a time, and passes take exponential times."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    from edgesim_example_plugin.bandit import Bandit

    servers = [
        device(f"s-{i}", PerBlock(mean_s / 4), service=Exponential()) for i, mean_s in enumerate(MEAN_S)
    ]
    there = world(
        [device("user"), *servers],
        [Link(between=("user", one.id), rate_bps=math.inf) for one in servers],
        arrivals=Deterministic(0.05),
        n_requests=N_REQUESTS,
    )

    def choices(explore: float) -> list[str]:
        bandit = Bandit(to="s", explore=explore)
        told = run(there, bandit, bandit.place(there.model, Fleet.of(there)))
        assert set(told.requests["outcome"]) == {"completed"}
        computed = told.spans[told.spans["kind"] == "compute"].sort_values("request_id")
        return list(computed["device"].astype(str))

    return choices


def by_hand(explore: float) -> list[str]:
    """Epsilon-greedy as a loop, on the same draws; messages take no time here."""
    servers = [f"s-{i}" for i in range(len(MEAN_S))]
    taken_s: dict[str, list[float]] = {server: [] for server in servers}
    chosen = []
    for id_ in range(N_REQUESTS):
        rng = Streams(1, 0)[f"strategy {id_} explore"]
        means_s = [math.fsum(times) / len(times) if (times := taken_s[s]) else 0.0 for s in servers]
        best = servers[int(np.argmin(means_s))]
        server = servers[rng.integers(len(servers))] if rng.random() < explore else best
        key = key_of(1, 0, "service", server, id_, 0, 0, str(model().whole), 0)
        taken_s[server].append(MEAN_S[servers.index(server)] * Exponential().factor(keyed_uniform(key, 0)))
        chosen.append(server)
    return chosen


@pytest.mark.parametrize("explore", [0.0, 0.2, 1.0])
def test_it_chooses_as_a_loop_by_hand_does(explore: float, served) -> None:
    assert served(explore) == by_hand(explore)


def test_it_finds_the_fastest_server(served) -> None:
    """Once that is known, it has a share 1 - epsilon + epsilon / n of the requests."""
    late = served(0.2)[N_REQUESTS // 2 :]
    share = 1 - 0.2 + 0.2 / 3
    half_width = stats.norm.ppf(0.995) * math.sqrt(share * (1 - share) / len(late))
    assert abs(late.count("s-1") / len(late) - share) <= half_width


def test_two_runs_learn_the_same_from_the_beginning(served) -> None:
    assert served(0.2) == served(0.2)
