"""Messages and exit status of a command whose run is stopped or fails."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer

from edgesim.cli.terminal import Console
from edgesim.errors import InputError

__all__ = ["INTERRUPTED", "kept_on_stop", "stop_when_terminated"]

INTERRUPTED = 128 + signal.SIGINT  # convention of shells
_TERMINATED = 128 + signal.SIGTERM


def stop_when_terminated() -> None:
    """Convert SIGTERM to SystemExit, so that a terminated run cleans up and records that it was stopped."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(_TERMINATED)


@contextmanager
def kept_on_stop(folder: Path) -> Iterator[None]:
    """Context manager that reports what is kept of a run that is stopped or fails."""
    try:
        yield
    except KeyboardInterrupt:
        _print_kept("stopped", folder)
        raise typer.Exit(INTERRUPTED) from None
    except SystemExit:
        _print_kept("terminated", folder)
        raise
    except Exception as error:
        if not isinstance(error, InputError) or folder.is_dir():
            _print_kept("the run has failed", folder)
        raise


def _print_kept(what: str, folder: Path) -> None:
    from edgesim.trace.reader import Trace

    try:
        missing = Trace(folder).incomplete
    except InputError:
        return  # the run had not started, or its folder was removed
    if missing is None:
        return
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"{what}; the trace in {folder} is {missing}, and is kept; continue with --resume --out {folder}",
        markup=False,
    )
