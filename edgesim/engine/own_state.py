"""A strategy's own state: created once per run, and passed only to `serve` and `control`."""

from __future__ import annotations

from functools import cache
from inspect import getattr_static, isfunction, signature
from typing import Any

from edgesim.errors import StrategyError
from edgesim.world.fleet import Fleet
from edgesim.world.world import World

__all__ = ["begun", "check_calls"]

_GIVEN = {"serve": "request, cluster, placement", "control": "cluster, placement"}


@cache
def check_calls(kind: type) -> None:
    """Check that a strategy class's methods accept the arguments they are called with.

    Raises
    ------
    StrategyError
        If `begin` makes a state that `serve` or `control` does not take, or one of them requires a state and
        there is no `begin`.
    """
    has_state, name = getattr(kind, "makes_state", False), kind.__qualname__
    if has_state and not _takes(kind, "begin", 3):
        raise StrategyError(f"strategy class {name}: write begin(self, placement, model, fleet)")
    for method, given in _GIVEN.items():
        n_given = given.count(",") + 1
        if _takes(kind, method, n_given + has_state):
            continue
        if has_state:
            raise StrategyError(
                f"strategy class {name}: begin makes a state, and {method} does not take it; write "
                f"{method}(self, {given}, state), or leave out begin"
            )
        if _takes(kind, method, n_given + 1):
            raise StrategyError(
                f"strategy class {name}: {method} takes a state, and nothing makes one; write "
                f"begin(self, placement, model, fleet), which returns it, or {method}(self, {given})"
            )
        raise StrategyError(f"strategy class {name}: write {method}(self, {given})")


def begun(serving: object, placement: Any, world: World) -> tuple[Any, ...]:
    """Return the arguments of `serve` and `control` after the placement: a fresh state, or none.

    Raises
    ------
    StrategyError
        See :func:`check_calls`.
    """
    check_calls(type(serving))  # type: ignore[arg-type]  # a class is hashable even if its objects are not
    if not getattr(serving, "makes_state", False):
        return ()
    return (serving.begin(placement, world.model, Fleet.of(world)),)  # type: ignore[attr-defined]


def _takes(kind: type, method: str, n_arguments: int) -> bool:
    """Whether a method accepts this number of arguments after `self`; True if it is no plain function."""
    function = getattr_static(kind, method, None)
    if not isfunction(function):
        return True
    try:
        signature(function).bind(*range(n_arguments + 1))
    except TypeError:
        return False
    return True
