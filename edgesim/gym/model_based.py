"""Model-based training of a decision over the event loop: try, fit what it is worth, learn on that; again.

As in Chen et al. 2024 (arXiv 2406.02616) an algorithm of reinforcement learning learns on a reward surrogate
in the place of the simulator. Here the surrogate is fitted to trials of the decision itself, so that it holds
for any decision and any utility. A second round tries actions among requests that the first round's policy
decides about: queues and batteries are then those that the policy leads to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgesim.gym.event_loop_env import EventLoopEnv
from edgesim.gym.own_credit import Act, OwnCredit, Tried, try_actions
from edgesim.gym.reward_model import fit_rewards
from edgesim.gym.training import Preset, Trained, train
from edgesim.gym.trial_env import TrialVecEnv
from edgesim.planning.splitting.policy import PolicyRecord

__all__ = ["N_TRIED", "ON_TRIALS", "learn_from_trials"]

Progress = Callable[[int, int], None]

N_TRIED = 9_000
"""Decisions over the event loop."""

_ROUNDS = (2 / 3, 1 / 3)  # shares of these
_SHARE = 0.5  # of requests that are tried on beside the first round's policy
_LEAST_STEPS = 2_048
_STEPS_PER_DECISION = 40  # of a learner on the surrogate, in the time of a decision over the event loop

ON_TRIALS = Preset(
    "trials",
    60_000,
    64,
    True,
    {
        "ppo": {
            "n_steps": 16, "batch_size": 256, "n_epochs": 10, "learning_rate": 1e-3, "gamma": 0.0,
            "ent_coef": 0.02,
        },
        "a2c": {"n_steps": 8, "learning_rate": 1e-3, "gamma": 0.0, "ent_coef": 0.02},
        "dqn": {
            "gamma": 0.0, "learning_rate": 1e-3, "batch_size": 256, "learning_starts": 2_000, "train_freq": 1,
            "target_update_interval": 1_000, "exploration_fraction": 0.5, "buffer_size": 60_000,
        },
    },
    is_falling=True,
)  # fmt: skip
"""Settings of learners on the surrogate; every step is an episode, so there is nothing to discount."""


def learn_from_trials(
    env: EventLoopEnv,
    credit: OwnCredit,
    *,
    algorithm: str = "ppo",
    n_steps: int | None = None,
    seed: int = 0,
    n_tried: int = N_TRIED,
    record: PolicyRecord | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a policy for the decision of an environment.

    The same seed gives the same policy, to the byte, on the same machine and versions.

    Parameters
    ----------
    env
        Over the event loop, with `credit` as its reward.
    algorithm
        ``ppo``, ``a2c`` or ``dqn``, on the surrogate.
    n_steps
        Steps on the surrogate in each round; if not given, :data:`ON_TRIALS`'s, and less for fewer decisions.
    n_tried
        Decisions to try over the event loop; a few more, to the end of a replication.
    record
        What the policy is of; ``more`` gains what was tried.
    progress
        Called with how much is done, of how much, in the time of decisions over the event loop.

    Returns
    -------
    Trained
        Its curve is the last round's, in advantages of the surrogate.

    Not modelled: what a decision does to requests that come later, but for what the second round's
    surroundings show; where that outweighs the own request, train over the event loop itself
    (:func:`~edgesim.gym.training.train` on the environment).
    """
    n_steps = n_steps or max(_LEAST_STEPS, min(ON_TRIALS.n_steps, ON_TRIALS.n_steps * n_tried // N_TRIED))
    rounds = [max(1, round(share * n_tried)) for share in _ROUNDS]
    learning = max(1, n_steps // _STEPS_PER_DECISION)
    total = sum(rounds) + learning * len(rounds)
    done = 0
    found: Trained | None = None
    tried: Tried | None = None
    for place, n_decisions in enumerate(rounds):

        def tell(n: int, at: int = done, most: int = n_decisions) -> None:
            if progress is not None:
                progress(at + min(n, most), total)

        def tell_steps(n: int, of: int, at: int = done + n_decisions) -> None:
            if progress is not None:
                progress(at + learning * n // of, total)

        new = try_actions(
            env,
            credit,
            n_decisions=n_decisions,
            seed=int(np.random.SeedSequence((seed, place)).generate_state(1)[0]),
            others=None if found is None else _act(found),
            share=_SHARE,
            progress=tell,
        )
        tried = new if tried is None else tried + new
        rewards = fit_rewards(tried, seed=seed)
        found = train(
            algorithm,
            TrialVecEnv(tried, rewards, ON_TRIALS.n_envs),
            ON_TRIALS,
            seed=seed,
            n_steps=n_steps,
            encoding=rewards.encoding,
            record=record,
            progress=tell_steps,
        )
        done += n_decisions + learning
    assert found is not None
    assert tried is not None
    kept = found.policy.record
    more = {**kept.more, "tried": {"decisions": len(tried), "requests": int(tried.request.max()) + 1}}
    return replace(found, policy=replace(found.policy, record=replace(kept, more=more)))


def _act(found: Trained) -> Act:
    return lambda seen, allowed: found.policy.act(seen, allowed)
