"""From what a share of peak depends on, to its prior: a mean, and effects that rows have in common.

All is in terms of standard normal parameters: the logarithm of a share (of memory: its logit, so that it
stays below one) is a mean plus effects, each a parameter times its prior standard deviation. Effects are
named by what they belong to, so that rows which name the same board or engine inform one another, and a
board or engine that no row names has its prior.

What the prior says, and why (standard deviations of a logarithm or logit, unless stated):

* share of memory: 0.90 on GPUs (0.84 to 0.94 between devices in 90 of 100), where streaming kernels have
  threads enough; 0.65 on processor cores (0.3 to 0.9), whose few outstanding misses limit it, differently
  from board to board. It belongs to the board: what an engine loses is charged apart.
* share of the vector peak, at which weights are touched: beside its multiply-add a weight takes two to five
  instructions of unpacking, conversion and addressing, hence 0.35, from 0.13 (hardly vectorised) to 1 and
  more (packed half-precision or integer products) between engines. On processor cores engines have their
  4-bit kernels much in common (integer dot products over blocks of 32), and their half-precision ones not
  at all: 0.2, from scalar conversions (0.05) to native arithmetic.
* overhead per call of a compiled engine: some ten kernels a block with 4 us from one to the next, 40 us,
  within a factor of 1.7; on processor cores some ten barriers of 5 us.
* overhead per call of eager PyTorch: what dispatching and launching takes on that host, within a factor of
  two.
* share of the matrix peak: 0.5, 0.3 to 0.8.
* error of a published rate, against a law that is right: 5 % on GPUs; 7 % on processor cores, where
  firmware changes memory's timings, heat throttles and the rest of the system takes its part; each from 0.7
  to 1.4 times that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesim.errors import InputError
from edgesim.model.efficiency.law import Peaks, Terms
from edgesim.model.parts import FloatArray

__all__ = ["ERROR", "ERROR_SPREAD", "Design", "Rate", "Use", "effects_of"]

ERROR = "error"
"""Name of the parameter of published rates' relative errors."""

ERROR_SPREAD = 0.2
"""Its standard deviation, of the error's logarithm."""

Effect = tuple[str, float]
_Linear = tuple[float, tuple[Effect, ...]]


@dataclass(frozen=True, slots=True)
class Use:
    """An engine at work on a device, with weights of one format.

    Attributes
    ----------
    engine
        Its name.
    is_quantised
        Whether weights are stored in 8 bits or fewer.
    is_eager
        Whether it enqueues call by call from an interpreter.
    """

    peaks: Peaks
    engine: str
    is_quantised: bool
    is_eager: bool = False

    @property
    def usual_error(self) -> float:
        """Median of the prior of a published rate's relative error."""
        return 0.07 if self.peaks.is_cpu else 0.05

    @property
    def is_enqueued(self) -> bool:
        """Whether what calls cost hides behind the work: on a GPU that is fed call by call."""
        return self.is_eager and not self.peaks.is_cpu


@dataclass(frozen=True, slots=True)
class Rate:
    """A published time: what ran where, the terms of its law, and the seconds that they took."""

    use: Use
    terms: Terms
    seconds: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise InputError(f"a published time of {self.seconds} s; expected more than zero")


def effects_of(use: Use) -> dict[str, _Linear]:
    """Mean and effects of ``memory`` (a logit), ``vector``, ``matrix`` and ``overhead`` (logarithms)."""
    board, kind = use.peaks.board, "cpu" if use.peaks.is_cpu else "gpu"
    engine = f"{use.engine} on {kind}"
    stored = "quantised" if use.is_quantised else "float"
    if use.peaks.is_cpu:
        memory: _Linear = (0.6, (("memory of cpus", 0.5), (f"memory of {board}", 0.6)))
        mean, alike, apart = (0.35, 0.6, 0.1) if use.is_quantised else (0.2, 0.3, 0.75)
        vector: _Linear = (
            math.log(mean),
            (
                (f"vectors of cpus, {stored}", alike),
                (f"vectors of {board}", 0.3),
                (f"vectors under {engine}", 0.12),
                (f"vectors under {engine}, {stored}", apart),
            ),
        )
    else:
        memory = (2.2, (("memory of gpus", 0.3), (f"memory of {board}", 0.3)))
        vector = (
            math.log(0.35),
            (
                ("vectors of gpus", 0.5),
                (f"vectors under {engine}", 0.5),
                (f"vectors under {engine}, {stored}", 0.1),
            ),
        )
    if use.is_eager:
        overhead: _Linear = (
            math.log(use.peaks.eager_call_s),
            (("calls, eager", 0.36), (f"calls on {board}, eager", 0.22)),
        )
    elif use.peaks.is_cpu:
        overhead = (math.log(50e-6), (("calls of cpus", 0.5), (f"calls under {engine}", 0.3)))
    else:
        overhead = (math.log(40e-6), (("calls of gpus", 0.27), (f"calls under {engine}", 0.18)))
    matrix: _Linear = (math.log(0.5), (("matrices", 0.3),))
    return {"memory": memory, "vector": vector, "matrix": matrix, "overhead": overhead}


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Uses as linear predictors of their shares.

    Attributes
    ----------
    names
        Of the parameters; the last is the error's.
    means
        By share, [n_uses].
    loadings
        By share, [n_uses, n_parameters].
    """

    names: tuple[str, ...]
    means: dict[str, FloatArray]
    loadings: dict[str, FloatArray]

    @classmethod
    def of(cls, uses: Sequence[Use], names: Sequence[str] | None = None) -> Design:
        """Lay uses out over the parameters named, or over all that they have."""
        linear = [effects_of(use) for use in uses]
        if names is None:
            found = (name for one in linear for _, effects in one.values() for name, _ in effects)
            names = (*dict.fromkeys(found), ERROR)
        at = {name: index for index, name in enumerate(names)}
        shares = ("memory", "vector", "matrix", "overhead")
        means = {share: np.array([one[share][0] for one in linear]) for share in shares}
        loadings = {share: np.zeros((len(uses), len(at))) for share in shares}
        for share in shares:
            for row, one in enumerate(linear):
                for name, spread in one[share][1]:
                    loadings[share][row, at[name]] = spread
        return cls(tuple(names), means, loadings)

    def predictor(self, share: str, x: FloatArray) -> FloatArray:
        """Logarithm (of memory: logit) of a share, [..., n_uses], of parameters [..., n_parameters]."""
        return np.asarray(x @ self.loadings[share].T + self.means[share])
