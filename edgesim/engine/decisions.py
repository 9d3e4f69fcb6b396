"""Decisions of a strategy that others may make: a run stops there, and goes on with the answer.

A strategy asks through :meth:`edgesim.engine.cluster.Cluster.ask` and says what it would choose itself. In a
plain run that is what happens, at once. In a run whose decisions of one name are made from outside
(``Simulation.advance`` in :mod:`edgesim.engine.simulation`) the process that asks is suspended in the middle
of its step: no time passes, nothing else happens meanwhile, and the run goes on from there as if the strategy
had chosen so itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

from edgesim.engine.process.clock import Clock, Pause
from edgesim.engine.request import LiveRequest
from edgesim.errors import ContractError

__all__ = ["Decision", "Decisions"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision(Pause):
    """One decision that is due.

    Attributes
    ----------
    name
        Which of the strategy's decisions it is.
    seen
        What it is to be made of: finite numbers, as many every time.
    n_actions
        Actions are 0, 1, ..., so many in all.
    allowed
        Which of them are possible now; None: all.
    request_id
        Whose it is; None where it is that of no single request.
    at_s
        When [s].
    choose
        What the strategy would do.
    """

    name: str
    seen: tuple[float, ...]
    n_actions: int
    allowed: tuple[bool, ...] | None
    request_id: int | None
    at_s: float
    choose: Callable[[], int]

    def checked(self, action: Any) -> int:
        """An action, as a plain number.

        Raises
        ------
        ContractError
            If it is none, or not allowed now.
        """
        try:
            number = index(action)
        except TypeError:
            raise ContractError(f"{self}: expected an action as an integer, got {action!r}") from None
        if not 0 <= number < self.n_actions:
            raise ContractError(f"{self}: expected an action from 0 to {self.n_actions - 1}, got {number}")
        if self.allowed is not None and not self.allowed[number]:
            possible = ", ".join(str(n) for n, is_allowed in enumerate(self.allowed) if is_allowed)
            raise ContractError(f"{self}: action {number} is not allowed now; there are {possible}")
        return number

    def __str__(self) -> str:
        whose = "" if self.request_id is None else f" of request {self.request_id}"
        return f"decision {self.name!r}{whose} at {self.at_s:g} s"


class Decisions:
    """What is asked for in one run.

    Attributes
    ----------
    outside
        Name of the decisions that are made from outside; None: the strategy makes all of them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.outside: str | None = None
        self._shapes: dict[str, tuple[int, int]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All that were asked for up to now, in order of first asking."""
        return tuple(self._shapes)

    def ask(
        self,
        name: str,
        seen: Sequence[float],
        choose: Callable[[], int],
        *,
        n_actions: int,
        allowed: Sequence[bool] | None,
        request: LiveRequest | None,
    ) -> Generator[Any, Any, int]:
        """Ask for an action, as a process; see :meth:`edgesim.engine.cluster.Cluster.ask`."""
        decision = Decision(
            name=name,
            seen=tuple(map(float, seen)),
            n_actions=n_actions,
            allowed=None if allowed is None else tuple(map(bool, allowed)),
            request_id=None if request is None else request.id,
            at_s=self._clock._now,
            choose=choose,
        )
        self._check(decision)
        action = (yield decision) if name == self.outside else choose()
        return decision.checked(action)

    def _check(self, decision: Decision) -> None:
        n_seen, n_actions, allowed = len(decision.seen), decision.n_actions, decision.allowed
        if n_actions < 1:
            raise ContractError(f"{decision}: expected at least one action, got n_actions={n_actions}")
        if not all(map(math.isfinite, decision.seen)):
            place = next(n for n, value in enumerate(decision.seen) if not math.isfinite(value))
            raise ContractError(
                f"{decision}: what is seen must be finite, and number {place} (from 0) is "
                f"{decision.seen[place]}"
            )
        n_before, n_actions_before = self._shapes.setdefault(decision.name, (n_seen, n_actions))
        if n_seen != n_before:
            raise ContractError(
                f"{decision}: {n_seen} numbers are seen, and {n_before} were before; "
                "fill what is not known with a value of its own, such as -1"
            )
        if n_actions != n_actions_before:
            raise ContractError(
                f"{decision}: there are {n_actions} actions, and there were {n_actions_before} before; "
                "name all that can ever be, and say in 'allowed' which are possible now"
            )
        if allowed is not None and len(allowed) != n_actions:
            raise ContractError(f"{decision}: {n_actions} actions, and {len(allowed)} entries of 'allowed'")
        if allowed is not None and not any(allowed):
            raise ContractError(
                f"{decision}: no action is allowed; ask only where there is something to choose"
            )
