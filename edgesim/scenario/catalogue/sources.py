"""Catalogues from installed packages, found through an entry-point group and read entry by entry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import Literal, TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML

from edgesim import plugins
from edgesim.errors import InputError, ScenarioError
from edgesim.nearest import suggest
from edgesim.plugins import EntryPointGroup
from edgesim.scenario.text.problems import from_validation, path_text
from edgesim.scenario.text.section import Section, known_keys

__all__ = ["CATALOGUES", "Catalogue", "Entries", "Part", "installed", "listed"]

Entry = TypeVar("Entry", bound=Section)
Part = Literal["devices", "models", "radios", "runtimes"]

_HEADING = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*):", re.MULTILINE)
_NOUNS: Mapping[Part, str] = {
    "devices": "device kind",
    "models": "model",
    "radios": "radio",
    "runtimes": "runtime",
}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Catalogue files of a package: device kinds, models, radios and runtimes, in edgesim's format.

    Each file is a mapping from names to entries, with names at the start of a line. Every figure of an entry
    gives its ``source``, or is marked as an ``estimate`` with its derivation.

    Parameters
    ----------
    package
        Package whose folder contains the files.
    devices, models, radios, runtimes
        Names of the files; empty if there is none.
    """

    package: str
    devices: str = ""
    models: str = ""
    radios: str = ""
    runtimes: str = ""

    def texts(self, part: Part) -> Mapping[str, str]:
        """Return the text of each entry of a part, by name.

        Raises
        ------
        InputError
            If two entries of a file have the same name.
        """
        file: str = getattr(self, part)
        if not file:
            return {}
        text = files(self.package).joinpath(file).read_text(encoding="utf-8")
        starts = [*_HEADING.finditer(text), None]
        entries: dict[str, str] = {}
        for start, after in pairwise(starts):
            assert start is not None, "only the last one is"
            if start["name"] in entries:
                raise InputError(f"{file} has two entries '{start['name']}'; rename or remove one")
            entries[start["name"]] = text[start.start() : None if after is None else after.start()]
        return entries


def _check(catalogue: Catalogue) -> None:
    for part in _NOUNS:
        file: str = getattr(catalogue, part)
        try:
            there = not file or files(catalogue.package).joinpath(file).is_file()
        except (Exception, SystemExit) as error:  # importing the package can raise anything
            raise InputError(
                f"no package {catalogue.package!r} ({error}); name the package with the files"
            ) from None
        if not there:
            raise InputError(
                f"'{part}' is {file!r}, but there is no such file in the folder of {catalogue.package}; "
                "is it part of the installed package?"
            )


CATALOGUES: EntryPointGroup[Catalogue] = EntryPointGroup(
    "edgesim.catalogues",
    "catalogue",
    "catalogues",
    Catalogue,
    "edgesim.scenario.catalogue.sources.Catalogue",
    ScenarioError,
    _check,
    is_object=True,
    home="edgesim.scenario.catalogue.shipped",
)
"""Entry-point group of catalogues, built-in and installed."""


class Entries(Mapping[str, Entry]):
    """Entries of one part of all catalogues by name, each parsed when it is first accessed.

    A name that occurs in two catalogues raises an error only when it is accessed.
    """

    def __init__(self, part: Part, kind: type[Entry], found: Mapping[str, Catalogue | InputError]) -> None:
        self._part, self._kind = part, kind
        self._texts: dict[str, dict[str, str]] = {}
        self.broken: list[str] = []
        for name, catalogue in found.items():
            if isinstance(catalogue, InputError):
                self.broken.append(str(catalogue))
                continue
            try:
                texts = catalogue.texts(part)
            except InputError as error:
                self.broken.append(f"catalogue {name!r} cannot be read: {error}")
                continue
            except (Exception, SystemExit) as error:  # reading its files can raise anything
                self.broken.append(f"catalogue {name!r} cannot be read: {type(error).__name__}: {error}")
                continue
            for entry, text in texts.items():
                self._texts.setdefault(entry, {})[name] = text
        self._known: dict[str, Entry] = {}

    def named(self, name: str) -> Entry:
        """Return one entry.

        Raises
        ------
        ScenarioError
            If no catalogue has that name (the message suggests the nearest, and lists catalogues that cannot
            be loaded), two catalogues have it, or the entry is invalid.
        """
        if name not in self:
            failed = "".join(f"; {sentence}" for sentence in self.broken)
            raise ScenarioError(
                f"no {_NOUNS[self._part]} '{name}'; {suggest(name, self)} (edgesim list {self._part}){failed}"
            )
        return self[name]

    def source(self, name: str) -> str:
        """Return the names of the catalogues that contain an entry."""
        return ", ".join(self._texts[name])

    def __getitem__(self, name: str) -> Entry:
        if name not in self._known:
            self._known[name] = self._made(name, self._texts[name])
        return self._known[name]

    def _made(self, name: str, texts: Mapping[str, str]) -> Entry:
        noun = _NOUNS[self._part]
        if len(texts) > 1:
            raise ScenarioError(
                f"the catalogues {' and '.join(texts)} both have a {noun} '{name}'; rename it in one of "
                "them, or uninstall its package"
            )
        ((catalogue, text),) = texts.items()
        try:
            (entry,) = YAML(typ="safe", pure=True).load(text).values()
            if isinstance(entry, Mapping) and "name" in self._kind.model_fields:
                entry = {"name": name, **entry}
            return self._kind.model_validate(entry)
        except ValidationError as error:
            problem, *_ = from_validation(error, known_keys(self._kind))
            reason = f"{path_text(problem.path)}: {problem.message}"
        except Exception as error:  # YAML's parser raises many kinds of errors
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ScenarioError(f"catalogue {catalogue!r}, {noun} '{name}': {reason}; correct it in its package")

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, name: object) -> bool:
        return name in self._texts


def installed() -> Mapping[str, Catalogue | InputError]:
    """Return every catalogue, edgesim's own first, or the error of one that cannot be loaded."""
    found = plugins.discover_all(CATALOGUES)
    return {name: found[name] for name in plugins.own_names(CATALOGUES)} | found


def listed(entries: Mapping[str, Entry]) -> Iterator[tuple[str, Entry | InputError]]:
    """Yield every entry by name, or the error of one that cannot be read."""
    for name in entries:
        try:
            yield name, entries[name]
        except InputError as error:
            yield name, error
