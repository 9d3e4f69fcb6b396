"""Test whether runs of a strategy are isolated: nothing that one run stores affects another.

A strategy may store data only in the state that its ``begin`` creates for each run. Every other place in
which it could store data is recorded before and after a run and compared, and runs are made after one another
and nested in one another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MappingProxyType, ModuleType
from typing import Any

import numpy as np

from edgesim.engine.cluster import Cluster
from edgesim.engine.request import LiveRequest
from edgesim.snapshot import Snapshot, globals_of, parts_of, shared_generators
from edgesim.strategy import Placement, Serving, Strategy
from edgesim.world.fleet import Fleet
from edgesim.world.world import World

__all__ = ["Interrupted", "Watch", "global_generators", "refuse_shared_state"]

_KEEP = "keep it in the state that begin(placement, model, fleet) makes for each run"

_IN_THE_MIDDLE = 5
"""Number of the attempt at a request before which the nested run is made."""


class Watch:
    """Monitor of the objects, other than its state, in which a strategy could store data during runs.

    These are the strategy, its placement, and the classes of both with the modules of their packages.
    """

    def __init__(self, strategy: Strategy, placement: Placement) -> None:
        own = [kind for kind in type(strategy).__mro__ if issubclass(kind, Strategy) and kind is not Strategy]
        kinds = [*own, *(kind for kind in type(placement).__mro__[:-1] if kind is not Placement)]
        self._packages = {kind.__module__.partition(".")[0] for kind in kinds} - {"edgesim"}
        self._kinds, self._strategy, self._placement = kinds, strategy, placement
        self._before = self._now()

    def _now(self) -> Snapshot:
        within = {"the strategy": self._strategy, "the placement": self._placement}
        return Snapshot(within | globals_of(self._kinds), self._packages, within.values())

    def check(self) -> None:
        """Raise AssertionError if any monitored object has changed since the last check."""
        before, self._before = self._before, self._now()
        changed = before.difference(self._before)
        assert changed is None, f"{changed} changed during a run, which affects other runs; {_KEEP}"


class Interrupted:
    """Wrapper of a strategy that makes another complete run in the middle of its run."""

    def __init__(self, strategy: Strategy, other: Callable[[], object]) -> None:
        self._strategy, self._other, self._n_served = strategy, other, 0
        self.makes_state = strategy.makes_state

    def begin(self, placement: Any, model: Any, fleet: Fleet) -> Any:
        """Call the strategy's ``begin``."""
        return self._strategy.begin(placement, model, fleet)

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Any, *state: Any) -> Serving:
        """Call the strategy's ``serve``, before the fifth attempt after making the other run."""
        self._n_served += 1
        if self._n_served == _IN_THE_MIDDLE:
            self._other()
        return self._strategy.serve(request, cluster, placement, *state)

    def control(self, cluster: Cluster, placement: Any, *state: Any) -> Serving | None:
        """Call the strategy's ``control``."""
        return self._strategy.control(cluster, placement, *state)


@contextmanager
def global_generators(seed: int) -> Iterator[None]:
    """Context manager that seeds Python's and numpy's global generators, and restores them at the end.

    Raises
    ------
    AssertionError
        If the body has drawn from one of them.
    """
    kept, kept_legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the generator to monitor
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    ours, legacy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002
    try:
        yield
        drawn = {
            "random": random.getstate() != ours,
            "numpy.random": not _same(np.random.get_state(legacy=False), legacy),  # noqa: NPY002
        }
        for name, is_drawn in drawn.items():
            assert not is_drawn, (
                f"the strategy drew from the global generator of {name}, which others draw from, too; use "
                "cluster.random(name, request)"
            )
    finally:
        random.setstate(kept)
        np.random.set_state(kept_legacy)  # noqa: NPY002


def _same(one: Any, other: Any) -> bool:
    """Whether two generator states (nested dictionaries with arrays) are equal."""
    if isinstance(one, dict):
        return all(_same(one[key], other[key]) for key in one)
    return bool(np.all(one == other))


def refuse_shared_state(strategy: Strategy, placement: Placement, world: World) -> None:
    """Raise AssertionError if the states of two runs share a mutable object."""
    if not strategy.makes_state:
        return
    fleet = Fleet.of(world)
    states = [strategy.begin(placement, world.model, fleet) for _ in range(2)]
    alive: list[object] = []  # references that keep ids unique
    one, other = (_changeable({"state": state}, alive) for state in states)
    given = _changeable({"": (strategy, placement, world.model, fleet, shared_generators())}, alive)
    shared = next((path for id_, path in one.items() if id_ in other and id_ not in given), None)
    assert shared is None, (
        f"{shared} is the same object in the states of two runs; begin must create each state from scratch "
        "(copy mutable parts, and make constant ones a tuple or a frozen dataclass)"
    )


def _changeable(roots: dict[str, object], alive: list[object]) -> dict[int, str]:
    """Mutable objects reachable from the roots: path by object id."""
    found: dict[int, str] = {}
    seen: set[int] = set()
    waiting = list(roots.items())
    while waiting:
        path, value = waiting.pop()
        if id(value) in seen or isinstance(value, type | ModuleType | BuiltinFunctionType):
            continue
        seen.add(id(value))
        alive.append(value)
        if _can_change(value):
            found[id(value)] = path
        waiting += [(path + name, part) for name, part in parts_of(value) or ()]
    return found


def _can_change(value: object) -> bool:
    """Whether an object is mutable: a writeable array, or not hashable by value and not frozen."""
    if isinstance(value, np.ndarray):
        return bool(value.flags.writeable)
    if isinstance(value, FunctionType | MappingProxyType) or type(value) is object:
        return False
    params = getattr(value, "__dataclass_params__", None)
    if params is not None and params.frozen:
        return False
    return type(value).__hash__ in (None, object.__hash__)
