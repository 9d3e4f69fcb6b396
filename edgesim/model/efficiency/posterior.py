"""What published rates say of devices and engines: a sample of parameters, and what it predicts.

The rates are taken as the law's times, times an error with a log-normal distribution; devices, engines and formats
share their effects (:mod:`edgesim.model.efficiency.effects`). Where rows do not identify a parameter, the sample
keeps its prior: what is not known stays wide, and no row needs leaving out for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesim.model.architecture import FloatArray
from edgesim.model.efficiency.effects import ERROR, Design, Rate, Use
from edgesim.model.efficiency.law import Shares, seconds
from edgesim.model.efficiency.sampler import Reference, sample

__all__ = ["Likelihood", "Posterior", "fit"]


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """Of parameters, given rates."""

    design: Design
    log_seconds: FloatArray
    terms: FloatArray  # [4, n_rates]: streaming, touching, matrices, calls
    is_enqueued: FloatArray

    @classmethod
    def of(cls, rates: Sequence[Rate]) -> Likelihood:
        """Lay rates out."""
        terms = [(r.terms.stream_s, r.terms.touch_s, r.terms.matrix_s, r.terms.n_calls) for r in rates]
        return cls(
            Design.of([rate.use for rate in rates]),
            np.log([rate.seconds for rate in rates]),
            np.array(terms, dtype=np.float64).reshape(-1, 4).T,
            np.array([rate.use.is_enqueued for rate in rates], dtype=bool),
        )

    def predicted(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Logarithm of the law's seconds, its four terms in seconds, and the shares of memory.

        Of one parameter vector [n], or of many [k, n].
        """
        memory = _logistic(self.design.predictor("memory", x))
        stream_s = self.terms[0] / memory
        touch_s, matrix_s, calls_s = (
            term * np.exp(sign * self.design.predictor(share, x))
            for term, sign, share in zip(self.terms[1:], (-1, -1, 1), ("vector", "matrix", "overhead"), strict=True)
        )
        work_s = stream_s + touch_s + matrix_s
        total_s = np.where(self.is_enqueued, np.maximum(work_s, calls_s), work_s + calls_s)
        return np.log(total_s), np.stack([stream_s, touch_s, matrix_s, calls_s]), memory

    def __call__(self, x: FloatArray) -> FloatArray:
        """Log likelihood [k] of parameters [k, n], but for a constant."""
        error = _error(x)[:, None]
        residuals = (self.log_seconds - self.predicted(x)[0]) / error
        return np.asarray((-0.5 * residuals**2 - np.log(error)).sum(axis=1))

    def jacobian(self, x: FloatArray) -> FloatArray:
        """Derivative of the logarithm of each row's seconds by each parameter, [n_rates, n], at one vector."""
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
        )
        shares = ("memory", "vector", "matrix", "overhead")
        return sum(
            (weight / total_s)[:, None] * self.design.loadings[share]
            for weight, share in zip(weights, shares, strict=True)
        )

    def reference(self) -> Reference:
        """Find the posterior's mode and curvature: least squares in turns with the size of the error."""
        from scipy.optimize import least_squares  # slow to import, and only fitting needs it

        n = len(self.design.names)
        x = np.zeros(n)
        for _ in range(3):
            error = float(_error(x))

            def residuals(at: FloatArray, error: float = error) -> FloatArray:
                return np.concatenate([at, (self.predicted(at)[0] - self.log_seconds) / error])

            def slopes(at: FloatArray, error: float = error) -> FloatArray:
                return np.concatenate([np.eye(n), self.jacobian(at) / error])

            x = np.asarray(least_squares(residuals, x, jac=slopes, method="lm").x, dtype=np.float64)
            x[-1] = self._likely_error(x)
        precision = np.eye(n) + (self.jacobian(x) / float(_error(x))).T @ (self.jacobian(x) / float(_error(x)))
        precision[-1, -1] += 2 * ERROR[2] ** 2 * len(self.log_seconds)
        return Reference(x, np.linalg.inv(precision))

    def _likely_error(self, x: FloatArray) -> float:
        """The error's parameter at which these residuals are the most likely."""
        squares = float(((self.predicted(x)[0] - self.log_seconds) ** 2).sum())
        tried = np.linspace(-4.0, 4.0, 161)
        sizes = ERROR[1] * np.exp(ERROR[2] * tried)
        penalty = 0.5 * tried**2 + len(self.log_seconds) * np.log(sizes) + 0.5 * squares / sizes**2
        return float(tried[penalty.argmin()])


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Equally likely parameters, [n_draws, n_parameters], with the parameters' names."""

    names: tuple[str, ...]
    draws: FloatArray

    def shares(self, use: Use, rng: np.random.Generator) -> Shares:
        """What an engine reaches on a device, a value for each draw; `rng` draws effects that no row has."""
        design, x = self._extended([use], rng)
        return Shares(
            memory=_logistic(design.predictor("memory", x))[:, 0],
            vector=np.exp(design.predictor("vector", x))[:, 0],
            matrix=np.exp(design.predictor("matrix", x))[:, 0],
            overhead_s=np.exp(design.predictor("overhead", x))[:, 0],
            is_enqueued=use.is_enqueued,
        )

    def errors(self) -> FloatArray:
        """Relative error of a published rate, a value for each draw."""
        return _error(self.draws)

    def predictive_s(self, rate: Rate, rng: np.random.Generator) -> FloatArray:
        """Seconds that such a rate may be published with, a value for each draw: law, parameters and error."""
        law_s = seconds(rate.terms, self.shares(rate.use, rng))
        return np.asarray(law_s * np.exp(self.errors() * rng.standard_normal(len(self.draws))))

    def thinned(self, n_draws: int) -> Posterior:
        """Keep so many draws, evenly spaced."""
        index = np.linspace(0, len(self.draws) - 1, n_draws).round().astype(int)
        return Posterior(self.names, self.draws[index])

    def _extended(self, uses: Sequence[Use], rng: np.random.Generator) -> tuple[Design, FloatArray]:
        wanted = Design.of(uses).names
        new = [name for name in wanted if name not in self.names]
        names = (*self.names, *new)
        x = np.hstack([self.draws, rng.standard_normal((len(self.draws), len(new)))])
        return Design.of(uses, names), x


def fit(rates: Sequence[Rate], rng: np.random.Generator, *, n_chains: int = 64, n_kept: int = 32) -> Posterior:
    """Draw from the posterior of all effects that rates have; the prior where there is no rate."""
    likelihood = Likelihood.of(rates)
    if not rates:
        return Posterior((ERROR[0],), rng.standard_normal((n_chains * n_kept, 1)))
    draws = sample(likelihood, likelihood.reference(), rng, n_chains=n_chains, n_kept=n_kept)
    return Posterior(likelihood.design.names, draws)


def _logistic(x: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-x)))


def _error(x: FloatArray) -> FloatArray:
    return np.asarray(ERROR[1] * np.exp(ERROR[2] * x[..., -1 if x.shape[-1] else 0]))
