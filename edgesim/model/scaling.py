"""From the measured host to another device, or from formulas alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from edgesim.model.architecture import Architecture
from edgesim.model.carrying import Carried, carry
from edgesim.model.ceilings import Ceilings
from edgesim.model.monotone import Correction
from edgesim.model.parts import Component, FloatArray, Tokens
from edgesim.model.profile import Profile
from edgesim.model.surface_timing import SurfaceTiming
from edgesim.model.timing import ComponentTiming, FormulaTiming, Origin

__all__ = ["AnalyticTiming", "Ceilings", "ScaledTiming"]


@dataclass(frozen=True, eq=False)
class ScaledTiming(ComponentTiming):
    r"""What a device pays whose ceilings are known, from what the measured host paid.

    A measured time has three parts: overhead :math:`o`, streaming and computing. Each changes as its own
    ceiling does:

    .. math:: t_{dev} = o_{dev} + \frac{1}{e}\sqrt{\left(\frac{\text{FLOP}}{F_{dev}}\right)^2
              + \left(\frac{\text{bytes}}{B_{dev}}\right)^2},\qquad
              e = \frac{\sqrt{(\text{FLOP}/F_{host})^2 + (\text{bytes}/B_{host})^2}}{t_{host} - o_{host}}

    so that what the host achieves of its ceilings at this very size is carried over, a compute-bound prefill
    by the compute rates and a memory-bound decode by the bandwidths. Near the ridge of either machine both
    count: :meth:`~edgesim.model.ceilings.Ceilings.joint_s` says why so. (One roofline over another, with
    their kinks at two different sizes, would make times rise and fall between them.) No time comes below the
    target's own roofline; a model that the host kept in its cache does not take that along.

    A block is carried half by half, since its attention and its MLP may stand on different sides of the
    ridge; the two share the block's overhead evenly, and stand in the proportion in which they were timed
    apart. A time below the host's overhead counts as overhead altogether. A generation step is host work
    throughout and changes as the overheads do.

    Scaled times never fall in new tokens, context or batch, nor rise where a device holds a smaller shard:
    where a measured one does, by noise or by a kernel of the host's own that another machine has not got, the
    scaled ones are changed as little as possible (:func:`edgesim.model.monotone.monotone`), and
    `corrections` says by how much. A target with the host's own ceilings gets the measured times as
    they are, to the last bit.

    Quantised weights (:attr:`edgesim.model.architecture.Architecture.storage`) are scaled likewise: the
    target's work is that of the model served, with the bytes in which its weights are stored, the host's that
    of the model measured. Even on the host itself the result is then no measurement.

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
    _carried: Carried = field(init=False, repr=False)
    _timing: SurfaceTiming = field(init=False, repr=False)
    _unsharded: SurfaceTiming = field(init=False, repr=False)
    origin: ClassVar[Origin] = "scaled"

    def __post_init__(self) -> None:
        measured = self.profile.architecture
        served = measured if self.served is None else self.served
        if served.plain.digest != measured.digest:
            raise ValueError(f"{served.name} cannot be scaled from {self.profile}")
        if self.target == self.profile.ceilings and served.storage is None:
            carried = Carried(self.profile.surfaces, {}, {})
        else:
            carried = carry(self.profile, self.target, served)
        # A frozen value may set its derived fields only so.
        object.__setattr__(self, "_carried", carried)
        object.__setattr__(self, "_timing", SurfaceTiming(carried.surfaces, self.origin, measured))
        object.__setattr__(self, "_unsharded", SurfaceTiming(carried.unsharded, self.origin, measured))

    @property
    def shards(self) -> tuple[int, ...]:
        """Those measured on the host, rising."""
        return self._timing.shards

    @property
    def corrections(self) -> Mapping[Component, Correction]:
        """How much the scaled times of each part had to change so that none falls; empty: nothing can."""
        return self._carried.corrections

    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Seconds of one call of one component on the target."""
        return self._timing.component_seconds(
            component, batch=batch, n_new=n_new, n_context=n_context, n_shards=n_shards
        )

    def unsharded_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens
    ) -> FloatArray:
        """Seconds that are left where a device's share goes to zero; they fall nowhere either."""
        if not self._carried.unsharded:
            return super().unsharded_seconds(component, batch=batch, n_new=n_new, n_context=n_context)
        return self._unsharded.component_seconds(component, batch=batch, n_new=n_new, n_context=n_context)

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Refuse lengths beyond the profile's; see :meth:`edgesim.model.timing.Timing.check`."""
        self._timing.check(max_new=max_new, max_context=max_context, batch=batch, n_shards=n_shards)


@dataclass(frozen=True, slots=True)
class AnalyticTiming(FormulaTiming):
    """Pure roofline and overhead, for when nothing was measured: an optimistic bound, not an estimate.

    Every component called pays its roofline time and one overhead.

    Not modelled: that no kernel reaches its ceiling; see :class:`ScaledTiming` for times with a measured
    efficiency in them.
    """

    architecture: Architecture
    ceilings: Ceilings
    origin: ClassVar[Origin] = "analytic"

    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Seconds of one call of one component, or of one shard of it, at the ceilings."""
        flop, moved_bytes = self.architecture.shard(n_shards).work_arrays(
            component, batch=batch, n_new=n_new, n_context=n_context
        )
        return self.ceilings.roofline_s(flop, moved_bytes) + self.ceilings.overhead_s
