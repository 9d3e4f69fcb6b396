"""Decisions of a strategy that can be made from outside: the run pauses there and resumes with the answer.

A strategy calls :meth:`edgesim.engine.cluster.Cluster.ask` and passes its own choice. In a plain run that
choice is taken at once. In a run whose decisions of one name are made from outside (``Simulation.advance`` in
:mod:`edgesim.engine.simulation`) the calling process is suspended in the middle of its step: no time passes,
no other event occurs meanwhile, and the run continues as if the strategy had made that choice.
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
    """A decision that is due.

    Attributes
    ----------
    name
        Name of the decision among those of the strategy.
    seen
        The features on which to decide: finite numbers, as many every time.
    n_actions
        Number of actions: 0, 1, ..., `n_actions` - 1.
    allowed
        Which actions are possible now; None: all.
    request_id
        Id of the request that it concerns; None if it concerns no single request.
    at_s
        Instant of the decision [s].
    choose
        Returns the strategy's own choice.
    """

    name: str
    seen: tuple[float, ...]
    n_actions: int
    allowed: tuple[bool, ...] | None
    request_id: int | None
    at_s: float
    choose: Callable[[], int]

    def checked(self, action: Any) -> int:
        """Return an action as a plain integer.

        Raises
        ------
        ContractError
            If it is not an action, or not allowed now.
        """
        try:
            number = index(action)
        except TypeError:
            raise ContractError(f"{self}: expected an action as an integer, got {action!r}") from None
        if not 0 <= number < self.n_actions:
            raise ContractError(f"{self}: expected an action from 0 to {self.n_actions - 1}, got {number}")
        if self.allowed is not None and not self.allowed[number]:
            possible = ", ".join(str(n) for n, is_allowed in enumerate(self.allowed) if is_allowed)
            raise ContractError(f"{self}: action {number} is not allowed now; allowed are {possible}")
        return number

    def __str__(self) -> str:
        whose = "" if self.request_id is None else f" of request {self.request_id}"
        return f"decision {self.name!r}{whose} at {self.at_s:g} s"


class Decisions:
    """The decisions requested in one run.

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
        """Names of all decisions requested so far, in order of first request."""
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
        """Request an action, as a process; see :meth:`edgesim.engine.cluster.Cluster.ask`."""
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
                f"{decision}: found {decision.seen[place]} at index {place} of the features; expected finite "
                "numbers"
            )
        n_before, n_actions_before = self._shapes.setdefault(decision.name, (n_seen, n_actions))
        if n_seen != n_before:
            raise ContractError(
                f"{decision}: found {n_seen} features, and {n_before} before; "
                "fill unknown ones with a special value, such as -1"
            )
        if n_actions != n_actions_before:
            raise ContractError(
                f"{decision}: found {n_actions} actions, and {n_actions_before} before; "
                "list all possible actions every time, and mark those possible now in 'allowed'"
            )
        if allowed is not None and len(allowed) != n_actions:
            raise ContractError(f"{decision}: {n_actions} actions, and {len(allowed)} entries of 'allowed'")
        if allowed is not None and not any(allowed):
            raise ContractError(f"{decision}: no action is allowed; call ask only if at least one is")
