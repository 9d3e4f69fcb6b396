"""Where catalogues come from: files of packages, through one group of entry points; read entry by entry."""

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
    """Files of a package with kinds of devices and radios, models and runtimes, as edgesim's own have them.

    Each is a mapping from names to entries; a name begins its line. Every figure of an entry states its
    ``source``, or that it is an ``estimate`` and how it came about.

    Parameters
    ----------
    package
        The package in whose folder the files are.
    devices, models, radios, runtimes
        Names of the files; empty where there is none.
    """

    package: str
    devices: str = ""
    models: str = ""
    radios: str = ""
    runtimes: str = ""

    def texts(self, part: Part) -> Mapping[str, str]:
        """Text of each entry of a part, by its name."""
        file: str = getattr(self, part)
        if not file:
            return {}
        text = files(self.package).joinpath(file).read_text(encoding="utf-8")
        starts = [*_HEADING.finditer(text), None]
        return {
            start["name"]: text[start.start() : None if after is None else after.start()]
            for start, after in pairwise(starts)
            if start is not None
        }


def _check(catalogue: Catalogue) -> None:
    for part in _NOUNS:
        file: str = getattr(catalogue, part)
        try:
            there = not file or files(catalogue.package).joinpath(file).is_file()
        except (Exception, SystemExit) as error:  # the package is imported for that
            raise InputError(
                f"no package {catalogue.package!r} ({error}); name the one with the files"
            ) from None
        if not there:
            raise InputError(
                f"'{part}' is {file!r}, and there is no such file in the folder of {catalogue.package}; "
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
"""Catalogues arrive through this group of entry points, and edgesim's own beside them."""


class Entries(Mapping[str, Entry]):
    """The entries of one part of all catalogues by name, each read when it is asked for: few of them are.

    A name that two catalogues have is a mistake where it is asked for, and nowhere else.
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
            except (Exception, SystemExit) as error:  # its files may be anything
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
            If none has that name (the message names the nearest, and catalogues that cannot be loaded), two
            catalogues have it, or it is not as it should be.
        """
        if name not in self:
            failed = "".join(f"; {sentence}" for sentence in self.broken)
            raise ScenarioError(
                f"no {_NOUNS[self._part]} '{name}'; {suggest(name, self)} (edgesim list {self._part}){failed}"
            )
        return self[name]

    def source(self, name: str) -> str:
        """Return the catalogues that an entry is from."""
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
        except Exception as error:  # of YAML's parser, which fails in many ways
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ScenarioError(f"catalogue {catalogue!r}, {noun} '{name}': {reason}; correct it in its package")

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, name: object) -> bool:
        return name in self._texts


def installed() -> Mapping[str, Catalogue | InputError]:
    """Return every catalogue, edgesim's own first; in the place of one that cannot be loaded stands why."""
    found = plugins.discover_all(CATALOGUES)
    return {name: found[name] for name in plugins.own_names(CATALOGUES)} | found


def listed(entries: Mapping[str, Entry]) -> Iterator[tuple[str, Entry | InputError]]:
    """Yield every entry by name; in the place of one that cannot be read stands why."""
    for name in entries:
        try:
            yield name, entries[name]
        except InputError as error:
            yield name, error
