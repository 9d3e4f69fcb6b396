"""Outages: scheduled windows and random alternations of up and down, as pure functions of (key, time).

A device that fails and is repaired, one that joins and leaves (churn), and an intermittent link are all
one alternation of up times and down times. It is drawn by number from its key, so that every strategy has
the same failures at the same instants, in whatever order they are evaluated.

Windows are half open: down from their beginning, up again at their end.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.rng import key_of, keyed_uniforms

__all__ = ["AnyOutages", "Outages", "RandomOutages", "ScheduledOutages", "weibull_mean"]


class Outages(Protocol):
    """Up and down times of a device or link; pure."""

    @property
    def changes_per_s(self) -> float:
        """Failures and repairs per second in the long run [1/s]; 0 if they end."""
        ...

    def down(self, at_s: float) -> bool:
        """Return whether it is down at an instant."""
        ...

    def next_down(self, at_s: float) -> float:
        """Return the first instant, not before the given one, at which it is down [s]; infinite if none."""
        ...

    def next_up(self, at_s: float) -> float:
        """Return the first instant, not before the given one, at which it is up [s]; infinite if none."""
        ...


class ScheduledOutages:
    """Outages at given times: maintenance, a device that joins late, or one that leaves permanently.

    Parameters
    ----------
    windows_s
        Beginning and end of each outage [s]; an infinite end is permanent. Windows may touch and overlap.
    """

    def __init__(self, windows_s: Iterable[tuple[float, float]]) -> None:
        edges_s: list[float] = []  # down, up, down, up, …
        for begins_s, ends_s in sorted(windows_s):
            if not 0.0 <= begins_s < ends_s:
                raise InputError(
                    f"outages: found a window from {begins_s:g} to {ends_s:g} s; expected a beginning at 0 "
                    "or later and an end after it"
                )
            if edges_s and begins_s <= edges_s[-1]:
                edges_s[-1] = max(edges_s[-1], ends_s)
            else:
                edges_s += [begins_s, ends_s]
        self._edges_s = edges_s

    @property
    def changes_per_s(self) -> float:
        """0, because the number of windows is finite."""
        return 0.0

    @property
    def windows_s(self) -> tuple[tuple[float, float], ...]:
        """The windows in order, with touching ones merged."""
        return tuple(zip(self._edges_s[::2], self._edges_s[1::2], strict=True))

    def down(self, at_s: float) -> bool:
        """Return whether an instant lies in a window."""
        return bisect_right(self._edges_s, at_s) % 2 == 1

    def next_down(self, at_s: float) -> float:
        """Return the given instant if it lies in a window, else the beginning of the next window [s]."""
        number = bisect_right(self._edges_s, at_s)
        return at_s if number % 2 else self._edge(number)

    def next_up(self, at_s: float) -> float:
        """Return the given instant if it lies outside all windows, else the end of its window [s]."""
        number = bisect_right(self._edges_s, at_s)
        return self._edge(number) if number % 2 else at_s

    def _edge(self, number: int) -> float:
        return self._edges_s[number] if number < len(self._edges_s) else math.inf

    def __repr__(self) -> str:
        return f"ScheduledOutages({self.windows_s!r})"


@dataclass(frozen=True)
class RandomOutages:
    """Alternating, independent up and down times: an alternating renewal process.

    Times are Weibull distributed with the given means. A shape of 1 makes them exponential; with one above
    1 failures become more likely with age, with one below 1 less. The share of time up is mtbf / (mtbf +
    mttr) for all shapes (Barlow and Proschan 1975, alternating renewal processes). It holds from time zero
    on, because the process starts in its steady state: up with that probability, and within a period in
    progress.

    The same process describes churn: ``mtbf_s`` is the mean stay, ``mttr_s`` the mean absence. With
    exponential times of both, the devices of a fleet arrive as a Poisson process and stay for exponential
    times.

    Parameters
    ----------
    key
        From :func:`edgesim.rng.key_of`, for instance of (seed, replication, device's name, "outages").
    mtbf_s
        Mean time between the end of an outage and the next failure [s].
    mttr_s
        Mean time to repair [s].
    up_shape, down_shape
        Weibull shapes of the two times.
    starts_up
        Whether it starts up and as new at time zero, instead of in the steady state.
    """

    key: int
    mtbf_s: float
    mttr_s: float
    up_shape: float = 1.0
    down_shape: float = 1.0
    starts_up: bool = False
    _edges_s: list[float] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, value in (("mtbf", self.mtbf_s), ("mttr", self.mttr_s)):
            if not 0.0 < value < math.inf:
                raise InputError(f"outages: found {name} = {value:g} s; expected a duration above 0")
        for name, value in (("up_shape", self.up_shape), ("down_shape", self.down_shape)):
            if not 0.0 < value < math.inf:
                raise InputError(f"outages: found {name} = {value:g}; expected a number above 0")

    @property
    def changes_per_s(self) -> float:
        """Failures and repairs per second in the long run [1/s]."""
        return 2.0 / (self.mtbf_s + self.mttr_s)

    @property
    def availability(self) -> float:
        """Share of time up in the long run."""
        return self.mtbf_s / (self.mtbf_s + self.mttr_s)

    def down(self, at_s: float) -> bool:
        """Return whether it is down at an instant."""
        return self._number(at_s) % 2 == 1

    def next_down(self, at_s: float) -> float:
        """Return the given instant if it is down then, else the instant of the next failure [s]."""
        number = self._number(at_s)
        return at_s if number % 2 else self._edges_s[number]

    def next_up(self, at_s: float) -> float:
        """Return the given instant if it is up then, else the end of the repair [s]."""
        number = self._number(at_s)
        return self._edges_s[number] if number % 2 else at_s

    def _number(self, at_s: float) -> int:
        """Return the number of edges up to an instant, even while up; at least one later edge is drawn."""
        while not self._edges_s or self._edges_s[-1] <= at_s:
            self._go_on()
        return bisect_right(self._edges_s, at_s)

    def _go_on(self, n_cycles: int = 32) -> None:
        """Draw further edges, which alternate between failures and repairs."""
        first = len(self._edges_s)
        uniforms = keyed_uniforms(self.key, np.arange(first, first + 2 * n_cycles))
        lasts_s = np.empty(2 * n_cycles)
        lasts_s[::2] = _weibull(self.mtbf_s, self.up_shape, uniforms[::2])
        lasts_s[1::2] = _weibull(self.mttr_s, self.down_shape, uniforms[1::2])
        since_s = self._edges_s[-1] if self._edges_s else 0.0
        if not self._edges_s and not self.starts_up:
            which, length, part = keyed_uniforms(key_of(self.key, "start"), np.arange(3)).tolist()
            if which < self.availability:
                lasts_s[0] = part * _met(self.mtbf_s, self.up_shape, length)
            else:
                lasts_s[0] = 0.0  # the failure lies before time zero, its repair after
                lasts_s[1] = part * _met(self.mttr_s, self.down_shape, length)
        self._edges_s.extend((since_s + np.cumsum(lasts_s)).tolist())


class AnyOutages:
    """Union of several outages: down while any of them is, such as a schedule and random failures.

    Parameters
    ----------
    outages
        Outages to combine.
    """

    def __init__(self, outages: Iterable[Outages]) -> None:
        self._outages = tuple(outages)

    @property
    def changes_per_s(self) -> float:
        """Sum of all failures and repairs per second in the long run [1/s]."""
        return sum(one.changes_per_s for one in self._outages)

    def down(self, at_s: float) -> bool:
        """Return whether any is down at an instant."""
        return any(one.down(at_s) for one in self._outages)

    def next_down(self, at_s: float) -> float:
        """Return the first instant, not before the given one, at which any is down [s]."""
        return min((one.next_down(at_s) for one in self._outages), default=math.inf)

    def next_up(self, at_s: float) -> float:
        """Return the first instant, not before the given one, at which all are up [s]."""
        while not math.isinf(at_s):
            later_s = max((one.next_up(at_s) for one in self._outages), default=at_s)
            if later_s == at_s:
                break
            at_s = later_s
        return at_s

    def __repr__(self) -> str:
        return f"AnyOutages({list(self._outages)!r})"


def weibull_mean(scale: float, shape: float) -> float:
    """Return the mean of a Weibull distribution: scale Γ(1 + 1 / shape)."""
    return scale * math.gamma(1.0 + 1.0 / shape)


def _weibull(mean: float, shape: float, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Weibull draws of a given mean, by inversion."""
    scale = mean / weibull_mean(1.0, shape)
    draws: NDArray[np.float64] = scale * (-np.log(uniforms)) ** (1.0 / shape)
    return draws


def _met(mean: float, shape: float, uniform: float) -> float:
    """Draw the duration that contains a random instant: Weibull, weighted by its length."""
    # With x = scale g^(1/shape), a density in proportion to x^shape exp(-x^shape) is that of a gamma variate
    # g of shape 1 + 1/shape.
    from scipy.special import gammaincinv  # a quarter of a second to import; not every run has outages

    scale = mean / weibull_mean(1.0, shape)
    gamma = float(gammaincinv(1.0 + 1.0 / shape, uniform))
    return scale * math.pow(gamma, 1.0 / shape)
