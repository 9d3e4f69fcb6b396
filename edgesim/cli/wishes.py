"""What the command line asks of a training, as options of the strategy as far as it has such options."""

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

__all__ = ["Wishes"]

_ALGORITHMS = ("ppo", "a2c", "dqn")
_FIELDS = {"algorithm": "algorithm", "steps": "n_steps", "seed": "seed"}


@dataclass(frozen=True)
class Wishes:
    """Changes to a training.

    Attributes
    ----------
    decision
        The one that is meant; None: the strategy's.
    learning
        ``algorithm``, ``steps`` and ``seed``, as far as they are given.
    utility
        Weights, as far as they are given.
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
    ) -> Wishes:
        """Take what options of the command line say.

        Raises
        ------
        InputError
            Naming the option, and what it should be.
        """
        if algorithm is not None and algorithm not in _ALGORITHMS:
            raise InputError(f"--algorithm: no algorithm '{algorithm}'; {suggest(algorithm, _ALGORITHMS)}")
        given = {"algorithm": algorithm, "steps": steps, "seed": seed}
        learning = {name: value for name, value in given.items() if value is not None}
        return cls(decision, learning, _weights(utility))

    @property
    def any(self) -> bool:
        """Whether anything is changed."""
        return bool(self.learning or self.utility)

    @property
    def names(self) -> list[str]:
        """Options of the command line that are given."""
        return [*(f"--{name}" for name in self.learning), *(f"--utility {name}" for name in self.utility)]

    def as_options(self, strategy: Strategy, place: int) -> tuple[list[str], Wishes]:
        """Settings of the scenario that say the same, and what no option of the strategy says.

        An option says it that is called so: ``learning: {algorithm, steps, seed}``, ``utility: {weights}``.

        Parameters
        ----------
        place
            Of the strategy in the scenario.
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
        return settings, Wishes(**left)

    def check(self, training: Training) -> None:
        """Refuse what a training does not do, be it that it was asked for in options.

        Raises
        ------
        InputError
            If it is of another decision, or does not weigh what is to be weighed.
        """
        if self.decision is not None and self.decision != training.decision:
            raise InputError(
                f"--decision: the strategy says how to train {training.decision!r}, and nothing of "
                f"{self.decision!r}"
            )
        for name, weight in self.utility.items():
            if name == "quality" and weight and not training.utility.quality:
                raise InputError(
                    "--utility: 'quality' has a weight, and no answers are measured; give the scenario "
                    "'quality', or give it no weight"
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
            raise InputError(f"--utility: no weight '{name}'; {suggest(name, known)}")
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
