"""Draws from the posterior of parameters that are standard normal beforehand.

Elliptical slice sampling (Murray, Adams and MacKay 2010, "Elliptical slice sampling", AISTATS) has no step
size to tune and rejects nothing. It moves along ellipses of a Gaussian; with the prior's own, informed
parameters would creep, so the ellipses are those of a Gaussian near the posterior, and the slice is of what
that leaves of the density (Nishihara, Murray and Adams 2014, "Parallel MCMC with generalized elliptical
slice sampling", JMLR 15). Its centre and covariance only make it quick; any would leave the posterior
invariant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgesim.model.parts import FloatArray

__all__ = ["Reference", "sample"]

LogLikelihood = Callable[[FloatArray], FloatArray]
_WIDER = 1.4  # of the covariance: tails of the posterior are to lie well within the ellipses


@dataclass(frozen=True, slots=True)
class Reference:
    """The Gaussian on whose ellipses draws move: centre [n], covariance [n, n]."""

    centre: FloatArray
    covariance: FloatArray


def sample(
    log_likelihood: LogLikelihood,
    reference: Reference,
    rng: np.random.Generator,
    *,
    n_chains: int = 64,
    n_burn_in: int = 40,
    n_kept: int = 32,
) -> FloatArray:
    """Return draws [n_kept * n_chains, n]; chains start from the reference and are independent.

    Parameters
    ----------
    log_likelihood
        Of many parameter vectors at once, [k, n] to [k]; their prior is standard normal.
    """
    covariance = _WIDER * reference.covariance
    root = np.linalg.cholesky(covariance)
    precision = np.linalg.inv(covariance)
    centre = reference.centre

    def excess(x: FloatArray) -> FloatArray:
        """Log of the posterior over the reference, but for a constant."""
        from_centre = x - centre
        return np.asarray(
            log_likelihood(x)
            - 0.5 * (x * x).sum(axis=1)
            + 0.5 * ((from_centre @ precision) * from_centre).sum(axis=1)
        )

    def ellipse() -> FloatArray:
        return np.asarray(rng.standard_normal((n_chains, len(centre))) @ root.T)

    x = centre + ellipse()
    height = excess(x)
    kept = []
    for step in range(n_burn_in + n_kept):
        x, height = _move(x, height, centre, ellipse(), excess, rng)
        if step >= n_burn_in:
            kept.append(x)
    return np.concatenate(kept)


def _move(
    x: FloatArray,
    height: FloatArray,
    centre: FloatArray,
    other: FloatArray,
    excess: LogLikelihood,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Move every chain to a point of its slice on its ellipse."""
    n = len(x)
    level = height + np.log(rng.uniform(size=n))
    angle = rng.uniform(0.0, 2 * np.pi, n)
    low, high = angle - 2 * np.pi, angle.copy()
    from_centre, moved, reached = x - centre, x.copy(), height.copy()
    searching = np.arange(n)
    while len(searching):
        turned = angle[searching, None]
        tried = centre + from_centre[searching] * np.cos(turned) + other[searching] * np.sin(turned)
        found = excess(tried)
        inside = found > level[searching]
        moved[searching[inside]], reached[searching[inside]] = tried[inside], found[inside]
        searching = searching[~inside]
        below = angle[searching] < 0
        low[searching[below]] = angle[searching[below]]
        high[searching[~below]] = angle[searching[~below]]
        angle[searching] = rng.uniform(low[searching], high[searching])
    return moved, reached
