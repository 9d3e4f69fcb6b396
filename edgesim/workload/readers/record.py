"""What every reader yields, and how a file is opened and refused."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn, TextIO, cast

from edgesim.errors import WorkloadError

__all__ = ["Format", "Further", "Record", "TextLength", "opened", "refuse", "whole"]

GZIP_MAGIC = b"\x1f\x8b"

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
    """

    line: int
    at_s: float | None
    n_prompt_tokens: int
    n_output_tokens: int
    further: tuple[Further, ...] = ()


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
        If it is not a whole number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(value)  # noqa: TRY004 -- one kind of error for whatever is wrong with the value
    try:
        return int(value) if isinstance(value, str) else _exactly(value)
    except ValueError:
        return _exactly(float(value))


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a text file, compressed by gzip or not (its first bytes tell); what cannot be read is refused."""
    try:
        with path.open("rb") as raw, _text(raw) as text:
            yield text
    except OSError as error:  # gzip.BadGzipFile is one
        refuse(path, None, f"cannot be read: {error.strerror or error}")
    except (EOFError, zlib.error) as error:
        refuse(path, None, f"cannot be unpacked: {error}; fetch the file again")
    except UnicodeDecodeError as error:
        refuse(
            path, None, f"no text: byte {error.object[error.start]:#04x} is not UTF-8; expected a text file"
        )


def _text(raw: BinaryIO) -> TextIO:
    head = raw.read(len(GZIP_MAGIC))
    raw.seek(0)
    unpacked = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if head == GZIP_MAGIC else raw
    # Line ends are left to the readers: inside a quoted cell they belong to it.
    return io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="strict", newline="")


def _exactly(value: float) -> int:
    number = int(value)
    if number != value:
        raise ValueError(value)
    return number
