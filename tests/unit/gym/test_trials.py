"""Decisions tried on the same requests: own credit, fixed effects, and learners on the surrogate."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from asking import text
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from edgesim.engine.simulation import simulate
from edgesim.errors import InputError
from edgesim.gym import DecisionEnv, SplitEnv, UtilityReward
from edgesim.gym.model_based import ON_TRIALS, learn_from_trials
from edgesim.gym.per_request_credit import OwnCredit, Tried, try_actions
from edgesim.gym.reward_model import fit_rewards
from edgesim.gym.training import train
from edgesim.gym.trial_env import TrialVecEnv
from edgesim.planning.splitting.utility import Utility
from edgesim.scenario.load import load, parse

UTILITY = Utility(latency_per_s=1.0, energy_per_j=0.1, failure=5.0)


def trying(credit: OwnCredit, **scenario) -> DecisionEnv:
    return DecisionEnv(
        parse(text(**scenario)), strategy="asking", decision="server", reward=credit, low=0.0, high=100.0
    )


def synthetic(n_requests: int, n_actions: int = 3, noise: float = 10.0, seed: int = 0) -> Tried:
    """Requests that differ by far more than actions do: action 0 is best below 0.5, action 2 above."""
    rng = np.random.default_rng(seed)
    request = np.repeat(np.arange(n_requests), n_actions)
    action = np.tile(np.arange(n_actions), n_requests)
    seen = np.repeat(rng.uniform(size=(n_requests, 2)), n_actions, axis=0)
    worth = true_worth(seen)[np.arange(len(seen)), action]
    worth = worth + np.repeat(rng.normal(0, noise, n_requests), n_actions) + rng.normal(0, 0.1, len(seen))
    return Tried(seen, action, worth, request, np.ones((len(seen), n_actions), np.bool_))


def true_worth(seen):
    """Of actions, their mean being 0."""
    slope = seen[:, 0] - 0.5
    return np.stack([-slope, np.zeros(len(seen)), slope], axis=1)


def test_every_decision_is_credited_with_its_own_request_as_the_trace_of_the_same_run_has_it() -> None:
    credit = OwnCredit(UTILITY)
    env = trying(credit, masks=True)
    env.reset(options={"replication": 7})
    world, strategy, placement = env._source.episode(7, np.random.default_rng(0))
    credit.begin()
    is_over = False
    while not is_over:
        _, reward, terminated, truncated, _ = env.step(env._decision.choose())
        assert reward == 0.0
        is_over = terminated or truncated
    requests = requests_of(world, strategy, placement)
    worth = dict(zip(requests["request_id"], UTILITY.of_requests(requests), strict=True))
    assert {request for request, *_ in credit.rows} == set(worth)
    for request, decision, action, value in credit.rows:
        assert decision.request_id == request
        assert action == int(request % 3 == 0)
        assert value == pytest.approx(worth[request], rel=1e-12)


def requests_of(world, strategy, placement) -> pd.DataFrame:
    """The requests of a run that nothing stops."""
    rows = []
    simulate(
        world,
        strategy,
        placement,
        placement.holdings,
        lambda name, table: rows.append(table.to_pandas()) if name == "requests" else None,
    )
    return pd.concat(rows)


@pytest.mark.parametrize("masks", [False, True])
def test_every_request_meets_every_allowed_action_as_often(masks) -> None:
    credit = OwnCredit(UTILITY)
    tried = try_actions(trying(credit, masks=masks), credit, n_decisions=60, seed=1, n_runs=6)
    assert len(tried) == 72  # of a replication more
    assert tried.allowed[np.arange(72), tried.action].all()
    for request in range(12):
        mine = tried.request == request
        counts = np.bincount(tried.action[mine], minlength=3)
        assert sorted(counts) == ([0, 3, 3] if masks else [2, 2, 2])


@pytest.mark.parametrize("cooldown", ["0 s", "50 ms"])
def test_what_counts_and_what_has_failed_is_as_in_the_trace_of_the_same_run(cooldown) -> None:
    """Cut off though it arrived before the horizon: a failure; arrived after it: not learned from."""
    utility = Utility(latency_per_s=1.0, failure=5.0)
    credit = OwnCredit(utility)
    env = trying(credit, horizon="300 ms", cooldown=cooldown, n_requests=None)
    env.reset(options={"replication": 7})
    world, strategy, placement = env._source.episode(7, np.random.default_rng(0))
    credit.begin()
    is_over = False
    while not is_over:
        _, _, terminated, truncated, _ = env.step(env._decision.choose())
        is_over = terminated or truncated
    requests = requests_of(world, strategy, placement)
    assert (requests["arrived_at_s"] > 0.3).any() == (cooldown != "0 s")
    counted = requests[requests["arrived_at_s"] < 0.3]
    assert (counted["outcome"] == "censored").any()
    worth = dict(zip(counted["request_id"], utility.of_requests(counted), strict=True))
    found = {request: value for request, _, _, value in credit.rows}
    assert found == pytest.approx(worth, rel=1e-12)
    assert credit.n_ended == (counted["outcome"] != "censored").sum()


def test_a_policy_decides_about_the_others_which_are_not_learned_from() -> None:
    credit, decided = OwnCredit(UTILITY), []

    def far(seen, allowed):
        decided.append(tuple(seen))
        return 2

    tried = try_actions(trying(credit), credit, n_decisions=200, seed=1, others=far, share=0.25)
    n_runs = 3
    n_all = len(tried) + len(decided)
    assert n_all % (12 * n_runs) == 0
    # Binomial: requests are drawn, not runs.
    n_requests = n_all // n_runs
    spread = (0.25 * 0.75 / n_requests) ** 0.5
    assert abs(len(tried) / n_all - 0.25) < 4 * spread


def test_differences_between_actions_are_found_where_requests_differ_a_hundred_times_as_much() -> None:
    fitted = fit_rewards(synthetic(1500))
    seen = np.random.default_rng(9).uniform(0.05, 0.95, size=(400, 2))
    away = fitted.advantages(seen) - true_worth(seen)
    assert np.sqrt((away**2).mean()) < 0.05  # of 0.41, the root mean square of the truth
    np.testing.assert_allclose(fitted.advantages(seen).sum(axis=1), 0.0, atol=1e-5)


@pytest.mark.parametrize(
    ("algorithm", "n_steps"),
    [
        ("ppo", 20_000),
        pytest.param("a2c", 30_000, marks=pytest.mark.slow),
        pytest.param("dqn", 20_000, marks=pytest.mark.slow),
    ],
)
def test_learners_on_the_surrogate_find_where_the_best_action_changes(algorithm, n_steps) -> None:
    tried = synthetic(800)
    env = TrialVecEnv(tried, fit_rewards(tried))
    policy = train(algorithm, env, ON_TRIALS, n_steps=n_steps).policy
    seen = np.random.default_rng(9).uniform(size=(400, 2))
    clear = np.abs(seen[:, 0] - 0.5) > 0.1
    best = true_worth(seen).argmax(axis=1)
    assert (policy.acts(seen)[clear] == best[clear]).mean() >= 0.95


def test_an_action_that_is_not_allowed_is_worth_what_the_nearest_is() -> None:
    tried = synthetic(200)
    allowed = np.tile([False, True, False], (len(tried), 1))
    masked = Tried(tried.seen, tried.action, tried.utility, tried.request, allowed)
    env = TrialVecEnv(masked, fit_rewards(masked, n_steps=10), n_envs=3)
    env.seed(0)
    env.reset()
    at = env._at.copy()
    _, rewards, done, infos = env.step(np.array([0, 1, 2]))
    middle = fit_rewards(masked, n_steps=10).advantages(masked.seen[at])[:, 1]
    assert done.all()
    np.testing.assert_allclose([info["episode"]["r"] for info in infos], middle, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(rewards * env._scale, middle, rtol=1e-5, atol=1e-7)


def test_a_decision_is_learned_from_trials_and_one_seed_gives_one_policy(tmp_path: Path) -> None:
    files = []
    for place in range(2):
        credit = OwnCredit(UTILITY)
        policy = learn_from_trials(trying(credit), credit, n_tried=300, seed=4).policy
        policy.save(tmp_path / f"{place}")
        files.append((tmp_path / f"{place}").read_bytes())
    assert files[0] == files[1]
    # The box is as fast as the one far off, behind a link that is better in everything.
    chosen = policy.acts(np.zeros((1, policy.n_seen)))
    assert chosen[0] == 1
    assert policy.record.more["tried"]["decisions"] >= 300


def test_a_scenario_in_which_nothing_ends_is_refused() -> None:
    credit = OwnCredit(UTILITY)
    env = trying(credit, horizon="15 ms", n_requests=None, arrivals="arrivals: {poisson: 400 Hz}")
    with pytest.raises(InputError, match="longer horizon"):
        try_actions(env, credit, n_decisions=10, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["split", "decision"])
def test_environments_of_stable_baselines3_in_processes_of_their_own(kind) -> None:
    if kind == "split":
        make = SplitEnv
    else:
        scenario = load("rl_split", ["horizon=20 s", "warmup=0 s"])
        make = partial(
            DecisionEnv, scenario, strategy="oracle", decision="split", reward=UtilityReward(UTILITY)
        )

    def steps(vector):
        vector.seed(5)
        shown = [vector.reset()]
        for action in (0, 1, 2, 0):
            seen, reward, done, _ = vector.step(np.array([action, action + 1]))
            shown += [seen, reward, done]
        masks = vector.env_method("action_masks")
        vector.close()
        return [*shown, np.array(masks)]

    for one, other in zip(steps(DummyVecEnv([make] * 2)), steps(SubprocVecEnv([make] * 2)), strict=True):
        np.testing.assert_array_equal(np.float32(one), np.float32(other))
