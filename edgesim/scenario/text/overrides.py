"""Changes to a scenario from the command line: ``--set topology.devices.camera.count=4``."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any, NoReturn

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from edgesim.errors import ScenarioError
from edgesim.nearest import suggest
from edgesim.scenario.text.document import Document, read_value
from edgesim.scenario.text.problems import Path, path_text, shown

__all__ = ["apply", "value_at"]

_STEP = re.compile(r"\.?(?P<key>[^.\[\]=\s]+)|\[(?P<index>\d+)\]")
_NAMING_KEYS = ("id", "label", "use")


def apply(document: Document, override: str) -> None:
    """Set one value in a document.

    The path consists of keys and, for entries of a list, an index (``strategies[1].partition`` or
    ``strategies.1.partition``) or the entry's id, label or strategy (``topology.devices.camera.count``). The
    value is YAML. Keys that the file does not have are added; whether they are valid is checked later, with
    the rest of the scenario.

    Raises
    ------
    ScenarioError
        If the text is not an override, or a step of its path does not exist.
    """
    left, equals, right = override.partition("=")
    where = f"--set {override}"
    if not equals or not right.strip():
        raise ScenarioError(f"{where}: expected path=value, such as horizon='5 min'")
    steps = _steps(left.strip(), where)
    value = read_value(right, where)
    node: Any = document.root
    path: Path = ()
    for step in steps[:-1]:
        key = _resolve(node, step, path, where)
        if isinstance(node, CommentedMap) and key not in node:
            node[key] = CommentedMap()
        # A copy: because of anchors the same node may occur elsewhere, where it must not change.
        node[key] = deepcopy(node[key])
        node, path = node[key], (*path, key)
    last = _resolve(node, steps[-1], path, where)
    node[last] = value
    document.replaced((*path, last), override)


def value_at(document: Document, path: str) -> Any:
    """Return the value at a path, written as for :func:`apply`.

    Raises
    ------
    ScenarioError
        If the text is not a path, or there is no value at it.
    """
    node, gone = document.root, ()  # type: Any, Path
    for step in _steps(path, path):
        key = _resolve(node, step, gone, path)
        if isinstance(node, CommentedMap) and key not in node:
            _refuse(document.name, gone, f"has no '{step}'; {suggest(step, map(str, node))}")
        node, gone = node[key], (*gone, key)
    return node


def _steps(text: str, where: str) -> list[str]:
    steps, position = [], 0
    while match := _STEP.match(text, position):
        steps.append(match["key"] or match["index"])
        position = match.end()
    if not steps or position != len(text):
        raise ScenarioError(
            f"{where}: '{text}' is not a path; expected one such as topology.devices.camera.count"
        )
    return steps


def _resolve(node: Any, step: str, path: Path, where: str) -> str | int:
    """Return the key or the index that a step refers to in this node."""
    if isinstance(node, CommentedMap):
        return step
    if isinstance(node, CommentedSeq):
        return _index(node, step, path, where)
    raise ScenarioError(
        f"{where}: {path_text(path)} is {shown(node)} and has no '{step}'; "
        f"set {path_text(path)[2:]} as a whole"
    )


def _index(entries: CommentedSeq, step: str, path: Path, where: str) -> int:
    if step.isdecimal():
        if int(step) < len(entries):
            return int(step)
        _refuse(where, path, f"has {len(entries)} entries, counted from 0; there is no [{step}]")
    names = [
        {str(entry[key]) for key in _NAMING_KEYS if key in entry}
        if isinstance(entry, CommentedMap)
        else set()
        for entry in entries
    ]
    found = [index for index, known in enumerate(names) if step in known]
    if len(found) == 1:
        return found[0]
    if found:
        listed = " or ".join(f"[{index}]" for index in found)
        _refuse(where, path, f"has several entries '{step}'; write {listed}, or give them labels")
    _refuse(where, path, f"has no entry '{step}'; {suggest(step, sorted(set().union(*names)))}")


def _refuse(where: str, path: Path, sentence: str) -> NoReturn:
    raise ScenarioError(f"{where}: {path_text(path)} {sentence}")
