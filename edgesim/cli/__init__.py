"""The command line. Exit status: 0 done; 2 the user's input is wrong (one message); 1 a bug (traceback)."""

from __future__ import annotations

from edgesim.cli import (  # noqa: F401  # their commands join the others
    answers,
    cite,
    configuration,
    explaining,
    export,
    listing,
    plot,
    reporting,
    show,
    sweeping,
    training,
    validation,
    validation_local,
    validation_network,
)
from edgesim.cli.commands import app, main

__all__ = ["app", "main"]
