"""Channel matrices between antenna arrays, as pure functions of (key, block).

Not modelled: antenna correlation and array geometry; for these see
:mod:`edgesim.radio.channel.sionna_matrices`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.rng import keyed_normals
from edgesim.units import db_to_linear

__all__ = ["RicianMatrices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RicianMatrices:
    """Independent, identically distributed Rician entries, constant within a block.

    ::

        H[receive, transmit] = sqrt(K / (K+1)) + CN(0, 1 / (K+1))

    The mean is the same real number in every entry, so the direct path's matrix has rank 1. The mean power
    of an entry is 1. K = 0 dB, times sqrt(2), gives entries of mean 1 and variance 1.

    Parameters
    ----------
    key
        Key of the link, from :func:`edgesim.rng.link_key`.
    n_receive, n_transmit
        Antennas at each end.
    k_db
        Power of the direct path over that of the scattered paths; minus infinity for Rayleigh.
    """

    key: int
    n_receive: int
    n_transmit: int
    k_db: float = -math.inf

    def __post_init__(self) -> None:
        for name, n in (("n_receive", self.n_receive), ("n_transmit", self.n_transmit)):
            if n < 1:
                raise InputError(f"mimo: {name} is {n}; expected at least one antenna: correct it")
        if math.isnan(self.k_db) or self.k_db == math.inf:
            raise InputError(
                f"mimo: k is {self.k_db:g} dB; expected a finite ratio, or minus infinity for Rayleigh"
            )

    def matrices(self, block_indices: NDArray[np.integer[Any]]) -> NDArray[np.complex128]:
        """Return the matrices of numbered blocks: the shape given, then (n_receive, n_transmit)."""
        n_parts = 2 * self.n_receive * self.n_transmit
        counters = np.asarray(block_indices)[..., np.newaxis] * n_parts + np.arange(n_parts)
        parts = keyed_normals(self.key, counters) * math.sqrt(0.5)
        shape = (*np.shape(block_indices), self.n_receive, self.n_transmit)
        scattered: NDArray[np.complex128] = (parts[..., 0::2] + 1j * parts[..., 1::2]).reshape(shape)
        k = db_to_linear(self.k_db)
        return scattered * math.sqrt(1.0 / (k + 1.0)) + math.sqrt(k / (k + 1.0))
