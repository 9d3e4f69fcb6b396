"""Posterior of device and engine parameters given published rates, as a sample, and its predictions.

Published times are modelled as the times of the law multiplied by a log-normal error; devices, engines and
formats share effects (:mod:`edgesim.model.efficiency.effects`). Parameters that the rows do not identify
keep their prior, so that no row has to be excluded on their account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.model.efficiency.effects import ERROR, ERROR_SPREAD, SHARES, Design, Rate, Use
from edgesim.model.efficiency.law import Shares, seconds
from edgesim.model.efficiency.sampler import Reference, sample
from edgesim.model.parts import FloatArray

__all__ = ["Likelihood", "Posterior", "fit"]


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """Likelihood of parameters given published rates."""

    design: Design
    log_seconds: FloatArray
    terms: FloatArray  # [6, n_rates]: streaming, touching, matrices, calls; the head's streaming and touching
    is_enqueued: NDArray[np.bool_]
    usual_error: FloatArray

    @classmethod
    def of(cls, rates: Sequence[Rate]) -> Likelihood:
        """Build the likelihood of `rates`."""
        return cls(
            Design.of([rate.use for rate in rates]),
            np.log([rate.seconds for rate in rates]),
            np.array([astuple(rate.terms) for rate in rates], dtype=np.float64).reshape(-1, 6).T,
            np.array([rate.use.is_enqueued for rate in rates], dtype=bool),
            np.array([rate.use.usual_error for rate in rates]),
        )

    def predicted(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the logarithm of the law's time, its terms [s], and the memory shares.

        The terms are those of the law, and last what the head has of streaming and touching. `x` is one
        parameter vector [n], or several [k, n].
        """
        stream_s, touch_s, matrix_s, calls_s, head_stream_s, head_touch_s = self.terms
        logs = {share: self.design.predictor(share, x) for share in SHARES}
        memory, vector, cost = _logistic(logs["memory"]), np.exp(logs["vector"]), np.exp(logs["head"])
        head_s = cost * (head_stream_s / memory + head_touch_s / vector)
        stream_s = (stream_s + (cost - 1.0) * head_stream_s) / memory
        touch_s = (touch_s + (cost - 1.0) * head_touch_s) / vector
        matrix_s = matrix_s * np.exp(-logs["matrix"])
        calls_s = calls_s * np.exp(logs["overhead"])
        work_s = stream_s + touch_s + matrix_s
        total_s = np.where(self.is_enqueued, np.maximum(work_s, calls_s), work_s + calls_s)
        return np.log(total_s), np.stack([stream_s, touch_s, matrix_s, calls_s, head_s]), memory

    def __call__(self, x: FloatArray) -> FloatArray:
        """Log likelihood [k] of parameters [k, n], up to a constant."""
        error = self.error(x)
        residuals = (self.log_seconds - self.predicted(x)[0]) / error
        return np.asarray((-0.5 * residuals**2 - np.log(error)).sum(axis=1))

    def error(self, x: FloatArray) -> FloatArray:
        """Relative errors of rates: [n_rates] for one parameter vector, [k, n_rates] for several."""
        return np.asarray(self.usual_error * np.exp(ERROR_SPREAD * x[..., -1:]))

    def jacobian(self, x: FloatArray) -> FloatArray:
        """Derivatives of the logarithm of each rate's time, [n_rates, n], at one parameter vector."""
        _, parts, memory = self.predicted(x)
        work_s, calls_s = parts[:3].sum(axis=0), parts[3]
        works = ~self.is_enqueued | (work_s >= calls_s)
        calls = ~self.is_enqueued | (work_s < calls_s)
        total_s = works * work_s + calls * calls_s
        weights = (
            -parts[0] * (1 - memory) * works,
            -parts[1] * works,
            -parts[2] * works,
            calls_s * calls,
            parts[4] * works,
        )
        slopes = [
            (weight / total_s)[:, None] * self.design.loadings[share]
            for weight, share in zip(weights, SHARES, strict=True)
        ]
        return np.asarray(np.sum(slopes, axis=0))

    def reference(self) -> Reference:
        """Find the posterior's mode and curvature, alternating least squares and updates of the error."""
        from scipy.optimize import least_squares  # slow to import, and only fitting needs it

        n = len(self.design.names)
        x = np.zeros(n)
        for _ in range(3):
            error = self.error(x)

            def residuals(at: FloatArray, error: FloatArray = error) -> FloatArray:
                return np.concatenate([at, (self.predicted(at)[0] - self.log_seconds) / error])

            def slopes(at: FloatArray, error: FloatArray = error) -> FloatArray:
                return np.concatenate([np.eye(n), self.jacobian(at) / error[:, None]])

            x = np.asarray(least_squares(residuals, x, jac=slopes, method="lm").x, dtype=np.float64)
            x[-1] = self._likely_error(x)
        slope = self.jacobian(x) / self.error(x)[:, None]
        precision = np.eye(n) + slope.T @ slope
        precision[-1, -1] += 2 * ERROR_SPREAD**2 * len(self.log_seconds)
        return Reference(x, np.asarray(np.linalg.inv(precision), dtype=np.float64))

    def _likely_error(self, x: FloatArray) -> float:
        """Most likely value of the error parameter given the residuals at `x`, by grid search."""
        squares = float((((self.predicted(x)[0] - self.log_seconds) / self.usual_error) ** 2).sum())
        tried = np.linspace(-4.0, 4.0, 161)
        grown = ERROR_SPREAD * tried  # the errors' logarithms over their usual ones
        penalty = 0.5 * tried**2 + len(self.log_seconds) * grown + 0.5 * squares * np.exp(-2 * grown)
        return float(tried[penalty.argmin()])


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Sample of the posterior: equally likely draws [n_draws, n_parameters], and the parameter names."""

    names: tuple[str, ...]
    draws: FloatArray

    @property
    def centre(self) -> Posterior:
        """Posterior reduced to a single draw, the mean of all draws, for point predictions."""
        return Posterior(self.names, self.draws.mean(axis=0, keepdims=True))

    def shares(self, use: Use, rng: np.random.Generator | None) -> Shares:
        """Shares that an engine reaches on a device, one value per draw.

        Effects that do not occur in the fitted rates are drawn from `rng`, or set to their mean without it.
        """
        design, x = self._extended([use], rng)
        return Shares(
            memory_share=_logistic(design.predictor("memory", x))[:, 0],
            vector_share=np.exp(design.predictor("vector", x))[:, 0],
            matrix_share=np.exp(design.predictor("matrix", x))[:, 0],
            overhead_s=np.exp(design.predictor("overhead", x))[:, 0],
            head_cost=1.0 if self._is_without_heads else np.exp(design.predictor("head", x))[:, 0],
            is_enqueued=use.is_enqueued,
        )

    @property
    def _is_without_heads(self) -> bool:
        """Whether it was fitted to rates of processor cores before the head had a cost of its own."""
        return "memory of cpus" in self.names and not any(name.startswith("head ") for name in self.names)

    def times_s(self, rate: Rate, rng: np.random.Generator | None) -> FloatArray:
        """Times by the law [s], one per draw, without the error of a published rate."""
        return seconds(rate.terms, self.shares(rate.use, rng))

    def errors(self, use: Use) -> FloatArray:
        """Relative error of a published rate of this use, one value per draw."""
        return np.asarray(use.usual_error * np.exp(ERROR_SPREAD * self.draws[:, self.names.index(ERROR)]))

    def predictive_s(self, rate: Rate, rng: np.random.Generator) -> FloatArray:
        """Posterior predictive times of a published rate [s], one per draw: law and error."""
        return np.asarray(
            self.times_s(rate, rng) * np.exp(self.errors(rate.use) * rng.standard_normal(len(self.draws)))
        )

    def thinned(self, n_draws: int) -> Posterior:
        """Keep `n_draws` evenly spaced draws."""
        index = np.linspace(0, len(self.draws) - 1, n_draws).round().astype(int)
        return Posterior(self.names, self.draws[index])

    def _extended(self, uses: Sequence[Use], rng: np.random.Generator | None) -> tuple[Design, FloatArray]:
        wanted = Design.of(uses).names
        new = [name for name in wanted if name not in self.names]
        names = (*self.names, *new)
        shape = (len(self.draws), len(new))
        x = np.hstack([self.draws, np.zeros(shape) if rng is None else rng.standard_normal(shape)])
        return Design.of(uses, names), x


def fit(
    rates: Sequence[Rate],
    rng: np.random.Generator,
    *,
    n_chains: int = 64,
    n_burn_in: int = 40,
    n_kept: int = 32,
) -> Posterior:
    """Draw from the posterior of all effects in `rates`, or from the prior if there are no rates."""
    likelihood = Likelihood.of(rates)
    if not rates:
        return Posterior((ERROR,), rng.standard_normal((n_chains * n_kept, 1)))
    draws = sample(
        likelihood, likelihood.reference(), rng, n_chains=n_chains, n_burn_in=n_burn_in, n_kept=n_kept
    )
    return Posterior(likelihood.design.names, draws)


def _logistic(x: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-x)))
