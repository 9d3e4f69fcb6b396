"""Outer loop link adaptation: an offset on the estimate that brings first-attempt errors to the target rate.

Two forms:

- :class:`OuterLoop`, the loop as base stations run it: a step up after an error, a smaller step down after a
  success (Pedersen et al., "Frequency domain scheduling for OFDMA with limited and noisy channel feedback",
  VTC Fall 2007).
- :func:`settled_offset_db`, the offset at which such a loop settles, found numerically. **The simulator uses
  this one**: a loop with memory would make a link's rate depend on earlier transmissions, and two strategies
  would no longer see the same channel.

The settled offset depends on an air interface and a quality of channel knowledge, not on a single user. It
applies to users whose mean ratios are spread evenly (in dB) over the range in which the scheme is adapted.
The loop of a single user at one mean ratio may settle elsewhere, by part of a step between two schemes.

Not modelled: convergence, and the alternation of a user between two schemes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from edgesim.errors import InputError
from edgesim.radio.adaptation.air_interface import AirInterface

__all__ = [
    "Adapting",
    "OuterLoop",
    "estimate_ratio_db",
    "estimate_spread",
    "mean_first_error",
    "settled_offset_db",
]

N_ESTIMATES = 192
N_ERRORS = 24
LARGEST_LOG_ODDS = 14.0
LARGEST_OFFSET_DB = 40.0
_OFFSET_TOLERANCE_DB = 1e-3


class Adapting(AirInterface, Protocol):
    """An air interface with a target error probability."""

    @property
    def target_bler(self) -> float:
        """Target error probability of a first attempt."""
        ...

    def reach_db(self, bandwidth_hz: float) -> tuple[float, float]:
        """Return the ratios in dB between which the grant varies."""
        ...

    def __hash__(self) -> int:
        """Return a hash that is equal for equal interfaces, by which results are cached."""
        ...


class OuterLoop(NamedTuple):
    """State of an outer loop, as an immutable value; :meth:`update` returns the next one.

    The offset is subtracted from the estimate. It rises by ``step_db`` after an error and falls by
    step·p/(1−p) after a success, p the target. Its mean change is therefore zero where errors have
    probability p.
    """

    target_bler: float
    step_db: float = 1.0
    """Step up after an error, in dB."""
    offset_db: float = 0.0
    limit_db: float = LARGEST_OFFSET_DB
    """Bound on the absolute value of the offset, in dB."""

    def update(self, *, acknowledged: bool) -> OuterLoop:
        """Return the state after a block was acknowledged or not."""
        if acknowledged:
            moved_db = self.offset_db - self.step_db * self.target_bler / (1.0 - self.target_bler)
        else:
            moved_db = self.offset_db + self.step_db
        return self._replace(offset_db=min(self.limit_db, max(-self.limit_db, moved_db)))


def estimate_ratio_db(probability: float, power_correlation: float) -> float:
    """Return a quantile of the true over the estimated power gain, in dB, under Rayleigh fading.

    Gain h and estimate ĥ are complex Gaussians with |correlation|² ρ². The ratio z = |h|²/|ĥ|² of two such
    exponentials has F(z) = ½·(1 + (z−1)/√((1+z)² − 4ρ²z)) (Simon, Probability Distributions Involving
    Gaussian Random Variables, 2002), inverted here. It is symmetric in dB.

    Parameters
    ----------
    probability
        Probability of the quantile, in (0, 1).
    power_correlation
        ρ²: 1 − ε² for an estimation error of relative variance ε², times J0²(2πf_D·τ) for a delay τ.
    """
    if power_correlation >= 1.0:
        return 0.0
    centred = 2.0 * probability - 1.0
    c = 2.0 * centred * centred * (1.0 - power_correlation) / (1.0 - centred * centred)
    size_db = 10.0 * math.log10(1.0 + c + math.sqrt(c * (c + 2.0)))
    return math.copysign(size_db, centred)


@lru_cache(maxsize=64)
def estimate_spread(power_correlation: float) -> tuple[tuple[float, float], ...]:
    """Return nodes and weights for means over the estimation error: (weight, true over estimated gain in dB).

    The trapezoidal rule in the log-odds of the quantile, down to a probability of 1e-6.
    """
    if power_correlation >= 1.0:
        return ((1.0, 0.0),)
    found = []
    for index in range(-N_ERRORS, N_ERRORS + 1):
        probability = 1.0 / (1.0 + math.exp(-LARGEST_LOG_ODDS * index / N_ERRORS))
        density = probability * (1.0 - probability)
        found.append((density, estimate_ratio_db(probability, power_correlation)))
    total = sum(density for density, _ in found)
    return tuple((density / total, ratio_db) for density, ratio_db in found)


def mean_first_error(
    air: Adapting, bandwidth_hz: float, offset_db: float, spread: Sequence[tuple[float, float]]
) -> float:
    """Return the mean error probability of first attempts when an offset is subtracted from the estimate.

    The lowered estimate is spread evenly in dB between the interface's lowest and highest threshold. The
    true ratio is the estimate changed by one of ``spread`` (weight, dB). With mean ratios spread evenly in
    dB, the two are independent.
    """
    low_db, high_db = air.reach_db(bandwidth_hz)
    step_db = (high_db - low_db) / N_ESTIMATES
    factors = [(weight, 10.0 ** (0.1 * (offset_db + ratio_db))) for weight, ratio_db in spread]
    total = 0.0
    for index in range(N_ESTIMATES):
        lowered = 10.0 ** (0.1 * (low_db + (index + 0.5) * step_db))
        grant = air.grant(lowered, bandwidth_hz)
        total += sum(weight * air.errors(grant, lowered * factor)[0] for weight, factor in factors)
    return total / N_ESTIMATES


@lru_cache(maxsize=256)
def settled_offset_db(
    air: Adapting,
    bandwidth_hz: float,
    power_correlation: float = 1.0,
    target_bler: float | None = None,
) -> float:
    """Return the offset in dB, subtracted from the estimate, at which first attempts fail at the target rate.

    It is negative where the inner loop alone stays below the target, as with perfect channel knowledge: each
    scheme meets the target at its threshold and does better above it.

    Parameters
    ----------
    air
        A frozen air interface, whose grants and errors depend on nothing else.
    power_correlation
        See :func:`estimate_ratio_db`.
    target_bler
        None: the target of the interface.
    """
    if not 0.0 <= power_correlation <= 1.0:
        raise InputError(f"outer loop: power correlation is {power_correlation:g}; expected 0 to 1")
    target = air.target_bler if target_bler is None else target_bler
    spread = estimate_spread(power_correlation)
    low_db, high_db = -LARGEST_OFFSET_DB, LARGEST_OFFSET_DB
    if mean_first_error(air, bandwidth_hz, high_db, spread) > target:
        raise InputError(
            f"outer loop: no offset up to {high_db:g} dB brings first-attempt errors down to {target:g} at a "
            f"power correlation of {power_correlation:g}; raise the target or the correlation"
        )
    while high_db - low_db > _OFFSET_TOLERANCE_DB:
        middle_db = 0.5 * (low_db + high_db)
        if mean_first_error(air, bandwidth_hz, middle_db, spread) > target:
            low_db = middle_db
        else:
            high_db = middle_db
    return 0.5 * (low_db + high_db)
