"""Times read from measured surfaces, and refused beyond what was measured."""

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
"""How far beyond the largest measured point a time may be asked for: up to ten per cent."""


class SurfaceKey(NamedTuple):
    """What one surface is of: a component in one phase, whole or one of its shards."""

    component: Component
    phase: Phase
    n_shards: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceTiming(ComponentTiming):
    """A :class:`Timing` that reads surfaces: the measured ones, or the same scaled to another device.

    Between two measured batch sizes times are interpolated like between two lengths; below the smallest and
    beyond the largest they are refused. Prompts of a single token, in a larger batch than prompts were
    measured in, count as a decode step: it computes the same, behind the shortest context.

    Attributes
    ----------
    surfaces
        For each component and phase, and each shard that was measured.
    origin
        Where the values come from.
    architecture
        The model they are of.
    """

    surfaces: Mapping[SurfaceKey, Surface]
    origin: Origin
    architecture: Architecture

    @property
    def shards(self) -> tuple[int, ...]:
        """The measured ones, rising."""
        return tuple(sorted({key.n_shards for key in self.surfaces}))

    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Seconds of one call of one component, wherever each pair of token counts puts it."""
        news, contexts = np.broadcast_arrays(np.asarray(n_new, np.int64), np.asarray(n_context, np.int64))
        decodes = (news == 1) & ((contexts > 0) | self._decodes_prompts(component, batch, n_shards))
        total = np.zeros(news.shape)
        for phase, chosen in ((Phase.DECODE, decodes), (Phase.PREFILL, ~decodes)):
            if np.any(chosen):
                surface = self._surface(SurfaceKey(component, phase, n_shards))
                n_new_here, n_context_here = news[chosen], contexts[chosen]
                if (
                    component is Component.STEP
                ):  # its work does not grow with the text, so few points cover all
                    n_new_here = np.minimum(n_new_here, int(surface.largest[1]))
                    n_context_here = np.minimum(n_context_here, int(surface.largest[2]))
                self._refuse_beyond(surface, phase, batch, n_new_here, n_context_here)
                total[chosen] = surface.at(batch, n_new_here, n_context_here)
        return total

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Refuse lengths beyond the measured ones; see :meth:`Timing.check`."""
        asked = [(Phase.PREFILL, max_new, 0)] if max_new else []
        if max_context and self.architecture.is_causal:
            asked.append((Phase.DECODE, 1, max_context))
        for phase, n_new, n_context in asked:
            surface = self._surface(SurfaceKey(Component.BLOCK, phase, n_shards))
            for size in {1, batch}:
                self._refuse_beyond(surface, phase, size, np.array([n_new]), np.array([n_context]))

    def _decodes_prompts(self, component: Component, batch: int, n_shards: int) -> bool:
        """Whether prompts of one token are charged as decode steps: none were measured in such a batch."""
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
            return missing + "an encoder answers in one pass: ask for 1 output token"
        if key.n_shards > 1:
            return missing + f"measure again with --shard {key.n_shards} (a grid whose shards have it)"
        return missing + f"measure again with a grid that covers {key.phase}"

    def _refuse_beyond(
        self, surface: Surface, phase: Phase, batch: int, news: NDArray[np.int64], contexts: NDArray[np.int64]
    ) -> None:
        asked = {
            "batch size": (batch, 1.0),
            "new tokens": (int(news.max()), MARGIN),
            "tokens of context": (int(contexts.max()), MARGIN),
        }
        ranges = zip(surface.axes, surface.largest, strict=True)
        for (what, (value, margin)), (axis, last) in zip(asked.items(), ranges, strict=True):
            smallest, largest = int(axis[0]), int(last)
            if value > largest * margin or (what == "batch size" and value < smallest):
                raise ProfileError(
                    f"{self._source}: asked for a {phase} with {what} = {value}, but it was measured from "
                    f"{smallest} to {largest} and is trusted to {int(largest * margin)}; measure again "
                    f"with a larger grid (edgesim profile {_OPTIONS[phase, what]}), or ask for less"
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
