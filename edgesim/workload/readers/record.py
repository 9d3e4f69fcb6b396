"""Interface of readers and their records, and functions that open and refuse files.

A reader is a :class:`Format`, an object that a package offers through the entry point group
``edgesim.readers``; edgesim's own readers are in :mod:`edgesim.workload.readers.formats`, one file each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn, TextIO

from edgesim.csv_rows import CsvError
from edgesim.errors import WorkloadError
from edgesim.files import UnreadableFileError, opened_text

__all__ = [
    "Format",
    "Head",
    "LaterTurn",
    "Record",
    "TextLength",
    "has_columns",
    "has_item_keys",
    "has_keys",
    "opened",
    "refuse",
    "whole",
]

MOST_TOKENS = 1_000_000_000  # of a prompt or an answer: beyond any context

TextLength = Callable[[str], int]
"""Returns the number of tokens of a text, for files that contain text."""


class LaterTurn(NamedTuple):
    """A later turn of a recorded conversation; its pause is None if the file does not contain it."""

    pause_s: float | None
    n_prompt_tokens: int
    n_output_tokens: int


class Record(NamedTuple):
    """One request of a file, or the first turn of a conversation.

    Attributes
    ----------
    line
        Line number, from 1.
    at_s
        Instant on the file's clock [s]; None if the file has no instants.
    n_prompt_tokens, n_output_tokens
        Lengths as recorded; zero if there was no prompt or no answer.
    further
        Turns that follow in the same conversation.
    source
        Device that sent the request; None if the file does not contain it.
    """

    line: int
    at_s: float | None
    n_prompt_tokens: int
    n_output_tokens: int
    further: tuple[LaterTurn, ...] = ()
    source: str | None = None


class Head(NamedTuple):
    """Beginning of a file, by which its format is recognised.

    Attributes
    ----------
    kind
        ``"lines"`` if the first line begins a JSON object, ``"list"`` if it begins a JSON list, else
        ``"table"``.
    names
        Of a table its column names, in lower case and without surrounding blanks; of lines the keys of the
        first object; of a list those of its first item.
    line
        The first line that is not blank.
    """

    kind: Literal["table", "lines", "list"]
    names: tuple[str, ...]
    line: str


def _fit(kind: str, names: frozenset[str], head: Head) -> int:
    return len(names) if head.kind == kind and names.issubset(head.names) else 0


def has_columns(*names: str) -> Callable[[Head], int]:
    """Recognise tables that have these columns; the more columns, the more specific the format."""
    return partial(_fit, "table", frozenset(name.casefold() for name in names))


def has_keys(*names: str) -> Callable[[Head], int]:
    """Recognise files of one JSON object per line, the first of which has these keys."""
    return partial(_fit, "lines", frozenset(names))


def has_item_keys(*names: str) -> Callable[[Head], int]:
    """Recognise JSON lists whose first item has these keys."""
    return partial(_fit, "list", frozenset(names))


@dataclass(frozen=True, slots=True)
class Format:
    """A format of recorded requests. It is sent to other processes, so its functions must be module-level.

    Attributes
    ----------
    name
        Name in messages and notes.
    time_unit
        Unit of its instants; None if it has none, so that an arrival process is required.
    looks_like
        Required contents of its header or first object, for messages.
    remark
        What a reader of the results must know about the format.
    has_sessions
        Whether later turns wait for the answers before them, after pauses that the file contains.
    records
        Yields the records of an opened file. Its arguments are the path (for messages), the file, and a
        function that counts the tokens of a text.
    recognises
        Returns, for a file's beginning, 0 if it is not of this format, else how specific the match is
        (:func:`has_columns`, :func:`has_keys`, :func:`has_item_keys`). Of several matching formats the
        most specific is chosen. None: the format is chosen only by its name.
    """

    name: str
    time_unit: str | None
    looks_like: str
    remark: str
    records: Callable[[Path, TextIO, TextLength], Iterator[Record]]
    has_sessions: bool = False
    recognises: Callable[[Head], int] | None = None


def refuse(path: Path, line: int | None, sentence: str) -> NoReturn:
    """Raise a WorkloadError that states where, what was found, what was expected and what to do."""
    raise WorkloadError(f"{path}:{line}: {sentence}" if line is not None else f"{path}: {sentence}")


def whole(value: object) -> int:
    """Return a count from text or JSON; accepts '12.0', as pandas writes integers in columns with gaps.

    Raises
    ------
    ValueError
        If it is not a whole number, or more tokens than any model can process.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(value)  # noqa: TRY004 -- one exception type for every invalid value
    try:
        count = int(value) if isinstance(value, str) else _exactly(value)
    except ValueError:
        count = _exactly(float(value))
    if abs(count) > MOST_TOKENS:
        raise ValueError(value)
    return count


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a text file, gzip-compressed or not (recognised by its first bytes); refuse an unreadable one."""
    try:
        with opened_text(path) as text:
            yield text
    except CsvError as error:
        refuse(path, error.line, f"{error}; correct the row")
    except UnreadableFileError as error:
        refuse(path, None, f"cannot be read: {error}; expected a file of recorded requests")


def _exactly(value: float) -> int:
    number = int(value)
    if number != value:
        raise ValueError(value)
    return number
