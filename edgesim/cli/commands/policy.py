"""Command that shows a trained policy."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from edgesim.cli.terminal import console

__all__ = ["policy"]


def policy(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A policy file, or shipped:NAME (edgesim list policies).")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show a trained policy: its training scenario, observations, actions, evaluation and provenance."""
    from edgesim.planning.policies.shipped import policy_file
    from edgesim.planning.splitting.policy import Policy
    from edgesim.report.policy import PolicyReport, policy_as_json

    found = Policy.load(policy_file(file))
    if as_json:
        typer.echo(json.dumps(policy_as_json(found), indent=1))
    else:
        console().print(PolicyReport(found, file))
