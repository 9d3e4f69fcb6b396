"""Axes of swept values, and the cells that combine them."""

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
"""Column names that no axis may have. Metric names contain a unit or are no scenario key."""

MOST_CELLS = 100_000
_QUANTITY = re.compile(r"\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<unit>.*?)\s*")
_BRACKETS = {"[": "]", "{": "}", "(": ")"}


@dataclass(frozen=True)
class Axis:
    """One varied quantity.

    Attributes
    ----------
    label
        Short name, used as a column name: the shortest end of the path that no other axis shares.
    path
        Path in the scenario; empty for named lists of changes.
    values
        The values as shown in the results, in the order given.
    changes
        For each value, the overrides that apply it.
    """

    label: str
    path: str
    values: tuple[Value, ...]
    changes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Cell:
    """One combination of values, with the overrides that apply it to the scenario.

    `strategies` lists those to run; empty means all.
    """

    number: int
    values: tuple[Value, ...]
    overrides: tuple[str, ...]
    strategies: tuple[str, ...] = ()

    def named(self, axes: Sequence[Axis]) -> str:
        """Return the cell's number and values: ``cell 3 (poisson = 1 Hz)``."""
        stated = ", ".join(f"{axis.label} = {value}" for axis, value in zip(axes, self.values, strict=True))
        return f"cell {self.number}" + (f" ({stated})" if stated else "")


def split_values(text: str, separator: str = ",") -> list[str]:
    """Split at separators outside brackets and quotes: ``{poisson: 1 Hz},{poisson: 2 Hz}`` is two parts."""
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
    """Split a value into its leading number and its unit as written: ``0.5 Hz`` gives 0.5 and ``Hz``.

    None if it does not begin with a number.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value), ""
    found = _QUANTITY.fullmatch(value)
    return None if found is None else (float(found["number"]), found["unit"])


def values_of(settings: Iterable[str]) -> dict[str, list[Any]]:
    """Parse ``path=a,b,c`` settings of the command line.

    Raises
    ------
    InputError
        If a setting is not a path with values, a value is empty, or a path occurs twice.
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
    """Parse ``name: path=value; path=value`` cases of the command line.

    Raises
    ------
    InputError
        If a case has no name or no change, or a name occurs twice.
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
            raise InputError(f"--case {text}: there is a case {name!r} already; give each its own name")
        found[name] = changes
    return found


def axes_of(swept: Mapping[str, Sequence[Any]], labels: Mapping[str, str]) -> list[Axis]:
    """Make one axis per path, with the given labels.

    Raises
    ------
    InputError
        If a path has no value, or the same value twice.
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
    """Make one axis from named lists of changes."""
    changes = tuple(tuple(overrides) for overrides in cases.values())
    return Axis("case", "", tuple(cases), changes)


def grid(axes: Sequence[Axis], *, zipped: bool = False) -> list[Cell]:
    """Combine axes into cells: all combinations with the last axis varying fastest, or all axes in step.

    Raises
    ------
    InputError
        If axes in step differ in length, or there would be too many cells.
    """
    lengths = [len(axis.values) for axis in axes]
    if zipped and len(set(lengths)) > 1:
        stated = ", ".join(f"{axis.label} has {n}" for axis, n in zip(axes, lengths, strict=True))
        raise InputError(f"--zip: expected the same number of values on every axis, got: {stated}")
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
    """Map each path to its shortest trailing part that no other path ends with and that is not reserved."""
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
    """Return a value as shown in results: a number, a bool, or text."""
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
    """Parse a text as int or float; return it unchanged if it is neither."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _as_given(values: Sequence[Value]) -> tuple[Value, ...]:
    """Convert values to one type, as a column requires: numbers if all are numbers, else texts."""
    kinds = {type(value) for value in values}
    if len(kinds) <= 1:
        return tuple(values)
    if kinds <= {int, float}:
        return tuple(float(value) for value in values)
    return tuple(_text(value) for value in values)


def _text(value: Any) -> str:
    """Write a value as the right-hand side of an override: YAML, of which JSON is a subset."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, str) else json.dumps(value)
