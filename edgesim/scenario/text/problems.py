"""Mistakes in a scenario: their positions and messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from edgesim.errors import ScenarioError
from edgesim.nearest import nearest, suggest

__all__ = [
    "Path",
    "Problem",
    "ProblemsError",
    "explain",
    "explain_all",
    "from_validation",
    "path_text",
    "shown",
]

Path = tuple[str | int, ...]
"""Keys and indices from the root of the document down."""


N_LISTED = 10
N_SHOWN = 60

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: its path in the document, and a message with what was found, expected and what to do."""

    path: Path
    message: str


class ProblemsError(ScenarioError):
    """Error that lists the mistakes of a scenario, one per line.

    Parameters
    ----------
    problems
        The mistakes, in the order in which to list them.
    places
        Positions of the mistakes in a file, one for each; by default their paths.
    """

    def __init__(self, problems: Sequence[Problem], places: Iterable[str] = ()) -> None:
        self.problems = tuple(problems)
        self.places = tuple(places) or tuple(path_text(problem.path) for problem in problems)
        lines = [f"{place}: {problem.message}" for place, problem in zip(self.places, problems, strict=True)]
        if len(lines) > N_LISTED:
            lines[N_LISTED:] = [f"and {len(lines) - N_LISTED} more"]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[ProblemsError], tuple[object, ...]]:
        """Pickle problems and places; by default only an exception's message would be kept."""
        return type(self), (self.problems, self.places)


def path_text(path: Path) -> str:
    """Write a path as ``$.topology.links[0].wired``."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def shown(value: object) -> str:
    """Return a value's repr, shortened to one line."""
    text = repr(value)
    return text if len(text) <= N_SHOWN else f"{text[:N_SHOWN]}..."


def explain(line: ErrorDetails, keys: Mapping[str, str]) -> Problem:
    """Convert one line of a pydantic report to a problem with a readable message.

    Parameters
    ----------
    line
        The line; its location is relative to the model that reported it.
    keys
        Keys of the model, with their descriptions.
    """
    path, found, context = line["loc"], line["input"], line.get("ctx", {})
    match line["type"]:
        case "edgesim":
            sentence = line["msg"]
        case "missing":
            key, path = str(path[-1]), path[:-1]
            about = keys.get(key, "").split(". ")[0].rstrip(".")
            sentence = f"'{key}' is missing" + (f" ({about[0].lower()}{about[1:]})" if about else "")
        case "extra_forbidden":
            sentence = f"unknown key '{path[-1]}'; {suggest(path[-1], keys)}"
        case "model_type" | "model_attributes_type":
            sentence = f"expected a mapping with keys such as {', '.join(list(keys)[:4])}, got {shown(found)}"
        case "value_error" | "assertion_error":
            sentence = str(context["error"])
        case "literal_error" | "enum":
            sentence = f"expected {context['expected']}, got {shown(found)}"
        case kind if kind in _EXPECTED:
            sentence = f"expected {_EXPECTED[kind]}, got {shown(found)}"
        case _:
            sentence = f"{line['msg'].replace('Input should', 'this should')}, got {shown(found)}"
    return Problem(path, sentence)


def from_validation(error: ValidationError, keys: Mapping[str, str], at: Path = ()) -> list[Problem]:
    """Convert a pydantic report to problems whose paths start at ``at``."""
    return [Problem((*at, *problem.path), problem.message) for problem in explain_all(error, keys)]


def explain_all(error: ValidationError, keys: Mapping[str, str]) -> list[Problem]:
    """Convert every line of a report; a mistyped key is not also reported as the missing right key."""
    lines = error.errors(include_url=False)
    mistyped = {
        (*line["loc"][:-1], nearest(line["loc"][-1], keys))
        for line in lines
        if line["type"] == "extra_forbidden"
    }
    return [explain(line, keys) for line in lines if line["type"] != "missing" or line["loc"] not in mistyped]
