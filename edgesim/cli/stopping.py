"""What is said, and with which exit status a command ends, when a run is stopped or fails."""

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

INTERRUPTED = 128 + signal.SIGINT  # as shells have it
_TERMINATED = 128 + signal.SIGTERM


def stop_when_terminated() -> None:
    """Let a termination end this process in order, as an interrupt does: its run says that it stopped."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(_TERMINATED)


@contextmanager
def kept_on_stop(folder: Path) -> Iterator[None]:
    """Say what is kept of a run that is stopped, or that fails in the middle."""
    try:
        yield
    except KeyboardInterrupt:
        _say("stopped", folder)
        raise typer.Exit(INTERRUPTED) from None
    except SystemExit:
        _say("terminated", folder)
        raise
    except Exception as error:
        if not isinstance(error, InputError) or folder.is_dir():
            _say("the run has failed", folder)
        raise


def _say(what: str, folder: Path) -> None:
    from edgesim.trace.reader import Trace

    try:
        missing = Trace(folder).incomplete
    except InputError:
        return  # nothing was begun, or nothing is left
    if missing is None:
        return
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"{what}; the trace in {folder} is {missing}, and stays; go on with --resume --out {folder}",
        markup=False,
    )
