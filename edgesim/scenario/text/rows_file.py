"""Reading of a user's file of rows: validation and conversion with the position of every mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from edgesim.errors import InputError
from edgesim.files import UnreadableFileError, read_bounded, text_of
from edgesim.scenario.text.document import MAX_SIZE_BYTES
from edgesim.scenario.text.problems import Problem, ProblemsError, from_validation
from edgesim.scenario.text.section import Section

__all__ = ["each_row", "file_text", "validated"]

Read = TypeVar("Read", bound=Section)
Row = TypeVar("Row")
Taken = TypeVar("Taken")


def file_text(file: Path, expected: str) -> str:
    """Return a file's text.

    Raises
    ------
    InputError
        If the file cannot be read; `expected` names the file to give instead.
    """
    try:
        return text_of(read_bounded(file, MAX_SIZE_BYTES))
    except UnreadableFileError as error:
        raise InputError(f"{file}: cannot be read: {error}; give {expected}") from None


def validated(
    kind: type[Read],
    content: Mapping[str, Any],
    known: Mapping[str, str],
    place: Callable[[Problem], str],
) -> Read:
    """Validate a file's content as a section.

    Parameters
    ----------
    known
        Valid keys with their descriptions, to suggest for a misspelt key.
    place
        Returns the position of a problem in the file.

    Raises
    ------
    ProblemsError
        Listing all mistakes with their positions.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problems = from_validation(error, known)
        raise ProblemsError(problems, [place(problem) for problem in problems]) from None


def each_row(
    name: str, rows: Sequence[Row], take: Callable[[Row], Taken], place: Callable[[Problem], str]
) -> list[Taken]:
    """Return ``take(row)`` for each row of the list that is called `name` in the file.

    Raises
    ------
    ProblemsError
        Listing the positions of all rows for which `take` raises an InputError.
    """
    taken, problems = [], []
    for index, row in enumerate(rows):
        try:
            taken.append(take(row))
        except InputError as error:
            problems.append(Problem((name, index), str(error)))
    if problems:
        raise ProblemsError(problems, [place(problem) for problem in problems])
    return taken
