"""Command that writes a new scenario from a template."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.options import shipped_names
from edgesim.cli.outputs import writing
from edgesim.cli.schema_text import schema_text
from edgesim.errors import InputError
from edgesim.nearest import suggest

__all__ = ["MODELINE", "SCHEMA_FILE", "init"]

TEMPLATE = "data/template.yaml"

SCHEMA_FILE = "edgesim.schema.json"

MODELINE = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"
"""First line of a scenario by which editors with a YAML language server find the schema in its folder."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def init(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Name of the new scenario.")] = "my-study",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; NAME.yaml if not given.")
    ] = None,
    like: Annotated[
        str,
        typer.Option("--like", help="Copy this shipped scenario instead.", autocompletion=shipped_names),
    ] = "",
    editor: Annotated[
        bool,
        typer.Option("--editor", help="Also write the JSON Schema, for completion and checks in editors."),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an earlier file.")] = False,
) -> None:
    """Write a commented scenario to start from; it passes 'check' and runs in seconds."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"edgesim init: {name!r} is not a valid name; expected letters, digits, '-' and '_', a letter "
            "first"
        )
    text = re.sub(r"^name: .*$", f"name: {name}", _start(like), count=1, flags=re.MULTILINE)
    text = MODELINE * editor + text.replace(MODELINE, "")
    path = output or Path(f"{name}.yaml")
    with writing(path):
        if path.exists() and not replace:
            raise InputError(f"{path}: exists already; write to another file (-o FILE), or add --replace")
        path.write_text(text, encoding="utf-8")
        if editor:
            path.with_name(SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    typer.echo(f"{path}: check it with 'edgesim check {path}', run it with 'edgesim run {path}'")


def _start(like: str) -> str:
    if not like:
        from importlib.resources import files

        return files("edgesim").joinpath(TEMPLATE).read_text(encoding="utf-8")
    from edgesim.scenario.text.packaged import packaged_scenarios

    shipped = packaged_scenarios()
    if like not in shipped:
        raise InputError(f"--like: no shipped scenario '{like}'; {suggest(like, shipped)}")
    return shipped[like].read_text(encoding="utf-8")
