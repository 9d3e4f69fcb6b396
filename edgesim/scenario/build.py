"""Resolution of a scenario to a study, and construction of the world of one replication."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from edgesim.errors import InputError, ScenarioError
from edgesim.model.architecture import Architecture
from edgesim.model.profile import Timing
from edgesim.radio.motion.mobility import Track
from edgesim.rng import Streams
from edgesim.scenario.check import Examined, examine, known_kinds
from edgesim.scenario.coverage import disciplines, pads
from edgesim.scenario.devices import device, switch, timing_name
from edgesim.scenario.failures import faults
from edgesim.scenario.measured_quality import find_quality
from edgesim.scenario.radio.air import Air, tracks
from edgesim.scenario.radio.presence import PresentDemand, absences
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.schema.topology import DeviceEntry
from edgesim.scenario.study import Study
from edgesim.scenario.text.problems import ProblemsError
from edgesim.scenario.topology.topology import Layout
from edgesim.workload.requests import Demand, Extent
from edgesim.world.world import World

__all__ = ["build_world", "drawing", "extent", "kinds_used", "resolve", "workload"]


def resolve(scenario: Scenario | Study) -> Study:
    """Resolve a scenario to a study; a study is returned unchanged.

    Results of checking the scenario (layout, model, requests) are reused.

    Raises
    ------
    ScenarioError
        If the scenario has mistakes. A scenario loaded from a file was already checked, but the measured
        answers that it requests may be missing.
    """
    if isinstance(scenario, Study):
        return scenario
    found = _sound(scenario)
    assert isinstance(found.model, Architecture)
    return Study(
        scenario=scenario,
        layout=found.layout,
        model=found.model,
        kinds=kinds_used(scenario),
        workload=workload(scenario),
        strategies=found.strategies,
        quality=find_quality(scenario),
    ).marked()


def build_world(study: Study | Scenario, replication: int, timings: Mapping[str, Timing]) -> World:
    """Return the world of one replication, the same for every strategy.

    Parameters
    ----------
    study
        Study to simulate; a scenario is resolved first.
    replication
        Index of the replication.
    timings
        Timing of the model on each device kind in use, by the names in ``study.kinds``.

    Raises
    ------
    ScenarioError
        If the scenario has mistakes.
    """
    study = resolve(study)
    scenario, layout, model = study.scenario, study.layout, study.model
    where = _tracks(scenario, layout, replication)
    air = Air(layout, where, seed=scenario.seed, replication=replication) if layout.air else None
    forwarding = layout.forwarding
    exits = tuning = study.quality.exits_of(model.n_blocks)
    paths = study.quality.paths_of(model.n_blocks)
    if exits is not None and scenario.quality is not None and scenario.quality.tune_on == "first-half":
        exits, tuning = exits.judged(), exits.calibration()
        paths = None if paths is None else paths.judged()
    return World(
        model=model,
        devices={
            node.id: device(
                node,
                study.kinds[timing_name(node)],
                timings[timing_name(node)],
                forwards=node.id in forwarding,
            )
            if node.kind
            else switch(node)
            for node in layout.nodes.values()
        },
        links=layout.links + (() if air is None else air.links()),
        media={} if air is None else air.media(),
        bands={} if air is None else air.bands(),
        roaming={} if air is None else air.roaming(),
        workload=study.workload,
        seed=scenario.seed,
        replication=replication,
        horizon_s=scenario.horizon_s,
        cooldown_s=scenario.longest_cooldown_s,
        memory_policy=scenario.memory.admission,
        queue_limit=scenario.memory.queue_limit,
        patience_s=scenario.memory.patience_s,
        prompt_bytes_per_token=scenario.workload.prompt_bytes_per_token,
        answer_bytes_per_token=scenario.workload.id_bytes,
        exits=exits,
        tuning_exits=None if tuning is exits else tuning,
        quality=study.quality.table,
        paths=paths,
        faults=faults(scenario, layout, absences(where, scenario.horizon_s), replication=replication),
        retry=None if scenario.retry is None else scenario.retry.value(),
    )


def kinds_used(scenario: Scenario) -> dict[str, DeviceKind]:
    """Return the device kinds in use by timing name.

    Devices whose entry has its own profiles, runtime or power mode form a separate kind here; see
    :func:`edgesim.scenario.devices.timing_name`.
    """
    known, layout = known_kinds(scenario), _sound(scenario).layout
    used: dict[str, DeviceKind] = {}
    for node in layout.nodes.values():
        if node.kind:
            used[timing_name(node)] = _own_kind(known[node.kind], node.entry)
    return used


def _own_kind(kind: DeviceKind, entry: DeviceEntry | None) -> DeviceKind:
    """Return the kind with the profiles, runtime and power mode of an entry."""
    if entry is None:
        return kind
    own = {"profile": entry.profile or None, "runtime": entry.runtime, "power_mode": entry.power_mode}
    changes = {name: value for name, value in own.items() if value is not None}
    return kind.model_copy(update=changes) if changes else kind


def workload(scenario: Scenario) -> Demand:
    """Return the scenario's demand; the result is cached."""
    return scenario.once(_workload)


def extent(study: Study | Scenario) -> Extent:
    """Return the largest number and lengths of requests over all replications.

    The requests are actually drawn, so a profile must cover these lengths even if a distribution's tail is
    unbounded.

    Raises
    ------
    ScenarioError
        If a request is longer than the model's context, or requests more than one output token of an encoder.
    """
    study = resolve(study)
    scenario, law, model = study.scenario, study.workload, study.model
    replications = range(scenario.replications if law.is_random else 1)
    with drawing(scenario):
        drawn = [law.extent(Streams(scenario.seed, number)) for number in replications]
    largest = Extent(*map(max, zip(*drawn, strict=True)))
    refused = model.refusal(
        n_prompt_tokens=largest.n_prompt_tokens,
        n_output_tokens=largest.n_output_tokens,
        n_tokens=largest.n_tokens,
    )
    if refused is None and any(map(pads, disciplines(study.layout))):
        n_padded = largest.n_prompt_tokens + largest.n_output_tokens
        if model.is_causal and n_padded > model.max_context:
            refused = (
                f"with 'static' serving a prompt padded to {largest.n_prompt_tokens} tokens can have an "
                f"answer of {largest.n_output_tokens}, together more than the context of {model.name}, "
                f"{model.max_context}"
            )
    if refused is not None:
        raise ScenarioError(f"{scenario.place(('workload',))}: {refused}; {_shorter(scenario)}")
    return largest


@contextmanager
def drawing(scenario: Scenario) -> Iterator[None]:
    """Add the scenario's position to errors of drawing the workload; errors of a trace name its file."""
    try:
        yield
    except InputError as error:
        about, _, why = str(error).partition(": ")
        if about != "workload":
            raise
        raise ScenarioError(f"{scenario.place(('workload',))}: {why}") from None


def _sound(scenario: Scenario) -> Examined:
    """Return the examined scenario, or raise ProblemsError if it has mistakes."""
    found = examine(scenario)
    if found.problems:
        raise ProblemsError(found.problems)
    return found


def _tracks(scenario: Scenario, layout: Layout, replication: int) -> dict[str, Track]:
    """Return the positions of devices over time in a replication."""
    return tracks(layout, seed=scenario.seed, replication=replication, folder=scenario.origin.folder)


def _workload(scenario: Scenario) -> Demand:
    found = _sound(scenario)
    drawn = found.workload
    assert not isinstance(drawn, InputError)
    # Recordings are the same in all replications.
    away = absences(_tracks(scenario, found.layout, 0), scenario.horizon_s)
    if not any(source in away for source in drawn.sources):
        return drawn
    return PresentDemand(drawn, away, scenario.horizon_s)


def _shorter(scenario: Scenario) -> str:
    """Return advice on how to shorten requests."""
    if scenario.workload.trace is not None:
        return (
            "give the trace 'max_prompt' and 'max_output', and set 'clip' to shorten or drop longer requests"
        )
    if scenario.workload.sessions is not None:
        return "give the lengths a 'max', or the sessions 'max_history'"
    return "give the lengths a 'max'"
