"""Folders that one process writes at a time, and files in them that are there whole or not at all."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgesim.errors import TraceError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK_FILE", "FolderLock", "told_of", "write_whole"]

LOCK_FILE = ".lock"


class FolderLock:
    """Keeps other processes from writing into a folder; a process that is killed holds nothing.

    Parameters
    ----------
    folder
        Which is there.
    what
        What is written there, for messages.
    """

    def __init__(self, folder: Path, what: str) -> None:
        self._place = folder / LOCK_FILE
        self._what = what
        self._lock: weakref.finalize[..., FolderLock] | None = None

    def take(self) -> None:
        """Take it.

        Raises
        ------
        TraceError
            If another process has it, or the folder cannot be written.
        """
        if fcntl is None:  # a system without such locks
            return
        with told_of(self._place):
            while True:
                lock = os.open(self._place, os.O_CREAT | os.O_RDWR, 0o666)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(lock)
                    raise TraceError(
                        f"{self._place.parent}: another process is writing this {self._what}; wait for it, "
                        "or name another folder"
                    ) from None
                if self._place.exists() and os.path.samestat(os.fstat(lock), self._place.stat()):
                    self._lock = weakref.finalize(self, os.close, lock)
                    return
                os.close(lock)  # it was removed meanwhile by the process that had it

    def release(self) -> None:
        """Give it back, if it was taken."""
        if self._lock is not None:
            with suppress(OSError):
                self._place.unlink(missing_ok=True)
            self._lock()
            self._lock = None


def write_whole(file: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it, its folders made where they lack.

    Raises
    ------
    TraceError
        If it cannot be written.
    """
    temporary = file.with_name(f".{file.name}.tmp")
    with told_of(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(file)


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Tell of a disk that is full, or a folder that may not be written, as of any other input."""
    try:
        yield
    except OSError as error:
        raise TraceError(
            f"{path}: cannot be written: {error.strerror or error}; name another with --out"
        ) from None
