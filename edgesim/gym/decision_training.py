"""Training the decision of a strategy over the event loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgesim.gym.decision_env import DecisionEnv
from edgesim.gym.rewards import UtilityReward
from edgesim.gym.training import Trained, train
from edgesim.planning.policies.training import Training
from edgesim.planning.splitting.encoding import Encoding
from edgesim.planning.splitting.policy import PolicyRecord
from edgesim.runner import Prepared

__all__ = ["decision_env", "train_decision"]

Progress = Callable[[int, int], None]

_N_STEPS = 20_000
_N_KNOTS = 5


def decision_env(prepared: Prepared, label: str, training: Training) -> DecisionEnv:
    """Make the environment of a decision: its observations within their ranges, its utility the reward."""
    load_of = training.load_of
    reward = UtilityReward(
        training.utility, None if load_of is None else lambda decision, action: load_of(decision.seen, action)
    )
    return DecisionEnv(
        prepared,
        strategy=label,
        decision=training.decision,
        reward=reward,
        low=training.low,
        high=training.high,
    )


def train_decision(
    prepared: Prepared, label: str, training: Training, *, progress: Progress | None = None
) -> Trained:
    """Train a policy for a decision.

    Parameters
    ----------
    prepared
        The scenario that it is trained in, with training's own seed and horizon (:func:`runner.lesson`).
    label
        Of the strategy that asks.
    training
        What is seen, what counts, and how to learn.
    progress
        Told how many decisions have been learned from, of how many.

    Raises
    ------
    InputError
        If the decision never comes up, or what is seen is not as the strategy says.
    """
    env = decision_env(prepared, label, training)
    low, high = np.array(training.low), np.array(training.high)
    splits = training.splits
    is_dense = bool(splits) and splits == tuple(range(splits[0], splits[0] + len(splits)))
    record = PolicyRecord(
        actions=training.actions,
        first_split=splits[0] if is_dense else 0,
        n_splits=len(splits) if is_dense else 0,
        observations=training.observations,
    )
    trained = train(
        training.algorithm,
        env,
        "edgesim",
        seed=training.seed,
        n_steps=training.n_steps or _N_STEPS,
        encoding=Encoding(low, high, (_N_KNOTS,) * len(low)),
        record=record,
        progress=progress,
    )
    more = {"splits": list(splits)} if splits else {}
    kept = replace(trained.policy.record, more=more)
    return replace(trained, policy=replace(trained.policy, record=kept))
