"""Training where a run needs a policy that is not at hand; nothing that trains is loaded before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from edgesim.errors import InputError
from edgesim.report.progress import measuring_progress
from edgesim.report.requirements import require_training

if TYPE_CHECKING:
    from edgesim.planning.splitting.policy import Policy
    from edgesim.runner import Lesson, Trainer

__all__ = ["training_on_demand", "warn_of_no_gain"]


def training_on_demand(notes: Console) -> Trainer:
    """What trains strategies that have to be, on their first run; loads nothing that trains before."""

    def train_lesson(lesson: Lesson) -> Policy:
        try:
            require_training()
        except InputError as error:
            raise InputError(
                f"strategy {lesson.label!r} has to be trained, and no policy of exactly this is kept or "
                f"ships; {error}"
            ) from None
        from edgesim.gym.teaching import trainer

        with measuring_progress(notes, unit="", doing="training") as tell:
            policy = trainer(tell)(lesson)
        warn_of_no_gain(notes, lesson.label, policy)
        return policy

    return train_lesson


def warn_of_no_gain(notes: Console, label: str, policy: Policy) -> None:
    """Say so where a policy is no better than always doing the same."""
    evaluation = policy.record.more["provenance"]["evaluation"]
    gain = evaluation["gain_over_best_constant"]
    if gain <= 0:
        notes.print(
            f"warning: what {label} has learned is no better than always choosing the same "
            f"({evaluation['best_constant']}: {gain:+.4f} a request); "
            "let it learn longer, see more, or do so",
            style="yellow",
            markup=False,
        )
