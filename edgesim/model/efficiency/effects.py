"""Hierarchical prior of an engine's shares of peak: a mean plus effects that published rates share.

All parameters are standard normal: the logarithm of a share (for memory its logit, so that it stays below
one) is a mean plus effects, each a parameter times its prior standard deviation. Effects are named by board,
engine or format, so that rows with the same board or engine inform one another; a board or engine without
rows keeps its prior.

Prior values and their reasons (standard deviations of a logarithm or logit, unless stated):

* share of memory: 0.90 on GPUs (90 % of devices between 0.84 and 0.94), where streaming kernels have enough
  threads; 0.65 on processor cores (0.3 to 0.9), limited by their few outstanding misses, which differ
  between boards. It is a property of the board: losses of an engine are charged separately.
* share of the vector peak, at which weights are touched: in addition to its multiply-add a weight takes two
  to five instructions of unpacking, conversion and addressing, hence 0.35, from 0.13 (hardly vectorised) to
  1 and more (packed half-precision or integer products) between engines. On processor cores, engines have
  similar 4-bit kernels (integer dot products over blocks of 32), but very different half-precision ones:
  0.2, from scalar conversions (0.05) to native arithmetic.
* overhead per call of a compiled engine: about ten kernels per block, 4 us apart, 40 us in total, within a
  factor of 1.7; on processor cores about ten barriers of 5 us.
* overhead per call of eager PyTorch: time to dispatch and launch on that host, within a factor of two.
* share of the matrix peak: 0.5, 0.3 to 0.8.
* time to stream and touch a weight of the head, over that of a block's: 1 on GPUs; on processor cores 1.5
  (0.84 to 2.7) by engine, since whatever is done for each word of the vocabulary counts with it, and some
  engines multiply the head by another kernel. An engine without a rate on processor cores has 1.5 there.
* error of a published rate, given a correct law: 5 % on GPUs; 7 % on processor cores, because of memory
  timings changed by firmware, thermal throttling and load from the rest of the system; each within 0.7 to
  1.4 times that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesim.errors import InputError
from edgesim.model.efficiency.law import Peaks, Terms
from edgesim.model.parts import FloatArray

__all__ = ["ERROR", "ERROR_SPREAD", "SHARES", "Design", "Rate", "Use", "effects_of"]

ERROR = "error"
"""Name of the parameter for the relative error of published rates."""

SHARES = ("memory", "vector", "matrix", "overhead", "head")
"""What of an engine on a device is fitted."""

ERROR_SPREAD = 0.2
"""Prior standard deviation of the logarithm of that error."""

Effect = tuple[str, float]
_Linear = tuple[float, tuple[Effect, ...]]


@dataclass(frozen=True, slots=True)
class Use:
    """Combination of an engine, a device and a weight format.

    Attributes
    ----------
    peaks
        Datasheet peaks of the device.
    engine
        Name of the engine.
    is_quantised
        Whether weights are stored in 8 bits or fewer.
    is_eager
        Whether the engine enqueues each call from an interpreter.
    """

    peaks: Peaks
    engine: str
    is_quantised: bool
    is_eager: bool = False

    @property
    def usual_error(self) -> float:
        """Prior median of the relative error of a published rate."""
        return 0.07 if self.peaks.is_cpu else 0.05

    @property
    def is_enqueued(self) -> bool:
        """Whether call overheads overlap with computing, as on a GPU with calls enqueued one by one."""
        return self.is_eager and not self.peaks.is_cpu


@dataclass(frozen=True, slots=True)
class Rate:
    """A published time [s], with its engine and device, and the terms of the law for the work done."""

    use: Use
    terms: Terms
    seconds: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise InputError(f"a published time of {self.seconds} s; expected more than zero")


def effects_of(use: Use) -> dict[str, _Linear]:
    """Return mean and effects of :data:`SHARES`, all logarithms but ``memory``, a logit."""
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
    head: _Linear = (math.log(1.5), ((f"head under {engine}", 0.35),)) if use.peaks.is_cpu else (0.0, ())
    return dict(zip(SHARES, (memory, vector, matrix, overhead, head), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Design matrices: linear predictors of the shares of several uses.

    Attributes
    ----------
    names
        Parameter names; the last is :data:`ERROR`.
    means
        Means by share, [n_uses].
    loadings
        Design matrix by share, [n_uses, n_parameters].
    """

    names: tuple[str, ...]
    means: dict[str, FloatArray]
    loadings: dict[str, FloatArray]

    @classmethod
    def of(cls, uses: Sequence[Use], names: Sequence[str] | None = None) -> Design:
        """Build the design of `uses` over the parameters `names`, or over all that the uses depend on."""
        linear = [effects_of(use) for use in uses]
        if names is None:
            found = (name for one in linear for _, effects in one.values() for name, _ in effects)
            names = (*dict.fromkeys(found), ERROR)
        at = {name: index for index, name in enumerate(names)}
        means = {share: np.array([one[share][0] for one in linear]) for share in SHARES}
        loadings = {share: np.zeros((len(uses), len(at))) for share in SHARES}
        for share in SHARES:
            for row, one in enumerate(linear):
                for name, spread in one[share][1]:
                    loadings[share][row, at[name]] = spread
        return cls(tuple(names), means, loadings)

    def predictor(self, share: str, x: FloatArray) -> FloatArray:
        """Logarithm (memory: logit) of a share, [..., n_uses], for parameters `x`, [..., n_parameters]."""
        return np.asarray(x @ self.loadings[share].T + self.means[share])
