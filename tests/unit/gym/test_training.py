"""Environments against the problem's arrays, trained policies against stable-baselines3, surrogates' bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from effort import long_only, sized

pytest.importorskip("stable_baselines3", reason="needs the extra edgesim[rl]")

from gymnasium.utils.env_checker import check_env as gymnasium_check
from split_tables import LOSS, drawn, rough, tables
from stable_baselines3.common.env_checker import check_env as sb3_check

from edgesim.errors import InputError
from edgesim.gym.published import PublishedEnv, PublishedVecEnv
from edgesim.gym.surrogate import Measured, actively_measured, fit_surrogate
from edgesim.gym.training import ALGORITHMS, train, train_on_problem
from edgesim.planning.splitting.optimum import optimum
from edgesim.planning.splitting.policy import Policy
from edgesim.planning.splitting.published import SplitProblem, published_problem
from edgesim.planning.splitting.surrogate import Surrogate
from edgesim.planning.splitting.worth import worth


def problem(variant: str = "surrogate") -> SplitProblem:
    return published_problem(tables()["one change"], variant, load_weight=0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", ["true", "surrogate"])
@pytest.mark.filterwarnings("ignore")  # the checkers advise on ranges that the paper has chosen
def test_both_checkers_pass(variant: str) -> None:
    gymnasium_check(PublishedEnv(problem(variant)), skip_render_check=True)
    sb3_check(PublishedEnv(problem(variant)))


@pytest.mark.parametrize("variant", ["true", "surrogate"])
def test_episodes_are_those_of_the_arrays(variant: str) -> None:
    it = problem(variant)
    env, many = PublishedEnv(it), PublishedVecEnv(it, 3)
    many.seed(5)
    seen = many.reset()
    rng = np.random.default_rng(1)
    for place in range(3):
        env.reset(seed=0, options={"loss": many._loss[place], "split": int(seen[place, 1])})
    loss, split = many._loss.copy(), many._split.copy()
    base = it.base(loss, split)
    env.reset(seed=0, options={"loss": loss[0], "split": split[0]})
    for step in range(5):
        actions = rng.integers(it.moves.n_actions, size=3)
        seen, rewards, done, infos = many.step(actions)
        one, reward, ended, cut, _ = env.step(actions[0])
        loss, split, expected = it.step(loss, split, actions, base)
        np.testing.assert_allclose(rewards, expected, rtol=1e-6)
        assert reward == pytest.approx(expected[0])
        assert done.tolist() == [step == 4] * 3
        assert (ended, cut) == (step == 4, False)
        last = infos[0]["terminal_observation"] if step == 4 else seen[0]
        np.testing.assert_allclose(one, last, rtol=1e-6)
        np.testing.assert_allclose(last, [loss[0], split[0]], rtol=1e-6)


@pytest.mark.parametrize("variant", ["true", "surrogate"])
def test_scaled_rewards_order_policies_as_the_problem_does(variant: str) -> None:
    it = problem(variant)
    plain, scaled = PublishedVecEnv(it, 50), PublishedVecEnv(it, 50, is_scaled=True)
    totals = []
    for env in (plain, scaled, plain, scaled):
        env.seed(3)
        env.reset()
        rng = np.random.default_rng(len(totals) // 2)  # two ways of acting, from the same starts
        totals.append(sum(env.step(rng.integers(it.moves.n_actions, size=50))[1] for _ in range(5)))
    away, shown = totals[2] - totals[0], totals[3] - totals[1]
    factor = away[0] / shown[0]
    assert factor > 0
    np.testing.assert_allclose(away, factor * shown, atol=1e-4)


@pytest.mark.parametrize(("scale", "offset"), [(0.1, 0.0), (100.0, 0.0), (1.0, -7.0)])
def test_a_learner_sees_no_scale_and_no_offset_of_a_table(scale: float, offset: float) -> None:
    shown = []
    for table in (drawn(4), drawn(4, scale=scale, offset=offset)):
        env = PublishedVecEnv(published_problem(table, load_weight=0.0), 20, is_scaled=True)
        env.seed(2)
        env.reset()
        shown.append(np.array([env.step(np.full(20, step))[1] for step in range(5)]))
    np.testing.assert_allclose(shown[1], shown[0], atol=1e-5)


def test_a_lent_critic_is_asked_for_what_follows_the_last_step() -> None:
    it = problem()
    own, lent = PublishedVecEnv(it, 4, is_scaled=True), PublishedVecEnv(it, 4, is_scaled=True)
    lent.critic = lambda last: 10 * last[:, 0] + last[:, 1]
    for env in (own, lent):
        env.seed(1)
        env.reset()
    for step in range(5):
        _, expected, _, infos = own.step(np.full(4, 2))
        _, found, _, others = lent.step(np.full(4, 2))
        if step == 4:
            last = np.array([each["terminal_observation"] for each in infos])
            expected = expected + 10 * last[:, 0] + last[:, 1]
            assert {each["TimeLimit.truncated"] for each in infos} == {True}
            assert {each["TimeLimit.truncated"] for each in others} == {False}
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("preset", ["published", "edgesim"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_exported_actions_are_those_of_the_model(algorithm: str, preset: str) -> None:
    it = problem()
    trained = train_on_problem(it, algorithm, preset, n_steps=400)
    rng = np.random.default_rng(2)
    seen = np.stack([rng.uniform(0, 0.3, 300), rng.integers(1, 11, 300)], axis=1).astype(np.float32)
    theirs, _ = trained.model.predict(seen, deterministic=True)
    assert trained.policy.acts(seen.astype(np.float64)).tolist() == theirs.tolist()
    assert trained.policy.record.algorithm == algorithm
    assert trained.policy.record.preset == preset


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    kept = []
    for seed in (1, 1, 2):
        train_on_problem(problem(), seed=seed, n_steps=2_000).policy.save(tmp_path / "p.safetensors")
        kept.append((tmp_path / "p.safetensors").read_bytes())
    assert kept[0] == kept[1] != kept[2]
    assert Policy.load(tmp_path / "p.safetensors").record.seed == 2


def test_progress_and_the_learning_curve_count_steps() -> None:
    told: list[tuple[int, int]] = []
    trained = train_on_problem(problem(), n_steps=4_000, progress=lambda done, of: told.append((done, of)))
    assert told == sorted(told)
    assert told[-1] == (4_000, 4_000)
    assert (np.diff(trained.curve[:, 0]) > 0).all()


@pytest.mark.slow
def test_it_learns_where_the_optimum_changes() -> None:
    it = published_problem(tables(3)["one change"], "true", load_weight=0.0)
    policy = train_on_problem(it, n_steps=60_000).policy
    found = worth(it, lambda loss, split, _: policy.acts(np.stack([loss, split], axis=1)), optimum(it))
    assert found.regret < 0.05


@long_only("minutes")
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("variant", ["true", "surrogate"])
@pytest.mark.parametrize("name", ["two changes", "not monotone", "rough"])
def test_trained_policies_come_near_the_optimum(name: str, variant: str, seed: int) -> None:
    table = rough(10, 1) if name == "rough" else tables()[name]
    it = published_problem(table, variant, load_weight=0.0)  # type: ignore[arg-type]
    policy = train_on_problem(it, seed=seed).policy
    found = worth(it, lambda loss, split, _: policy.acts(np.stack([loss, split], axis=1)), optimum(it))
    assert found.regret <= 0.05
    assert found.agreement >= 0.95


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(InputError, match="no algorithm 'pp0'; did you mean 'ppo'"):
        train("pp0", PublishedVecEnv(problem()))
    with pytest.raises(InputError, match="no preset 'publishd'; did you mean 'published'"):
        train_on_problem(problem(), preset="publishd")


# --- surrogate --------------------------------------------------------------------------------------


def curved(loss: np.ndarray, split: np.ndarray) -> np.ndarray:
    return -np.asarray(loss) * (1 + 0.1 * (np.asarray(split) - 4) ** 2) - 2 * np.asarray(loss) ** 2


def test_a_surrogate_has_as_many_parameters_as_published_and_comes_back_from_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    loss, split = rng.uniform(0, 0.3, 30), rng.integers(1, 8, 30).astype(float)
    it = fit_surrogate(Measured(loss, split, curved(loss, split)), (0, 1), (0.3, 7), n_steps=50)
    assert sum(w[0].size + b[0].size for w, b in it.layers) == 17_025
    it.save(tmp_path / "s.safetensors")
    assert np.array_equal(Surrogate.load(tmp_path / "s.safetensors").value(LOSS, 3), it.value(LOSS, 3))
    (tmp_path / "s.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="fit it again"):
        Surrogate.load(tmp_path / "s.safetensors")


@pytest.mark.slow
def test_error_bars_hold_nine_of_ten_points_left_out_and_errors_are_small() -> None:
    asked: list[tuple[float, int]] = []

    def measure(loss: float, split: int) -> float:
        asked.append((loss, split))
        return float(curved(np.array(loss), np.array(split)))

    it, points = actively_measured(measure, np.linspace(0, 0.3, 16), range(1, 8), n_steps=sized(250, 800))
    assert len(asked) == len(set(asked)) == len(points) < 100
    loss, split = (each.ravel() for each in np.meshgrid(np.linspace(0.005, 0.295, 30), np.arange(1, 8)))
    away = np.abs(it.value(loss, split) - curved(loss, split))
    assert (away <= it.bars(loss, split)).mean() >= 0.9
    assert away.mean() <= 0.05 * np.ptp(curved(loss, split))
    assert not it.is_contradicted(loss, split, curved(loss, split))
    assert it.is_contradicted(loss, split, curved(loss, split) - 0.3)


def test_too_few_points_are_refused() -> None:
    with pytest.raises(InputError, match="at least eight, all finite"):
        fit_surrogate(Measured(LOSS[:3], LOSS[:3], LOSS[:3]), (0, 1), (0.3, 7))


def test_a_noisy_table_is_kept_in_the_record() -> None:
    it = published_problem(rough(5, 0))
    assert train_on_problem(it, n_steps=64).policy.record.trained_on == it.table.digest
