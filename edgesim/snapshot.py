"""What a part of a program remembers: object graphs written down, so that two instants can be compared.

Walked are containers, instances of a package's own classes, functions (defaults, closures and attributes),
generators, caches of functions and context variables. What belongs to others is written down as it pickles,
or else as what it is.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import inspect
import io
import pickle
import random
import sys
import types
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np

__all__ = ["Snapshot", "globals_of", "parts_of", "shared_generators"]

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented), range)
_FOREIGN = ("edgesim.engine",)  # live parts of a run: which they are is enough
_WALKED = frozenset(
    {"_thread", "_weakrefset", "builtins", "collections", "edgesim", "functools", "types", "weakref"}
)


class Snapshot:
    """A graph of objects at one instant, as facts by their paths.

    Parameters
    ----------
    roots
        Where to begin, by name.
    packages
        Whose classes' instances and whose functions are looked into, by the first part of their modules'
        names.
    within
        Objects that are looked into, whatever their class.
    """

    def __init__(
        self, roots: Mapping[str, object], packages: Iterable[str], within: Iterable[object] = ()
    ) -> None:
        self._packages = frozenset(packages) | _WALKED
        self._within = {id(value) for value in within}
        self.facts: dict[str, Hashable] = {}
        self._memos: set[str] = set()  # entries of caches: there may be more, and none must change
        self._seen: dict[int, str] = {}
        self._kept: list[object] = []  # alive, so that no two objects have one id
        later: list[tuple[str, object]] = []
        for name, root in roots.items():
            self._walk(name, root, later)
        while later:  # last, so that what is in a cache has its name from elsewhere, if it is elsewhere
            self._walk(*later.pop(0), later)

    def difference(self, later: Snapshot) -> str | None:
        """The first path at which a later snapshot differs; None if it does not."""
        for path, fact in self.facts.items():
            if later.facts.get(path, later) != fact:
                return path
        new = (path for path in later.facts if path not in self.facts)
        return next((path for path in new if not self._is_remembered_anew(path, later)), None)

    def _is_remembered_anew(self, path: str, later: Snapshot) -> bool:
        """Whether a path leads through an entry of a cache that was not there yet."""
        new = (memo for memo in later._memos if memo not in self.facts)
        return any(path == memo or path.startswith((f"{memo}.", f"{memo}[", f"{memo}(")) for memo in new)

    def _walk(self, path: str, value: object, later: list[tuple[str, object]]) -> None:
        waiting = [(path, value)]
        while waiting:
            path, value = waiting.pop()
            if isinstance(value, _ATOMS):
                self.facts[path] = (type(value).__name__, value if value == value else repr(value))
                continue
            if id(value) in self._seen:
                self.facts[path] = ("again", self._seen[id(value)])
                continue
            self._seen[id(value)] = path
            self._kept.append(value)
            if isinstance(value, functools._lru_cache_wrapper):
                for name, entry in _cached(value):
                    self._memos.add(f"{path}(cached {name})")
                    later.append((f"{path}(cached {name})", entry))
                own = ((k, v) for k, v in vars(value).items() if not k.startswith("__"))
                waiting += [(f"{path}.{key}", part) for key, part in own]
                value = value.__wrapped__
            parts = parts_of(value) if self._is_walked(value) else None
            if parts is None:
                self.facts[path] = self._told(value)
                continue
            self.facts[path] = type(value).__qualname__
            for name, part in reversed(parts):  # what is put in last comes first
                if name.startswith(".") and _is_memo(type(value), name[1:]):
                    self._memos.add(path + name)
                    later.append((path + name, part))
                else:
                    waiting.append((path + name, part))

    def _is_walked(self, value: object) -> bool:
        if id(value) in self._within or isinstance(value, ContextVar | np.random.Generator):
            return True
        if isinstance(value, types.FunctionType | type):
            return (value.__module__ or "").partition(".")[0] in self._packages - _WALKED
        module = type(value).__module__
        is_own = module.partition(".")[0] in self._packages or _has_memos(type(value))
        return is_own and not module.startswith(_FOREIGN)

    def _told(self, value: object) -> Hashable:
        """A fact about a thing that is not looked into."""
        if isinstance(value, type | types.ModuleType | types.FunctionType | types.BuiltinFunctionType):
            return ("is", id(value))
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            return ("array", value.shape, str(value.dtype), hashlib.sha256(value.tobytes()).hexdigest())
        if type(value).__module__.startswith(_FOREIGN):
            return ("is", id(value))
        try:
            stream = io.BytesIO()
            _Pickler(stream).dump(value)
            return ("pickled", hashlib.sha256(stream.getvalue()).hexdigest())
        except Exception:  # a stranger's object may refuse in any way
            return ("is", id(value))


def globals_of(kinds: Iterable[type]) -> dict[str, object]:
    """Everything that classes could keep things in beside their instances: their own and their modules'.

    Of a package, all its modules that are loaded; of edgesim, of a script, and of a folder that is no
    package, the one that a class is in.
    """
    names, roots = dict.fromkeys(kind.__module__ for kind in kinds), {}
    for name in list(names):
        top = _package_of(name)
        if top not in ("", "edgesim"):
            names.update(dict.fromkeys(n for n in list(sys.modules) if n == top or n.startswith(f"{top}.")))
    for name in names:
        for key, value in list(vars(sys.modules[name]).items()) if name in sys.modules else ():
            if not key.startswith(("__", "@")) and not isinstance(value, types.ModuleType):
                roots[f"{name}.{key}"] = value
    return roots | {f"{kind.__module__}.{kind.__qualname__}": kind for kind in kinds}


def shared_generators() -> tuple[object, object]:
    """The generators that Python's and numpy's modules draw from; other objects may well refer to them."""
    return random.random.__self__, np.random.random.__self__  # type: ignore[attr-defined]


class _Pickler(pickle.Pickler):
    """Writes down what objects are, but for the global generators within their reach."""

    def persistent_id(self, value: object) -> str | None:
        """A name in the place of a global generator."""
        return "a global generator" if any(value is one for one in shared_generators()) else None


def _package_of(module: str) -> str:
    """The outermost package that a module is in; empty where that is a folder and no package."""
    package = module if hasattr(sys.modules.get(module), "__path__") else ""
    parent = module
    while parent := parent.rpartition(".")[0]:
        if getattr(sys.modules.get(parent), "__file__", None) is None:
            break
        package = parent
    return package


def parts_of(value: Any) -> list[tuple[str, object]] | None:
    """What an object consists of, each part with how it is reached; None of what cannot be looked into."""
    parts: list[tuple[str, object]] = []
    if isinstance(value, type):
        named = ((k, v) for k, v in vars(value).items() if not k.startswith("__") and k != "_abc_impl")
        return [(f".{key}", part) for key, part in named]
    if isinstance(value, types.FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        parts += [(f"(default {n})", part) for n, part in enumerate(value.__defaults__ or ())]
        parts += [(f"(default {key})", part) for key, part in (value.__kwdefaults__ or {}).items()]
        parts += [(f"(variable {name})", part) for name, cell in cells for part in _content(cell)]
        return parts + [(f".{key}", part) for key, part in vars(value).items()]
    if isinstance(value, types.MethodType):
        return [("(self)", value.__self__), ("(function)", value.__func__)]
    if isinstance(value, staticmethod | classmethod):
        return [("", value.__func__)]
    if isinstance(value, property):
        return [(f"({n})", part) for n, part in enumerate((value.fget, value.fset)) if part is not None]
    if isinstance(value, functools.partial):
        return [("(function)", value.func), ("(arguments)", value.args), ("(keywords)", value.keywords)]
    if isinstance(value, types.GeneratorType):
        at = None if value.gi_frame is None else value.gi_frame.f_lasti
        return [("(at)", at), *((f"({k})", part) for k, part in inspect.getgeneratorlocals(value).items())]
    if isinstance(value, ContextVar):
        return [("(value)", value.get(None))]
    if isinstance(value, np.random.Generator):
        return [("(state)", value.bit_generator.state)]
    if isinstance(value, np.ndarray):
        return (
            [(f"[{n}]", part) for n, part in enumerate(value.ravel().tolist())]
            if value.dtype.hasobject
            else None
        )
    if isinstance(value, dict | types.MappingProxyType):
        for n, (key, part) in enumerate(value.items()):
            name = repr(key) if isinstance(key, _ATOMS) else f"entry {n}"
            parts += [(f"[{name}]", part)] + ([] if isinstance(key, _ATOMS) else [(f"(key {n})", key)])
    elif isinstance(value, list | tuple | deque):
        parts += [(f"[{n}]", part) for n, part in enumerate(value)]
    elif isinstance(value, set | frozenset):
        parts += [(f"({n})", part) for n, part in enumerate(sorted(value, key=_order))]
    attributes = _attributes(value)
    if attributes is None and not isinstance(value, dict | list | tuple | set | frozenset):
        return parts if isinstance(value, deque | types.MappingProxyType) else None
    return parts + [(f".{key}", part) for key, part in (attributes or {}).items()]


def _attributes(value: object) -> dict[str, object] | None:
    """Attributes of an instance, in slots or not; None of what has neither."""
    slots = [s for kind in type(value).__mro__ for s in _named(vars(kind).get("__slots__", ()))]
    found = {s: getattr(value, s) for s in slots if not s.startswith("__weakref") and hasattr(value, s)}
    own = getattr(value, "__dict__", None)
    private = getattr(value, "__pydantic_private__", None) if isinstance(own, dict) else None
    if own is None and not slots:
        return None
    return {**found, **(own or {}), **(private or {})}


def _named(slots: str | Iterable[str]) -> Iterator[str]:
    names = (slots,) if isinstance(slots, str) else slots
    return (name for name in names if name != "__dict__" and not name.startswith("__pydantic"))


def _content(cell: types.CellType) -> Iterator[object]:
    try:
        yield cell.cell_contents
    except ValueError:  # not bound yet
        return


def _cached(wrapper: Any) -> Iterator[tuple[str, object]]:
    """What a function's cache holds, by its arguments; CPython shows it to its garbage collector alone.

    One without a limit is a dictionary. Of one with a limit there are key, result and the type of their
    link, one after the other, and then the dictionary of links.
    """
    held = gc.get_referents(wrapper)
    dictionaries = [n for n, one in enumerate(held) if isinstance(one, dict) and one is not vars(wrapper)]
    if wrapper.cache_parameters()["maxsize"] is None:
        found: dict[object, object] = next((held[n] for n in dictionaries), {})
        yield from ((repr(key), result) for key, result in found.items())
        return
    of_links = (n for n in dictionaries if all(map(_is_link, map(type, held[n].values()))))
    end = max(of_links, default=0)
    yield from ((repr(held[n - 2]), held[n - 1]) for n in range(2, end) if _is_link(held[n]))


def _is_link(kind: object) -> bool:
    return getattr(kind, "__name__", "") == "_lru_list_elem"


def _has_memos(kind: type) -> bool:
    """Whether instances work out some attributes when they are first asked for; it does not change them."""
    return any(isinstance(v, functools.cached_property) for base in kind.__mro__ for v in vars(base).values())


def _is_memo(kind: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(kind, name, None), functools.cached_property)


def _order(value: object) -> tuple[str, str]:
    return type(value).__name__, repr(value) if isinstance(value, _ATOMS) else str(id(value))
