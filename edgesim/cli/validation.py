"""The commands that hold predictions against measurements: ``edgesim validate published`` and its kin."""

from __future__ import annotations

import typer

from edgesim.cli.commands import app as root

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Hold predictions against what was measured.")
root.add_typer(app, name="validate")


@app.callback()
def _validate() -> None:
    """Hold predictions against what was measured."""


@app.command()
def published() -> None:
    """Show every published rate that is known beside its prediction, with interval and error."""
