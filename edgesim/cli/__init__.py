"""The command line. Exit status: 0 success; 2 wrong input (one message); 1 a bug (traceback)."""

from __future__ import annotations

from edgesim.cli.app import app, main

__all__ = ["app", "main"]
