"""Files that users name: read within a bound, or refused with the reason.

What stands at a path may be a folder, a device that never ends, a pipe that nothing writes to, gigabytes of
blanks, or a few kilobytes that unpack to any number of them. Whatever reads a file says how large it may be,
and holds no more than that in memory.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from edgesim.errors import InputError

__all__ = [
    "MOST_LINE_CHARS",
    "UnreadableFileError",
    "absolute",
    "is_there",
    "json_value",
    "lines_of",
    "opened_text",
    "read_bounded",
    "refuse_trap",
    "require_regular",
    "sha256_of",
    "text_of",
    "user_path",
]

MOST_LINE_CHARS = 1 << 20
MOST_BLANK_LINES = 10_000  # in a row

_GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_MOST_TIMES = 200  # text packs to a third, of numbers to a thirtieth; deflate can do a thousandth
_ALWAYS_BYTES = 1 << 24


class UnreadableFileError(ValueError):
    """A file cannot be read; the message is the reason, without the path and without what to do."""


def require_regular(path: Path) -> None:
    """Refuse what is no ordinary file, before it is opened: a pipe would wait, a device might never end.

    Raises
    ------
    UnreadableFileError
        If there is no such file, or it is something else.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UnreadableFileError(error.strerror or str(error)) from None
    except (ValueError, RuntimeError) as error:  # a NUL in its name; a loop of links, before Python 3.13
        raise UnreadableFileError(str(error)) from None
    if stat.S_ISDIR(mode):
        raise UnreadableFileError("it is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise UnreadableFileError("it is a device or a pipe, not a file")


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """Read a file whole, if it has no more than so many bytes.

    Raises
    ------
    UnreadableFileError
        If it is no ordinary file, cannot be read, or is larger.
    """
    require_regular(path)
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise UnreadableFileError(error.strerror or str(error)) from None
    if len(data) > most_bytes:
        raise UnreadableFileError(f"it is larger than {_size(most_bytes)}")
    return data


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's contents, in hexadecimal digits.

    Raises
    ------
    InputError
        If it cannot be read: what was named is there no longer.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, UnreadableFileError) as error:
        raise InputError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); it was there when the "
            "scenario was read: put it back"
        ) from None


def text_of(data: bytes) -> str:
    """Decode UTF-8, with a byte order mark or without.

    Raises
    ------
    UnreadableFileError
        If it is another encoding, or no text.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"byte {error.start} is no UTF-8 text") from None


def json_value(text: str | bytes) -> Any:
    """Read JSON from a file; what no program should meet is refused along with what is no JSON.

    Raises
    ------
    UnreadableFileError
        If it is no JSON, nested beyond what Python follows, or has a number of thousands of digits.
    """
    try:
        return json.loads(text_of(text) if isinstance(text, bytes) else text)
    except json.JSONDecodeError as error:
        raise UnreadableFileError(f"not JSON: {error.msg} at line {error.lineno}") from None
    except RecursionError:
        raise UnreadableFileError("not JSON that can be read: nested too deeply") from None
    except UnreadableFileError:
        raise
    except ValueError:  # Python reads no whole number of more than some thousand digits
        raise UnreadableFileError("not JSON that can be read: a number of too many digits") from None


def refuse_trap(path: Path) -> None:
    """Refuse a packed file that unpacks to so much more than it has that no reader would come to its end.

    It is unpacked once for that, which is far quicker than reading its rows.

    Raises
    ------
    UnreadableFileError
        As of :func:`opened_text`.
    """
    require_regular(path)
    try:
        with path.open("rb") as raw:
            if raw.read(len(_GZIP)) != _GZIP:
                return
            raw.seek(0)
            unpacked, chunk = _Unpacked(raw), bytearray(1 << 20)
            while unpacked.readinto(chunk):
                pass
    except (OSError, EOFError, zlib.error):
        return  # which is said where it is read


@contextmanager
def opened_text(path: Path) -> Iterator[TextIO]:
    """Open a text file for reading, packed by gzip or not (its first bytes tell), with its ends of lines.

    What goes wrong while it is read is reported likewise, the body of the `with` included.

    Raises
    ------
    UnreadableFileError
        If it is no ordinary file, cannot be read or unpacked, is no text in UTF-8, or unpacks to so much more
        than it has that it is a trap.
    """
    require_regular(path)
    try:
        with path.open("rb") as raw:
            is_packed = raw.read(len(_GZIP)) == _GZIP
            raw.seek(0)
            unpacked = cast("BinaryIO", io.BufferedReader(_Unpacked(raw)) if is_packed else raw)
            with io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="strict", newline="") as text:
                yield text
    except OSError as error:  # gzip.BadGzipFile is one
        raise UnreadableFileError(error.strerror or str(error)) from None
    except (EOFError, zlib.error) as error:
        raise UnreadableFileError(f"it cannot be unpacked: {error}") from None
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"byte {error.object[error.start]:#04x} is no UTF-8 text") from None


class _Unpacked(io.RawIOBase):
    """What gzip has packed, as long as it is in a sane relation to the file."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw = raw
        self._size_bytes = os.fstat(raw.fileno()).st_size
        self._gzip = gzip.GzipFile(fileobj=raw)
        self._n_bytes = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._n_bytes = 0
        return self._gzip.seek(offset, whence)

    def tell(self) -> int:
        return self._gzip.tell()

    def readinto(self, buffer: Any) -> int:
        n_bytes = self._gzip.readinto(buffer)
        self._n_bytes += n_bytes
        if self._n_bytes > max(_ALWAYS_BYTES, _MOST_TIMES * self._size_bytes):
            raise UnreadableFileError(
                f"it unpacks to more than {_MOST_TIMES} times its size, as no recording does; unpack it"
            )
        return n_bytes


def lines_of(text: TextIO, most_chars: int = MOST_LINE_CHARS) -> Iterator[str]:
    """Yield the lines of an open text with their ends, none longer than `most_chars`.

    Raises
    ------
    UnreadableFileError
        At a longer line, at thousands of blank ones in a row, or at a NUL, which no text has.
    """
    number = n_blank = 0
    while line := text.readline(most_chars):
        number += 1
        if len(line) == most_chars and line[-1] not in "\r\n":
            raise UnreadableFileError(f"line {number} has more than {most_chars} characters")
        if "\0" in line:
            raise UnreadableFileError(f"line {number} has a NUL character, so it is no text")
        n_blank = 0 if line.strip() else n_blank + 1
        if n_blank > MOST_BLANK_LINES:
            raise UnreadableFileError(
                f"more than {MOST_BLANK_LINES} blank lines in a row, up to line {number}"
            )
        yield line


def is_there(path: Path) -> bool:
    """Whether something stands at a path; nothing does at one that is too long, or that no file can have."""
    return os.path.exists(path)  # noqa: PTH110 -- Path.exists raises for some of these


def user_path(folder: Path, text: str) -> Path:
    """Return the path that a user wrote, from a folder; ``~`` is a home where there is such a user."""
    return folder / os.path.expanduser(text)  # noqa: PTH111 -- Path.expanduser raises where there is none


def absolute(path: Path) -> Path:
    """Return the path from the root, without following links, of which some lead in circles."""
    return Path(os.path.abspath(path))  # noqa: PTH100 -- Path.absolute leaves '..' in


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:g} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:g} kB"
