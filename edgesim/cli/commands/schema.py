"""Command that prints the JSON Schema of scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.outputs import writing
from edgesim.cli.schema_text import schema_text

__all__ = ["schema"]


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.")] = None,
) -> None:
    """Print the JSON Schema of scenario files for editors, with the options of installed strategies."""
    text = schema_text()
    if output is None:
        typer.echo(text, nl=False)
    else:
        with writing(output):
            output.write_text(text, encoding="utf-8")
