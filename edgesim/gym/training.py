"""Training of policies with stable-baselines3, with published settings or with edgesim's own.

An episode ends after five steps, but the published state does not include the step number: the remaining
return differs by a factor of five between two visits to a state, which no critic can predict, and which masks
the advantages of actions. The preset ``edgesim`` treats the end as a truncation, at which the critic's value
replaces the remaining return (Pardo et al. 2018, arXiv 1712.00378), with a discount horizon of two steps,
because a good split is reached in two or three moves. The reward is relative to the episode's start, which is
not observed either; the constant that it adds to all rewards of an episode is subtracted. Observations are
encoded over the table's losses and splits and their products, so that values linear between the table's
points are linear in the inputs. Advantages are not normalised: late in training nearly all actions are the
best, and normalisation would scale up noise. Many episodes run in parallel; learning rate and entropy bonus
decrease to zero.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback

from edgesim.errors import InputError
from edgesim.gym.encoder import Encoder
from edgesim.gym.export import from_sb3
from edgesim.gym.published import PublishedVecEnv
from edgesim.nearest import suggest
from edgesim.planning.splitting.encoding import SCALED, Encoding
from edgesim.planning.splitting.policy import Policy, PolicyRecord
from edgesim.planning.splitting.published import SplitProblem

__all__ = ["ALGORITHMS", "PRESETS", "Preset", "Trained", "one_thread", "train", "train_on_problem"]

Progress = Callable[[int, int], None]

ALGORITHMS = ("ppo", "a2c", "dqn")

_MOST_KNOTS = 65  # for loss; a table with more points gets evenly spaced knots


@dataclass(frozen=True)
class Preset:
    """Training settings by algorithm; omitted settings are stable-baselines3's defaults.

    Attributes
    ----------
    name
        Name of the preset.
    n_steps
        Number of environment steps.
    n_envs
        Number of parallel episodes in vectorised environments.
    is_encoded
        Whether observations are encoded and rewards scaled.
    settings
        Arguments of the algorithm's class, by algorithm.
    is_falling
        Whether learning rate and entropy bonus decrease linearly to zero.
    """

    name: str
    n_steps: int
    n_envs: int
    is_encoded: bool
    settings: Mapping[str, Mapping[str, Any]]
    is_falling: bool = False


_DISCOUNT = 0.5  # 1 / (1 - 0.5) = 2 steps

_OWN = {
    "ppo": {
        "n_steps": 5, "batch_size": 1280, "n_epochs": 10, "learning_rate": 3e-3, "gae_lambda": 0.0,
        "gamma": _DISCOUNT, "ent_coef": 0.05, "normalize_advantage": False,
    },
    "a2c": {
        "n_steps": 1, "learning_rate": 3e-3, "gae_lambda": 0.0, "gamma": _DISCOUNT, "ent_coef": 0.02,
    },
    "dqn": {
        "gamma": _DISCOUNT, "learning_rate": 1e-3, "batch_size": 256, "learning_starts": 5_000,
        "train_freq": 4, "target_update_interval": 2_000, "exploration_fraction": 0.5, "buffer_size": 100_000,
    },
}  # fmt: skip

PRESETS: Mapping[str, Preset] = {
    # Chen et al. 2024's released code, train__rsm.py and train.py; A2C and DQN at the defaults.
    "published": Preset("published", 240_000, 1, False, {"ppo": {"n_steps": 400, "batch_size": 100}}),
    "published-true": Preset("published-true", 6_000, 1, False, {"ppo": {"n_steps": 100, "batch_size": 25}}),
    "edgesim": Preset("edgesim", 240_000, 512, True, _OWN, is_falling=True),
}


@dataclass(frozen=True, eq=False)
class Trained:
    """Result of training.

    Attributes
    ----------
    policy
        The trained policy.
    model
        Model of stable-baselines3.
    elapsed_s
        Wall-clock time of learning [s].
    curve : [n_points, 2]
        Steps so far, and the mean return of the episodes that ended since the previous point.
    """

    policy: Policy
    model: Any
    elapsed_s: float
    curve: np.ndarray = field(repr=False)


def train(
    algorithm: str,
    env: Any,
    preset: str | Preset = "edgesim",
    *,
    seed: int = 0,
    n_steps: int | None = None,
    encoding: Encoding | None = None,
    record: PolicyRecord | None = None,
    progress: Progress | None = None,
    ready: Callable[[Any], None] | None = None,
) -> Trained:
    """Train a policy with stable-baselines3.

    The same seed gives the same policy, byte for byte, on the same machine and versions.

    Parameters
    ----------
    algorithm
        ``ppo``, ``a2c`` or ``dqn``.
    env
        Environment with discrete actions, of gymnasium or vectorised as in stable-baselines3.
    n_steps
        Number of environment steps, instead of the preset's.
    encoding
        Encoding of observations; None: scaled to their ranges, if the preset encodes.
    record
        Description of the policy; algorithm, preset, seed and steps are filled in.
    progress
        Called with the number of steps done, and of all steps.
    ready
        Called with stable-baselines3's model before it learns.

    Raises
    ------
    InputError
        If algorithm or preset are unknown, or observations to be scaled have no finite range.
    """
    if algorithm not in ALGORITHMS:
        raise InputError(f"training: no algorithm '{algorithm}'; {suggest(algorithm, ALGORITHMS)}")
    if isinstance(preset, str):
        if preset not in PRESETS:
            raise InputError(f"training: no preset '{preset}'; {suggest(preset, PRESETS)}")
        preset = PRESETS[preset]
    n_steps = n_steps or preset.n_steps
    settings = dict(preset.settings.get(algorithm, {}))
    if preset.is_falling:
        first = float(settings.get("learning_rate", 3e-4))
        settings["learning_rate"] = lambda left: first * left
    if encoding is None and preset.is_encoded:
        encoding = _scaled(env.observation_space)
    if encoding is not None:
        settings["policy_kwargs"] = {
            **settings.get("policy_kwargs", {}),
            "features_extractor_class": Encoder,
            "features_extractor_kwargs": {"encoding": encoding},
        }
    with one_thread():
        kind = getattr(stable_baselines3, algorithm.upper())
        model = kind("MlpPolicy", env, seed=seed, device="cpu", **settings)
        if ready is not None:
            ready(model)
        watch = _Watch(n_steps, progress, settings.get("ent_coef") if preset.is_falling else None)
        began_s = time.perf_counter()
        model.learn(n_steps, callback=watch)
        elapsed_s = time.perf_counter() - began_s
    complete = replace(
        record or PolicyRecord(), algorithm=algorithm, preset=preset.name, seed=seed, n_steps=n_steps
    )
    return Trained(from_sb3(model, complete), model, elapsed_s, np.array(watch.curve).reshape(-1, 2))


def train_on_problem(
    problem: SplitProblem,
    algorithm: str = "ppo",
    preset: str | Preset = "edgesim",
    *,
    seed: int = 0,
    n_steps: int | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a policy for a split problem in a vectorised environment; see :func:`train`."""
    if isinstance(preset, str) and preset in PRESETS:
        preset = PRESETS[preset]
    is_own = isinstance(preset, Preset) and preset.is_encoded
    env = PublishedVecEnv(problem, preset.n_envs if isinstance(preset, Preset) else 1, is_scaled=is_own)
    moves = problem.moves
    encoding = _encoding(problem) if is_own else None
    record = PolicyRecord(
        actions=moves.kind,
        first_split=moves.first,
        n_splits=moves.n_splits,
        observations=("loss", "split"),
        trained_on=problem.table.digest,
    )
    return train(
        algorithm,
        env,
        preset,
        seed=seed,
        n_steps=n_steps,
        encoding=encoding,
        record=record,
        progress=progress,
        ready=(lambda model: _lend_critic(model, env)) if is_own and algorithm != "dqn" else None,
    )


def _encoding(problem: SplitProblem) -> Encoding:
    """Return the encoding by hat functions at the table's losses and at every split, and their products."""
    loss = problem.table.loss
    inner = loss[(loss > problem.low[0]) & (loss < problem.high[0])]
    places = (float(problem.low[0]), *inner.tolist(), float(problem.high[0]))
    n_splits = problem.moves.n_splits
    if len(places) > _MOST_KNOTS:
        return Encoding(problem.low, problem.high, (_MOST_KNOTS, n_splits), is_crossed=True)
    return Encoding(problem.low, problem.high, (len(places), n_splits), (places, ()), is_crossed=True)


def _lend_critic(model: Any, env: PublishedVecEnv) -> None:
    def critic(last: Any) -> Any:
        with torch.no_grad():
            return model.gamma * model.policy.predict_values(torch.as_tensor(last)).numpy()[:, 0]

    env.critic = critic


def _scaled(space: Any) -> Encoding:
    low, high = np.asarray(space.low, np.float64), np.asarray(space.high, np.float64)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise InputError("training: observations without a finite range; give an encoding or bounds")
    return Encoding(low, high, (SCALED,) * len(low))


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, for reproducible sums; small networks are no faster with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Watch(BaseCallback):
    """Callback that records the learning curve and reports progress, at most about a hundred times."""

    def __init__(self, n_steps: int, progress: Progress | None, first_entropy: float | None = None) -> None:
        super().__init__()
        self.curve: list[tuple[int, float]] = []
        self._n_steps, self._progress = n_steps, progress
        self._every = max(1, n_steps // 100)
        self._next = self._every
        self._ended: list[float] = []
        self._first_entropy: float | None = first_entropy

    def _on_rollout_start(self) -> None:
        if self._first_entropy is not None:
            model: Any = self.model
            model.ent_coef = self._first_entropy * max(0.0, 1 - self.num_timesteps / self._n_steps)

    def _on_step(self) -> bool:
        self._ended += [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        if self.num_timesteps >= self._next:
            self._next += self._every
            if self._ended:
                self.curve.append((self.num_timesteps, float(np.mean(self._ended))))
                self._ended = []
            if self._progress is not None:
                self._progress(min(self.num_timesteps, self._n_steps), self._n_steps)
        return True
