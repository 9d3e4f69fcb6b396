"""Scaling of measured times to another device's ceilings, by regime, with monotone results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from edgesim.model.architecture import Architecture
from edgesim.model.ceilings import Ceilings
from edgesim.model.monotone import Correction, monotone
from edgesim.model.parts import Component, FloatArray
from edgesim.model.profile import Profile
from edgesim.model.surface import Surface
from edgesim.model.surface_timing import MARGIN, SurfaceKey
from edgesim.model.timing import Phase

__all__ = ["Carried", "carry", "carry_seconds"]

_HALVES = (Component.ATTENTION, Component.MLP)

Surfaces = Mapping[SurfaceKey, Surface]


@dataclass(frozen=True, slots=True)
class Carried:
    """Surfaces of a profile scaled to a target's ceilings.

    Attributes
    ----------
    surfaces
        Scaled surfaces, with grid points up to the margin to which times may be requested. Attention and MLP
        are scaled as parts of a block, so that they add up to it.
    unsharded
        Times of attention, MLP and block in the limit of a vanishing tensor shard, extrapolated from the two
        smallest measured shards. Empty if fewer than two were measured.
    corrections
        Changes made for monotone times, by charged component; those of the halves count for the block.
    """

    surfaces: Surfaces
    unsharded: Surfaces
    corrections: Mapping[Component, Correction]


def carry(profile: Profile, target: Ceilings, served: Architecture) -> Carried:
    """Scale a whole profile to a target; `served` is its model, with weights as the target stores them."""
    raw: dict[SurfaceKey, FloatArray] = {}
    for key, surface in profile.surfaces.items():
        if key.component is Component.STEP:
            host_s, target_s = profile.ceilings.overhead_s, target.overhead_s
            raw[key] = surface.seconds * (target_s / host_s if host_s else 1.0)
        elif key.component in _HALVES:
            raw[key] = _component(profile, key, target, served, _within_block(profile, key))
        elif key.component is not Component.BLOCK:
            raw[key] = _component(profile, key, target, served, surface.seconds)
    risen = {key: profile.surfaces[key].with_seconds(monotone(seconds)) for key, seconds in raw.items()}
    found = _with_blocks(_prompts_not_above_decodes(_shards_not_above_larger(risen, profile)))
    corrections: dict[Component, Correction] = {}
    for key, surface in profile.surfaces.items():
        if key.component not in _HALVES:
            parts = _HALVES if key.component is Component.BLOCK else (key.component,)
            before = np.sum([raw[key._replace(component=part)] for part in parts], axis=0)
            rows = np.searchsorted(found[key].axes[0], surface.axes[0])
            change = Correction.between(before, found[key].seconds[rows])
            corrections[key.component] = corrections.get(key.component, Correction()) + change
    return Carried(
        _extended(found), _extended(_with_blocks(_unsharded(found))), MappingProxyType(corrections)
    )


def carry_seconds(
    seconds: FloatArray,
    host: Ceilings,
    target: Ceilings,
    *,
    host_work: tuple[FloatArray, FloatArray],
    target_work: tuple[FloatArray, FloatArray],
    share: float = 1.0,
) -> FloatArray:
    r"""Scale measured times of one component; see :class:`edgesim.model.scaling.ScaledTiming`.

    Parameters
    ----------
    host_work, target_work
        FLOP and bytes of each call, as measured and as served.
    share
        Share of a call's overhead attributed to the component.
    """
    overhead_s = np.minimum(seconds, share * host.overhead_s)
    # Fraction of the overhead contained in the time: 1, except for times below the overhead.
    present = overhead_s / (share * host.overhead_s) if host.overhead_s else np.ones_like(overhead_s)
    worked_s = seconds - overhead_s
    least_s = target.roofline_s(*target_work)
    if target == host:  # times below the host's own roofline were measured on this machine, and are kept
        least_s = least_s * np.minimum(1.0, worked_s / host.roofline_s(*host_work))
    carried_s = worked_s * target.joint_s(*target_work) / host.joint_s(*host_work)
    return np.asarray(np.maximum(carried_s, least_s) + present * share * target.overhead_s)


def _component(
    profile: Profile, key: SurfaceKey, target: Ceilings, served: Architecture, seconds: FloatArray
) -> FloatArray:
    surface, measured = profile.surfaces[key], profile.shards[key.n_shards]
    return carry_seconds(
        seconds,
        profile.ceilings,
        target,
        host_work=_work(measured, key.component, surface),
        target_work=_work(measured.stored_as(served), key.component, surface),
        share=1 / len(_HALVES) if key.component in _HALVES else 1.0,
    )


def _within_block(profile: Profile, key: SurfaceKey) -> FloatArray:
    """Time of one half of a block: the block's time, divided in proportion to the halves timed separately."""
    block = profile.surfaces[key._replace(component=Component.BLOCK)].seconds
    apart = np.sum([profile.surfaces[key._replace(component=half)].seconds for half in _HALVES], axis=0)
    return np.asarray(profile.surfaces[key].seconds / apart * block)


def _work(
    architecture: Architecture, component: Component, surface: Surface
) -> tuple[FloatArray, FloatArray]:
    """Return FLOP and bytes of a component at every point of a surface's grid."""
    shape = surface.seconds.shape
    work = [
        architecture.work(component, batch=batch, n_new=n_new, n_context=n_context)
        for batch, n_new, n_context in surface.grid()
    ]
    return (
        np.array([w.flop for w in work]).reshape(shape),
        np.array([w.moved_bytes for w in work]).reshape(shape),
    )


def _shards_not_above_larger(surfaces: Surfaces, profile: Profile) -> dict[SurfaceKey, Surface]:
    """Bound the time of each shard by that of the next larger one, whose work includes its own."""
    found = dict(surfaces)
    for larger, smaller in pairwise(profile.shards):
        for key in [key for key in found if key.n_shards == smaller]:
            above = found.get(key._replace(n_shards=larger))
            if above is not None and _same_axes(above, found[key]):
                found[key] = above.with_seconds(np.minimum(above.seconds, found[key].seconds))
    return found


def _prompts_not_above_decodes(surfaces: Surfaces) -> dict[SurfaceKey, Surface]:
    """Bound the time of a prompt of one token by that of a decode step at the shortest context.

    The prompt's time is changed, not the decode step's: such prompts are rare, and decode steps frequent.
    """
    found = dict(surfaces)
    for key, prompts in surfaces.items():
        decodes = surfaces.get(key._replace(phase=Phase.DECODE))
        # The step after a prompt includes the one-off cost of generation, so it is not bounded by the others.
        if key.phase is Phase.DECODE or decodes is None or key.component is Component.STEP:
            continue
        own, others = prompts.axes[0], decodes.axes[0]
        between = others[(others > own[0]) & (others < own[-1])]
        batches = np.union1d(own, between)
        rows = []
        for batch in batches.astype(int).tolist():
            row = prompts.at(batch, prompts.axes[1].astype(np.int64), 0)
            if others[0] <= batch <= others[-1]:
                row[0] = min(row[0], float(decodes.at(batch, 1, 0)))
            rows.append(row[:, np.newaxis])
        found[key] = replace(prompts, axes=(batches, *prompts.axes[1:]), seconds=np.stack(rows))
    return found


def _unsharded(surfaces: Surfaces) -> dict[SurfaceKey, Surface]:
    """Time of a half that does not shrink with the share, by the line through the two smallest shards."""
    shards = sorted({key.n_shards for key in surfaces})
    if len(shards) < 2:
        return {}
    larger, smallest = shards[-2:]
    found: dict[SurfaceKey, Surface] = {}
    for phase in Phase:
        halves = []
        for half in _HALVES:
            above = surfaces.get(SurfaceKey(half, phase, larger))
            below = surfaces.get(SurfaceKey(half, phase, smallest))
            if above is None or below is None or not _same_axes(above, below):
                break
            fixed = below.seconds - (above.seconds - below.seconds) * larger / (smallest - larger)
            rising = monotone(np.maximum(fixed, 0.0))
            halves.append(below.with_seconds(np.clip(rising, 0.0, below.seconds)))
        else:
            found |= {SurfaceKey(half, phase): one for half, one in zip(_HALVES, halves, strict=True)}
    return _prompts_not_above_decodes(found)


def _with_blocks(surfaces: Surfaces) -> dict[SurfaceKey, Surface]:
    """Add a surface for the block, as the sum of its halves."""
    found = dict(surfaces)
    for key, attention in surfaces.items():
        if key.component is Component.ATTENTION:
            mlp = surfaces[key._replace(component=Component.MLP)]
            block = attention.with_seconds(attention.seconds + mlp.seconds)
            found[key._replace(component=Component.BLOCK)] = block
    return found


def _extended(surfaces: Surfaces) -> Surfaces:
    """Extend all surfaces up to the margin; a block's surface is the sum of its extended halves."""
    return MappingProxyType(
        _with_blocks({key: surface.extended(MARGIN) for key, surface in surfaces.items()})
    )


def _same_axes(one: Surface, other: Surface) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.axes, other.axes, strict=True))
