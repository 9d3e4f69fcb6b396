"""What a device can do at best: the three numbers by which times are carried from one device to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesim.model.architecture import FloatArray

__all__ = ["Ceilings"]


@dataclass(frozen=True, slots=True)
class Ceilings:
    """A roofline (Williams et al. 2009, doi:10.1145/1498765.1498785) with a floor under every call.

    Attributes
    ----------
    flop_per_s
        Rate of a large matrix product in the model's number format; a multiply-add counts as two.
    bytes_per_s
        Rate at which weights stream from memory through a matrix-vector product, counting each byte once,
        when it is read: what bounds decoding.
    overhead_s
        What one call of a component (a block, the embedding, the head) costs however little it computes:
        interpreter, dispatch, kernel launches.
    """

    flop_per_s: float
    bytes_per_s: float
    overhead_s: float = 0.0

    def __post_init__(self) -> None:
        if not (self.flop_per_s > 0 and self.bytes_per_s > 0 and self.overhead_s >= 0):
            raise ValueError(f"ceilings need positive rates and a floor of zero or more: {self}")

    def roofline_s(self, flop: FloatArray, moved_bytes: FloatArray) -> FloatArray:
        """Seconds that so much work takes at best, without the overhead: compute and memory overlap."""
        return np.maximum(flop / self.flop_per_s, moved_bytes / self.bytes_per_s)
