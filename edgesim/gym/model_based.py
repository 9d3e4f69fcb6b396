"""Model-based training of a decision: rounds of trials over the event loop, surrogate fitting and learning.

As in Chen et al. 2024 (arXiv 2406.02616), a reinforcement learning algorithm is trained on a reward surrogate
instead of the simulator. Here the surrogate is fitted to trials of the decision itself, so that it applies to
any decision and any utility. In a second round, actions are tried while the first round's policy decides for
the other requests, so that queues and batteries are as under that policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgesim.gym.event_loop_env import EventLoopEnv
from edgesim.gym.per_request_credit import Act, OwnCredit, Tried, try_actions
from edgesim.gym.reward_model import fit_rewards
from edgesim.gym.training import Preset, Trained, train
from edgesim.gym.trial_env import TrialVecEnv
from edgesim.planning.splitting.policy import PolicyRecord

__all__ = ["N_TRIED", "ON_TRIALS", "learn_from_trials"]

Progress = Callable[[int, int], None]

N_TRIED = 9_000
"""Default number of decisions over the event loop."""

_ROUNDS = (2 / 3, 1 / 3)  # shares of the decisions per round
_SHARE = 0.5  # share of requests with trials in the second round; the policy decides for the others
_LEAST_STEPS = 2_048
_STEPS_PER_DECISION = 40  # surrogate steps in the time of one decision over the event loop

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
"""Learning settings on the surrogate; every step is an episode, so there is no discounting."""


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

    The same seed gives the same policy, byte for byte, on the same machine and versions.

    Parameters
    ----------
    env
        Environment over the event loop, with `credit` as its reward.
    algorithm
        ``ppo``, ``a2c`` or ``dqn``, on the surrogate.
    n_steps
        Steps on the surrogate in each round; by default as in :data:`ON_TRIALS`, and fewer for fewer
        decisions.
    n_tried
        Number of decisions tried over the event loop; exceeded slightly, to complete a replication.
    record
        Description of the policy; the numbers of tried decisions and requests are added to its ``more``.
    progress
        Called with the work done and the total work, in units of decisions over the event loop.

    Returns
    -------
    Trained
        Its curve is that of the last round, in advantages of the surrogate.

    Not modelled: the effect of a decision on later requests, except through the second round's state of the
    system; if it outweighs the effect on the decision's own request, train over the event loop itself
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

        def report_tried(n: int, at: int = done, most: int = n_decisions) -> None:
            if progress is not None:
                progress(at + min(n, most), total)

        def report_steps(n: int, of: int, at: int = done + n_decisions) -> None:
            if progress is not None:
                progress(at + learning * n // of, total)

        new = try_actions(
            env,
            credit,
            n_decisions=n_decisions,
            seed=int(np.random.SeedSequence((seed, place)).generate_state(1)[0]),
            others=None if found is None else _act(found),
            share=_SHARE,
            progress=report_tried,
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
            progress=report_steps,
        )
        done += n_decisions + learning
    assert found is not None
    assert tried is not None
    kept = found.policy.record
    more = {**kept.more, "tried": {"decisions": len(tried), "requests": int(tried.request.max()) + 1}}
    return replace(found, policy=replace(found.policy, record=replace(kept, more=more)))


def _act(found: Trained) -> Act:
    return lambda seen, allowed: found.policy.act(seen, allowed)
