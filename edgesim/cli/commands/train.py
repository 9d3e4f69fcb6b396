"""Command that trains policies."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.on_demand import warn_of_no_gain
from edgesim.cli.options import Overrides, Quiet, ScenarioName, load_scenario
from edgesim.cli.terminal import Console, console
from edgesim.errors import InputError
from edgesim.report.progress import measuring_progress
from edgesim.report.requirements import require_training

if TYPE_CHECKING:
    from edgesim.strategy import Strategy

__all__ = ["train"]


def train(
    scenario: ScenarioName,
    strategy: Annotated[
        str | None, typer.Option(help="Label of the strategy to train; by default the only trainable one.")
    ] = None,
    decision: Annotated[
        str | None, typer.Option(help="Name of the decision to train; by default the trainable one.")
    ] = None,
    algorithm: Annotated[str | None, typer.Option(help="ppo, a2c or dqn; by default the strategy's.")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Decisions to learn from; by default the strategy's number.", min=1)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of all random draws in training; by default the strategy's.", min=0),
    ] = None,
    utility: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER", help="Weight in the utility of a request, such as latency_per_s=1."
        ),
    ] = None,
    judged: Annotated[
        int, typer.Option(help="Replications in which it is compared with every fixed choice.", min=1)
    ] = 4,
    set_: Overrides = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also save the policy to this file (*.safetensors).")
    ] = None,
    replace_: Annotated[
        bool, typer.Option("--replace", "--force", help="Overwrite an earlier policy in --output.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train the policy of a strategy by reinforcement learning in the simulator, and evaluate it.

    The policy is kept, and used by a strategy with 'policy: trained' and the same settings, which are printed
    at the end. Training episodes are independent of the scenario's seed, replications and horizon.
    """
    from edgesim import runner
    from edgesim.cli.training_changes import TrainingChanges
    from edgesim.report.policy import PolicyReport
    from edgesim.scenario.strategy_labels import strategies_by_label
    from edgesim.scenario.trained_policies import keep_policy, training_digest, write_policy

    wishes = TrainingChanges.checked(decision, algorithm, steps, seed, utility or ())
    _check_output(output, replace_)
    require_training()
    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    asked = load_scenario(scenario, set_)
    known = strategies_by_label(asked)
    place = list(known).index(_label(known, strategy))
    # Changes are made through the strategy's options if possible, so that a run with these finds the policy.
    settings, left = wishes.as_options(list(known.values())[place], place)
    if settings:
        asked = load_scenario(scenario, [*(set_ or ()), *settings])
    label = list(strategies_by_label(asked))[place]
    # Check before minutes are spent on measuring; ceilings are enough for that.
    rehearsed = runner.prepare(asked, only=(label,), measure=False, finds_policies=False)
    wishes.check(runner.lesson(rehearsed, label).training)
    with measuring_progress(notes) as measuring:
        prepared = runner.prepare(asked, only=(label,), measuring=measuring, finds_policies=False)
    lesson = runner.lesson(prepared, label)
    if left.any:
        own, training = lesson.prepared, left.applied(lesson.training)
        answered = replace(own, quality=own.answers)
        digest = training_digest(answered, own.strategies[label], training, own.profiles)
        lesson = replace(lesson, training=training, digest=digest)
    from edgesim.gym.teaching import teach

    with measuring_progress(notes, unit="", doing="training") as report:
        taught = teach(
            lesson, command=shlex.join(["edgesim", *sys.argv[1:]]), n_judged=judged, on_progress=report
        )
    file = output
    if output is not None:
        write_policy(taught, output)
    if output is None or not left.any:  # otherwise no run would find it
        kept = keep_policy(taught)
        file = output or kept
    console().print(PolicyReport(taught, f"policy of {label} in {asked.origin.name}"))
    warn_of_no_gain(notes, label, taught)
    notes.print(f"policy: {file}", style="dim", markup=False)
    finds = _found_by(scenario, [*(set_ or ()), *settings], prepared.strategies[label], place)
    if left.any:
        finds = (
            f"{label} has no option for {' and '.join(left.names)}, so a run does not find this policy: name "
            "the file in the strategy's options"
        )
    notes.print(finds, style="dim", markup=False)


def _check_output(output: Path | None, may_replace: bool) -> None:
    """Check the output file before a long computation."""
    from edgesim.report.outputs import check_output

    if output is None:
        return
    if output.suffix != ".safetensors":
        raise InputError(f"--output: expected a name that ends in .safetensors, got {output}")
    check_output(output, "--output", replace=may_replace)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _probe(output)
    except OSError as error:
        raise InputError(f"--output: {output} cannot be written: {error.strerror or error}") from None


def _probe(output: Path) -> None:
    probe = output.with_name(f"{output.name}.probe.partial")
    probe.touch()
    probe.unlink()


def _label(strategies: Mapping[str, Strategy], wanted: str | None) -> str:
    """Return the named strategy; by default the only one that needs training, or that can be trained."""
    from edgesim.strategy import Strategy

    able = [label for label, one in strategies.items() if type(one).training is not Strategy.training]
    if wanted is not None:
        if wanted not in strategies:
            raise InputError(
                f"--strategy: no strategy has the label {wanted!r}; there are {', '.join(strategies)}"
            )
        if wanted not in able:
            there = f"; there is one in {', '.join(able)}" if able else ""
            raise InputError(
                f"--strategy: {wanted!r} has no decision that can be trained (Strategy.training){there}"
            )
        return wanted
    wanting = [label for label, one in strategies.items() if one.needs_training]
    for labels in (wanting, able):
        if len(labels) == 1:
            return labels[0]
    if not able:
        raise InputError(
            f"edgesim train: none of the strategies {', '.join(strategies)} has a decision that can be "
            "trained (Strategy.training)"
        )
    raise InputError(
        f"edgesim train: {len(wanting or able)} strategies can be trained; say which with --strategy: "
        f"{', '.join(wanting or able)}"
    )


def _found_by(scenario: str, settings: list[str], strategy: Strategy, place: int) -> str:
    """Return a note with the command whose run uses the policy."""
    from pydantic import ValidationError

    if not strategy.needs_training:
        wanting = f"strategies[{place}].policy=trained"
        try:
            changed = type(strategy).model_validate({**strategy.model_dump(), "policy": "trained"})
        except ValidationError:
            changed = strategy
        if not changed.needs_training:
            return "name the file in the strategy's options"
        settings = [*settings, wanting]
    words = ["edgesim", "run", scenario, *(word for each in settings for word in ("--set", each))]
    return f"found by: {shlex.join(words)}"
