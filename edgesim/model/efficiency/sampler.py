"""Markov chain sampler for the posterior of parameters with a standard normal prior.

Elliptical slice sampling (Murray, Adams and MacKay 2010, "Elliptical slice sampling", AISTATS) has no step
size to tune and rejects nothing. It moves along ellipses of a Gaussian. With the prior's ellipses,
well-determined parameters would mix slowly; therefore a Gaussian near the posterior is used, and the slice is
taken of the ratio of the two densities (Nishihara, Murray and Adams 2014, "Parallel MCMC with generalized
elliptical slice sampling", JMLR 15). Its centre and covariance only affect speed; any choice leaves the
posterior invariant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgesim.model.parts import FloatArray

__all__ = ["Reference", "sample"]

LogLikelihood = Callable[[FloatArray], FloatArray]
_WIDER = 1.4  # factor on the covariance, so that the posterior's tails lie well within the ellipses


@dataclass(frozen=True, slots=True)
class Reference:
    """Gaussian that defines the ellipses of the sampler: centre [n], covariance [n, n]."""

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
    """Return draws [n_kept * n_chains, n] from independent chains that start from the reference.

    Parameters
    ----------
    log_likelihood
        Vectorised over parameter vectors, [k, n] to [k]; their prior is standard normal.
    """
    covariance = _WIDER * reference.covariance
    root = np.linalg.cholesky(covariance)
    precision = np.linalg.inv(covariance)
    centre = reference.centre

    def excess(x: FloatArray) -> FloatArray:
        """Log ratio of the posterior to the reference density, up to a constant."""
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
    """Move every chain to a point on its ellipse that lies within its slice."""
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
