"""Calibration of a device's ceilings from a few measured times: inverse of `scaling.AnalyticTiming`.

The fitted model is the roofline with an overhead per call that is also used to charge times, so that a
calibrated device reproduces its measurements as closely as that model can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesim.errors import InputError
from edgesim.model.architecture import Architecture
from edgesim.model.parts import Component, FloatArray

__all__ = ["Calibration", "Fitted", "FittedParameter", "Measurement", "calibrate", "predicted_s"]

CONFIDENCE = 0.95
ASSUMED_ERROR = 0.05  # relative error of a measurement if there are no spare rows to estimate it
LEAST_DISTINCT = 1e-6  # relative singular value below which rows do not distinguish two parameters
_WIDEST = 230.0  # cap on an interval's half-width in the logarithm, to avoid overflow
AT_BOUND = 1e-9  # overhead as a share of a row's time, below which the fit is at its bound of zero

_PARTS = (Component.BLOCK, Component.EMBEDDING, Component.HEAD, Component.STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One published or measured time of a whole model on one device, batch 1.

    Attributes
    ----------
    seconds
        Mean time of a decode step, or the time of a prefill.
    phase
        Timed phase: ``decode``, averaged over the steps of an answer, or ``prefill`` of the whole prompt.
    bytes_per_weight
        Size of a stored weight if it differs from the model's number format: 0.5625 for Q40 blocks of 32
        4-bit weights and a 16-bit scale. Activations and cache keep the number format.
    """

    model: Architecture
    phase: Literal["decode", "prefill"]
    n_prompt_tokens: int
    n_output_tokens: int
    seconds: float
    bytes_per_weight: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise InputError(f"calibration: a measured time of {self.seconds} s; expected more than zero")
        if self.n_prompt_tokens < 1 or self.n_output_tokens < 1:
            raise InputError("calibration: n_prompt and n_output must be whole numbers of at least 1")


@dataclass(frozen=True, slots=True)
class FittedParameter:
    """Parameter with its 95 % confidence interval; the interval of a given parameter has width zero."""

    value: float
    low: float
    high: float
    is_fitted: bool = True

    @classmethod
    def given(cls, value: float) -> FittedParameter:
        """Return a parameter given by the user."""
        return cls(value, value, value, is_fitted=False)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A measured time, and the time predicted by the fitted ceilings."""

    measured_s: float
    predicted_s: float

    @property
    def difference(self) -> float:
        """Relative difference: predicted over measured, minus one."""
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted ceilings.

    Attributes
    ----------
    flop_per_s
        None if it was neither fitted (there is no prefill row) nor given; only the lower bound
        ``flop_per_s_at_least`` is then known.
    flop_per_s_at_least
        Lower bound: the largest FLOP per second in any row, as measured or as fitted.
    error
        Relative standard error of one measurement: estimated from the residuals, or assumed if there are no
        spare rows.
    n_spare
        Number of rows beyond the number of fitted parameters.
    """

    bytes_per_s: FittedParameter
    flop_per_s: FittedParameter | None
    overhead_s: FittedParameter
    flop_per_s_at_least: float
    rows: tuple[Fitted, ...]
    error: float
    n_spare: int


def predicted_s(
    measurement: Measurement, *, bytes_per_s: float, flop_per_s: float, overhead_s: float
) -> float:
    """Time of a measured pass at given ceilings [s]; equals `AnalyticTiming`'s for plain number formats."""
    work = _Work.of([measurement])
    return float(work.seconds(bytes_per_s, flop_per_s, overhead_s)[0])


def calibrate(
    measurements: Sequence[Measurement],
    *,
    flop_per_s: float | None = None,
    overhead_s: float | None = None,
    error: float | None = None,
) -> Calibration:
    """Fit memory bandwidth, compute rate and overhead per call to measured times.

    Least squares of log times, so that every row is weighted by its relative difference. Bandwidth and
    compute rate are fitted in the logarithm, the overhead subject to a lower bound of zero. Intervals are
    those of the linearised problem: covariance ``error² (JᵀJ)⁻¹``, with Student's quantile for the spare
    rows, or the normal quantile if the error is given. If the fitted overhead is zero, its interval starts
    there, and it counts as known for the intervals of the other parameters.

    Parameters
    ----------
    flop_per_s, overhead_s
        Known values, which are not fitted. Without prefill rows the compute rate is not fitted either.
    error
        Relative standard error of a measurement, if known. By default it is estimated from the residuals; if
        there are no spare rows, 5 % is assumed.

    Raises
    ------
    InputError
        If the rows do not determine the parameters; the message names them and the rows to add.
    """
    if error is not None and not 0.0 <= error <= 1.0:
        raise InputError(
            f"calibration: an error of {error:g} (--error); expected a share from 0 to 1, such as 0.02"
        )
    if not measurements:
        raise InputError("calibration: no measurements; give at least one row")
    work = _Work.of(measurements)
    measured_s = np.array([row.seconds for row in measurements])
    fit_flop = flop_per_s is None and any(row.phase == "prefill" for row in measurements)
    problem = _Problem(
        work, measured_s, fit_flop, overhead_s is None, flop_per_s or math.inf, overhead_s or 0.0
    )
    if len(measurements) < problem.n_free:
        raise InputError(
            f"calibration: {len(measurements)} row{'s' * (len(measurements) > 1)} cannot determine "
            f"{problem.n_free} parameters ({', '.join(problem.names)}); expected at least as many rows: "
            "add rows of "
            "models of other sizes, or give known values (--overhead, --compute)"
        )
    x, at_bound = problem.solve()
    b, f, o = problem.values(x)
    jacobian = problem.jacobian(x)
    problem.check_identifiable(jacobian, at_bound)
    fitted_s = work.seconds(b, f, o)
    residuals = np.log(fitted_s / measured_s)
    n_spare = len(measurements) - (problem.n_free - at_bound)
    sigma, quantile = _spread(residuals, n_spare, error)
    widths = _widths(jacobian, at_bound, problem.n_free) * sigma * quantile
    return Calibration(
        bytes_per_s=FittedParameter(b, b / _factor(widths[0]), b * _factor(widths[0])),
        flop_per_s=_compute_rate(problem, f, widths, flop_per_s),
        overhead_s=_overhead(problem, o, widths),
        flop_per_s_at_least=float((work.flop_total / np.minimum(measured_s, fitted_s)).max()),
        rows=tuple(Fitted(float(m), float(p)) for m, p in zip(measured_s, fitted_s, strict=True)),
        error=sigma,
        n_spare=n_spare,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """Calls, FLOP and bytes moved of each row, by component of the model."""

    n_calls: FloatArray  # [n_rows, n_parts]
    flop: FloatArray
    moved_bytes: FloatArray

    @classmethod
    def of(cls, measurements: Sequence[Measurement]) -> _Work:
        rows = [[_call(row, part) for part in _PARTS] for row in measurements]
        table = np.array(rows, dtype=np.float64)
        return cls(table[:, :, 0], table[:, :, 1], table[:, :, 2])

    @property
    def flop_total(self) -> FloatArray:
        return np.asarray((self.n_calls * self.flop).sum(axis=1))

    def seconds(self, bytes_per_s: float, flop_per_s: float, overhead_s: float) -> FloatArray:
        busy_s = np.maximum(self.flop / flop_per_s, self.moved_bytes / bytes_per_s)
        return np.asarray((self.n_calls * (busy_s + overhead_s)).sum(axis=1))


def _call(row: Measurement, part: Component) -> tuple[float, float, float]:
    model = row.model if row.bytes_per_weight is None else row.model.quantised(row.bytes_per_weight)
    if row.phase == "prefill":
        n_new, n_context = row.n_prompt_tokens, 0
    else:  # context at the middle of the answer: exact for times linear in the context
        n_new, n_context = 1, row.n_prompt_tokens + max(0, row.n_output_tokens - 2) // 2
    work = model.work(part, batch=1, n_new=n_new, n_context=n_context)
    return (model.n_blocks if part is Component.BLOCK else 1), work.flop, work.moved_bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """Least-squares problem; x is the log bandwidth, then log compute rate and overhead if fitted."""

    work: _Work
    measured_s: FloatArray
    fit_flop: bool
    fit_overhead: bool
    flop_per_s: float
    overhead_s: float

    @property
    def n_free(self) -> int:
        return 1 + self.fit_flop + self.fit_overhead

    @property
    def names(self) -> tuple[str, ...]:
        return (
            "memory_bandwidth",
            *(("compute",) if self.fit_flop else ()),
            *(("overhead_per_call",) if self.fit_overhead else ()),
        )

    @property
    def overhead_scale_s(self) -> float:
        """Overhead that would explain the whole time of a row; scales x to order one or below."""
        return float((self.measured_s / self.work.n_calls.sum(axis=1)).min())

    def values(self, x: FloatArray) -> tuple[float, float, float]:
        flop_per_s = math.exp(x[1]) if self.fit_flop else self.flop_per_s
        overhead_s = float(x[-1]) * self.overhead_scale_s if self.fit_overhead else self.overhead_s
        return math.exp(x[0]), flop_per_s, overhead_s

    def residuals(self, x: FloatArray) -> FloatArray:
        return np.log(self.work.seconds(*self.values(x)) / self.measured_s)

    def solve(self) -> tuple[FloatArray, bool]:
        """Return the least-squares solution, and whether the overhead is at its bound of zero."""
        from scipy.optimize import least_squares  # slow to import, and only this command needs it

        moved_bytes = (self.work.n_calls * self.work.moved_bytes).sum(axis=1)
        rate = math.log(float((moved_bytes / self.measured_s).max()))
        start, low, high = [rate], [-np.inf], [np.inf]
        if self.fit_flop:
            start.append(math.log(float((self.work.flop_total / self.measured_s).max())))
            low.append(-np.inf)
            high.append(np.inf)
        if self.fit_overhead:
            start.append(0.05)
            low.append(0.0)
            high.append(1.0)
        found = least_squares(
            self.residuals, start, jac=self.jacobian, bounds=(low, high), xtol=1e-14, ftol=1e-14, gtol=1e-14
        )
        x = np.asarray(found.x, dtype=np.float64)
        if self.fit_overhead and x[-1] < max(AT_BOUND, 1e-6 * float(np.abs(self.residuals(x)).max())):
            x[-1] = 0.0
            return self._without_overhead(x), True
        return x, False

    def _without_overhead(self, x: FloatArray) -> FloatArray:
        """Solve again with the overhead at its bound of zero, which :meth:`solve` only approaches."""
        rest = _Problem(self.work, self.measured_s, self.fit_flop, False, self.flop_per_s, 0.0)
        inner, _ = rest.solve()
        return np.append(inner, 0.0)

    def jacobian(self, x: FloatArray) -> FloatArray:
        """Return d log(seconds) / dx."""
        bytes_per_s, flop_per_s, overhead_s = self.values(x)
        seconds = self.work.seconds(bytes_per_s, flop_per_s, overhead_s)
        streamed_s, computed_s = self.work.moved_bytes / bytes_per_s, self.work.flop / flop_per_s
        by_memory = streamed_s >= computed_s
        columns = [-(self.work.n_calls * streamed_s * by_memory).sum(axis=1) / seconds]
        if self.fit_flop:
            columns.append(-(self.work.n_calls * computed_s * ~by_memory).sum(axis=1) / seconds)
        if self.fit_overhead:
            columns.append(self.work.n_calls.sum(axis=1) * self.overhead_scale_s / seconds)
        return np.column_stack(columns)

    def check_identifiable(self, jacobian: FloatArray, at_bound: bool) -> None:
        """Raise InputError if a parameter affects no row, or if parameters cannot be distinguished."""
        for name, column in zip(self.names, jacobian.T, strict=True):
            if np.abs(column).max() < LEAST_DISTINCT:
                what = (
                    "compute-bound: add a longer prompt" if name == "compute" else "bound by memory: add one"
                )
                raise InputError(f"calibration: the rows do not determine {name}; none of them is {what}")
        free = jacobian[:, : self.n_free - at_bound]
        singular = np.linalg.svd(free, compute_uv=False)
        if singular[-1] < LEAST_DISTINCT * singular[0]:
            raise InputError(
                f"calibration: the rows cannot distinguish {' and '.join(self.names)}, which affect all rows "
                "in the same "
                "proportion; add rows of models of other sizes, or give known values (--overhead, --compute)"
            )


def _spread(residuals: FloatArray, n_spare: int, error: float | None) -> tuple[float, float]:
    """Return the relative error of a measurement, and the quantile for its intervals."""
    from scipy.special import ndtri, stdtrit

    normal = float(ndtri((1 + CONFIDENCE) / 2))
    if error is not None:
        return error, normal
    if n_spare < 1:
        return ASSUMED_ERROR, normal
    sigma = math.sqrt(float(residuals @ residuals) / n_spare)
    return sigma, float(stdtrit(n_spare, (1 + CONFIDENCE) / 2))


def _widths(jacobian: FloatArray, at_bound: bool, n_free: int) -> FloatArray:
    """Standard errors of the parameters at a relative measurement error of one."""
    free = jacobian[:, :-1] if at_bound else jacobian
    errors = np.sqrt(np.diag(np.linalg.inv(free.T @ free)))
    if not at_bound:
        return np.asarray(errors)
    # Standard error of the overhead with all parameters free; infinite if there are too few rows.
    whole = jacobian.T @ jacobian
    singular = len(jacobian) < n_free or np.linalg.cond(whole) > LEAST_DISTINCT**-2
    overhead = math.inf if singular else math.sqrt(float(np.linalg.inv(whole)[-1, -1]))
    return np.append(errors, overhead)


def _factor(width: float) -> float:
    """Factor of an interval with this half-width in the logarithm, capped at about 1e100."""
    return math.exp(min(float(width), _WIDEST))


def _compute_rate(
    problem: _Problem, value: float, widths: FloatArray, given: float | None
) -> FittedParameter | None:
    if not problem.fit_flop:
        return None if given is None else FittedParameter.given(given)
    return FittedParameter(value, value / _factor(widths[1]), value * _factor(widths[1]))


def _overhead(problem: _Problem, value: float, widths: FloatArray) -> FittedParameter:
    if not problem.fit_overhead:
        return FittedParameter.given(value)
    width_s = float(widths[-1]) * problem.overhead_scale_s
    return FittedParameter(value, max(0.0, value - width_s), min(value + width_s, problem.overhead_scale_s))
