"""Compute times of a device, scaled from another host's measurements or from formulas alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from edgesim.model.architecture import Architecture
from edgesim.model.ceilings import Ceilings
from edgesim.model.monotone import Correction
from edgesim.model.parts import Component, FloatArray, Tokens
from edgesim.model.profile import Profile
from edgesim.model.regime_scaling import Carried, carry
from edgesim.model.surface_timing import SurfaceTiming
from edgesim.model.timing import ComponentTiming, FormulaTiming, Origin

__all__ = ["AnalyticTiming", "Ceilings", "ScaledTiming"]


@dataclass(frozen=True, eq=False)
class ScaledTiming(ComponentTiming):
    r"""Compute times of a device with known ceilings, scaled from a profile of the measured host.

    A measured time has three parts: overhead :math:`o`, streaming and computing. Each scales with its own
    ceiling:

    .. math:: t_{dev} = o_{dev} + \frac{1}{e}\sqrt{\left(\frac{\text{FLOP}}{F_{dev}}\right)^2
              + \left(\frac{\text{bytes}}{B_{dev}}\right)^2},\qquad
              e = \frac{\sqrt{(\text{FLOP}/F_{host})^2 + (\text{bytes}/B_{host})^2}}{t_{host} - o_{host}}

    so that the host's efficiency :math:`e` at the same size is applied to the target: a compute-bound prefill
    scales by the compute rates, a memory-bound decode by the bandwidths. Near the ridge of either machine
    both count; see :meth:`~edgesim.model.ceilings.Ceilings.joint_s`. (A ratio of two rooflines, with kinks at
    different sizes, would make times rise and fall between them.) No time is below the target's own roofline;
    a speed-up from the host's processor cache is not transferred.

    A block is scaled by halves, because its attention and its MLP may be on different sides of the ridge; the
    two share the block's overhead evenly, and its time in the proportion in which they were timed separately.
    A time below the host's overhead counts as overhead only. A generation step consists of host work only and
    scales with the overheads.

    Scaled times do not decrease with new tokens, context or batch, nor increase for a smaller shard. Where
    measured ones do, because of noise or of a kernel specific to the host, the scaled ones are changed as
    little as possible (:func:`edgesim.model.monotone.monotone`), and `corrections` states by how much. For a
    target with the host's own ceilings, the measured times are returned unchanged, bit for bit.

    Quantised weights (:attr:`edgesim.model.architecture.Architecture.storage`) are scaled in the same way:
    the target's work is that of the served model, with its stored bytes, the host's that of the measured
    model. Even on the host itself the result is then not a measurement.

    Not modelled: kernels that reach a different share of the ceiling on the target than on the host (such as
    those that unpack quantised weights), caches of other sizes, thermal throttling.

    Attributes
    ----------
    profile
        Profile measured on the host.
    target
        Ceilings of the target.
    served
        The model, if its weights are stored differently from the measured ones; None: as measured.
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
        # A frozen dataclass can only set derived fields this way.
        object.__setattr__(self, "_carried", carried)
        object.__setattr__(self, "_timing", SurfaceTiming(carried.surfaces, self.origin, measured))
        object.__setattr__(self, "_unsharded", SurfaceTiming(carried.unsharded, self.origin, measured))

    @property
    def shards(self) -> tuple[int, ...]:
        """Numbers of shards measured on the host, increasing."""
        return self._timing.shards

    @property
    def corrections(self) -> Mapping[Component, Correction]:
        """Changes made for monotone times, by component; empty if the times are as measured."""
        return self._carried.corrections

    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Time of one call of a component on the target [s]."""
        return self._timing.component_seconds(
            component, batch=batch, n_new=n_new, n_context=n_context, n_shards=n_shards
        )

    def unsharded_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens
    ) -> FloatArray:
        """Time in the limit of a vanishing tensor shard [s]; also monotone."""
        if not self._carried.unsharded:
            return super().unsharded_seconds(component, batch=batch, n_new=n_new, n_context=n_context)
        return self._unsharded.component_seconds(component, batch=batch, n_new=n_new, n_context=n_context)

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Refuse lengths beyond those of the profile; see :meth:`edgesim.model.timing.Timing.check`."""
        self._timing.check(max_new=max_new, max_context=max_context, batch=batch, n_shards=n_shards)


@dataclass(frozen=True, slots=True)
class AnalyticTiming(FormulaTiming):
    """Compute times by roofline and overhead, without any measurement: an optimistic bound, not an estimate.

    Each call of a component takes its roofline time plus one overhead.

    Not modelled: efficiency of kernels below the ceilings; :class:`ScaledTiming` includes a measured
    efficiency.
    """

    architecture: Architecture
    ceilings: Ceilings
    origin: ClassVar[Origin] = "analytic"

    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Time of one call of a component, or of one shard of it, at the ceilings [s]."""
        flop, moved_bytes = self.architecture.shard(n_shards).work_arrays(
            component, batch=batch, n_new=n_new, n_context=n_context
        )
        return self.ceilings.roofline_s(flop, moved_bytes) + self.ceilings.overhead_s
