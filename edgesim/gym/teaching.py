"""Training of a policy, with a record of its provenance and evaluation."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.gym.decision_judging import judge
from edgesim.gym.decision_training import train_decision
from edgesim.planning.splitting.policy import Policy
from edgesim.runner import Lesson, Trainer
from edgesim.scenario.check import architecture
from edgesim.scenario.trained_policies import RECIPE

__all__ = ["teach", "trainer"]

OnProgress = Callable[[float, float, str], None]

_N_CURVE = 20
_PACKAGES = ("edgesim", "gymnasium", "stable-baselines3", "torch", "numpy")


def teach(
    lesson: Lesson, *, command: str = "", n_judged: int = 4, on_progress: OnProgress | None = None
) -> Policy:
    """Train and evaluate a policy, and add provenance and evaluation to its record.

    The same lesson gives the same policy, byte for byte, on the same machine and versions.

    Parameters
    ----------
    command
        Command that reproduces the policy.
    n_judged
        Number of replications, not used for training, in which it is compared with every constant choice.
    on_progress
        Called with the work done, the total work, and a description of the work.

    Raises
    ------
    InputError
        If the decision never occurs, or the utility weights a quantity that is unknown.
    """
    prepared, label, training = lesson.prepared, lesson.label, lesson.training

    def progress(what: str) -> Callable[[int, int], None] | None:
        return (
            None if on_progress is None else lambda done, total: on_progress(float(done), float(total), what)
        )

    trained = train_decision(prepared, label, training, progress=progress(f"{label}: decisions learned from"))
    judged = judge(
        prepared,
        label,
        training,
        trained.policy,
        n_replications=n_judged,
        progress=progress(f"{label}: judged against fixed choices, runs"),
    )
    record = trained.policy.record
    scenario = prepared.scenario
    model = architecture(scenario)
    provenance = {
        "command": command,
        "scenario": scenario.name,
        "strategy": {
            "label": label,
            "use": scenario.strategies[0].use,
            "options": prepared.strategies[label].model_dump(mode="json"),
        },
        "model": {"name": model.name, "n_blocks": model.n_blocks},
        "decision": training.decision,
        "utility": asdict(training.utility),
        "episode_s": scenario.horizon_s,
        "recipe": RECIPE,
        "curve": _thinned(trained.curve),
        "evaluation": judged.facts(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }
    complete = replace(record, trained_on=lesson.digest, more={**record.more, "provenance": provenance})
    return replace(trained.policy, record=complete)


def trainer(on_progress: OnProgress | None = None) -> Trainer:
    """Return the function with which ``runner.prepare`` trains strategies that need it."""

    def train_lesson(lesson: Lesson) -> Policy:
        return teach(lesson, command="edgesim run, on first use", on_progress=on_progress)

    return train_lesson


def _thinned(curve: NDArray[Any]) -> list[list[float]]:
    """Thin a learning curve to at most twenty points: steps, and the mean return since the previous point."""
    parts = np.array_split(curve, min(_N_CURVE, len(curve))) if len(curve) else []
    return [[int(part[-1, 0]), round(float(part[:, 1].mean()), 6)] for part in parts]
