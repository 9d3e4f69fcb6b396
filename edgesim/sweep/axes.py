"""What is swept: axes of values, combined into cells."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from edgesim.errors import InputError

__all__ = [
    "RESERVED",
    "Axis",
    "Cell",
    "Value",
    "axes_of",
    "cases_axis",
    "cases_of",
    "grid",
    "labels_of",
    "split_number",
    "split_values",
    "values_of",
]

Value: TypeAlias = "int | float | str | bool"

RESERVED = frozenset({"cell", "strategy", "replication", "offered", "completed", "failed", "censored"})
"""Names of columns that no axis may have; names of metrics hold a unit or are none of a scenario's keys."""

MOST_CELLS = 100_000
_QUANTITY = re.compile(r"\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<unit>.*?)\s*")
_BRACKETS = {"[": "]", "{": "}", "(": ")"}


@dataclass(frozen=True)
class Axis:
    """One thing that is varied.

    Attributes
    ----------
    label
        Short name, a column's: the last part of the path that distinguishes it from the other axes.
    path
        Where in the scenario; empty for named lists of changes.
    values
        As they are given, and as results name them.
    changes
        For each value the overrides that stand for it.
    """

    label: str
    path: str
    values: tuple[Value, ...]
    changes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Cell:
    """One combination of values, and what it changes of the scenario.

    `strategies` are those it runs, all if empty.
    """

    number: int
    values: tuple[Value, ...]
    overrides: tuple[str, ...]
    strategies: tuple[str, ...] = ()

    def named(self, axes: Sequence[Axis]) -> str:
        """Say which it is: ``cell 3 (poisson = 1 Hz)``."""
        stated = ", ".join(f"{axis.label} = {value}" for axis, value in zip(axes, self.values, strict=True))
        return f"cell {self.number}" + (f" ({stated})" if stated else "")


def split_values(text: str, separator: str = ",") -> list[str]:
    """Split at separators outside of brackets and quotes: ``{poisson: 1 Hz},{poisson: 2 Hz}`` is two."""
    parts, depth, quote, part = [], list[str](), "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _BRACKETS:
            depth.append(_BRACKETS[letter])
        elif depth and letter == depth[-1]:
            depth.pop()
        elif letter == separator and not depth:
            parts.append(part.strip())
            part = ""
            continue
        part += letter
    return [*parts, part.strip()]


def split_number(value: Value) -> tuple[float, str] | None:
    """Return the number that a value begins with, and its unit as written: ``0.5 Hz`` is 0.5 and ``Hz``."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value), ""
    found = _QUANTITY.fullmatch(value)
    return None if found is None else (float(found["number"]), found["unit"])


def values_of(settings: Iterable[str]) -> dict[str, list[Any]]:
    """Read ``path=a,b,c`` of the command line.

    Raises
    ------
    InputError
        If one is no path with values, a value is empty, or a path is named twice.
    """
    found: dict[str, list[Any]] = {}
    for setting in settings:
        path, equals, right = setting.partition("=")
        values = split_values(right)
        path = path.strip()
        if not equals or not path or not all(values):
            raise InputError(
                f"--set {setting}: expected path=value,value,..., such as "
                "workload.arrivals.poisson='0.5 Hz,1 Hz'"
            )
        if path in found:
            raise InputError(f"--set {setting}: {path} is set twice; give all of its values in one --set")
        found[path] = list(values)
    return found


def cases_of(texts: Iterable[str]) -> dict[str, list[str]]:
    """Read ``name: path=value; path=value`` of the command line.

    Raises
    ------
    InputError
        If one has no name or no change, or a name is given twice.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        name, colon, right = text.partition(":")
        name, changes = name.strip(), [change for change in split_values(right, ";") if change]
        if not colon or not name or not changes or "=" in name:
            raise InputError(
                f"--case {text}: expected a name and changes, such as "
                "'crowd: workload.arrivals.poisson=5 Hz; topology.devices.camera.count=8'"
            )
        if name in found:
            raise InputError(f"--case {text}: there is a case {name!r} already; give each a name of its own")
        found[name] = changes
    return found


def axes_of(swept: Mapping[str, Sequence[Any]], labels: Mapping[str, str]) -> list[Axis]:
    """Make an axis of every path, under its label.

    Raises
    ------
    InputError
        If a path has no value, or one twice.
    """
    found = []
    for path, given in swept.items():
        values = _as_given([_plain(path, value) for value in given])
        if not values:
            raise InputError(f"{path}: expected values to sweep over, got none")
        if twice := [value for value, n in Counter(values).items() if n > 1]:
            raise InputError(f"{path}: the value {twice[0]} is given twice; expected each once")
        texts = [_text(value) for value in given]
        found.append(Axis(labels[path], path, values, tuple((f"{path}={text}",) for text in texts)))
    return found


def cases_axis(cases: Mapping[str, Sequence[str]]) -> Axis:
    """Make one axis of named lists of changes."""
    changes = tuple(tuple(overrides) for overrides in cases.values())
    return Axis("case", "", tuple(cases), changes)


def grid(axes: Sequence[Axis], *, zipped: bool = False) -> list[Cell]:
    """Combine axes into cells: every value with every other, the last axis fastest, or in step.

    Raises
    ------
    InputError
        If axes that go in step differ in length, or there are too many cells.
    """
    lengths = [len(axis.values) for axis in axes]
    if zipped and len(set(lengths)) > 1:
        stated = ", ".join(f"{axis.label} has {n}" for axis, n in zip(axes, lengths, strict=True))
        raise InputError(f"--zip: expected as many values on every axis, got: {stated}")
    if not zipped and np.prod(lengths, dtype=np.float64) > MOST_CELLS:
        raise InputError(f"--set: more than {MOST_CELLS:,} cells; sweep over fewer values")
    return list(_cells(axes, zipped=zipped))


def _cells(axes: Sequence[Axis], *, zipped: bool) -> Iterator[Cell]:
    ranges = [range(len(axis.values)) for axis in axes]
    steps = zip(*ranges, strict=True) if zipped and axes else product(*ranges)
    for number, step in enumerate(steps):
        chosen = list(zip(axes, step, strict=True))
        yield Cell(
            number,
            tuple(axis.values[at] for axis, at in chosen),
            tuple(change for axis, at in chosen for change in axis.changes[at]),
        )


def labels_of(paths: Sequence[str]) -> dict[str, str]:
    """Give each path the shortest end of its path that no other path ends with, and that is free."""
    parts = {path: path.replace("[", ".").replace("]", "").split(".") for path in paths}
    found = {}
    for path, own in parts.items():
        others = [each for other, each in parts.items() if other != path]
        for n in range(1, len(own) + 1):
            label = ".".join(own[-n:])
            if label in RESERVED or label.isdecimal() or "=" in label:
                continue
            if not any(each[-n:] == own[-n:] for each in others):
                break
        found[path] = label if label not in RESERVED else f"{label}_value"
    return found


def _plain(path: str, value: Any) -> Value:
    """Return a value as it is named in results: a number, a truth, or text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return _number(value)
    if isinstance(value, bool | int | float):
        return value
    if value is None or isinstance(value, Mapping | list | tuple):
        return _text(value)
    raise InputError(f"{path}: expected numbers, texts, lists or mappings to sweep over, got {value!r:.60}")


def _number(text: str) -> Value:
    """Return the number that a text is, or the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _as_given(values: Sequence[Value]) -> tuple[Value, ...]:
    """All of one type, as a column needs them: numbers if all are, else texts."""
    kinds = {type(value) for value in values}
    if len(kinds) <= 1:
        return tuple(values)
    if kinds <= {int, float}:
        return tuple(float(value) for value in values)
    return tuple(_text(value) for value in values)


def _text(value: Any) -> str:
    """Write a value as an override's right-hand side: YAML, of which JSON is a part."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, str) else json.dumps(value)
