"""Digests of the files that a scenario names, except its request trace and graph: recordings and tracks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgesim.files import sha256_of, user_path
from edgesim.scenario.schema.scenario import Scenario

__all__ = ["FILE_KEYS", "WAYS", "named_files"]

FILE_KEYS = ("file", "path", "tokenizer")
"""Keys whose values are file names, one each or one per direction."""

WAYS = ("up", "down")


def named_files(scenario: Scenario) -> dict[str, str]:
    """Return the names and current SHA-256 of included files, and of files of recorded rates and tracks."""
    topology = scenario.topology.model_dump(mode="json", exclude={"file"})
    found: dict[str, str] = dict(scenario.origin.included)
    for name in dict.fromkeys(_names(topology)):
        file = user_path(scenario.origin.folder, name)
        if file.is_file():
            found[name] = sha256_of(file)
    return found


def _names(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _names(each, key if name in WAYS else str(name))
    elif isinstance(value, list):
        for each in value:
            yield from _names(each, key)
    elif isinstance(value, str) and key in FILE_KEYS and 0 < len(value) < 1000 and "\0" not in value:
        yield value
