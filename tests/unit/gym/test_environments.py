"""Environments over the event loop: their checkers, their ends, their seeds, their rewards."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pandas as pd
import pytest
from asking import text
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_sb3
from stable_baselines3.common.vec_env import DummyVecEnv

from edgesim.engine.simulation import simulate
from edgesim.errors import ContractError, InputError
from edgesim.gym import DecisionEnv, SplitEnv, UtilityReward
from edgesim.gym.published import PublishedEnv
from edgesim.gym.rewards import TableReward
from edgesim.planning.splitting.published import published_problem
from edgesim.planning.splitting.utility import Utility
from edgesim.scenario.load import parse

UTILITY = Utility(latency_per_s=1.0, energy_per_j=0.1, failure=5.0)
REWARD = UtilityReward(UTILITY)


def server_env(reward=REWARD, decision="server", options=None, **scenario) -> DecisionEnv:
    known = parse(text(**scenario))
    settings = {"low": 0.0, "high": 100.0} | (options or {})
    return DecisionEnv(known, strategy="asking", decision=decision, reward=reward, **settings)


def episode(env, choose, seed=None):
    """Everything that an episode shows."""
    seen, info = env.reset(seed=seed)
    shown, is_over = [(seen.tobytes(), 0.0, False, False)], False
    infos = [info]
    while not is_over:
        seen, reward, terminated, truncated, info = env.step(choose(info))
        shown.append((seen.tobytes(), reward, terminated, truncated))
        infos.append(info)
        is_over = terminated or truncated
    return shown, infos


def test_both_checkers_pass() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*render.*")
        for env in (SplitEnv(), server_env(), server_env(masks=True)):
            check_sb3(env)
            check_env(env, skip_render_check=True)
        check_env(gymnasium.make("edgesim/Split-v0").unwrapped, skip_render_check=True)


@pytest.mark.parametrize("variant", ["true", "surrogate"])
def test_the_split_problem_over_the_event_loop_is_the_published_one(variant) -> None:
    from edgesim.gym.bundled import bundled_table

    problem = published_problem(bundled_table(), variant)
    env, plain = SplitEnv(problem), PublishedEnv(problem)
    rng = np.random.default_rng(1)
    for seed in range(20):
        seen, _ = env.reset(seed=seed)
        first = env._decision.seen
        theirs, _ = plain.reset(options={"loss": first[0], "split": round(first[1])})
        assert problem.start_loss[0] <= first[0] <= problem.start_loss[1]
        for step in range(problem.n_steps):
            np.testing.assert_array_equal(seen, theirs)
            action = rng.integers(problem.moves.n_actions)
            seen, reward, terminated, truncated, _ = env.step(action)
            theirs, their_reward, *_ = plain.step(action)
            assert reward == their_reward
            assert (terminated, truncated) == (step == problem.n_steps - 1, False)


def test_one_seed_is_one_episode_and_without_one_they_differ() -> None:
    env = server_env(masks=True)

    def some(info):
        return int(np.flatnonzero(info["action_mask"])[-1])

    first, _ = episode(env, some, seed=5)
    second, _ = episode(env, some)
    again = server_env(masks=True)
    assert episode(again, some, seed=5)[0] == first
    assert episode(again, some)[0] == second
    assert episode(env, some, seed=5)[0] == first
    assert second != first


def test_a_finite_workload_terminates_and_a_horizon_or_a_number_of_decisions_truncates() -> None:
    shown, _ = episode(server_env(), lambda _: 1, seed=1)
    assert [row[2:] for row in shown[1:]] == [(False, False)] * 11 + [(True, False)]
    shown, _ = episode(server_env(horizon="1 s", n_requests=None), lambda _: 1, seed=1)
    assert shown[-1][2:] == (False, True)
    shown, _ = episode(server_env(options={"n_decisions": 4}), lambda _: 1, seed=1)
    assert len(shown) == 5
    assert shown[-1][2:] == (False, True)


def test_rewards_of_an_episode_are_the_utilities_of_the_trace_of_the_same_run() -> None:
    endless = {"horizon": "700 ms", "n_requests": None}
    for scenario in ({}, endless, endless | {"cooldown": "50 ms"}):
        env = server_env(masks=True, **scenario)
        env.reset(seed=2, options={"replication": 7})
        world, strategy, placement = env._source.episode(7, np.random.default_rng(0))
        total, is_over = 0.0, False
        while not is_over:
            _, reward, terminated, truncated, _ = env.step(env._decision.choose())
            total, is_over = total + reward, terminated or truncated
        rows = []
        simulate(
            world,
            strategy,
            placement,
            placement.holdings,
            lambda name, table, rows=rows: rows.append(table.to_pandas()) if name == "requests" else None,
        )
        requests = pd.concat(rows)
        requests = requests[requests["arrived_at_s"] < (world.horizon_s or np.inf)]
        assert total == pytest.approx(UTILITY.of_requests(requests).sum(), rel=1e-12)


def test_steps_without_an_episode_are_refused() -> None:
    env = server_env()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    episode(env, lambda _: 0, seed=1)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


def test_actions_that_are_none_are_refused_and_those_not_allowed_become_the_nearest() -> None:
    env = server_env(masks=True)
    _, info = env.reset(seed=1)
    np.testing.assert_array_equal(info["action_mask"], [0, 1, 1])
    np.testing.assert_array_equal(env.action_masks(), [False, True, True])
    for action in (3, -1, 0.5):
        with pytest.raises(ContractError, match="expected an action"):
            env.step(action)
    *_, info = env.step(0)
    assert info["action"] == 1
    strict = server_env(masks=True, options={"illegal": "refuse"})
    strict.reset(seed=1)
    with pytest.raises(ContractError, match="action 0 is not allowed now; allowed are 1, 2"):
        strict.step(0)
    strict.step(1)  # the episode goes on


def test_decisions_that_are_not_there_are_named() -> None:
    with pytest.raises(InputError, match=r"'sever' never occurred; .*server"):
        server_env(decision="sever")
    with pytest.raises(InputError, match="the strategy requests no decisions"):
        server_env(silent=True)
    with pytest.raises(InputError, match="3 numbers"):
        server_env(options={"low": [0.0, 1.0]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 1.0, "high": 0.0}, "low bounds no higher"),
        ({"low": float("nan")}, "low bounds no higher"),
        ({"randomise": {"topology.links[0].wired.rate": (1,)}}, r"randomise: 'topology\.links\[0\].*\(1,\)"),
        ({"randomise": {"topology.links[0].wired.rate": (5, 1, "Mbit/s")}}, "low no higher than high"),
        ({"randomise": {"topology.links[0].wired.rate": (1, float("inf"), "Mbit/s")}}, "finite"),
        ({"randomise": {"topology.links[0].wired.rate": (1, 2, 3)}}, "unit"),
        ({"randomise": {"topology.links[0].wired.rate": 5}}, "expected"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message) -> None:
    with pytest.raises(InputError, match=message):
        server_env(options=options)


@pytest.mark.parametrize("replication", [-1, 0.5, "one"])
def test_replications_that_are_none_are_refused(replication) -> None:
    with pytest.raises(InputError, match="expected a whole number of 0 or more"):
        server_env().reset(options={"replication": replication})


def test_users_who_wait_and_devices_that_fail() -> None:
    users = server_env(arrivals="users: {count: 4, think: 10 ms}")
    shown, _ = episode(users, lambda _: 1, seed=1)
    assert len(shown) == 13
    failing = server_env(more="faults: [{device: box, down: [[100 ms, 300 ms]]}]")
    _, infos = episode(failing, lambda _: 1, seed=1)
    n_completed, n_failed = (sum(info[name] for info in infos[1:]) for name in ("n_completed", "n_failed"))
    assert n_completed + n_failed == 12
    assert n_failed > 0 < n_completed


def test_values_are_drawn_for_each_episode() -> None:
    env = server_env(
        reward=lambda passed: sum(one.latency_s for one in passed.ended),
        options={"randomise": {"topology.links[1].wired.latency": (1, 900, "ms")}},
    )
    totals = {sum(row[1] for row in episode(env, lambda _: 2, seed=seed)[0]) for seed in (1, 2, 1)}
    assert len(totals) == 2
    varied = server_env(options={"vary": lambda world, rng: world})
    assert episode(varied, lambda _: 1, seed=4)[0] == episode(server_env(), lambda _: 1, seed=4)[0]


def test_quality_from_a_table() -> None:
    problem = SplitEnv().problem
    reward = TableReward(
        problem.table,
        lambda decision, action: problem.moves.after(round(decision.seen[1]), action),
        weight=2.0,
        besides=lambda passed: 100.0,
    )
    env = SplitEnv(problem, reward=reward)
    env.reset(seed=3)
    loss, split = env._decision.seen
    _, got, *_ = env.step(0)
    assert got == 100.0 + 2.0 * float(problem.table.value(loss, round(split)))


def test_vectorised_environments_are_the_single_ones() -> None:
    def run(vector):
        vector.reset(seed=[1, 2])
        rewards = [vector.step(np.array([0, 1]))[1] for _ in range(4)]
        vector.close()
        return np.array(rewards)

    both = run(gymnasium.make_vec("edgesim/Split-v0", 2, vectorization_mode="sync"))
    for place, (seed, action) in enumerate(((1, 0), (2, 1))):
        env = gymnasium.make("edgesim/Split-v0")
        env.reset(seed=seed)
        np.testing.assert_array_equal(both[:, place], [env.step(action)[1] for _ in range(4)])
    dummy = DummyVecEnv([SplitEnv, SplitEnv])
    assert dummy.reset().shape == (2, 2)
    assert dummy.env_method("action_masks")[0].all()


@pytest.mark.slow
def test_environments_in_processes_of_their_own() -> None:
    def rewards(mode):
        vector = gymnasium.make_vec("edgesim/Split-v0", 2, vectorization_mode=mode)
        vector.reset(seed=[1, 2])
        found = [vector.step(np.array([0, 1]))[1] for _ in range(4)]
        vector.close()
        return np.array(found)

    np.testing.assert_array_equal(rewards("sync"), rewards("async"))


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['gymnasium'] = None\n"
        "from edgesim.errors import InputError\n"
        "try:\n    import edgesim.gym\nexcept InputError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'edgesim[rl]'" in done.stdout
