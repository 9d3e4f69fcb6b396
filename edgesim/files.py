"""Files that users name: read whole within a bound, or refused with the reason.

What stands at a path may be a folder, a device that never ends, a pipe that nothing writes to, or gigabytes
of blanks. Whatever reads a file says how large it may be, and holds no more than that in memory.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

__all__ = ["UnreadableFileError", "absolute", "json_value", "read_bounded", "require_regular", "text_of"]


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


def absolute(path: Path) -> Path:
    """Return the path from the root, without following links, of which some lead in circles."""
    return Path(os.path.abspath(path))  # noqa: PTH100 -- Path.absolute leaves '..' in


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:g} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:g} kB"
