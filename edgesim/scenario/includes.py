"""Inclusion of kinds, devices, switches and links from other files: ``include: lab.yaml``.

An included file is YAML, with the same restrictions as a scenario, and some of the keys ``kinds`` (as in a
scenario), ``devices``, ``switches`` and ``links`` (as in ``topology``), and ``include`` for further files.
Its entries are appended to the scenario's own, file by file, so that indices of the latter do not change. A
file that is included twice counts once.

Paths are relative to the folder of the file that contains them: those in ``include``, and also those of
recordings, tracks and profiles.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from edgesim.files import absolute, is_there, user_path
from edgesim.nearest import suggest
from edgesim.scenario.named_files import FILE_KEYS
from edgesim.scenario.text.document import Document, commented
from edgesim.scenario.text.problems import Path, Problem, shown
from edgesim.scenario.text.reading import read_text

__all__ = ["expand", "sets_includes"]

_LISTS = ("devices", "switches", "links")
_KEYS = ("kinds", *_LISTS, "include")
_EXPECTED = f"a mapping with some of {', '.join(_KEYS)}"
MOST_FILES = 100


@dataclass
class _Found:
    """Contents of included files: entries with their positions, and names and digests of the files."""

    kinds: list[tuple[str, Any, Document]] = field(default_factory=list)
    entries: dict[str, list[tuple[Any, Document, int]]] = field(default_factory=dict)
    files: dict[FilePath, tuple[str, str]] = field(default_factory=dict)


def sets_includes(override: str) -> bool:
    """Whether an override sets ``include``; such overrides are applied before files are read."""
    return re.match(r"\s*include\s*([.=\[]|$)", override) is not None


def expand(document: Document, folder: FilePath) -> tuple[tuple[str, str], ...]:
    """Insert the contents of included files into a document, and remove its key ``include``.

    Parameters
    ----------
    folder
        Folder in which the document's relative paths start.

    Returns
    -------
    Names of the files, relative to `folder`, each with its SHA-256; none if nothing is included.

    Raises
    ------
    ScenarioError
        Naming file and line, if a file cannot be read, contains something else, or includes itself, or if two
        define the same kind.
    """
    if "include" not in document.root:
        return ()
    found = _Found()
    # The scenario's own file may not be included, even if the text was not read from it.
    own = absolute(user_path(folder, FilePath(document.name).name))
    _collect(document, folder, folder, (own,), found)
    del document.root["include"]
    _graft(document, found)
    return tuple(found.files.values())


def _collect(
    document: Document, folder: FilePath, root: FilePath, chain: tuple[FilePath, ...], found: _Found
) -> None:
    for name, at in _names(document):
        file = user_path(folder, name)
        path = absolute(file)
        if path in chain:
            ways = " includes ".join(f"'{each.name}'" for each in (*chain[chain.index(path) :], path))
            raise document.error(
                [Problem(at, f"{ways}: a file cannot include itself; leave one of them out")]
            )
        if path in found.files:
            continue
        if len(found.files) >= MOST_FILES:
            raise document.error([Problem(at, f"more than {MOST_FILES} included files; merge some of them")])
        if not is_there(file) or not file.is_file():
            raise document.error([Problem(at, f"no file '{name}' to include (looked for {file})")])
        shown_name = _from(root, path)
        included = Document.parse(read_text(file, str(file)), str(file), _EXPECTED)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        found.files[path] = (shown_name, digest)
        _take(included, FilePath(shown_name).parent, file.parent, found)
        if "include" in included.root:
            _collect(included, file.parent, root, (*chain, path), found)


def _names(document: Document) -> Iterator[tuple[str, Path]]:
    listed = document.root["include"]
    entries = list(listed) if isinstance(listed, CommentedSeq) else [listed]
    for index, entry in enumerate(entries):
        at: Path = ("include", index) if isinstance(listed, CommentedSeq) else ("include",)
        if not isinstance(entry, str) or not entry.strip() or "\0" in entry:
            raise document.error([Problem(at, f"expected the path of a YAML file, got {shown(entry)}")])
        yield str(entry), at


def _take(included: Document, prefix: FilePath, folder: FilePath, found: _Found) -> None:
    """Add an included file's own entries to those found."""
    content = included.plain()
    for key, value in content.items():
        if key not in _KEYS:
            message = f"unknown key '{key}' in an included file; {suggest(key, _KEYS)}"
            raise included.error([Problem((key,), message)])
        expected, word = (dict, "a mapping") if key == "kinds" else (list, "a list")
        if key != "include" and value is not None and not isinstance(value, expected):
            raise included.error([Problem((key,), f"expected {word}, got {shown(value)}")])
    for name, kind in (content.get("kinds") or {}).items():
        found.kinds.append((name, _moved(kind, prefix, folder), included))
    for key in _LISTS:
        for index, entry in enumerate(content.get(key) or ()):
            moved = _moved(entry, prefix, folder)
            found.entries.setdefault(key, []).append((moved, included, index))


def _graft(document: Document, found: _Found) -> None:
    """Insert all entries into the scenario's document."""
    root = document.root
    kinds = root.setdefault("kinds", CommentedMap()) if found.kinds else None
    if kinds is None and found.kinds:  # `kinds:` without a value
        kinds = root["kinds"] = CommentedMap()
    for name, kind, source in found.kinds:
        if not isinstance(kinds, CommentedMap):
            break  # the schema refuses it
        if name in kinds:
            where = document.place(("kinds", name))
            raise source.error(
                [Problem(("kinds", name), f"kind '{name}' is already defined in {where}; rename one of them")]
            )
        kinds[name] = commented(kind)
        document.grafted(("kinds", name), source, ("kinds", name))
    if found.entries and root.get("topology") is None:
        root["topology"] = CommentedMap()
    topology = root.get("topology")
    for key, entries in found.entries.items():
        if not isinstance(topology, CommentedMap):
            break
        if topology.get(key) is None:
            topology[key] = CommentedSeq()
        own = topology[key]
        if not isinstance(own, CommentedSeq):
            continue
        for entry, source, index in entries:
            document.grafted(("topology", key, len(own)), source, (key, index))
            own.append(commented(entry))


def _moved(value: Any, prefix: FilePath, folder: FilePath, key: str = "") -> Any:
    """Make the paths in an included file's entries relative to the scenario's folder.

    Parameters
    ----------
    prefix
        The included file's folder, relative to the scenario's.
    folder
        The included file's folder as opened from the working directory; a profile's name is a path if there
        is such a file.
    """
    if isinstance(value, dict):
        return {
            name: _moved(each, prefix, folder, key if name in ("up", "down") else name)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_moved(each, prefix, folder, key) for each in value]
    if not isinstance(value, str) or not value or prefix == FilePath():
        return value
    is_file = key in FILE_KEYS or (key == "profile" and is_there(user_path(folder, value)))
    if not is_file or value.startswith("~") or FilePath(value).is_absolute():
        return value
    return str(prefix / value)


def _from(root: FilePath, path: FilePath) -> str:
    """Return a path relative to the scenario's folder, with forward slashes on any system."""
    try:
        return FilePath(os.path.relpath(path, root)).as_posix()
    except ValueError:  # on another drive
        return path.as_posix()
