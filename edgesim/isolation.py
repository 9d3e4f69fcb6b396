"""Whether runs of a strategy are apart: what one keeps, no other meets.

A strategy's memory is the state that its ``begin`` makes for each run. Everything else in which it could keep
something is written down before and after a run here, and runs are made after and inside one another.
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
"""Attempts at requests after which another run begins."""


class Watch:
    """Everything but its state in which a strategy could keep something: watched while runs go on.

    Itself, its placement, and its classes with the modules of their package.
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
        """Raise AssertionError if anything has changed since the last time."""
        before, self._before = self._before, self._now()
        changed = before.difference(self._before)
        assert changed is None, f"{changed} changed during a run, and would be met by others; {_KEEP}"


class Interrupted:
    """A strategy in the middle of whose run another run begins and ends."""

    def __init__(self, strategy: Strategy, other: Callable[[], object]) -> None:
        self._strategy, self._other, self._n_served = strategy, other, 0
        self.makes_state = strategy.makes_state

    def begin(self, placement: Any, model: Any, fleet: Fleet) -> Any:
        """As the strategy does."""
        return self._strategy.begin(placement, model, fleet)

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Any, *state: Any) -> Serving:
        """As the strategy does; before a request in the middle, another run."""
        self._n_served += 1
        if self._n_served == _IN_THE_MIDDLE:
            self._other()
        return self._strategy.serve(request, cluster, placement, *state)

    def control(self, cluster: Cluster, placement: Any, *state: Any) -> Serving | None:
        """As the strategy does."""
        return self._strategy.control(cluster, placement, *state)


@contextmanager
def global_generators(seed: int) -> Iterator[None]:
    """Set Python's and numpy's global generators, and restore them.

    Raises
    ------
    AssertionError
        If either has been drawn from.
    """
    kept, kept_legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is what is watched
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
                f"the global generator of {name} was drawn from, and others draw from it, too; use "
                "cluster.random(name, request)"
            )
    finally:
        random.setstate(kept)
        np.random.set_state(kept_legacy)  # noqa: NPY002


def _same(one: Any, other: Any) -> bool:
    """Whether two states of a generator, as nested dictionaries with arrays, are the same."""
    if isinstance(one, dict):
        return all(_same(one[key], other[key]) for key in one)
    return bool(np.all(one == other))


def refuse_shared_state(strategy: Strategy, placement: Placement, world: World) -> None:
    """Raise AssertionError if the states of two runs have a part in common that could change."""
    if not strategy.makes_state:
        return
    fleet = Fleet.of(world)
    states = [strategy.begin(placement, world.model, fleet) for _ in range(2)]
    alive: list[object] = []  # so that no two objects have one id
    one, other = (_changeable({"state": state}, alive) for state in states)
    given = _changeable({"": (strategy, placement, world.model, fleet, shared_generators())}, alive)
    shared = next((path for id_, path in one.items() if id_ in other and id_ not in given), None)
    assert shared is None, (
        f"{shared} is the same object in the states of two runs; begin must make each state anew (copy what "
        "may change, and make what may not a tuple or a frozen dataclass)"
    )


def _changeable(roots: dict[str, object], alive: list[object]) -> dict[int, str]:
    """Objects within reach that could change, by their ids, each with the way to it."""
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
    """Whether it has no value by which it could be told from others, but is itself alone."""
    if isinstance(value, np.ndarray):
        return bool(value.flags.writeable)
    if isinstance(value, FunctionType | MappingProxyType) or type(value) is object:
        return False
    params = getattr(value, "__dataclass_params__", None)
    if params is not None and params.frozen:
        return False
    return type(value).__hash__ in (None, object.__hash__)
