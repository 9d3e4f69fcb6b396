"""What every reader yields, and how a file is opened and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn, TextIO

from edgesim.csv_rows import CsvError
from edgesim.errors import WorkloadError
from edgesim.files import UnreadableFileError, opened_text

__all__ = ["Format", "Further", "Record", "TextLength", "opened", "refuse", "whole"]

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


@dataclass(frozen=True, slots=True)
class Format:
    """A format of recorded requests.

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
        Yields the records of an opened file.
    """

    name: str
    time_unit: str | None
    looks_like: str
    remark: str
    records: Callable[[Path, TextIO, TextLength], Iterator[Record]]
    has_sessions: bool = False


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
