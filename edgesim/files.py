"""Safe reading of files that users name: bounded in size, or refused with the reason.

A path may lead to a folder, an endless device, a pipe without a writer, gigabytes of blanks, or a few
kilobytes that unpack to gigabytes. Each reader therefore sets a maximum size and keeps no more in memory.
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
# Largest permitted ratio of unpacked to packed size: gzip packs text to 1/3 and numbers to 1/30 of its size,
# but deflate can reach 1/1000.
_MOST_TIMES = 200
_ALWAYS_BYTES = 1 << 24


class UnreadableFileError(ValueError):
    """A file cannot be read; the message is the reason only, without the path and without a remedy."""


def require_regular(path: Path) -> None:
    """Refuse a path that is not a regular file, without opening it: a pipe would block, a device not end.

    Raises
    ------
    UnreadableFileError
        If the path does not exist, or is not a regular file.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UnreadableFileError(error.strerror or str(error)) from None
    except (ValueError, RuntimeError) as error:  # a NUL in the path; a symlink loop before Python 3.13
        raise UnreadableFileError(str(error)) from None
    if stat.S_ISDIR(mode):
        raise UnreadableFileError("it is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise UnreadableFileError("it is a device or a pipe, not a file")


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """Read a whole file of at most `most_bytes`.

    Raises
    ------
    UnreadableFileError
        If the file is not a regular file, cannot be read, or is larger.
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
    """Return the SHA-256 digest of a file's contents, in hexadecimal digits.

    Raises
    ------
    InputError
        If the file cannot be read, such as when it was removed after the scenario had been read.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, UnreadableFileError) as error:
        raise InputError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); it existed when the "
            "scenario was read: restore it"
        ) from None


def text_of(data: bytes) -> str:
    """Decode UTF-8 text, with or without a byte order mark.

    Raises
    ------
    UnreadableFileError
        If the bytes are not valid UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"byte {error.start} is not UTF-8 text") from None


def json_value(text: str | bytes) -> Any:
    """Parse JSON from a file.

    Raises
    ------
    UnreadableFileError
        If the text is not JSON, is nested too deeply for Python, or has a number of thousands of digits.
    """
    try:
        return json.loads(text_of(text) if isinstance(text, bytes) else text)
    except json.JSONDecodeError as error:
        raise UnreadableFileError(f"not JSON: {error.msg} at line {error.lineno}") from None
    except RecursionError:
        raise UnreadableFileError("not JSON that can be read: nested too deeply") from None
    except UnreadableFileError:
        raise
    except ValueError:  # Python refuses integers of more than a few thousand digits
        raise UnreadableFileError("not JSON that can be read: a number has too many digits") from None


def refuse_trap(path: Path) -> None:
    """Refuse a gzip bomb: a packed file that unpacks to far more than its size.

    The file is unpacked once, which is much faster than reading its rows.

    Raises
    ------
    UnreadableFileError
        If the file is not a regular file, or unpacks to too many times its size.
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
        return  # the reader reports it


@contextmanager
def opened_text(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 text file for reading, unpacking it if its first bytes are those of gzip; keep line ends.

    Errors raised by reading in the body of the ``with`` statement are converted, too.

    Raises
    ------
    UnreadableFileError
        If the file is not a regular file, cannot be read or unpacked, is not UTF-8 text, or unpacks to too
        many times its size.
    """
    require_regular(path)
    try:
        with path.open("rb") as raw:
            is_packed = raw.read(len(_GZIP)) == _GZIP
            raw.seek(0)
            unpacked = cast("BinaryIO", io.BufferedReader(_Unpacked(raw)) if is_packed else raw)
            with io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="strict", newline="") as text:
                yield text
    except OSError as error:  # includes gzip.BadGzipFile
        raise UnreadableFileError(error.strerror or str(error)) from None
    except (EOFError, zlib.error) as error:
        raise UnreadableFileError(f"it cannot be unpacked: {error}") from None
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"byte {error.object[error.start]:#04x} is not UTF-8 text") from None


class _Unpacked(io.RawIOBase):
    """Unpacked contents of a gzip file; reading fails once they exceed a multiple of the file's size."""

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
                f"it unpacks to more than {_MOST_TIMES} times its size, unlike any recording; unpack it first"
            )
        return n_bytes


def lines_of(text: TextIO, most_chars: int = MOST_LINE_CHARS) -> Iterator[str]:
    """Yield the lines of an open text file, with their line ends.

    Raises
    ------
    UnreadableFileError
        At a line longer than `most_chars`, a NUL character, or too many blank lines in a row.
    """
    number = n_blank = 0
    while line := text.readline(most_chars):
        number += 1
        if len(line) == most_chars and line[-1] not in "\r\n":
            raise UnreadableFileError(f"line {number} has more than {most_chars} characters")
        if "\0" in line:
            raise UnreadableFileError(f"line {number} has a NUL character, so it is not text")
        n_blank = 0 if line.strip() else n_blank + 1
        if n_blank > MOST_BLANK_LINES:
            raise UnreadableFileError(
                f"more than {MOST_BLANK_LINES} blank lines in a row, up to line {number}"
            )
        yield line


def is_there(path: Path) -> bool:
    """Whether a path exists; False for a path that is too long or invalid."""
    return os.path.exists(path)  # noqa: PTH110 -- Path.exists raises for some of these


def user_path(folder: Path, text: str) -> Path:
    """Resolve a path that a user wrote, relative to a folder; expand ``~`` if that user exists."""
    return folder / os.path.expanduser(text)  # noqa: PTH111 -- Path.expanduser raises where there is none


def absolute(path: Path) -> Path:
    """Return the absolute path without following symbolic links, which may form loops."""
    return Path(os.path.abspath(path))  # noqa: PTH100 -- Path.absolute leaves '..' in


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:g} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:g} kB"
