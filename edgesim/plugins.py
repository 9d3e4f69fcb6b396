"""Plug-ins: one loader for everything that arrives by a name, from edgesim's own folders and other packages.

An :class:`EntryPointGroup` says what a kind of entry must be. Other packages offer entries through entry
points of the group's name; edgesim's own are modules of one folder, or entry points as well. All are loaded
by name when they are requested, and checked and refused by the same rules.
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
    """A group of entry points: every entry is a subclass of one base, or an object of it.

    Parameters
    ----------
    name
        As packages write it in their metadata, such as ``edgesim.strategies``.
    noun, listing
        What messages call an entry, and which ``edgesim list`` shows all.
    base
        The class of which each is a subclass, or an object; of objects also several classes.
    known_as
        Under which name users import that class.
    error
        Raised for an entry that is unknown or cannot be loaded.
    check
        What else is asked of an entry; it raises an :class:`~edgesim.errors.InputError`.
    is_object
        Whether entries are objects of the base; else they are subclasses.
    home
        The package whose modules are edgesim's own entries, each exporting one under any name; the module's
        name is the entry's. Empty where edgesim's own are entry points, too.
    joint
        What stands in an entry's name for an underscore of its module's name.
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
        """Whether it is what the group asks for."""
        if self.is_object:
            return isinstance(found, self.base)
        return isinstance(found, type) and issubclass(found, self.base) and found is not self.base


def names(group: EntryPointGroup[Any]) -> tuple[str, ...]:
    """Name every entry of a group, loading none: edgesim's own and those of other packages."""
    return tuple(sorted(_points(group)))


def own_names(group: EntryPointGroup[Any]) -> tuple[str, ...]:
    """Name edgesim's own entries in the group's folder."""
    return tuple(
        sorted(name for name, points in _points(group).items() if any(_is_own(group, one) for one in points))
    )


def discover_all(group: EntryPointGroup[Entry]) -> dict[str, Entry | InputError]:
    """Load every entry of a group; in the place of one that cannot be loaded stands why."""
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
        The group's own, if an installed plug-in cannot be imported, is not what the group asks for, or has
        a name that is taken.
    """
    return {name: load(group, name) for name in names(group)}


def load(group: EntryPointGroup[Entry], name: str) -> Entry:
    """Load one entry of a group.

    Raises
    ------
    InputError
        The group's own, if none has that name (the message names the nearest), two have it, or it cannot be
        loaded.
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
                f"an installed package calls a {group.noun} {name!r} ({others[0].value}), which is the name "
                f"of one of edgesim's own ({ours[0]}); rename it in that package, or uninstall it"
            )
        raise group.error(
            f"two installed packages call a {group.noun} {name!r} ({point.value} and {others[0].value}); "
            "uninstall one of them"
        )
    return _load(group, point)


def require_methods(kind: type, base: type, methods: Mapping[str, str]) -> None:
    """Refuse a class that lacks one of its base's methods, or whose method takes other arguments.

    Parameters
    ----------
    methods
        By name the arguments beside ``self`` with which each is called, such as ``"rng, at_s"``.

    Raises
    ------
    InputError
        Saying what to write.
    """
    for method, given in methods.items():
        write = f"write {method}(self{', ' if given else ''}{given})"
        function = getattr_static(kind, method, None)
        if function is getattr_static(base, method, None):
            raise InputError(f"class {kind.__qualname__} has no {method} of its own; {write}")
        if not isfunction(function):
            continue
        try:
            signature(function).bind(None, *filter(None, given.split(", ")))
        except (TypeError, ValueError):
            raise InputError(
                f"class {kind.__qualname__}: {method} does not take ({given}); {write}"
            ) from None


def first_line(entry: object) -> str:
    """Return what listings say of an entry: the first line of its docstring."""
    text = entry.__doc__
    return text.strip().partition("\n")[0] if isinstance(text, str) else ""


def _is_own(group: EntryPointGroup[Any], point: EntryPoint) -> bool:
    return bool(group.home) and point.value.startswith(f"{group.home}.")


def _points(group: EntryPointGroup[Any]) -> Mapping[str, tuple[EntryPoint, ...]]:
    """All that have a name, by it: edgesim's own first; several of one name are one mistake of that name."""
    return _found(entry_points, group.name, group.home, group.joint, tuple(sys.path))


@cache
def _found(
    look: Callable[..., Any], group: str, home: str, joint: str, path: tuple[str, ...]
) -> Mapping[str, tuple[EntryPoint, ...]]:
    """Look once: reading what is installed takes ten milliseconds."""
    del path  # what is installed depends on it
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in (*_own_points(group, home, joint), *look(group=group)):
        same = found.get(point.name, ())
        if point.value not in (other.value for other in same):  # a checkout that is installed and on the path
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
        asks = "it ends the program as it is imported: " if isinstance(error, SystemExit) else ""
        raise group.error(
            f"{what} cannot be loaded: {asks}{_reason(error)}; repair or uninstall its package"
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
    """What went wrong in the code of an author, who may have anything fail, or end the program."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _only(group: EntryPointGroup[Any], module: ModuleType) -> object:
    """The one entry that a module exports; itself, which is none, where there is none or are several."""
    exported = [getattr(module, name) for name in getattr(module, "__all__", ())]
    entries = [one for one in exported if group.is_entry(one)]
    return entries[0] if len(entries) == 1 else module
