"""Command that checks a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.options import Overrides, Quiet, ScenarioName, load_scenario
from edgesim.cli.profile_notes import profile_line
from edgesim.cli.terminal import console, plain_table

if TYPE_CHECKING:
    from edgesim.model.architecture import Component
    from edgesim.model.monotone import Correction
    from edgesim.scenario.schema.scenario import Scenario

__all__ = ["check"]


def check(
    scenario: ScenarioName,
    strategy: Annotated[
        list[str] | None, typer.Option(help="Label of a strategy to place; repeatable; all if not given.")
    ] = None,
    set_: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Check a scenario for errors, and show where its strategies place the model.

    Nothing is measured: without a measured profile, planners use the device kinds' ceilings.
    """
    from edgesim import runner
    from edgesim.scenario.build import kinds_used
    from edgesim.scenario.check import quantisation_remark
    from edgesim.scenario.timings import corrections, timings

    asked = load_scenario(scenario, set_)
    prepared = runner.prepare(asked, only=strategy or (), measure=False)
    page = console()
    page.quiet = quiet
    longest = prepared.longest
    page.print(
        f"{asked.origin.name} is valid: {_how_many(asked, longest.n_requests)} per replication, "
        f"prompts up to {longest.n_prompt_tokens} tokens, {longest.n_tokens} tokens with the answer",
        markup=False,
        soft_wrap=True,
    )
    table = plain_table("strategy", "device", "holds")
    for label, placement in prepared.placements.items():
        for number, stage in enumerate(placement.stages):
            table.add_row("" if number else label, stage.device, str(stage.part))
    page.print(table)
    if stored := quantisation_remark(asked):
        page.print(stored, markup=False, soft_wrap=True)
    for label, placement in prepared.placements.items():
        if placement.remark:
            page.print(f"{label}: {placement.remark}", markup=False, soft_wrap=True)
        if prepared.strategies[label].needs_training:
            page.print(f"{label}: there is no trained policy yet; the first run trains it", markup=False)
    for remark in prepared.remarks:
        page.print(remark, markup=False, soft_wrap=True)
    for name, own in prepared.profiles.own.items():
        page.print(f"{name} as measured: {profile_line(own)}", markup=False, soft_wrap=True)
    for name, parts in corrections(timings(asked, prepared.profiles)).items():
        page.print(f"{name} as scaled: {_corrections_line(parts)}", markup=False, soft_wrap=True)
    if (
        prepared.profile is None
        and asked.profile.use != "analytic"
        and kinds_used(asked).keys() - prepared.profiles.own
    ):
        page.print("there is no measured profile yet, so planners used the kinds' ceilings", style="dim")


def _how_many(asked: Scenario, n_requests: int) -> str:
    if asked.workload.users is not None and asked.workload.requests is None:
        return f"as many requests as {n_requests} users complete"
    return f"{n_requests} requests at most"


def _corrections_line(parts: Mapping[Component, Correction]) -> str:
    changed = ", ".join(
        f"{change.n_changed} of {change.n_points} of the {part} by {change.largest:.1%} at most"
        for part, change in parts.items()
        if change.n_changed
    )
    return f"times adjusted so that none decreases with more tokens or a larger batch: {changed}"
