"""Plug-ins: what other packages offer through entry points, found by name and checked when it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from edgesim.errors import InputError
from edgesim.nearest import suggest

__all__ = ["Group", "discover", "discover_all", "load"]

Base = TypeVar("Base")


@dataclass(frozen=True)
class Group(Generic[Base]):
    """An entry-point group: every entry is a subclass of one base.

    Parameters
    ----------
    name
        As packages write it in their metadata, such as ``edgesim.strategies``.
    noun, plural
        What messages call an entry, and several.
    base
        The class of which each is a subclass.
    known_as
        Under which name users import that class.
    error
        Raised for an entry that is unknown or cannot be loaded.
    check
        What else is asked of an entry; it raises the error of the group.
    """

    name: str
    noun: str
    plural: str
    base: type[Base]
    known_as: str
    error: type[InputError]
    check: Callable[[type[Base]], None] | None = None


def discover_all(group: Group[Base]) -> dict[str, type[Base] | InputError]:
    """Load every installed entry of a group; in the place of one that cannot be loaded stands why."""
    found: dict[str, type[Base] | InputError] = {}
    for name, point in sorted(_points(group).items()):
        try:
            found[name] = _load(group, point)
        except InputError as error:
            found[name] = error
    return found


def discover(group: Group[Base]) -> dict[str, type[Base]]:
    """Load every installed entry of a group, by its name in scenarios.

    Raises
    ------
    InputError
        The group's own, if an installed plug-in cannot be imported, or is not what the group asks for.
    """
    return {name: _load(group, point) for name, point in sorted(_points(group).items())}


def load(group: Group[Base], name: str) -> type[Base]:
    """Load one installed entry of a group.

    Raises
    ------
    InputError
        The group's own, if none has that name; the message names the nearest.
    """
    points = _points(group)
    if name not in points:
        raise group.error(
            f"no {group.noun} {name!r}; {suggest(name, sorted(points))} (edgesim list {group.plural})"
        )
    return _load(group, points[name])


def _points(group: Group[Base]) -> dict[str, EntryPoint]:
    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=group.name):
        other = points.setdefault(point.name, point)
        if other.value != point.value:
            raise group.error(
                f"two installed packages call a {group.noun} {point.name!r} ({other.value} and "
                f"{point.value}); uninstall one of them"
            )
    return points


def _load(group: Group[Base], point: EntryPoint) -> type[Base]:
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # a stranger's module may fail in any way, or end the program
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        asks = "it ends the program as it is imported: " if isinstance(error, SystemExit) else ""
        raise group.error(
            f"{group.noun} {point.name!r} ({point.value}) cannot be loaded: {asks}{reason}; "
            "repair or uninstall its package"
        ) from error
    if not (isinstance(found, type) and issubclass(found, group.base)):
        raise group.error(
            f"{group.noun} {point.name!r} ({point.value}) is not a subclass of {group.known_as}"
        )
    if group.check is not None:
        try:
            group.check(found)
        except group.error as error:
            raise group.error(f"{group.noun} {point.name!r} ({point.value}): {error}") from None
    return found
