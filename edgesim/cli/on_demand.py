"""Training of policies on demand, when a run needs a policy that is not stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.cli.terminal import Console
from edgesim.errors import InputError
from edgesim.report.progress import measuring_progress
from edgesim.report.requirements import require_training

if TYPE_CHECKING:
    from edgesim.planning.splitting.policy import Policy
    from edgesim.runner import Lesson, Trainer

__all__ = ["training_on_demand", "warn_of_no_gain"]


def training_on_demand(notes: Console) -> Trainer:
    """Return a function that trains a policy; it imports the training code only when called."""

    def train_lesson(lesson: Lesson) -> Policy:
        try:
            require_training()
        except InputError as error:
            raise InputError(
                f"strategy {lesson.label!r} has to be trained, and no policy for exactly these settings is "
                f"kept or shipped; {error}"
            ) from None
        from edgesim.gym.teaching import trainer

        with measuring_progress(notes, unit="", doing="training") as report:
            policy = trainer(report)(lesson)
        warn_of_no_gain(notes, lesson.label, policy)
        return policy

    return train_lesson


def warn_of_no_gain(notes: Console, label: str, policy: Policy) -> None:
    """Print a warning if a policy is no better than the best constant choice."""
    evaluation = policy.record.more["provenance"]["evaluation"]
    gain = evaluation["gain_over_best_constant"]
    if gain <= 0:
        notes.print(
            f"warning: the policy of {label} is no better than always choosing the same "
            f"({evaluation['best_constant']}: {gain:+.4f} per request); "
            "train it longer, give it more observations, or use the constant choice",
            style="yellow",
            markup=False,
        )
