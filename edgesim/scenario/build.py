"""From a scenario to the world of one replication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgesim.errors import ScenarioError
from edgesim.model.profile import Timing
from edgesim.radio.motion.mobility import Track
from edgesim.rng import Streams
from edgesim.scenario.check import architecture, find_problems, known_kinds, sources, weights
from edgesim.scenario.coverage import pads
from edgesim.scenario.demand import demand
from edgesim.scenario.failures import faults
from edgesim.scenario.quality import Quality, find_quality
from edgesim.scenario.radio.air import Air, tracks
from edgesim.scenario.radio.presence import PresentDemand, absences
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.schema.topology import DeviceEntry
from edgesim.scenario.text.problems import ProblemsError
from edgesim.scenario.topology.topology import Layout, Node, lay_out
from edgesim.workload.requests import Demand, Extent
from edgesim.world.device import Device
from edgesim.world.disciplines import Serving
from edgesim.world.world import World

__all__ = ["build_world", "extent", "kinds_used", "timing_name", "workload"]


def build_world(
    scenario: Scenario,
    replication: int,
    timings: Mapping[str, Timing],
    law: Demand | None = None,
    quality: Quality | None = None,
) -> World:
    """Make the world that every strategy meets in one replication.

    Parameters
    ----------
    replication
        Which of the scenario's independent repetitions.
    timings
        How long the model takes on each device kind that the scenario uses (see :func:`kinds_used`).
    law
        The scenario's :func:`workload`, where it is at hand: one that replays a file has read it once.
    quality
        What the scenario asks answers of, where it is at hand; else it is found.

    Raises
    ------
    ScenarioError
        If the scenario has mistakes; one that was loaded from a file has none left.
    """
    layout = _checked_layout(scenario)
    kinds = known_kinds(scenario)
    where = _tracks(scenario, layout, replication)
    air = Air(layout, where, seed=scenario.seed, replication=replication) if layout.air else None
    model = architecture(scenario)
    quality = find_quality(scenario) if quality is None else quality
    exits = tuning = quality.exits_of(model.n_blocks)
    paths = quality.paths_of(model.n_blocks)
    if exits is not None and scenario.quality is not None and scenario.quality.tune_on == "first-half":
        exits, tuning = exits.judged(), exits.calibration()
        paths = None if paths is None else paths.judged()
    return World(
        model=model,
        devices={
            node.id: _device(node, kinds[node.kind], timings[timing_name(node)])
            if node.kind
            else _switch(node)
            for node in layout.nodes.values()
        },
        links=layout.links + (() if air is None else air.links()),
        media={} if air is None else air.media(),
        bands={} if air is None else air.bands(),
        roaming={} if air is None else air.roaming(),
        workload=law or _workload(scenario, layout),
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
        quality=quality.table,
        paths=paths,
        faults=faults(scenario, layout, absences(where, scenario.horizon_s), replication=replication),
        retry=None if scenario.retry is None else scenario.retry.value(),
    )


def _tracks(scenario: Scenario, layout: Layout, replication: int) -> dict[str, Track]:
    """Where devices are in a replication."""
    return tracks(layout, seed=scenario.seed, replication=replication, folder=scenario.origin.folder)


def kinds_used(scenario: Scenario) -> dict[str, DeviceKind]:
    """Return the device kinds of the scenario's devices by name: those that need a timing.

    Devices whose entry names profiles of their own are a kind by themselves here; see :func:`timing_name`.
    """
    known, layout = known_kinds(scenario), _checked_layout(scenario)
    used: dict[str, DeviceKind] = {}
    for node in layout.nodes.values():
        if node.kind:
            own = node.entry.profile if node.entry is not None else ()
            kind = known[node.kind]
            used[timing_name(node)] = kind.model_copy(update={"profile": own}) if own else kind
    return used


def timing_name(node: Node) -> str:
    """Under which name a device's timing is asked for: its kind's, or with profiles of its own, one apart."""
    own = node.entry is not None and node.entry.profile
    return f"{node.kind} ({node.group})" if own else node.kind


def workload(scenario: Scenario) -> Demand:
    """Return the scenario's requests, of whatever kind."""
    return _workload(scenario, _checked_layout(scenario))


def extent(scenario: Scenario, law: Demand | None = None) -> Extent:
    """Return how many requests a replication has and how long they get, at most over all replications.

    The requests are really drawn, so this is what a profile must cover, however long a law's tail may be.
    The scenario's :func:`workload` may be given where it is at hand.

    Raises
    ------
    ScenarioError
        If a request is longer than the model's context, or asks an encoder for more than its one answer.
    """
    law, model = law or workload(scenario), architecture(scenario)
    replications = range(scenario.replications if law.is_random else 1)
    drawn = [law.extent(Streams(scenario.seed, number)) for number in replications]
    largest = Extent(*map(max, zip(*drawn, strict=True)))
    refused = model.refusal(
        n_prompt_tokens=largest.n_prompt_tokens,
        n_output_tokens=largest.n_output_tokens,
        n_tokens=largest.n_tokens,
    )
    if refused is None and any(map(pads, _served(scenario))):
        n_padded = largest.n_prompt_tokens + largest.n_output_tokens
        if model.is_causal and n_padded > model.max_context:
            refused = (
                f"under 'static' serving a prompt padded to {largest.n_prompt_tokens} tokens may have an "
                f"answer of {largest.n_output_tokens}, together more than the context of {model.name}, "
                f"{model.max_context}"
            )
    if refused is not None:
        raise ScenarioError(f"{scenario.origin.name}: $.workload: {refused}; {_shorter(scenario)}")
    return largest


def _served(scenario: Scenario) -> list[Serving | None]:
    """The disciplines of the scenario's devices."""
    entries = (node.entry for node in _checked_layout(scenario).nodes.values() if node.kind)
    return [None if entry is None or entry.serving is None else entry.serving.value() for entry in entries]


def _checked_layout(scenario: Scenario) -> Layout:
    layout = lay_out(scenario.topology, seed=scenario.seed, folder=scenario.origin.folder)
    if layout.problems or not layout.device_ids:
        raise ProblemsError(find_problems(scenario))
    return layout


def _workload(scenario: Scenario, layout: Layout) -> Demand:
    drawn = demand(
        scenario.workload,
        sources=sources(scenario, layout),
        weights=weights(scenario, layout),
        horizon_s=scenario.limit_s,
        folder=scenario.origin.folder,
    )
    away = absences(
        _tracks(scenario, layout, 0), scenario.horizon_s
    )  # recordings are the same in all replications
    if not any(source in away for source in drawn.sources):
        return drawn
    return PresentDemand(drawn, away, scenario.horizon_s)


def _shorter(scenario: Scenario) -> str:
    """Say how requests get shorter."""
    if scenario.workload.trace is not None:
        return (
            "give the trace 'max_prompt' and 'max_output', and say in 'clip' what happens to longer requests"
        )
    if scenario.workload.sessions is not None:
        return "give the lengths a 'max', or the sessions 'max_history'"
    return "give the lengths a 'max'"


def _device(node: Node, kind: DeviceKind, timing: Timing) -> Device:
    device = Device(
        id=node.id,
        group=node.group,
        kind=node.kind,
        memory_bytes=kind.memory_bytes.value,
        process_bytes=kind.process_bytes.value,
        load_copies=1.0 if kind.load_copies is None else kind.load_copies.value,
        timing=timing,
        power=kind.power_values(),
        endpoint=kind.endpoint_values(),
        service=None if kind.service is None else kind.service.value(),
        place_m=node.place_m,
    )
    return device if node.entry is None else _overridden(device, node.entry)


def _overridden(device: Device, entry: DeviceEntry) -> Device:
    """Put the entry's own figures in the place of its kind's."""
    power = {} if entry.power is None else entry.power.model_dump(exclude_none=True)
    endpoint = {} if entry.endpoint is None else entry.endpoint.model_dump(exclude_none=True)
    return replace(
        device,
        memory_bytes=device.memory_bytes if entry.memory_bytes is None else entry.memory_bytes,
        process_bytes=device.process_bytes if entry.process_bytes is None else entry.process_bytes,
        power=replace(device.power, **power),
        endpoint=replace(device.endpoint, **endpoint),
        serving=None if entry.serving is None else entry.serving.value(),
        service=device.service if entry.service is None else entry.service.value(),
        speed=None if entry.speed is None else entry.speed.value(),
        battery=None if entry.battery is None else entry.battery.value(),
    )


def _switch(node: Node) -> Device:
    return Device(
        id=node.id, group=node.group, kind="switch", memory_bytes=0, timing=None, place_m=node.place_m
    )
