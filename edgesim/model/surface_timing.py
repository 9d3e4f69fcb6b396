"""Compute times interpolated on measured surfaces, and refused outside the measured range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ProfileError
from edgesim.model.architecture import Architecture
from edgesim.model.parts import Component, FloatArray, Tokens
from edgesim.model.surface import Surface
from edgesim.model.timing import ComponentTiming, Origin, Phase

__all__ = ["MARGIN", "SurfaceKey", "SurfaceTiming"]

MARGIN = 1.1
"""Limit of extrapolation, relative to the largest measured point: ten per cent beyond it."""


class SurfaceKey(NamedTuple):
    """Key of a surface: a component in one phase, whole or one of `n_shards` shards."""

    component: Component
    phase: Phase
    n_shards: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceTiming(ComponentTiming):
    """A :class:`Timing` by interpolation on surfaces, as measured or scaled to another device.

    Times are interpolated between measured batch sizes as between lengths; batch sizes below the smallest and
    above the largest are refused. Prompts of a single token, in a larger batch than was measured for prompts,
    are charged as a decode step, which computes the same at the shortest context.

    Attributes
    ----------
    surfaces
        Surfaces by component, phase and measured shard.
    origin
        Origin of the values.
    architecture
        The timed model.
    """

    surfaces: Mapping[SurfaceKey, Surface]
    origin: Origin
    architecture: Architecture

    @property
    def shards(self) -> tuple[int, ...]:
        """Measured numbers of shards, increasing."""
        return tuple(sorted({key.n_shards for key in self.surfaces}))

    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Time of one call of a component, for each pair of token counts in its phase [s]."""
        news, contexts = np.broadcast_arrays(np.asarray(n_new, np.int64), np.asarray(n_context, np.int64))
        decodes = (news == 1) & ((contexts > 0) | self._decodes_prompts(component, batch, n_shards))
        total = np.zeros(news.shape)
        for phase, chosen in ((Phase.DECODE, decodes), (Phase.PREFILL, ~decodes)):
            if np.any(chosen):
                surface = self._surface(SurfaceKey(component, phase, n_shards))
                n_new_here, n_context_here = news[chosen], contexts[chosen]
                if component is Component.STEP:  # measured at few points: independent of the text's length
                    n_new_here = np.minimum(n_new_here, int(surface.largest[1]))
                    n_context_here = np.minimum(n_context_here, int(surface.largest[2]))
                self._refuse_beyond(surface, phase, batch, n_new_here, n_context_here)
                total[chosen] = surface.at(batch, n_new_here, n_context_here)
        return total

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Refuse lengths outside the measured range; see :meth:`Timing.check`."""
        requested = [(Phase.PREFILL, max_new, 0)] if max_new else []
        if max_context and self.architecture.is_causal:
            requested.append((Phase.DECODE, 1, max_context))
        for phase, n_new, n_context in requested:
            surface = self._surface(SurfaceKey(Component.BLOCK, phase, n_shards))
            for size in {1, batch}:
                self._refuse_beyond(surface, phase, size, np.array([n_new]), np.array([n_context]))

    def _decodes_prompts(self, component: Component, batch: int, n_shards: int) -> bool:
        """Whether prompts of one token are charged as decode steps: the batch exceeds those measured."""
        prefill = self.surfaces.get(SurfaceKey(component, Phase.PREFILL, n_shards))
        decode = SurfaceKey(component, Phase.DECODE, n_shards)
        return prefill is not None and batch > prefill.largest[0] and decode in self.surfaces

    @property
    def _source(self) -> str:
        return f"the profile of {self.architecture.name}"

    def _surface(self, key: SurfaceKey) -> Surface:
        try:
            return self.surfaces[key]
        except KeyError:
            raise ProfileError(f"{self._source} has no {self._missing(key)}") from None

    def _missing(self, key: SurfaceKey) -> str:
        shard = f" of 1/{key.n_shards} of" if key.n_shards > 1 else " of"
        missing = f"{key.phase} times{shard} the {key.component}; "
        if key.phase is Phase.DECODE and not self.architecture.is_causal:
            return missing + "an encoder answers in one pass: request 1 output token"
        if key.n_shards > 1:
            return missing + f"measure again with --shard {key.n_shards} (a grid with these shards)"
        return missing + f"measure again with a grid that covers {key.phase}"

    def _refuse_beyond(
        self, surface: Surface, phase: Phase, batch: int, news: NDArray[np.int64], contexts: NDArray[np.int64]
    ) -> None:
        requested = {
            "batch size": (batch, 1.0),
            "new tokens": (int(news.max()), MARGIN),
            "tokens of context": (int(contexts.max()), MARGIN),
        }
        ranges = zip(surface.axes, surface.largest, strict=True)
        for (what, (value, margin)), (axis, last) in zip(requested.items(), ranges, strict=True):
            smallest, largest = int(axis[0]), int(last)
            if value > largest * margin or (what == "batch size" and value < smallest):
                raise ProfileError(
                    f"{self._source}: requested a {phase} with {what} = {value}, but it was measured from "
                    f"{smallest} to {largest} and is valid to {int(largest * margin)}; measure again "
                    f"with a larger grid (edgesim profile {_OPTIONS[phase, what]}), or request less"
                )


_OPTIONS = MappingProxyType(
    {
        (Phase.PREFILL, "batch size"): "--prefill-batch",
        (Phase.PREFILL, "new tokens"): "--max-prompt",
        (Phase.PREFILL, "tokens of context"): "--max-prompt",
        (Phase.DECODE, "batch size"): "--batch",
        (Phase.DECODE, "new tokens"): "--max-prompt",
        (Phase.DECODE, "tokens of context"): "--max-context",
    }
)
