"""Performance ceilings of a device: compute rate, memory bandwidth and call overhead, for scaling times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesim.model.parts import FloatArray

__all__ = ["Ceilings"]


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Roofline (Williams et al. 2009, doi:10.1145/1498765.1498785) with an overhead per call.

    Attributes
    ----------
    flop_per_s
        Rate of a large matrix product in the model's number format; a multiply-add counts as two.
    bytes_per_s
        Rate at which a matrix-vector product streams weights from memory, counting each byte once, when it
        is read. It bounds decoding.
    overhead_s
        Fixed cost of one call of a component (a block, the embedding, the head): interpreter, dispatch,
        kernel launches.
    """

    flop_per_s: float
    bytes_per_s: float
    overhead_s: float = 0.0

    def __post_init__(self) -> None:
        if not (self.flop_per_s > 0 and self.bytes_per_s > 0 and self.overhead_s >= 0):
            raise ValueError(f"ceilings need positive rates and an overhead of zero or more: {self}")

    def roofline_s(self, flop: FloatArray, moved_bytes: FloatArray) -> FloatArray:
        """Roofline time of the work [s], without overhead: compute and memory overlap."""
        return np.maximum(flop / self.flop_per_s, moved_bytes / self.bytes_per_s)

    def joint_s(self, flop: FloatArray, moved_bytes: FloatArray) -> FloatArray:
        r"""Minimum time of the work [s], without overhead, if the overlap of its two parts is unknown.

        Computing and streaming overlap fully on some machines (the time is then the larger: the roofline) and
        not at all on others (the time is then their sum, as in the ECM model of x86 cores: Stengel et al.
        2015, doi:10.1145/2751205.2751240). At the ridge, their Euclidean norm is the geometric mean of these
        two times, within a factor of :math:`\sqrt 2` of either; far from the ridge all three agree. It has no
        kink, and increases in both parts.
        """
        return np.hypot(flop / self.flop_per_s, moved_bytes / self.bytes_per_s)
