"""The strategies that a scenario compares, by their labels in results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from pydantic import ValidationError

from edgesim.errors import StrategyError
from edgesim.scenario.schema.scenario import Scenario, StrategyEntry
from edgesim.scenario.text.problems import Path, Problem, ProblemsError, from_validation
from edgesim.scenario.text.section import known_keys
from edgesim.strategy import Strategy, strategy_class

__all__ = ["strategies_and_problems", "strategies_by_label"]

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
_EXPECTATION = re.compile(r"expected (?P<expected>.*), got (?P<got>.*)", re.DOTALL)


def strategies_by_label(scenario: Scenario) -> Mapping[str, Strategy]:
    """Return the scenario's strategies by label, in its order.

    The default label is the strategy's name; several strategies of one name are distinguished by the values
    of the options in which they differ: ``pipeline-even``, ``pipeline-latency``. Trace folders are named
    after the labels.

    Raises
    ------
    ProblemsError
        If a strategy is not installed, its options are wrong, or two would have the same label.
    """
    found, problems = strategies_and_problems(scenario)
    if problems:
        raise ProblemsError(problems)
    return found


def strategies_and_problems(scenario: Scenario) -> tuple[Mapping[str, Strategy], list[Problem]]:
    """Return the valid strategies by label, and the problems of the others."""
    strategies: dict[int, Strategy] = {}
    problems: list[Problem] = []
    for index, entry in enumerate(scenario.strategies):
        made = _make(entry, ("strategies", index))
        if isinstance(made, Strategy):
            strategies[index] = made
        else:
            problems += made
    labelled: dict[str, Strategy] = {}
    seen: set[str] = set()
    for index, strategy in strategies.items():
        given = scenario.strategies[index].label
        label = _default_label(scenario.strategies, strategies, index) if given is None else given
        problems += _label_problems(label, seen, ("strategies", index))
        seen.add(label.casefold())
        labelled[label] = strategy
    return MappingProxyType(labelled), problems


def _make(entry: StrategyEntry, path: Path) -> Strategy | list[Problem]:
    try:
        make = strategy_class(entry.use)
    except StrategyError as error:
        return [Problem((*path, "use"), str(error))]
    try:
        return make.model_validate(entry.options)
    except ValidationError as error:
        return list(_one_per_option(from_validation(error, known_keys(make), path), len(path) + 1))


def _one_per_option(problems: Sequence[Problem], depth: int) -> Iterator[Problem]:
    """Join the messages for the alternatives of one option, which pydantic reports separately."""
    by_option: dict[Path, list[str]] = {}
    for problem in problems:
        by_option.setdefault(problem.path[:depth], []).append(problem.message)
    for path, messages in by_option.items():
        matches = [match for match in map(_EXPECTATION.fullmatch, messages) if match]
        if len(messages) > 1 and len(matches) == len(messages):
            expected = " or ".join(dict.fromkeys(match["expected"] for match in matches))
            yield Problem(path, f"expected {expected}, got {matches[0]['got']}")
        else:
            yield from (Problem(path, message) for message in messages)


def _default_label(entries: Sequence[StrategyEntry], strategies: Mapping[int, Strategy], index: int) -> str:
    peers = [s for i, s in strategies.items() if entries[i].use == entries[index].use]
    parts = [entries[index].use]
    for option in type(strategies[index]).model_fields:
        values = [getattr(peer, option) for peer in peers]
        if any(value != values[0] for value in values):
            parts += [_label_part(option, getattr(strategies[index], option))]
    return "-".join(filter(None, parts))[:80]


def _label_part(option: str, value: object) -> str:
    """Return a value's part of a label; a number is prefixed with its option's name, text is not."""
    if value is None or value in ((), ""):
        return ""
    if isinstance(value, bool):
        return option if value else f"no-{option}"
    if isinstance(value, tuple | list):
        text = "+".join(map(str, value))
    else:
        text = f"{option}-{value}" if isinstance(value, int | float) else str(value)
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-")


def _label_problems(label: str, seen: set[str], path: Path) -> Iterator[Problem]:
    if not _LABEL.fullmatch(label):
        expected = (
            "at most 80 letters, digits and . _ + -, starting with a letter or digit (it names a folder)"
        )
        yield Problem((*path, "label"), f"expected a label of {expected}; got '{label}'")
    elif label.casefold() in seen:
        yield Problem(
            path, f"an earlier strategy already has the label '{label}'; give this one another 'label'"
        )
