"""Command that writes an HTML report of a trace or a sweep."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.options import Quiet
from edgesim.cli.terminal import Console
from edgesim.errors import InputError

__all__ = ["report"]


def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="TRACE|SWEEP", help="Folder written by 'edgesim run' or 'edgesim sweep'."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write (*.html); by default the folder's name with .html, here."
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write an HTML report of a trace or a sweep, with figures, tables and provenance.

    The page is self-contained and needs no network. An earlier page of that name is overwritten.
    """
    from edgesim.report.listings.open_folders import opened
    from edgesim.report.page.sweep_page import sweep_page
    from edgesim.report.page.trace_page import trace_page
    from edgesim.trace.reader import Trace

    file = _checked(output or Path(f"{folder.resolve().name}.html"))
    found = opened(folder)
    page = trace_page(found) if isinstance(found, Trace) else sweep_page(found)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.name}.partial")
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(file)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--output: {file} cannot be written ({getattr(error, 'strerror', None) or error})"
        ) from None
    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    notes.print(f"page: {file} ({len(page) / 1e6:.1f} MB)", style="dim", markup=False)
    if open_ and not webbrowser.open(file.resolve().as_uri()):
        raise InputError(f"--open: no browser was found; open {file} yourself")


def _checked(file: Path) -> Path:
    """Check the output file before a long computation."""
    from edgesim.report.outputs import check_output

    if file.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--output: expected a name that ends in .html, got {file}")
    check_output(file, "--output")
    return file
