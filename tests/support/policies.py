"""Policies and training that cost nothing: a policy that always prefers one action, whatever it sees."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesim.gym.training import Trained
from edgesim.planning.policies.training import Training
from edgesim.planning.splitting.encoding import SCALED, Encoding
from edgesim.planning.splitting.policy import Policy, PolicyRecord


def always(action: int, n_actions: int, names: tuple[str, ...] = ("loss", "split"), **record: Any) -> Policy:
    n_seen = len(names)
    scores = np.zeros(n_actions)
    scores[action] = 1.0
    return Policy(
        encoding=Encoding(np.zeros(n_seen), np.ones(n_seen), (SCALED,) * n_seen),
        layers=((np.zeros((n_actions, n_seen)), scores),),
        record=PolicyRecord(observations=names, **record),
    )


class Taught:
    """Stands in for ``train_decision``: learns nothing, and counts how often it was asked."""

    def __init__(self, n_actions: int, action: int = 0) -> None:
        self.n_actions, self.action = n_actions, action
        self.asked: list[Training] = []

    def __call__(self, prepared: Any, label: str, training: Training, *, progress: Any = None) -> Trained:
        self.asked.append(training)
        if progress is not None:
            progress(1, 1)
        policy = always(
            self.action,
            self.n_actions,
            training.observations,
            algorithm=training.algorithm,
            seed=training.seed,
            n_steps=training.n_steps or 1,
            actions=training.actions,
            more={"splits": list(training.splits)} if training.splits else {},
        )
        return Trained(policy, None, 0.0, np.array([[1.0, -1.0], [2.0, -0.5]]))
