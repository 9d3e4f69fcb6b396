"""Snapshots of object graphs, which are compared to find out whether an object has changed.

Traversed are containers, instances of a package's own classes, functions (defaults, closures and attributes),
generators, caches of functions and context variables. Other objects are recorded by the digest of their
pickle or, if they cannot be pickled, by their identity.
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
_FOREIGN = ("edgesim.engine",)  # live objects of a run: recorded by their identity
_WALKED = frozenset(
    {"_thread", "_weakrefset", "builtins", "collections", "edgesim", "functools", "types", "weakref"}
)


class Snapshot:
    """A graph of objects at one instant, recorded as facts (comparable values) by path.

    Parameters
    ----------
    roots
        Objects from which to start, by name.
    packages
        Top-level packages whose functions, and instances of whose classes, are traversed.
    within
        Objects that are traversed regardless of their class.
    """

    def __init__(
        self, roots: Mapping[str, object], packages: Iterable[str], within: Iterable[object] = ()
    ) -> None:
        self._packages = frozenset(packages) | _WALKED
        self._within = {id(value) for value in within}
        self.facts: dict[str, Hashable] = {}
        self._memos: set[str] = set()  # entries of caches: new ones may appear, but none may change
        self._seen: dict[int, str] = {}
        self._kept: list[object] = []  # references that keep ids unique
        later: list[tuple[str, object]] = []
        for name, root in roots.items():
            self._walk(name, root, later)
        while later:  # caches last, so that an object that is also elsewhere gets its path from there
            self._walk(*later.pop(0), later)

    def difference(self, later: Snapshot) -> str | None:
        """Return the first path at which a later snapshot differs, or None; new cache entries are ignored."""
        for path, fact in self.facts.items():
            if later.facts.get(path, later) != fact:
                return path
        new = (path for path in later.facts if path not in self.facts)
        return next((path for path in new if not self._is_newly_cached(path, later)), None)

    def _is_newly_cached(self, path: str, later: Snapshot) -> bool:
        """Whether a path leads through a cache entry that did not exist in this snapshot."""
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
                self.facts[path] = self._fact(value)
                continue
            self.facts[path] = type(value).__qualname__
            for name, part in reversed(parts):  # the stack is last in, first out
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

    def _fact(self, value: object) -> Hashable:
        """Return the recorded fact of an object that is not traversed."""
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
        except Exception:  # pickling foreign objects may raise anything
            return ("is", id(value))


def globals_of(kinds: Iterable[type]) -> dict[str, object]:
    """Return all global objects in which classes could store data, by name: class and module variables.

    The modules are all loaded modules of a class's package. For edgesim, a script, or a folder that is not a
    package, only the module that defines the class.
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
    """Return the global generators of Python's and numpy's ``random``; other objects may refer to them."""
    return random.random.__self__, np.random.random.__self__  # type: ignore[attr-defined]


class _Pickler(pickle.Pickler):
    """Pickler that replaces the global random generators by a constant."""

    def persistent_id(self, value: object) -> str | None:
        """Return a constant for a global generator, None for other objects."""
        return "a global generator" if any(value is one for one in shared_generators()) else None


def _package_of(module: str) -> str:
    """Return the outermost package that contains a module; empty if there is only a folder, not a package."""
    package = module if hasattr(sys.modules.get(module), "__path__") else ""
    parent = module
    while parent := parent.rpartition(".")[0]:
        if getattr(sys.modules.get(parent), "__file__", None) is None:
            break
        package = parent
    return package


def parts_of(value: Any) -> list[tuple[str, object]] | None:
    """Return an object's parts, each with its path from the object; None if it cannot be traversed."""
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
    """Return an instance's attributes, from slots and ``__dict__``; None if it has neither."""
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
    """Yield the results in a function's ``lru_cache``, with their arguments as text.

    CPython exposes them to the garbage collector only. An unbounded cache is a dictionary. For a bounded one,
    the referents are key, result and the type of their link for each entry, followed by the dictionary of
    links.
    """
    refs = gc.get_referents(wrapper)
    dictionaries = [n for n, one in enumerate(refs) if isinstance(one, dict) and one is not vars(wrapper)]
    if wrapper.cache_parameters()["maxsize"] is None:
        found: dict[object, object] = next((refs[n] for n in dictionaries), {})
        yield from ((repr(key), result) for key, result in found.items())
        return
    of_links = (n for n in dictionaries if all(map(_is_link, map(type, refs[n].values()))))
    end = max(of_links, default=0)
    yield from ((repr(refs[n - 2]), refs[n - 1]) for n in range(2, end) if _is_link(refs[n]))


def _is_link(kind: object) -> bool:
    return getattr(kind, "__name__", "") == "_lru_list_elem"


def _has_memos(kind: type) -> bool:
    """Whether a class has cached properties; computing one does not change the instance."""
    return any(isinstance(v, functools.cached_property) for base in kind.__mro__ for v in vars(base).values())


def _is_memo(kind: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(kind, name, None), functools.cached_property)


def _order(value: object) -> tuple[str, str]:
    return type(value).__name__, repr(value) if isinstance(value, _ATOMS) else str(id(value))
