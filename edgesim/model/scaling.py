"""From the measured host to another device, or from formulas alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from edgesim.model.architecture import Architecture, Component, FloatArray, Tokens
from edgesim.model.ceilings import Ceilings
from edgesim.model.profile import ComponentTiming, Origin, Profile, SurfaceKey, SurfaceTiming
from edgesim.model.surface import Surface

__all__ = ["AnalyticTiming", "Ceilings", "ScaledTiming"]

_HALVES = (Component.ATTENTION, Component.MLP)


@dataclass(frozen=True, eq=False)
class ScaledTiming(ComponentTiming):
    r"""What a device pays whose ceilings are known, told from what the measured host paid.

    A measured time is overhead plus work. The overhead grows as the devices' overheads do, the work as
    their rooflines for this very work do:

    .. math:: t_{dev} = (t_{host} - o_{host})\,\frac{R_{dev}}{R_{host}} + o_{dev},\qquad
              R(c) = \max\left(\frac{\text{FLOP}}{c_{\text{flop/s}}},
                               \frac{\text{bytes}}{c_{\text{bytes/s}}}\right)

    so that what the host achieves of its own ceiling is carried over, and a compute-bound prefill scales
    differently from a memory-bound decode. A block is scaled half by half, since its attention and its MLP
    may stand on different sides of the roofline; the two share the block's overhead evenly, and a block's
    time changes in the proportion in which theirs do. A time below the host's overhead counts as overhead
    altogether. A generation step is host work throughout and scales as the overheads do.

    A target with the host's own ceilings gets the measured times, to the last bit.

    Quantised weights (:attr:`edgesim.model.architecture.Architecture.storage`) are scaled likewise: the
    target's roofline is that of the model served, with the bytes in which its weights are stored, the host's
    that of the model measured. Even on the host itself the result is then no measurement.

    Not modelled: kernels that reach another share of the ceiling on the target than on the host (as those do
    that unpack quantised weights), caches of another size, thermal throttling.

    Attributes
    ----------
    profile
        What was measured on the host.
    target
        What the target can do at best.
    served
        The model, where its weights are stored otherwise than those measured; None: as measured.
    """

    profile: Profile
    target: Ceilings
    served: Architecture | None = None
    _timing: SurfaceTiming = field(init=False, repr=False)
    origin: ClassVar[Origin] = "scaled"

    def __post_init__(self) -> None:
        if self.served is not None and self.served.plain.digest != self.profile.architecture.digest:
            raise ValueError(f"{self.served.name} cannot be scaled from {self.profile}")
        scaled = {key: self._scaled(key, surface) for key, surface in self.profile.surfaces.items()}
        # A frozen value may set its derived field only so.
        object.__setattr__(self, "_timing", SurfaceTiming(scaled, self.origin, self.profile.architecture))

    @property
    def shards(self) -> tuple[int, ...]:
        """Those measured on the host, rising."""
        return self._timing.shards

    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Seconds of one call of one component on the target."""
        return self._timing.component_seconds(
            component, batch=batch, n_new=n_new, n_context=n_context, n_shards=n_shards
        )

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Refuse lengths beyond the profile's; see :meth:`edgesim.model.profile.Timing.check`."""
        self._timing.check(max_new=max_new, max_context=max_context, batch=batch, n_shards=n_shards)

    def _scaled(self, key: SurfaceKey, surface: Surface) -> Surface:
        """Scale the values at the grid's points; between them the target is interpolated as the host is."""
        component = key.component
        if self.target == self.profile.ceilings and (self.served is None or self.served.storage is None):
            return surface
        if component is Component.STEP:
            host_s, target_s = self.profile.ceilings.overhead_s, self.target.overhead_s
            return surface.with_seconds(surface.seconds * (target_s / host_s if host_s else 1.0))
        if component is not Component.BLOCK:
            return self._scaled_component(key, surface, share=1.0)
        host = self._halves(key)
        target = [
            self._scaled_component(key._replace(component=half), host[half], share=0.5) for half in _HALVES
        ]
        host_total = sum((host[half].seconds for half in _HALVES), np.zeros(1))
        target_total = sum((half.seconds for half in target), np.zeros(1))
        return surface.with_seconds(surface.seconds * target_total / host_total)

    def _halves(self, key: SurfaceKey) -> Mapping[Component, Surface]:
        return {half: self.profile.surfaces[key._replace(component=half)] for half in _HALVES}

    def _scaled_component(self, key: SurfaceKey, surface: Surface, *, share: float) -> Surface:
        """Apply the formula to one component that has `share` of a call's overhead."""
        host, target, architecture = self.profile.ceilings, self.target, self.profile.shards[key.n_shards]
        served = architecture if self.served is None else architecture.stored_as(self.served)
        ratio = _roofline_s(target, served, key.component, surface) / _roofline_s(
            host, architecture, key.component, surface
        )
        overhead_s = np.minimum(surface.seconds, share * host.overhead_s)
        worked_s = (surface.seconds - overhead_s) * ratio
        # The part of the overhead that this time contains at all: 1 but for times below it.
        present = overhead_s / (share * host.overhead_s) if host.overhead_s else np.ones_like(overhead_s)
        return surface.with_seconds(worked_s + present * share * target.overhead_s)


def _roofline_s(
    ceilings: Ceilings, architecture: Architecture, component: Component, surface: Surface
) -> FloatArray:
    """Seconds of a component at best, at every point of a surface's grid."""
    work = [
        architecture.work(component, batch=batch, n_new=n_new, n_context=n_context)
        for batch, n_new, n_context in surface.grid()
    ]
    flop = np.array([w.flop for w in work]).reshape(surface.seconds.shape)
    moved_bytes = np.array([w.moved_bytes for w in work]).reshape(surface.seconds.shape)
    return ceilings.roofline_s(flop, moved_bytes)


@dataclass(frozen=True, slots=True)
class AnalyticTiming(ComponentTiming):
    """Pure roofline and overhead, for when nothing was measured: an optimistic bound, not an estimate.

    Every component called pays its roofline time and one overhead.

    Not modelled: that no kernel reaches its ceiling; see :class:`ScaledTiming` for times with a measured
    efficiency in them.
    """

    architecture: Architecture
    ceilings: Ceilings
    origin: ClassVar[Origin] = "analytic"

    @property
    def shards(self) -> tuple[int, ...]:
        """All that there are, down to one head each."""
        return self.architecture.possible_shards()

    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Seconds of one call of one component, or of one shard of it, at the ceilings."""
        flop, moved_bytes = self.architecture.shard(n_shards).work_arrays(
            component, batch=batch, n_new=n_new, n_context=n_context
        )
        return self.ceilings.roofline_s(flop, moved_bytes) + self.ceilings.overhead_s

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Formulas know no measured range: any length can be charged, and any shard that there is."""
        self.architecture.shard(n_shards)
