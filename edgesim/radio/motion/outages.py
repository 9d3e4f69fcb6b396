"""When something is down: scheduled windows and random alternations, as pure functions of (key, time).

A device that breaks and is mended, one that joins and leaves (churn), and a link that comes and goes are all
one alternation of times up and times down. It is drawn by number from its key, so that every strategy meets
the same failures at the same instants, however much it has asked of whom.

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
    """When something is down; pure."""

    @property
    def changes_per_s(self) -> float:
        """Failures and repairs, in the long run [1/s]; 0 where they come to an end."""
        ...

    def down(self, at_s: float) -> bool:
        """Whether it is down at an instant."""
        ...

    def next_down(self, at_s: float) -> float:
        """First instant from this one on at which it is down [s]; infinite if there is none."""
        ...

    def next_up(self, at_s: float) -> float:
        """First instant from this one on at which it is up [s]; infinite if there is none."""
        ...


class ScheduledOutages:
    """Windows known beforehand, such as maintenance; or a device that joins late, or leaves for good.

    Parameters
    ----------
    windows_s
        Beginning and end of each [s]; an infinite end is for good. They may touch and overlap.
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
        """None in the long run."""
        return 0.0

    @property
    def windows_s(self) -> tuple[tuple[float, float], ...]:
        """The windows, in order, those that touched made one."""
        return tuple(zip(self._edges_s[::2], self._edges_s[1::2], strict=True))

    def down(self, at_s: float) -> bool:
        """Whether an instant lies in a window."""
        return bisect_right(self._edges_s, at_s) % 2 == 1

    def next_down(self, at_s: float) -> float:
        """The instant itself in a window, else the next window's beginning [s]."""
        number = bisect_right(self._edges_s, at_s)
        return at_s if number % 2 else self._edge(number)

    def next_up(self, at_s: float) -> float:
        """The instant itself outside all windows, else the window's end [s]."""
        number = bisect_right(self._edges_s, at_s)
        return self._edge(number) if number % 2 else at_s

    def _edge(self, number: int) -> float:
        return self._edges_s[number] if number < len(self._edges_s) else math.inf

    def __repr__(self) -> str:
        return f"ScheduledOutages({self.windows_s!r})"


@dataclass(frozen=True)
class RandomOutages:
    """Times up and times down in turn, each independent: an alternating renewal process.

    Times are Weibull distributed with the means given; a shape of 1 makes them exponential, one above 1 makes
    failures come with age, one below 1 with youth. The share of time up is mtbf / (mtbf + mttr), whatever the
    shapes (Barlow and Proschan 1975, alternating renewal processes), and from time zero on, for the process
    starts in its steady state: up with that probability, and in the midst of a time.

    Churn is the same with other words: ``mtbf_s`` is the mean stay, ``mttr_s`` the mean absence. With
    exponential times of both, the devices of a fleet come as a Poisson process does and stay for exponential
    times.

    Parameters
    ----------
    key
        Of :func:`edgesim.rng.key_of`, as from (seed, replication, device's name, "outages").
    mtbf_s
        Mean time between the end of an outage and the next failure [s].
    mttr_s
        Mean time to repair [s].
    up_shape, down_shape
        Weibull shapes of the two.
    starts_up
        Whether it starts up and as new, at time zero, in the place of the steady state.
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
        """Failures and repairs, in the long run [1/s]."""
        return 2.0 / (self.mtbf_s + self.mttr_s)

    @property
    def availability(self) -> float:
        """Share of time that it is up, in the long run."""
        return self.mtbf_s / (self.mtbf_s + self.mttr_s)

    def down(self, at_s: float) -> bool:
        """Whether it is down at an instant."""
        return self._number(at_s) % 2 == 1

    def next_down(self, at_s: float) -> float:
        """The instant itself where it is down, else that of the next failure [s]."""
        number = self._number(at_s)
        return at_s if number % 2 else self._edges_s[number]

    def next_up(self, at_s: float) -> float:
        """The instant itself where it is up, else the end of the repair [s]."""
        number = self._number(at_s)
        return self._edges_s[number] if number % 2 else at_s

    def _number(self, at_s: float) -> int:
        """Edges up to an instant: even while it is up. At least one more edge is known after it."""
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
                lasts_s[0] = 0.0  # the failure lies in the past, its repair ahead
                lasts_s[1] = part * _met(self.mttr_s, self.down_shape, length)
        self._edges_s.extend((since_s + np.cumsum(lasts_s)).tolist())


class AnyOutages:
    """Down whenever any of several is: a device with a schedule and a life expectancy.

    Parameters
    ----------
    outages
        What takes it down.
    """

    def __init__(self, outages: Iterable[Outages]) -> None:
        self._outages = tuple(outages)

    @property
    def changes_per_s(self) -> float:
        """Failures and repairs of all, in the long run [1/s]."""
        return sum(one.changes_per_s for one in self._outages)

    def down(self, at_s: float) -> bool:
        """Whether any is down."""
        return any(one.down(at_s) for one in self._outages)

    def next_down(self, at_s: float) -> float:
        """First instant from this one on at which any is down [s]."""
        return min((one.next_down(at_s) for one in self._outages), default=math.inf)

    def next_up(self, at_s: float) -> float:
        """First instant from this one on at which all are up [s]."""
        while not math.isinf(at_s):
            later_s = max((one.next_up(at_s) for one in self._outages), default=at_s)
            if later_s == at_s:
                break
            at_s = later_s
        return at_s

    def __repr__(self) -> str:
        return f"AnyOutages({list(self._outages)!r})"


def weibull_mean(scale: float, shape: float) -> float:
    """Mean of a Weibull distribution: scale Γ(1 + 1 / shape)."""
    return scale * math.gamma(1.0 + 1.0 / shape)


def _weibull(mean: float, shape: float, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weibull draws of a given mean, by inversion."""
    scale = mean / weibull_mean(1.0, shape)
    draws: NDArray[np.float64] = scale * (-np.log(uniforms)) ** (1.0 / shape)
    return draws


def _met(mean: float, shape: float, uniform: float) -> float:
    """A draw of the duration in which a random instant falls: Weibull, weighted by its length."""
    # With x = scale g^(1/shape), a density in proportion to x^shape exp(-x^shape) is that of a gamma variate
    # g of shape 1 + 1/shape.
    from scipy.special import gammaincinv  # a quarter of a second to import; not every run has outages

    scale = mean / weibull_mean(1.0, shape)
    gamma = float(gammaincinv(1.0 + 1.0 / shape, uniform))
    return scale * math.pow(gamma, 1.0 / shape)
