"""The commands put together, and what every one of them does with a mistake."""

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
"""Variable by which a shell asks for completions (typer names it after the program)."""

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
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say which edgesim this is."),
    ] = False,
) -> None:
    """Simulate ways of serving LLMs over edge devices, charged with measured compute."""


def _validate() -> None:
    """Hold predictions against what was measured."""


def _with_commands(app: typer.Typer, commands: tuple[Callable[..., None], ...]) -> typer.Typer:
    """Add commands in the order of the help, named as their functions are."""
    for command in commands:
        app.command(command.__name__.strip("_").replace("_", "-"))(command)
    return app


app = typer.Typer(
    name="edgesim",
    help="Simulate ways of serving LLMs over edge devices, charged with measured compute.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    callback=_options,
)
_with_commands(app, _COMMANDS)
app.add_typer(
    _with_commands(
        typer.Typer(
            no_args_is_help=True, help="Hold predictions against what was measured.", callback=_validate
        ),
        _VALIDATIONS,
    ),
    name="validate",
)


def main() -> None:
    """Run the command line; the console script's entry point."""
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
