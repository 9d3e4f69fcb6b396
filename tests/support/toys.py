"""Strategies that keep what they learn where they must not, each in a way of its own."""

from __future__ import annotations

import itertools
import random
import string
import threading
from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, lru_cache
from weakref import WeakKeyDictionary

import numpy as np
from pydantic import Field, PrivateAttr
from scipy import stats

from edgesim.strategies.local import Local
from edgesim.strategy import Placement

_SEEN: list[int] = []
_LAST = None
_COUNTS = {"requests": [0]}
_TURN = itertools.count()
_BY_RUN: WeakKeyDictionary = WeakKeyDictionary()
_BY_THREAD = threading.local()
_CONTEXT: ContextVar = ContextVar("_CONTEXT")
_WEIGHTS = np.zeros(3)
_OWN_GENERATOR = np.random.default_rng(1)
_OWN_RANDOM = random.Random(1)
_WINDOW: deque[int] = deque(maxlen=5)
_SHARED: dict[str, int] = {}
_LAW = stats.expon()  # refers to numpy's global generator, and draws from it only when asked


class Counter:
    """Something of the module's own."""

    n = 0

    def __init__(self) -> None:
        self.n_met = 0


_COUNTER = Counter()


def _numbers():
    n = 0
    while True:
        n += 1
        yield n


_NUMBERS = _numbers()


@cache
def _store() -> list[int]:
    return []


@lru_cache(maxsize=4)
def _table(name: str) -> dict[int, int]:
    return {}


@cache
def square(n: int) -> int:
    """A pure function, whose cache may grow."""
    return n * n


class Cheat(Local):
    """Does something at each request, and then serves it as the local strategy does."""

    def serve(self, request, cluster, placement):
        self.note(request, cluster, placement)
        yield from super().serve(request, cluster, placement)

    def note(self, request, cluster, placement):
        raise NotImplementedError


class GlobalList(Cheat):
    def note(self, request, cluster, placement):
        _SEEN.append(request.id)


class GlobalName(Cheat):
    def note(self, request, cluster, placement):
        global _LAST
        _LAST = cluster


class Nested(Cheat):
    def note(self, request, cluster, placement):
        _COUNTS["requests"][0] += 1


class Iterator(Cheat):
    def note(self, request, cluster, placement):
        next(_TURN)


class OwnGenerator(Cheat):
    def note(self, request, cluster, placement):
        next(_NUMBERS)


class WeakStore(Cheat):
    def note(self, request, cluster, placement):
        _BY_RUN.setdefault(cluster, []).append(request.id)


class ThreadStore(Cheat):
    def note(self, request, cluster, placement):
        _BY_THREAD.last = request.id


class ContextStore(Cheat):
    def note(self, request, cluster, placement):
        _CONTEXT.set(request.id)


class Array(Cheat):
    def note(self, request, cluster, placement):
        _WEIGHTS[request.id % 3] += 1


class Window(Cheat):
    def note(self, request, cluster, placement):
        _WINDOW.append(request.id)


class NumpyStream(Cheat):
    def note(self, request, cluster, placement):
        _OWN_GENERATOR.random()


class PythonStream(Cheat):
    def note(self, request, cluster, placement):
        _OWN_RANDOM.random()


class Instance(Cheat):
    def note(self, request, cluster, placement):
        _COUNTER.n_met += 1


class OtherClass(Cheat):
    def note(self, request, cluster, placement):
        Counter.n += 1


class Private(Cheat):
    _met: list[int] = PrivateAttr(default_factory=list)

    def note(self, request, cluster, placement):
        self._met.append(request.id)


class ClassAttribute(Cheat):
    def note(self, request, cluster, placement):
        type(self).latest = request.id


class Default(Cheat):
    def note(self, request, cluster, placement, met=[]):  # noqa: B006 - this is the cheat
        met.append(request.id)


class Closure(Cheat):
    def _make():
        met = {}

        def note(self, request, cluster, placement):
            met[request.id] = True

        return note

    note = _make()
    del _make


class FunctionAttribute(Cheat):
    def note(self, request, cluster, placement):
        square.latest = request.id


class CachedStore(Cheat):
    def note(self, request, cluster, placement):
        _store().append(request.id)


class CachedTable(Cheat):
    def note(self, request, cluster, placement):
        _table("met")[len(_table("met"))] = request.id


class Option(Cheat):
    table: dict[str, int] = Field(default_factory=dict)

    def note(self, request, cluster, placement):
        self.table["latest"] = request.id


@dataclass(frozen=True)
class Roomy(Placement):
    memory: dict[int, int] = field(default_factory=dict)


class InThePlacement(Cheat):
    def place(self, model, fleet):
        return Roomy(super().place(model, fleet).stages)

    def note(self, request, cluster, placement):
        placement.memory[request.id] = 1


class GlobalRandom(Cheat):
    def note(self, request, cluster, placement):
        random.random()


class GlobalNumpyRandom(Cheat):
    def note(self, request, cluster, placement):
        np.random.random()  # noqa: NPY002 - this is the cheat


class Unseeded(Local):
    def serve(self, request, cluster, placement):
        yield from cluster.sleep(1e-3 * np.random.default_rng().random())
        yield from super().serve(request, cluster, placement)


class Elsewhere(Local):
    """Keeps it in a module of somebody else's, and serves the later the more there is."""

    def serve(self, request, cluster, placement):
        string.met.append(request.id)
        yield from cluster.sleep(1e-3 * len(string.met))
        yield from super().serve(request, cluster, placement)


class ByTurns(Elsewhere):
    """Begins anew with each run, so that runs one after the other are alike."""

    def serve(self, request, cluster, placement):
        if request.id == 0:
            string.met.clear()
        yield from super().serve(request, cluster, placement)


class Stateful(Local):
    """Keeps what it learns as it should; those below make the state badly."""

    def begin(self, placement, model, fleet):
        return {"met": [], "law": stats.expon(), "fleet": fleet, "model": model, "placement": placement}

    def serve(self, request, cluster, placement, state):
        if isinstance(state, dict):
            state.setdefault("met", []).append(square(request.id))
        yield from cluster.sleep(1e-4 * cluster.random("pause", request).random())
        yield from super().serve(request, cluster, placement)


class SharedState(Stateful):
    def begin(self, placement, model, fleet):
        return _SHARED


class SharedPart(Stateful):
    def begin(self, placement, model, fleet):
        return super().begin(placement, model, fleet) | {"known": [1, {"of": _SHARED}]}


class SharedArray(Stateful):
    def begin(self, placement, model, fleet):
        return {"weights": _WEIGHTS}


class SharedGenerator(Stateful):
    def begin(self, placement, model, fleet):
        return {"rng": _OWN_GENERATOR}


class SharedInClosure(Stateful):
    def begin(self, placement, model, fleet):
        met = _SEEN
        return {"act": lambda: met}


class SharedMethod(Stateful):
    def begin(self, placement, model, fleet):
        return (_COUNTER.__init__,)
