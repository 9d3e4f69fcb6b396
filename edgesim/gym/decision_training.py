"""Training of a policy for a strategy's decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edgesim.gym.decision_env import DecisionEnv
from edgesim.gym.model_based import N_TRIED, learn_from_trials
from edgesim.gym.per_request_credit import OwnCredit
from edgesim.gym.rewards import Reward, UtilityReward
from edgesim.gym.training import Trained
from edgesim.planning.policies.training import Training
from edgesim.planning.splitting.policy import PolicyRecord
from edgesim.runner import Prepared

__all__ = ["decision_env", "train_decision", "utility_reward"]

Progress = Callable[[int, int], None]


def decision_env(
    prepared: Prepared, label: str, training: Training, *, reward: Reward | None = None
) -> DecisionEnv:
    """Create the environment of a decision, with bounded observations and its utility as default reward."""
    return DecisionEnv(
        prepared,
        strategy=label,
        decision=training.decision,
        reward=utility_reward(training) if reward is None else reward,
        low=training.low,
        high=training.high,
    )


def utility_reward(training: Training) -> UtilityReward:
    """Return the reward of a training: the utility of requests."""
    load_of = training.load_of
    load = None if load_of is None else lambda decision, action: load_of(decision.seen, action)
    return UtilityReward(training.utility, load)


def train_decision(
    prepared: Prepared, label: str, training: Training, *, progress: Progress | None = None
) -> Trained:
    """Train a policy for a decision, on a surrogate fitted to trials of the decision over the event loop.

    Parameters
    ----------
    prepared
        Scenario for training, with the training's own seed and horizon (:func:`runner.lesson`).
    label
        Label of the strategy that requests the decision.
    training
        Observations, utility and learning settings.
    progress
        Called with the work done and the total work, in units of decisions over the event loop.

    Raises
    ------
    InputError
        If the decision never occurs, or its observations are not as declared by the strategy.
    """
    credit = OwnCredit(training.utility, training.load_of)
    env = decision_env(prepared, label, training, reward=credit)
    splits = training.splits
    is_dense = bool(splits) and splits == tuple(range(splits[0], splits[0] + len(splits)))
    record = PolicyRecord(
        actions=training.actions,
        first_split=splits[0] if is_dense else 0,
        n_splits=len(splits) if is_dense else 0,
        observations=training.observations,
    )
    trained = learn_from_trials(
        env,
        credit,
        algorithm=training.algorithm,
        n_tried=training.n_steps or N_TRIED,
        seed=training.seed,
        record=record,
        progress=progress,
    )
    kept = trained.policy.record
    more = {"splits": list(splits)} if splits else {}
    kept = replace(kept, more={**kept.more, **more})
    return replace(trained, policy=replace(trained.policy, record=kept))
