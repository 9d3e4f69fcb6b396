"""The state of a strategy's own: made once for each run, and handed to `serve` and `control` alone."""

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
    """Refuse a strategy class whose methods do not take what they will be called with.

    Raises
    ------
    StrategyError
        If a state is made that `serve` or `control` does not take, or one is wanted that nothing makes.
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
                f"strategy class {name}: {method} wants a state, and nothing makes one; write "
                f"begin(self, placement, model, fleet), which returns it, or {method}(self, {given})"
            )
        raise StrategyError(f"strategy class {name}: write {method}(self, {given})")


def begun(serving: object, placement: Any, world: World) -> tuple[Any, ...]:
    """What a run hands to `serve` and `control` beside the placement: a fresh state, or nothing.

    Raises
    ------
    StrategyError
        See :func:`check_calls`.
    """
    check_calls(type(serving))  # type: ignore[arg-type]  # a class is hashable, whatever its objects are
    if not getattr(serving, "makes_state", False):
        return ()
    return (serving.begin(placement, world.model, Fleet.of(world)),)  # type: ignore[attr-defined]


def _takes(kind: type, method: str, n_arguments: int) -> bool:
    """Whether a method takes so many arguments beside `self`; of what is no plain function, yes."""
    function = getattr_static(kind, method, None)
    if not isfunction(function):
        return True
    try:
        signature(function).bind(*range(n_arguments + 1))
    except TypeError:
        return False
    return True
