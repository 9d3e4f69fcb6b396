"""What one field alone cannot show: references between the parts of a scenario, and to the outside."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import TypeVar, cast

from edgesim.errors import InputError, WorkloadError
from edgesim.files import is_there, user_path
from edgesim.measure.hub import hub_architecture, is_hub_id
from edgesim.model.architecture import Architecture
from edgesim.model.quantisation.packing import Packed
from edgesim.nearest import suggest
from edgesim.scenario import catalogue
from edgesim.scenario.contenders import contenders_or_problems
from edgesim.scenario.demand import demand
from edgesim.scenario.failures import fault_problems
from edgesim.scenario.profiles import named_problems
from edgesim.scenario.radio.air_checks import air_problems
from edgesim.scenario.runtimes import runtime_of
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.text.problems import Path, Problem
from edgesim.scenario.topology.topology import Layout, lay_out
from edgesim.strategy import Strategy
from edgesim.workload.requests import Demand

__all__ = [
    "Examined",
    "architecture",
    "examine",
    "known_kinds",
    "named_architecture",
    "plain_architecture",
    "quantisation_remark",
    "sources",
    "weights",
]

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Examined:
    """What a scenario's words stand for, and every mistake that the schema alone cannot see.

    Attributes
    ----------
    model, workload
        What was read, or why it could not be.
    strategies
        By label; those that can be made.
    problems
        In no particular order. Without any, all the others are whole.
    """

    layout: Layout
    model: Architecture | InputError
    workload: Demand | InputError
    strategies: Mapping[str, Strategy]
    problems: tuple[Problem, ...]


def examine(scenario: Scenario) -> Examined:
    """Lay the topology out, read the model, find strategies and requests once."""
    return scenario.once(_examine)


def _examine(scenario: Scenario) -> Examined:
    layout = lay_out(scenario.topology, seed=scenario.seed, folder=scenario.origin.folder)
    model, workload = _or_error(lambda: _architecture(scenario)), _or_error(lambda: _demand(scenario, layout))
    strategies, mistaken = contenders_or_problems(scenario)
    problems = [*layout.problems, *_model_problems(scenario, model), *named_problems(scenario)]
    problems += _kind_problems(scenario, layout)
    problems += _source_problems(scenario, layout)
    problems += _workload_problems(scenario, workload)
    if not layout.problems:
        problems += [*fault_problems(scenario, layout), *air_problems(scenario, layout)]
    if not scenario.strategies:
        problems.append(Problem(("strategies",), "no strategies; list at least one, such as {use: local}"))
    problems += mistaken
    # A topology with mistakes is incomplete: what it seems to cut off may be joined by the link that failed.
    if not problems:
        problems += _reach_problems(scenario, layout)
    return Examined(layout, model, workload, strategies, tuple(problems))


def _or_error(make: Callable[[], Value]) -> Value | InputError:
    try:
        return make()
    except InputError as error:
        return error


def _demand(scenario: Scenario, layout: Layout) -> Demand:
    """The requests as their law has them; where sources are mistaken, from anywhere."""
    return demand(
        scenario.workload,
        sources=sources(scenario, layout) or ("anywhere",),
        weights=weights(scenario, layout),
        horizon_s=scenario.limit_s,
        folder=scenario.origin.folder,
    )


def known_kinds(scenario: Scenario) -> Mapping[str, DeviceKind]:
    """Device kinds that a scenario may name: the catalogue's, and its own before them."""
    return ChainMap(dict(scenario.kinds), cast("dict[str, DeviceKind]", catalogue.device_kinds()))


def sources(scenario: Scenario, layout: Layout) -> tuple[str, ...]:
    """Return the ids of the devices that requests come from."""
    named = [id_ for name in scenario.workload.sources for id_ in layout.members(name)]
    return tuple(dict.fromkeys(named)) or layout.first_group()


def weights(scenario: Scenario, layout: Layout) -> tuple[float, ...]:
    """How often requests come from each source, relative to the others; empty where all are alike."""
    given = scenario.workload.weights
    if not given:
        return ()
    groups = {node.id: node.group for node in layout.nodes.values()}
    return tuple(given.get(id_, given.get(groups[id_], 1.0)) for id_ in sources(scenario, layout))


def architecture(scenario: Scenario) -> Architecture:
    """Return the scenario's model: one of the catalogue, or a config on this machine; it is read once.

    Raises
    ------
    InputError
        If it is neither, or of a family that edgesim does not read.
    """
    model = examine(scenario).model
    if isinstance(model, InputError):
        raise model
    return model


def _architecture(scenario: Scenario) -> Architecture:
    asked = scenario.model
    model = named_architecture(
        asked.architecture,
        dtype=asked.dtype,
        folder=scenario.origin.folder,
        reads_quantisation=asked.stored_bytes is None,
    )
    model = replace(model, keeps_cache=asked.kv_cache)
    return model if asked.stored_bytes is None else model.quantised(asked.stored_bytes)


def quantisation_remark(scenario: Scenario) -> str | None:
    """Say how the model's weights are stored where its own config speaks of that; None where it does not."""
    asked = scenario.model
    name, folder, size = asked.architecture, scenario.origin.folder, asked.stored_bytes
    try:
        own = named_architecture(name, dtype=asked.dtype, folder=folder)
    except InputError:  # the scenario says how weights are stored, or it would have been refused
        return f"model {name}: its quantization_config is not read; {size:g} bytes per weight count, as asked"
    if not isinstance(own.storage, Packed):
        return None
    n_gb, said = own.weight_bytes(own.whole) / 1e9, f"{own.storage.name}, as its config says"
    if size is None:
        return f"model {own.name}: {n_gb:.2f} GB of weights in {said}; its times are not measured ones"
    counted_gb = own.quantised(size).weight_bytes(own.whole) / 1e9
    return (
        f"model {own.name}: {size:g} bytes per weight count, as the scenario says, {counted_gb:.2f} GB of "
        f"weights, and not {n_gb:.2f} GB in {said}"
    )


def plain_architecture(name: str, *, dtype: str) -> tuple[Architecture, bool]:
    """Read a model as it is measured, with plain weights; and whether its config packs them."""
    plain = named_architecture(name, dtype=dtype, reads_quantisation=False)
    try:
        return plain, named_architecture(name, dtype=dtype) != plain
    except InputError:  # a quantisation that is not read is one all the same
        return plain, True


def named_architecture(
    name: str, *, dtype: str, folder: FilePath | None = None, reads_quantisation: bool = True
) -> Architecture:
    """Read a model by its name in the catalogue, by its path relative to `folder`, or from the Hub.

    The Hugging Face Hub is asked only where the name looks like ``organisation/model`` and nothing on this
    machine matches.

    Parameters
    ----------
    reads_quantisation
        Whether weights are stored as its config's `quantization_config` says; else in the number format.

    Raises
    ------
    InputError
        If there is no such model, or it is of a family that edgesim does not read.
    """
    models = catalogue.models()
    if name in models:
        return models[name].architecture(dtype)
    path = user_path(folder or FilePath(), name)
    if is_there(path):
        return Architecture.from_path(path, dtype=dtype, reads_quantisation=reads_quantisation)
    if is_hub_id(name):
        return hub_architecture(name, dtype=dtype, reads_quantisation=reads_quantisation)
    raise InputError(
        f"no model '{name}' in the catalogue, and no such folder or file; {suggest(name, models)}"
    )


def _model_problems(scenario: Scenario, model: Architecture | InputError) -> Iterator[Problem]:
    if isinstance(model, InputError):
        yield Problem(("model", "architecture"), str(model))
        return
    lengths = (scenario.workload.prompt_tokens, scenario.workload.output_tokens)
    longest = [None if length is None else length.law().longest for length in lengths]
    if not model.is_causal:
        yield from _encoder_problems(model, *longest)
        return
    if sum(length or 0 for length in longest) > model.max_context:
        yield Problem(
            ("workload",),
            f"a prompt of {longest[0] or 'unbounded'} and an answer of {longest[1] or 'unbounded'} tokens "
            f"exceed the context of {model.name}, {model.max_context} tokens; shorten them",
        )


def _encoder_problems(model: Architecture, prompt: int | None, answer: int | None) -> Iterator[Problem]:
    if not model.keeps_cache:
        yield Problem(("model", "kv_cache"), f"{model.name} is an encoder and has none anyway; leave it out")
    if answer is not None and answer > 1:
        yield Problem(
            ("workload", "output_tokens"),
            f"{model.name} is an encoder: its one answer counts as 1 output token; write 1",
        )
    if prompt is not None and prompt > model.max_context:
        yield Problem(
            ("workload", "prompt_tokens"),
            f"a text of {prompt} tokens exceeds the {model.max_context} that {model.name} reads; shorten it",
        )


def _kind_problems(scenario: Scenario, layout: Layout) -> Iterator[Problem]:
    if not layout.device_ids:
        if not layout.problems:
            yield Problem(
                ("topology",), "no devices; name at least one, such as {id: edge, kind: jetson-agx-orin}"
            )
        return
    known = known_kinds(scenario)
    entries: dict[tuple[Path, str], str] = {}
    for node in layout.nodes.values():
        if node.kind:
            entries.setdefault((node.path, node.kind), node.id)
    for (path, name), node_id in sorted(entries.items(), key=str):
        path = (*path, "kinds" if path[-1] == "generate" else "kind")
        if name not in known:
            of = f"node '{node_id}': " if path[-2] == "file" else ""
            yield Problem(path, f"{of}no device kind '{name}'; {suggest(name, known)} (edgesim list devices)")
            continue
        kind, dtype = _with_own(scenario, path, known[name]), scenario.model.dtype
        try:
            kind.mode(name)
        except InputError as error:
            yield Problem((*path[:-1], "power_mode"), str(error))
            continue
        try:
            if runtime_of(kind) is not None:
                kind.peak_values(name)
        except InputError as error:
            yield Problem((*path[:-1], "runtime"), str(error))
            continue
        if kind.runtime is not None:
            continue  # charged by shares of its peaks
        if kind.power_mode is not None:
            yield Problem(
                (*path[:-1], "power_mode"),
                f"a power mode changes the peaks of '{name}', which only a 'runtime' reaches shares of; "
                "add one (edgesim list runtimes)",
            )
            continue
        if kind.profile or _names_its_own(scenario, path):
            continue  # charged as measured, so that ceilings do not matter
        if kind.is_profiled_host and scenario.profile.use == "analytic":
            yield Problem(
                path, f"'{name}' computes as a measured host does, and profile: analytic measures none"
            )
        elif not kind.is_profiled_host and kind.ceilings(dtype) is None:
            yield Problem(
                path, f"kind '{name}' has no compute rate for {dtype}; add one, or choose another dtype"
            )


def _with_own(scenario: Scenario, path: Path, kind: DeviceKind) -> DeviceKind:
    """Return the kind under the runtime and in the power mode of the entry that names it at a place."""
    if path[:2] != ("topology", "devices") or not isinstance(path[2], int):
        return kind
    entry = scenario.topology.devices[path[2]]
    own = {"runtime": entry.runtime, "power_mode": entry.power_mode}
    return kind.model_copy(update={name: value for name, value in own.items() if value is not None})


def _names_its_own(scenario: Scenario, path: Path) -> bool:
    """Whether the entry whose kind stands at a place names profiles of its own."""
    index = path[2] if path[:2] == ("topology", "devices") else None
    return isinstance(index, int) and bool(scenario.topology.devices[index].profile)


def _workload_problems(scenario: Scenario, made: Demand | InputError) -> Iterator[Problem]:
    """Find out why the workload cannot be made; its sources are checked elsewhere."""
    if isinstance(made, WorkloadError):
        yield Problem(("workload", "trace", "file"), str(made))
    elif isinstance(made, InputError):
        is_trace = scenario.workload.trace is not None
        yield Problem(("workload", "trace") if is_trace else ("workload",), str(made))


def _source_problems(scenario: Scenario, layout: Layout) -> Iterator[Problem]:
    for index, name in enumerate(scenario.workload.sources):
        path = ("workload", "sources", index)
        members = layout.members(name)
        if not members and layout.device_ids and not layout.problems:
            yield Problem(path, layout.unknown(name))
        elif members and not layout.nodes[members[0]].kind:
            yield Problem(path, f"'{name}' is a switch; requests come from devices")
    asking = set(sources(scenario, layout))
    for name in scenario.workload.weights:
        at, members = ("workload", "weights", name), layout.members(name)
        if not members and layout.device_ids and not layout.problems:
            yield Problem(at, layout.unknown(name))
        elif members and not asking & set(members):
            yield Problem(at, f"no requests come from '{name}'; weigh those that are in 'sources', or add it")


def _reach_problems(scenario: Scenario, layout: Layout) -> Iterator[Problem]:
    pair = layout.cut_off(sources(scenario, layout))
    if pair is not None:
        yield Problem(
            ("topology", "links"),
            f"no path of links leads from source '{pair[0]}' to '{pair[1]}'; "
            "add a link, or remove the device",
        )
