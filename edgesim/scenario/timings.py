"""How long the model takes on each device kind: measured there, scaled from elsewhere, or by formulas."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edgesim.errors import ProfileError
from edgesim.measure.cache import DEFAULT_BUDGET_S, cached_profile, ensure_profile, profile_path
from edgesim.model.architecture import Architecture, Component
from edgesim.model.ceilings import Ceilings
from edgesim.model.monotone import Correction
from edgesim.model.profile import Profile, Timing
from edgesim.model.scaling import AnalyticTiming, ScaledTiming
from edgesim.scenario.build import resolve
from edgesim.scenario.coverage import Coverage, disciplines, recomputes
from edgesim.scenario.devices import timing_name
from edgesim.scenario.profiles import own_profiles, saved_profile
from edgesim.scenario.runtimes import runtime_timing
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.study import Study
from edgesim.scenario.topology.topology import Layout
from edgesim.workload.requests import Extent
from edgesim.world.discipline import ServingDiscipline

__all__ = ["Measuring", "Profiles", "check_coverage", "corrections", "find_profiles", "timings"]

_UNMEASURED_HOST = Ceilings(flop_per_s=1e11, bytes_per_s=1e10, overhead_s=1e-4)
"""A laptop's order of magnitude, by which `check` places a model on a host that has not been measured."""

Measuring = Callable[[float, float, str], None]
"""Progress of measuring: seconds done, seconds in all, and what is being measured."""


@dataclass(frozen=True)
class Profiles:
    """What a scenario is charged with.

    Attributes
    ----------
    base
        Measured here, or named in `profile`: what kinds are scaled from. None where nothing has to be, or
        where the scenario asks for formulas.
    own
        Measured on a kind itself, by the name under which its timing is asked for.
    """

    base: Profile | None = None
    own: Mapping[str, Profile] = field(default_factory=lambda: MappingProxyType({}))


def find_profiles(
    study: Study | Scenario,
    longest: Extent,
    *,
    shards: bool = False,
    measure: bool = True,
    refresh: bool = False,
    force: bool = False,
    measuring: Measuring | None = None,
) -> Profiles:
    """Get all profiles that a study needs; this machine is measured only if a kind has none of its own.

    Parameters
    ----------
    longest
        How long its requests get.
    shards
        Whether tensor shards of the blocks are charged, too: some are then measured besides the whole.
    measure
        Whether to measure what is not at hand.
    refresh
        Whether to measure even though a profile is kept.
    force
        Whether to take one that says next to nothing.
    measuring
        Called with the progress.

    Raises
    ------
    ProfileError
        If a profile that is named is of another model.
    """
    study = resolve(study)
    scenario, model = study.scenario, study.model
    kinds = {name: kind for name, kind in study.kinds.items() if kind.runtime is None}  # others need none
    needed = _coverages(study.layout, longest, keeps_cache=model.keeps_cache)
    base = saved_profile(scenario, model)

    def covers(name: str, profile: Profile) -> bool:
        try:
            needed[name].check(profile.timing())
        except ProfileError:
            return False
        return not shards or len(profile.shards) > 1

    own = own_profiles(scenario, kinds, model, base, covers) if kinds else {}
    if scenario.profile.use != "auto" or set(own) == set(kinds):
        return Profiles(base, own)
    served = disciplines(study.layout)
    measured = model.plain
    recomputed = any(map(recomputes, served)) or not model.keeps_cache
    grid = Coverage.of(longest, served, recomputed=recomputed).grid(
        measured, _equal_shards(study.layout, measured) if shards else (1,)
    )
    threads = scenario.profile.threads or os.cpu_count() or 1
    if not measure:
        kept = cached_profile(profile_path(measured, threads=threads, device="cpu", grid=grid))
        return Profiles(None if kept and kept.is_useless and not force else kept, own)
    budget_s = scenario.profile.budget_s or DEFAULT_BUDGET_S
    base = ensure_profile(
        measured,
        threads=threads,
        grid=grid,
        budget_s=budget_s,
        progress=measuring,
        refresh=refresh,
        force=force,
    )
    return Profiles(base, own)


def timings(
    study: Study | Scenario, profiles: Profiles, *, draw: tuple[int, int] | None = None
) -> dict[str, Timing]:
    """How long the model takes on each device kind that is in use.

    Parameters
    ----------
    draw
        Of kinds with a `runtime`: which of how many sets of fitted parameters; None: their centre.
    """
    study = resolve(study)
    folder = study.scenario.origin.folder
    return {
        name: _timing(study.model, kind, profiles.base, profiles.own.get(name))
        if kind.runtime is None
        else runtime_timing(study.model, name, kind, folder=folder, draw=draw)
        for name, kind in study.kinds.items()
    }


def corrections(charged: Mapping[str, Timing]) -> dict[str, Mapping[Component, Correction]]:
    """Say of each kind with scaled times what had to change so that none falls, where anything had to."""
    found = {name: timing.corrections for name, timing in charged.items() if isinstance(timing, ScaledTiming)}
    return {name: parts for name, parts in found.items() if any(part.n_changed for part in parts.values())}


def check_coverage(
    study: Study | Scenario,
    profiles: Profiles,
    longest: Extent,
    charged: Mapping[str, Timing] | None = None,
) -> None:
    """Make sure that everything that can occur can be charged.

    Parameters
    ----------
    charged
        Its :func:`timings`, where they are at hand.

    Raises
    ------
    ProfileError
        If a request may be longer, or a batch larger, than was measured.
    """
    study = resolve(study)
    charged = timings(study, profiles) if charged is None else charged
    for name, needed in _coverages(study.layout, longest, keeps_cache=study.model.keeps_cache).items():
        source = profiles.own.get(name, profiles.base)
        try:
            needed.check(charged[name])
        except ProfileError as error:
            where = study.scenario.place(("profile",))
            raise ProfileError(f"{where}: device kind '{name}' is charged with {source}: {error}") from None


def _timing(model: Architecture, kind: DeviceKind, base: Profile | None, own: Profile | None) -> Timing:
    """Charge a kind with its own profile, or with the base scaled to it.

    Weights that are quantised were not measured, so that even the machine's own profile is scaled: by the
    bytes that are read, at the machine's own ceilings.
    """
    ceilings = kind.ceilings(model.dtype)
    source = base if own is None else own
    if source is None:
        return AnalyticTiming(model, ceilings or _UNMEASURED_HOST)
    if own is not None or ceilings is None:
        ceilings = source.ceilings
        if model.storage is None:
            return source.timing()
    return ScaledTiming(source, ceilings, model)


def _equal_shards(layout: Layout, model: Architecture) -> tuple[int, ...]:
    """Into how many parts blocks are cut to measure one: powers of two, up to a part for each device."""
    n_devices = sum(bool(node.kind) for node in layout.nodes.values())
    return tuple(n for n in model.possible_shards() if n <= n_devices and n.bit_count() == 1)


def _coverages(layout: Layout, longest: Extent, *, keeps_cache: bool = True) -> dict[str, Coverage]:
    """What is asked of each kind's timing."""
    served: defaultdict[str, dict[int, ServingDiscipline | None]] = defaultdict(dict)
    for node in layout.nodes.values():
        if node.kind and id(node.entry) not in served[timing_name(node)]:
            entry = None if node.entry is None else node.entry.serving
            served[timing_name(node)][id(node.entry)] = None if entry is None else entry.value()
    recomputed = any(recomputes(one) for some in served.values() for one in some.values()) or not keeps_cache
    return {name: Coverage.of(longest, some.values(), recomputed=recomputed) for name, some in served.items()}
