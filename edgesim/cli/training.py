"""The commands that train policies, and show them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.commands import Overrides, Quiet, ScenarioName, app, console, load_scenario
from edgesim.cli.on_demand import require_training, warn_of_no_gain
from edgesim.cli.progress import measuring_progress
from edgesim.cli.terminal import Console
from edgesim.errors import InputError
from edgesim.nearest import suggest

if TYPE_CHECKING:
    from edgesim.planning.policies.training import Training
    from edgesim.strategy import Strategy

__all__: list[str] = []

_ALGORITHMS = ("ppo", "a2c", "dqn")


@app.command()
def train(
    scenario: ScenarioName,
    strategy: Annotated[
        str | None, typer.Option(help="Label of the strategy to train; the one that can be, if there is one.")
    ] = None,
    decision: Annotated[
        str | None, typer.Option(help="Which of its decisions; the one that can be trained, if not given.")
    ] = None,
    algorithm: Annotated[str | None, typer.Option(help="ppo, a2c or dqn; else the strategy's own.")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Decisions to learn from; else the strategy's own number.", min=1)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of all that is drawn in learning; else the strategy's own.", min=0),
    ] = None,
    utility: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER", help="Another weight of what requests are worth, such as latency_per_s=1."
        ),
    ] = None,
    judged: Annotated[
        int, typer.Option(help="Replications in which it is set against every constant action.", min=1)
    ] = 4,
    set_: Overrides = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Save the policy here, too (*.safetensors).")
    ] = None,
    replace_: Annotated[
        bool, typer.Option("--replace", "--force", help="Overwrite an earlier policy in --output.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train the policy of a strategy by reinforcement learning over the event loop, and judge it.

    It is kept, and found again by a strategy that says 'policy: trained' with the same settings. It learns in
    episodes of its own, whatever the scenario's seed, replications and horizon.
    """
    from edgesim import runner
    from edgesim.report.policy import PolicyReport
    from edgesim.scenario.contenders import contenders
    from edgesim.scenario.trained import keep_policy, training_digest, write_policy

    if algorithm is not None and algorithm not in _ALGORITHMS:
        raise InputError(f"--algorithm: no algorithm '{algorithm}'; {suggest(algorithm, _ALGORITHMS)}")
    _check_output(output, replace_)
    require_training()
    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    asked = load_scenario(scenario, set_)
    label = _label(contenders(asked), strategy)
    with measuring_progress(notes) as measuring:
        prepared = runner.prepare(asked, only=(label,), measuring=measuring, finds_policies=False)
    lesson = runner.lesson(prepared, label)
    training = _changed(lesson.training, decision, algorithm, steps, seed, _weights(utility or ()))
    own = lesson.prepared
    digest = training_digest(
        replace(own, quality=own.answers), own.strategies[lesson.label], training, own.profiles
    )
    from edgesim.gym.teaching import teach

    with measuring_progress(notes, unit="", doing="training") as tell:
        taught = teach(
            replace(lesson, training=training, digest=digest),
            command=shlex.join(["edgesim", *sys.argv[1:]]),
            n_judged=judged,
            tell=tell,
        )
    kept = keep_policy(taught)
    if output is not None:
        write_policy(taught, output)
    console().print(PolicyReport(taught, f"policy of {lesson.label} in {asked.origin.name}"))
    warn_of_no_gain(notes, label, taught)
    notes.print(f"policy: {output or kept}", style="dim", markup=False)


@app.command()
def policy(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A policy's file, or shipped:NAME (edgesim list policies).")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show a trained policy: what it was trained on, what it sees and does, and how it came about."""
    from edgesim.planning.policies.shipped import policy_file
    from edgesim.planning.splitting.policy import Policy
    from edgesim.report.policy import PolicyReport, policy_as_json

    found = Policy.load(policy_file(file))
    if as_json:
        typer.echo(json.dumps(policy_as_json(found), indent=1))
    else:
        console().print(PolicyReport(found, file))


def _check_output(output: Path | None, may_replace: bool) -> None:
    """Before minutes are spent on what goes there."""
    if output is None:
        return
    if output.suffix != ".safetensors":
        raise InputError(f"--output: expected a name that ends in .safetensors, got {output}")
    if output.is_dir():
        raise InputError(f"--output: {output} is a folder; name a file in it")
    if output.exists() and not may_replace:
        raise InputError(f"--output: {output} is there already; name another file, or say --replace")
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
    """The strategy named; else the one that wants training, or the only one that can be trained."""
    from edgesim.strategy import Strategy

    if wanted is not None:
        return wanted
    wanting = [label for label, one in strategies.items() if one.needs_training]
    able = [label for label, one in strategies.items() if type(one).training is not Strategy.training]
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


def _changed(
    training: Training,
    decision: str | None,
    algorithm: str | None,
    steps: int | None,
    seed: int | None,
    weights: dict[str, float],
) -> Training:
    if decision is not None and decision != training.decision:
        raise InputError(
            f"--decision: the strategy says how to train {training.decision!r}, and nothing of {decision!r}"
        )
    return replace(
        training,
        algorithm=algorithm or training.algorithm,
        n_steps=steps or training.n_steps,
        seed=training.seed if seed is None else seed,
        utility=replace(training.utility, **weights),
    )


def _weights(texts: tuple[str, ...] | list[str]) -> dict[str, float]:
    from edgesim.planning.splitting.utility import Utility

    known = [field.name for field in fields(Utility)]
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known:
            raise InputError(f"--utility: no weight '{name}'; {suggest(name, known)}")
        try:
            found[name] = float(value)
        except ValueError:
            raise InputError(f"--utility: expected {name}=NUMBER, got {text!r}") from None
        if not isfinite(found[name]):
            raise InputError(f"--utility: expected a finite number, got {text!r}")
    return found
