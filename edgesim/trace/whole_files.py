"""Locks that let one process at a time write a folder, and atomic writing of files."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgesim.errors import TraceError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK_FILE", "FolderLock", "write_whole", "writing_into"]

LOCK_FILE = ".lock"
_PATIENCE_S = 1.0


class FolderLock:
    """Lock that keeps other processes from writing into a folder; released if the process is killed.

    Parameters
    ----------
    folder
        An existing folder.
    what
        Noun for the contents of the folder, for messages.
    """

    def __init__(self, folder: Path, what: str) -> None:
        self._place = folder / LOCK_FILE
        self._what = what
        self._lock: weakref.finalize[..., FolderLock] | None = None

    def take(self) -> None:
        """Acquire the lock.

        Raises
        ------
        TraceError
            If another process has the lock, or the folder cannot be written.
        """
        if fcntl is None:  # Windows: no file locks
            return
        give_up_at_s = time.monotonic() + _PATIENCE_S
        with writing_into(self._place):
            while True:
                lock = os.open(self._place, os.O_CREAT | os.O_RDWR, 0o666)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(lock)
                    if time.monotonic() < give_up_at_s:  # workers of a killed process may still be ending
                        time.sleep(0.02)
                        continue
                    raise TraceError(
                        f"{self._place.parent}: another process is writing this {self._what}; wait until it "
                        "has finished, or choose another folder"
                    ) from None
                if self._place.exists() and os.path.samestat(os.fstat(lock), self._place.stat()):
                    self._lock = weakref.finalize(self, os.close, lock)
                    return
                os.close(lock)  # the process that had the lock has removed the file meanwhile

    def release(self) -> None:
        """Release the lock, if acquired."""
        if self._lock is not None:
            with suppress(OSError):
                self._place.unlink(missing_ok=True)
            self._lock()
            self._lock = None


def write_whole(file: Path, data: bytes) -> None:
    """Write a file atomically: under a temporary name, then renamed; create missing parent folders.

    Raises
    ------
    TraceError
        If the file cannot be written.
    """
    temporary = file.with_name(f".{file.name}.tmp")
    with writing_into(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(file)


@contextmanager
def writing_into(path: Path) -> Iterator[None]:
    """Context manager that converts an OSError, such as of a full disk, to a TraceError naming the path."""
    try:
        yield
    except OSError as error:
        raise TraceError(
            f"{path}: cannot be written: {error.strerror or error}; choose another folder with --out"
        ) from None
