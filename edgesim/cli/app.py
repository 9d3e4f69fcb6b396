"""The command line application: all commands, and error handling."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from edgesim.cli.commands.calibrate import calibrate
from edgesim.cli.commands.check import check
from edgesim.cli.commands.cite import cite
from edgesim.cli.commands.explain import explain
from edgesim.cli.commands.export import export
from edgesim.cli.commands.init import init
from edgesim.cli.commands.link import link
from edgesim.cli.commands.list import list_
from edgesim.cli.commands.plot import plot
from edgesim.cli.commands.policy import policy
from edgesim.cli.commands.profile import profile
from edgesim.cli.commands.quality import quality
from edgesim.cli.commands.report import report
from edgesim.cli.commands.run import run
from edgesim.cli.commands.schema import schema
from edgesim.cli.commands.show import show
from edgesim.cli.commands.show_config import show_config
from edgesim.cli.commands.sweep import sweep
from edgesim.cli.commands.train import train
from edgesim.cli.commands.train_exits import train_exits
from edgesim.cli.commands.validate.local import local
from edgesim.cli.commands.validate.network import network
from edgesim.cli.commands.validate.published import published
from edgesim.cli.stopping import stop_when_terminated
from edgesim.cli.terminal import Console, refuse_controls, tolerate_encodings
from edgesim.errors import InputError, WorkerLostError

__all__ = ["app", "main"]

COMPLETION = "_EDGESIM_COMPLETE"
"""Environment variable with which a shell requests completions (named by typer after the program)."""

_COMMANDS: tuple[Callable[..., None], ...] = (
    run,
    check,
    profile,
    calibrate,
    link,
    schema,
    quality,
    train_exits,
    cite,
    init,
    show_config,
    explain,
    export,
    list_,
    plot,
    report,
    show,
    sweep,
    train,
    policy,
)
_VALIDATIONS: tuple[Callable[..., None], ...] = (published, local, network)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"edgesim {version('edgesim')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version of edgesim."
        ),
    ] = False,
) -> None:
    """Simulate LLM inference on edge networks, with measured compute times."""


def _validate() -> None:
    """Compare predictions with measurements."""


def _with_commands(app: typer.Typer, commands: tuple[Callable[..., None], ...]) -> typer.Typer:
    """Add commands in the order of the help, named after their functions."""
    for command in commands:
        app.command(command.__name__.strip("_").replace("_", "-"))(command)
    return app


app = typer.Typer(
    name="edgesim",
    help="Simulate LLM inference on edge networks, with measured compute times.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    callback=_options,
)
_with_commands(app, _COMMANDS)
app.add_typer(
    _with_commands(
        typer.Typer(no_args_is_help=True, help="Compare predictions with measurements.", callback=_validate),
        _VALIDATIONS,
    ),
    name="validate",
)


def main() -> None:
    """Run the command line (entry point of the console script)."""
    tolerate_encodings()
    stop_when_terminated()
    try:
        refuse_controls(sys.argv[1:])
        if not sys.argv[1:] and COMPLETION not in os.environ:
            Console(stderr=True).print("edgesim: no command; expected one of those below, such as run")
        app(prog_name="edgesim")
    except InputError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(str(error), markup=False)
        sys.exit(2)
    except WorkerLostError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(str(error), markup=False)
        sys.exit(1)
