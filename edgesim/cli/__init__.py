"""The command line. Exit status: 0 done; 2 the user's input is wrong (one message); 1 a bug (traceback)."""

from __future__ import annotations

# Their commands join the others.
from edgesim.cli import answers, explaining, plot, reporting, show, sweeping, training  # noqa: F401
from edgesim.cli.commands import app, main

__all__ = ["app", "main"]
