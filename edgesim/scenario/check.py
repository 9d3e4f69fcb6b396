"""Checks across the parts of a scenario: references between them, and to files and catalogues."""

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
from edgesim.scenario.demand import demand
from edgesim.scenario.failures import fault_problems
from edgesim.scenario.profiles import named_problems
from edgesim.scenario.radio.air_checks import air_problems
from edgesim.scenario.runtimes import runtime_of
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.strategy_labels import strategies_and_problems
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
    """A scenario's resolved references, and the mistakes that the schema alone cannot detect.

    Attributes
    ----------
    model, workload
        Model and requests, or the error why they could not be read.
    strategies
        Valid strategies by label.
    problems
        Mistakes, in no particular order. If there are none, all other attributes are complete.
    """

    layout: Layout
    model: Architecture | InputError
    workload: Demand | InputError
    strategies: Mapping[str, Strategy]
    problems: tuple[Problem, ...]


def examine(scenario: Scenario) -> Examined:
    """Lay out the topology, and resolve model, strategies and requests; the result is cached."""
    return scenario.once(_examine)


def _examine(scenario: Scenario) -> Examined:
    layout = lay_out(scenario.topology, seed=scenario.seed, folder=scenario.origin.folder)
    model, workload = _or_error(lambda: _architecture(scenario)), _or_error(lambda: _demand(scenario, layout))
    strategies, mistaken = strategies_and_problems(scenario)
    problems = [*layout.problems, *_model_problems(scenario, model), *named_problems(scenario)]
    problems += _kind_problems(scenario, layout)
    problems += _source_problems(scenario, layout)
    problems += _workload_problems(scenario, workload)
    if not layout.problems:
        problems += [*fault_problems(scenario, layout), *air_problems(scenario, layout)]
    if not scenario.strategies:
        problems.append(Problem(("strategies",), "no strategies; list at least one, such as {use: local}"))
    problems += mistaken
    # Reachability is checked only without other problems: a rejected link would seem to disconnect devices.
    if not problems:
        problems += _reach_problems(scenario, layout)
    return Examined(layout, model, workload, strategies, tuple(problems))


def _or_error(make: Callable[[], Value]) -> Value | InputError:
    try:
        return make()
    except InputError as error:
        return error


def _demand(scenario: Scenario, layout: Layout) -> Demand:
    """Return the scenario's requests; if `sources` are invalid, with a placeholder source."""
    return demand(
        scenario.workload,
        sources=sources(scenario, layout) or ("anywhere",),
        weights=weights(scenario, layout),
        horizon_s=scenario.limit_s,
        folder=scenario.origin.folder,
    )


def known_kinds(scenario: Scenario) -> Mapping[str, DeviceKind]:
    """Return the device kinds that a scenario can name: its own, then the catalogue's."""
    return ChainMap(dict(scenario.kinds), cast("dict[str, DeviceKind]", catalogue.device_kinds()))


def sources(scenario: Scenario, layout: Layout) -> tuple[str, ...]:
    """Return the ids of the devices that generate requests."""
    named = [id_ for name in scenario.workload.sources for id_ in layout.members(name)]
    return tuple(dict.fromkeys(named)) or layout.first_group()


def weights(scenario: Scenario, layout: Layout) -> tuple[float, ...]:
    """Return the relative frequency of requests from each source; empty if all are equal."""
    given = scenario.workload.weights
    if not given:
        return ()
    groups = {node.id: node.group for node in layout.nodes.values()}
    return tuple(given.get(id_, given.get(groups[id_], 1.0)) for id_ in sources(scenario, layout))


def architecture(scenario: Scenario) -> Architecture:
    """Return the scenario's model, from the catalogue or a config on this machine; the result is cached.

    Raises
    ------
    InputError
        If there is no such model, or its family is not supported.
    """
    model = examine(scenario).model
    if isinstance(model, InputError):
        raise model
    return model


def _architecture(scenario: Scenario) -> Architecture:
    entry = scenario.model
    model = named_architecture(
        entry.architecture,
        dtype=entry.dtype,
        folder=scenario.origin.folder,
        reads_quantisation=entry.stored_bytes is None,
    )
    model = replace(model, keeps_cache=entry.kv_cache)
    return model if entry.stored_bytes is None else model.quantised(entry.stored_bytes)


def quantisation_remark(scenario: Scenario) -> str | None:
    """Return a remark on how weights are stored if the model's config defines it; else None."""
    entry = scenario.model
    name, folder, size = entry.architecture, scenario.origin.folder, entry.stored_bytes
    try:
        own = named_architecture(name, dtype=entry.dtype, folder=folder)
    except InputError:  # the scenario gives the size of weights, else it would have been refused
        return f"model {name}: its quantization_config is ignored; {size:g} bytes per weight are used"
    if not isinstance(own.storage, Packed):
        return None
    n_gb, stored_as = own.weight_bytes(own.whole) / 1e9, f"{own.storage.name}, as its config says"
    if size is None:
        return f"model {own.name}: {n_gb:.2f} GB of weights in {stored_as}; its times are not measured"
    counted_gb = own.quantised(size).weight_bytes(own.whole) / 1e9
    return (
        f"model {own.name}: {size:g} bytes per weight, as the scenario says: {counted_gb:.2f} GB of weights "
        f"instead of {n_gb:.2f} GB in {stored_as}"
    )


def plain_architecture(name: str, *, dtype: str) -> tuple[Architecture, bool]:
    """Return a model with plain weights, as it is measured, and whether its config quantises them."""
    plain = named_architecture(name, dtype=dtype, reads_quantisation=False)
    try:
        return plain, named_architecture(name, dtype=dtype) != plain
    except InputError:  # an unsupported quantisation is still a quantisation
        return plain, True


def named_architecture(
    name: str, *, dtype: str, folder: FilePath | None = None, reads_quantisation: bool = True
) -> Architecture:
    """Read a model by its name in the catalogue, by its path relative to `folder`, or from the Hub.

    The Hugging Face Hub is queried only if the name looks like ``organisation/model`` and matches nothing on
    this machine.

    Parameters
    ----------
    reads_quantisation
        Whether to apply the config's `quantization_config`; otherwise weights are in the number format.

    Raises
    ------
    InputError
        If there is no such model, or its family is not supported.
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
        yield Problem(("model", "kv_cache"), f"{model.name} is an encoder and has no KV cache; leave it out")
    if answer is not None and answer > 1:
        yield Problem(
            ("workload", "output_tokens"),
            f"{model.name} is an encoder: its one answer counts as 1 output token; write 1",
        )
    if prompt is not None and prompt > model.max_context:
        yield Problem(
            ("workload", "prompt_tokens"),
            f"a prompt of {prompt} tokens exceeds the context of {model.name}, {model.max_context} tokens; "
            "shorten it",
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
            continue  # its times are computed from shares of its peaks
        if kind.power_mode is not None:
            yield Problem(
                (*path[:-1], "power_mode"),
                f"a power mode changes the peaks of '{name}', which are used only with a 'runtime'; "
                "add one (edgesim list runtimes)",
            )
            continue
        if kind.profile or _names_its_own(scenario, path):
            continue  # its times are used as measured, so its ceilings do not matter
        if kind.is_profiled_host and scenario.profile.use == "analytic":
            yield Problem(
                path,
                f"'{name}' takes its times from a measured host, and 'profile: analytic' measures none; "
                "choose another profile or kind",
            )
        elif not kind.is_profiled_host and kind.ceilings(dtype) is None:
            yield Problem(
                path, f"kind '{name}' has no compute rate for {dtype}; add one, or choose another dtype"
            )


def _with_own(scenario: Scenario, path: Path, kind: DeviceKind) -> DeviceKind:
    """Return the kind with the runtime and power mode of the device entry at a path."""
    if path[:2] != ("topology", "devices") or not isinstance(path[2], int):
        return kind
    entry = scenario.topology.devices[path[2]]
    own = {"runtime": entry.runtime, "power_mode": entry.power_mode}
    return kind.model_copy(update={name: value for name, value in own.items() if value is not None})


def _names_its_own(scenario: Scenario, path: Path) -> bool:
    """Whether the device entry at a path names its own profiles."""
    index = path[2] if path[:2] == ("topology", "devices") else None
    return isinstance(index, int) and bool(scenario.topology.devices[index].profile)


def _workload_problems(scenario: Scenario, made: Demand | InputError) -> Iterator[Problem]:
    """Yield the reason why the workload is invalid; its sources are checked separately."""
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
            yield Problem(path, f"'{name}' is a switch, which generates no requests; name a device")
    generating = set(sources(scenario, layout))
    for name in scenario.workload.weights:
        at, members = ("workload", "weights", name), layout.members(name)
        if not members and layout.device_ids and not layout.problems:
            yield Problem(at, layout.unknown(name))
        elif members and not generating & set(members):
            yield Problem(at, f"'{name}' is not in 'sources'; add it there, or leave its weight out")


def _reach_problems(scenario: Scenario, layout: Layout) -> Iterator[Problem]:
    pair = layout.cut_off(sources(scenario, layout))
    if pair is not None:
        yield Problem(
            ("topology", "links"),
            f"no path of links leads from source '{pair[0]}' to '{pair[1]}'; "
            "add a link, or remove the device",
        )
