"""What a device can do at best: the three numbers by which times are carried from one device to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesim.model.parts import FloatArray

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

    def joint_s(self, flop: FloatArray, moved_bytes: FloatArray) -> FloatArray:
        r"""Seconds at best where nothing is known of how far computing hides behind streaming.

        The two overlap fully on some machines (then the larger counts: the roofline) and not at all on others
        (then their sum does, as in the ECM model of x86 cores: Stengel et al. 2015,
        doi:10.1145/2751205.2751240). Their Euclidean norm is, at the ridge, the geometric mean of both, so
        that it is off by :math:`\sqrt 2` at most from either; far from the ridge all three are one. It has no
        kink, and grows with either part.
        """
        return np.hypot(flop / self.flop_per_s, moved_bytes / self.bytes_per_s)
