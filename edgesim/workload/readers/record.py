"""What every reader is and yields, and how a file is opened and refused.

A reader is a :class:`Format`, an object that a package offers through the entry point group
``edgesim.readers``; edgesim's own stand in :mod:`edgesim.workload.readers.formats`, a file each.
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
    "Further",
    "Head",
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
"""How many tokens a text has, for files that hold text."""


class Further(NamedTuple):
    """A later turn of a recorded conversation; its pause is None where the file does not tell it."""

    pause_s: float | None
    n_prompt_tokens: int
    n_output_tokens: int


class Record(NamedTuple):
    """One request of a file, or the first of a conversation.

    Attributes
    ----------
    line
        Where it stands, from 1.
    at_s
        Instant on the file's clock [s]; None where the file has no instants.
    n_prompt_tokens, n_output_tokens
        As recorded; zero where nothing was asked or answered.
    further
        The turns that follow it in its conversation.
    source
        The device that it came from; None where the file does not tell it.
    """

    line: int
    at_s: float | None
    n_prompt_tokens: int
    n_output_tokens: int
    further: tuple[Further, ...] = ()
    source: str | None = None


class Head(NamedTuple):
    """How a file begins: what a format is known by.

    Attributes
    ----------
    kind
        ``"lines"`` where the first line begins an object of JSON, ``"list"`` where it begins a list, else
        ``"table"``.
    names
        Of a table the names of its columns, without regard to case and outer blanks; of lines the keys of the
        first object, of a list those of its first item.
    line
        The first line that is not blank.
    """

    kind: Literal["table", "lines", "list"]
    names: tuple[str, ...]
    line: str


def _fit(kind: str, names: frozenset[str], head: Head) -> int:
    return len(names) if head.kind == kind and names.issubset(head.names) else 0


def has_columns(*names: str) -> Callable[[Head], int]:
    """Recognise tables that have these columns; the more there are, the more particular the format."""
    return partial(_fit, "table", frozenset(name.casefold() for name in names))


def has_keys(*names: str) -> Callable[[Head], int]:
    """Recognise files of one JSON object a line, of which the first has these keys."""
    return partial(_fit, "lines", frozenset(names))


def has_item_keys(*names: str) -> Callable[[Head], int]:
    """Recognise JSON lists whose first item has these keys."""
    return partial(_fit, "list", frozenset(names))


@dataclass(frozen=True, slots=True)
class Format:
    """A format of recorded requests. It travels between processes: its functions stand in a module.

    Attributes
    ----------
    name
        What messages and notes call it.
    time_unit
        The unit of its instants; None where it has none, so that a law of arrivals is needed.
    looks_like
        What its header, or its first object, must contain; for messages.
    remark
        What a reader of the results must know about it.
    has_sessions
        Whether later turns wait for the answers before them, after pauses that the file tells.
    records
        Yields the records of an opened file, called with its path (for messages), the file, and how tokens
        of a text are counted.
    recognises
        Says of a file's beginning whether it is of this format: 0 if not, else how particular what it goes by
        is (:func:`has_columns`, :func:`has_keys`, :func:`has_item_keys`). Of several that fit the
        most particular is taken. None: only by its name.
    """

    name: str
    time_unit: str | None
    looks_like: str
    remark: str
    records: Callable[[Path, TextIO, TextLength], Iterator[Record]]
    has_sessions: bool = False
    recognises: Callable[[Head], int] | None = None


def refuse(path: Path, line: int | None, sentence: str) -> NoReturn:
    """Refuse a file with where, what was found, what was expected and what to do."""
    raise WorkloadError(f"{path}:{line}: {sentence}" if line is not None else f"{path}: {sentence}")


def whole(value: object) -> int:
    """Read a count, from text or from JSON; pandas writes whole numbers as '12.0' where some are missing.

    Raises
    ------
    ValueError
        If it is not a whole number, or more tokens than any model reads.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(value)  # noqa: TRY004 -- one kind of error for whatever is wrong with the value
    try:
        count = int(value) if isinstance(value, str) else _exactly(value)
    except ValueError:
        count = _exactly(float(value))
    if abs(count) > MOST_TOKENS:
        raise ValueError(value)
    return count


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a text file, compressed by gzip or not (its first bytes tell); what cannot be read is refused."""
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
