"""Changes to a training given on the command line, translated to strategy options where possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from edgesim.errors import InputError
from edgesim.nearest import suggest

if TYPE_CHECKING:
    from edgesim.planning.policies.training import Training
    from edgesim.strategy import Strategy

__all__ = ["TrainingChanges"]

_ALGORITHMS = ("ppo", "a2c", "dqn")
_FIELDS = {"algorithm": "algorithm", "steps": "n_steps", "seed": "seed"}


@dataclass(frozen=True)
class TrainingChanges:
    """Changes to a training.

    Attributes
    ----------
    decision
        Name of the decision to train; None for the strategy's.
    learning
        Those of ``algorithm``, ``steps`` and ``seed`` that were given.
    utility
        Weights that were given, by name.
    """

    decision: str | None = None
    learning: Mapping[str, str | int] = field(default_factory=dict)
    utility: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def checked(
        cls,
        decision: str | None,
        algorithm: str | None,
        steps: int | None,
        seed: int | None,
        utility: Iterable[str],
    ) -> TrainingChanges:
        """Create the changes from options of the command line.

        Raises
        ------
        InputError
            If an option is invalid; names it, and the expected values.
        """
        if algorithm is not None and algorithm not in _ALGORITHMS:
            raise InputError(
                f"--algorithm: unknown algorithm '{algorithm}'; {suggest(algorithm, _ALGORITHMS)}"
            )
        given = {"algorithm": algorithm, "steps": steps, "seed": seed}
        learning = {name: value for name, value in given.items() if value is not None}
        return cls(decision, learning, _weights(utility))

    @property
    def any(self) -> bool:
        """Whether there are any changes other than the choice of the decision."""
        return bool(self.learning or self.utility)

    @property
    def names(self) -> list[str]:
        """Options of the command line that were given."""
        return [*(f"--{name}" for name in self.learning), *(f"--utility {name}" for name in self.utility)]

    def as_options(self, strategy: Strategy, place: int) -> tuple[list[str], TrainingChanges]:
        """Translate the changes to settings of the scenario; return these, and the changes without an option.

        The strategy options with the same meaning are ``learning: {algorithm, steps, seed}`` and
        ``utility: {weights}``.

        Parameters
        ----------
        place
            Index of the strategy in the scenario.
        """
        settings: list[str] = []
        left: dict[str, Any] = {}
        for option, wishes in (("learning", self.learning), ("utility", self.utility)):
            section = getattr(strategy, option, None)
            known = type(section).model_fields if isinstance(section, BaseModel) else {}
            settings += [
                f"strategies[{place}].{option}.{name}={value}"
                for name, value in wishes.items()
                if name in known
            ]
            left[option] = {name: value for name, value in wishes.items() if name not in known}
        return settings, TrainingChanges(**left)

    def check(self, training: Training) -> None:
        """Check that a training is compatible with the changes.

        Raises
        ------
        InputError
            If the training is for another decision, or cannot apply a weight.
        """
        if self.decision is not None and self.decision != training.decision:
            raise InputError(
                f"--decision: found {self.decision!r}; expected {training.decision!r}, the decision of the "
                "strategy that can be trained"
            )
        for name, weight in self.utility.items():
            if name == "quality" and weight and not training.utility.quality:
                raise InputError(
                    "--utility: 'quality' has a weight, but answers are not measured; add 'quality' to the "
                    "scenario, or remove the weight"
                )

    def applied(self, training: Training) -> Training:
        """Return the training with these changes."""
        changes: dict[str, Any] = {_FIELDS[name]: value for name, value in self.learning.items()}
        return replace(training, utility=replace(training.utility, **self.utility), **changes)


def _weights(texts: Iterable[str]) -> dict[str, float]:
    from edgesim.planning.splitting.utility import Utility

    known = [one.name for one in fields(Utility)]
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known:
            raise InputError(f"--utility: unknown weight '{name}'; {suggest(name, known)}")
        try:
            found[name] = float(value)
        except ValueError:
            raise InputError(f"--utility: expected {name}=NUMBER, got {text!r}") from None
        if not isfinite(found[name]):
            raise InputError(f"--utility: expected a finite number, got {text!r}")
    try:
        Utility(**found)
    except InputError as error:
        raise InputError(f"--utility: {error}") from None
    return found
