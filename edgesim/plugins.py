"""Loader of plug-ins: named entries from edgesim's own folders and from other packages.

An :class:`EntryPointGroup` defines what an entry must be. Other packages register entries as entry points
of the group's name; edgesim's own are the modules of one folder, or entry points as well. An entry is loaded
by name on first use, and all entries are checked by the same rules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import getattr_static, isfunction, signature
from pkgutil import iter_modules
from types import MappingProxyType, ModuleType
from typing import Any, Generic, TypeVar, cast

from edgesim.errors import InputError
from edgesim.nearest import suggest

__all__ = [
    "EntryPointGroup",
    "discover",
    "discover_all",
    "first_line",
    "load",
    "names",
    "own_names",
    "require_methods",
]

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class EntryPointGroup(Generic[Entry]):
    """A group of entry points whose entries are subclasses, or instances, of a base class.

    Parameters
    ----------
    name
        The group's name in package metadata, such as ``edgesim.strategies``.
    noun, listing
        The word for an entry in messages, and the argument of ``edgesim list`` that lists all entries.
    base
        The base class of all entries; a tuple of classes is possible if entries are instances.
    known_as
        The name under which users import the base class.
    error
        Raised for an entry that is unknown or cannot be loaded.
    check
        Further check of an entry; raises an :class:`~edgesim.errors.InputError` if the entry is invalid.
    is_object
        Whether entries are instances of the base; otherwise they are subclasses.
    home
        The package whose modules contain edgesim's own entries: each module exports one, under any name, and
        the entry has the module's name. Empty if edgesim's own entries are entry points, too.
    joint
        Replacement in entry names for the underscores of module names.
    """

    name: str
    noun: str
    listing: str
    base: type[Any] | tuple[type[Any], ...]
    known_as: str
    error: type[InputError]
    check: Callable[[Entry], None] | None = None
    is_object: bool = False
    home: str = ""
    joint: str = "_"

    def is_entry(self, found: object) -> bool:
        """Whether an object is a valid entry: an instance, or a proper subclass, of the base."""
        if self.is_object:
            return isinstance(found, self.base)
        return isinstance(found, type) and issubclass(found, self.base) and found is not self.base


def names(group: EntryPointGroup[Any]) -> tuple[str, ...]:
    """Return the sorted names of all entries of a group, edgesim's own and others, without loading them."""
    return tuple(sorted(_points(group)))


def own_names(group: EntryPointGroup[Any]) -> tuple[str, ...]:
    """Return the sorted names of edgesim's own entries in the group's folder."""
    return tuple(
        sorted(name for name, points in _points(group).items() if any(_is_own(group, one) for one in points))
    )


def discover_all(group: EntryPointGroup[Entry]) -> dict[str, Entry | InputError]:
    """Load every entry of a group, by name; the value is an error for an entry that cannot be loaded."""
    found: dict[str, Entry | InputError] = {}
    for name in names(group):
        try:
            found[name] = load(group, name)
        except InputError as error:
            found[name] = error
    return found


def discover(group: EntryPointGroup[Entry]) -> dict[str, Entry]:
    """Load every entry of a group, by its name in scenarios.

    Raises
    ------
    InputError
        Of the group's class, if an installed plug-in cannot be imported, is not a valid entry, or has the
        name of another entry.
    """
    return {name: load(group, name) for name in names(group)}


def load(group: EntryPointGroup[Entry], name: str) -> Entry:
    """Load one entry of a group by its name.

    Raises
    ------
    InputError
        Of the group's class, if no entry has that name (the message suggests the nearest), two have it, or
        it cannot be loaded.
    """
    points = _points(group)
    if name not in points:
        raise group.error(
            f"no {group.noun} {name!r}; {suggest(name, sorted(points))} (edgesim list {group.listing})"
        )
    point, *others = points[name]
    if others:
        ours = [one.value for one in points[name] if _is_own(group, one)]
        if ours:
            raise group.error(
                f"an installed package names a {group.noun} {name!r} ({others[0].value}), which is the name "
                f"of one of edgesim's own ({ours[0]}); rename it in that package, or uninstall the package"
            )
        raise group.error(
            f"two installed packages name a {group.noun} {name!r} ({point.value} and {others[0].value}); "
            "uninstall one of them"
        )
    return _load(group, point)


def require_methods(kind: type, base: type, methods: Mapping[str, str]) -> None:
    """Refuse a class that does not override a required method, or whose method takes other arguments.

    Parameters
    ----------
    methods
        By method name, the arguments without ``self`` with which it is called, such as ``"rng, at_s"``.

    Raises
    ------
    InputError
        Stating the method to write.
    """
    for method, given in methods.items():
        write = f"write {method}(self{', ' if given else ''}{given})"
        function = getattr_static(kind, method, None)
        if function is getattr_static(base, method, None):
            raise InputError(f"class {kind.__qualname__} does not override {method}; {write}")
        if not isfunction(function):
            continue
        try:
            signature(function).bind(None, *filter(None, given.split(", ")))
        except (TypeError, ValueError):
            raise InputError(
                f"class {kind.__qualname__}: {method} does not take ({given}); {write}"
            ) from None


def first_line(entry: object) -> str:
    """Return an entry's description in listings: the first line of its docstring."""
    text = entry.__doc__
    return text.strip().partition("\n")[0] if isinstance(text, str) else ""


def _is_own(group: EntryPointGroup[Any], point: EntryPoint) -> bool:
    return bool(group.home) and point.value.startswith(f"{group.home}.")


def _points(group: EntryPointGroup[Any]) -> Mapping[str, tuple[EntryPoint, ...]]:
    """Entry points by name, edgesim's own first; several of one name are an error once one is loaded."""
    return _found(entry_points, group.name, group.home, group.joint, tuple(sys.path))


@cache
def _found(
    look: Callable[..., Any], group: str, home: str, joint: str, path: tuple[str, ...]
) -> Mapping[str, tuple[EntryPoint, ...]]:
    """Find the entry points of a group; cached, since reading package metadata takes 10 ms."""
    del path  # part of the cache's key: the packages that are found depend on it
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in (*_own_points(group, home, joint), *look(group=group)):
        same = found.get(point.name, ())
        if point.value not in (other.value for other in same):  # found twice: installed, and on the path
            found[point.name] = (*same, point)
    return MappingProxyType(found)


def _own_points(group: str, home: str, joint: str) -> Iterator[EntryPoint]:
    if home:
        for module in iter_modules(import_module(home).__path__):
            yield EntryPoint(module.name.replace("_", joint), f"{home}.{module.name}", group)


def _load(group: EntryPointGroup[Entry], point: EntryPoint) -> Entry:
    what = f"{group.noun} {point.name!r} ({point.value})"
    try:
        found = point.load()
        if isinstance(found, ModuleType):
            found = _only(group, found)
    except (Exception, SystemExit) as error:
        ends = "it ends the program when imported: " if isinstance(error, SystemExit) else ""
        raise group.error(
            f"{what} cannot be loaded: {ends}{_reason(error)}; repair or uninstall its package"
        ) from error
    if not group.is_entry(found):
        wanted = "an object" if group.is_object else "a subclass"
        raise group.error(f"{what} is not {wanted} of {group.known_as}")
    entry = cast("Entry", found)
    if group.check is not None:
        try:
            group.check(entry)
        except InputError as error:
            raise group.error(f"{what}: {error}") from None
        except (Exception, SystemExit) as error:
            raise group.error(
                f"{what} cannot be checked: {type(error).__name__}: {_reason(error)}; repair or uninstall "
                "its package"
            ) from error
    return entry


def _reason(error: BaseException) -> str:
    """First line of an error raised by plug-in code, which may raise anything; else the error's class."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _only(group: EntryPointGroup[Any], module: ModuleType) -> object:
    """The only entry that a module exports; else the module itself, which is not a valid entry."""
    exported = [getattr(module, name) for name in getattr(module, "__all__", ())]
    entries = [one for one in exported if group.is_entry(one)]
    return entries[0] if len(entries) == 1 else module
