"""Mobility models: the position of a terminal over time, as a pure function of (key, time).

A track may be evaluated in any order and repeatedly, and always returns the same values: devices move
identically under every strategy. Legs and steps are drawn by number from the key, as far as requested, and
cached.

Not modelled: streets, walls and other people; height (every track lies in the plane); acceleration.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from edgesim.errors import InputError
from edgesim.rng import key_of, keyed_normals, keyed_uniform

__all__ = ["Area", "GaussMarkov", "Place", "RandomWaypoint", "Static", "Track", "mean_distance_m"]

Place = tuple[float, float]
"""Coordinates in the plane [m]."""


_N_DRAWS = 8  # random numbers reserved for each leg


class Track(Protocol):
    """Position and speed of a device over time; pure."""

    @property
    def moves(self) -> bool:
        """Whether the position ever differs from that at time zero."""
        ...

    def position(self, at_s: float) -> Place:
        """Return the coordinates at an instant [m]."""
        ...

    def speed(self, at_s: float) -> float:
        """Return the speed at an instant [m/s]."""
        ...


@dataclass(frozen=True, slots=True)
class Area:
    """An axis-aligned rectangle of the plane [m] that contains a track."""

    min_x_m: float
    min_y_m: float
    max_x_m: float
    max_y_m: float

    def __post_init__(self) -> None:
        sides = (self.max_x_m - self.min_x_m, self.max_y_m - self.min_y_m)
        if not all(math.isfinite(side) and side >= 0 for side in sides) or not any(sides):
            raise InputError(
                f"area: found {self.min_x_m:g} m, {self.min_y_m:g} m to {self.max_x_m:g} m, "
                f"{self.max_y_m:g} m; expected its lower left corner first and an area between the two"
            )

    def at(self, across: float, up: float) -> Place:
        """Return the point at two fractions of the sides."""
        return (
            self.min_x_m + across * (self.max_x_m - self.min_x_m),
            self.min_y_m + up * (self.max_y_m - self.min_y_m),
        )


@dataclass(frozen=True, slots=True)
class Static:
    """A terminal at rest."""

    place_m: Place

    @property
    def moves(self) -> bool:
        """False."""
        return False

    def position(self, at_s: float) -> Place:
        """Return the constant place."""
        return self.place_m

    def speed(self, at_s: float) -> float:
        """Return 0."""
        return 0.0


class _Leg(NamedTuple):
    """A straight leg at one speed, then a pause."""

    leaves_at_s: float
    arrives_at_s: float
    origin: Place
    target: Place
    speed_m_per_s: float


@dataclass(frozen=True)
class RandomWaypoint:
    """Straight legs to points drawn uniformly from an area, each at its own speed, with pauses between them.

    The model of Johnson and Maltz 1996, in its steady state from time zero on (Navidi and Camp 2004). A
    start drawn uniformly would be followed by a decay of the mean speed and by a drift towards the middle,
    and with a least speed of 0 the mean speed would decay indefinitely (Yoon, Liu and Noble 2003). Without
    pauses the mean speed over time is (v_max - v_min) / ln(v_max / v_min), less than the mean of the drawn
    speeds, because slow legs last longer.

    Parameters
    ----------
    key
        From :func:`edgesim.rng.key_of`, for instance of (seed, replication, device's name, "track").
    area
        Area that contains the points.
    speeds_m_per_s
        Lowest and highest speed [m/s], the lowest above 0; a leg's speed is uniform between them.
    pauses_s
        Shortest and longest pause [s]; a pause is uniform between them.
    """

    key: int
    area: Area
    speeds_m_per_s: tuple[float, float]
    pauses_s: tuple[float, float] = (0.0, 0.0)
    _legs: list[_Leg] = field(default_factory=list, init=False, repr=False, compare=False)
    _ends_s: list[float] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        slowest, fastest = self.speeds_m_per_s
        if not 0.0 < slowest <= fastest < math.inf:
            raise InputError(
                f"random waypoint: found speeds from {slowest:g} to {fastest:g} m/s; expected a lowest speed "
                "above 0 and a highest not below it (with a lowest of 0 the mean speed decays indefinitely)"
            )
        shortest, longest = self.pauses_s
        if not 0.0 <= shortest <= longest < math.inf:
            raise InputError(
                f"random waypoint: found pauses from {shortest:g} to {longest:g} s; expected 0 or more, "
                "the shorter first"
            )
        self._begin()

    @property
    def moves(self) -> bool:
        """True."""
        return True

    @property
    def mean_speed_m_per_s(self) -> float:
        """Mean speed over the time between pauses [m/s]."""
        return _log_mean(*self.speeds_m_per_s)

    def position(self, at_s: float) -> Place:
        """Return the coordinates at an instant [m]."""
        leg = self._leg(at_s)
        if at_s >= leg.arrives_at_s:
            return leg.target
        done = (at_s - leg.leaves_at_s) / (leg.arrives_at_s - leg.leaves_at_s)
        (x_m, y_m), (to_x_m, to_y_m) = leg.origin, leg.target
        return (x_m + done * (to_x_m - x_m), y_m + done * (to_y_m - y_m))

    def speed(self, at_s: float) -> float:
        """Return the speed at an instant [m/s]; 0 during a pause."""
        leg = self._leg(at_s)
        return leg.speed_m_per_s if at_s < leg.arrives_at_s else 0.0

    def _leg(self, at_s: float) -> _Leg:
        while at_s >= self._ends_s[-1]:
            self._go_on()
        return self._legs[bisect_right(self._ends_s, at_s)]

    def _uniform(self, number: int, what: int) -> float:
        return keyed_uniform(self.key, _N_DRAWS * number + what)

    def _begin(self) -> None:
        """Draw the first leg as the one in progress at time zero (Navidi and Camp 2004)."""
        slowest, fastest = self.speeds_m_per_s
        mean_pause_s = sum(self.pauses_s) / 2
        mean_way_s = mean_distance_m(self.area) / self.mean_speed_m_per_s
        if self._uniform(0, 0) < mean_pause_s / (mean_pause_s + mean_way_s):
            here = self.area.at(self._uniform(0, 1), self._uniform(0, 2))
            left_s = _residual(*self.pauses_s, self._uniform(0, 3), self._uniform(0, 4))
            self._add(_Leg(0.0, 0.0, here, here, slowest), left_s)
            return
        origin, target = self._long_way()
        # A random instant hits legs in proportion to their duration: a speed's density is that of 1 / speed.
        speed = slowest * (fastest / slowest) ** self._uniform(0, 5)
        done = self._uniform(0, 6)
        way_s = math.dist(origin, target) / speed
        pause_s = self._pause_s(0)
        self._add(_Leg(-done * way_s, (1 - done) * way_s, origin, target, speed), pause_s)

    def _long_way(self) -> tuple[Place, Place]:
        """Draw two points of the area with a density in proportion to their distance, by rejection."""
        key, number = key_of(self.key, "start"), 0
        corners = ((self.area.min_x_m, self.area.min_y_m), (self.area.max_x_m, self.area.max_y_m))
        diagonal_m = math.dist(*corners)
        while True:
            draws = [keyed_uniform(key, 5 * number + what) for what in range(5)]
            origin, target = self.area.at(*draws[:2]), self.area.at(*draws[2:4])
            if draws[4] * diagonal_m < math.dist(origin, target):
                return origin, target
            number += 1

    def _go_on(self) -> None:
        number, last = len(self._legs), self._legs[-1]
        target = self.area.at(self._uniform(number, 0), self._uniform(number, 1))
        slowest, fastest = self.speeds_m_per_s
        speed = slowest + (fastest - slowest) * self._uniform(number, 2)
        leaves_at_s = self._ends_s[-1]
        arrives_at_s = leaves_at_s + math.dist(last.target, target) / speed
        self._add(_Leg(leaves_at_s, arrives_at_s, last.target, target, speed), self._pause_s(number))

    def _pause_s(self, number: int) -> float:
        shortest, longest = self.pauses_s
        return shortest + (longest - shortest) * self._uniform(number, 7)

    def _add(self, leg: _Leg, pause_s: float) -> None:
        self._legs.append(leg)
        self._ends_s.append(leg.arrives_at_s + pause_s)


@dataclass(frozen=True)
class GaussMarkov:
    """Gauss-Markov mobility: each component of the velocity is a first-order autoregression.

    v(n+1) = a v(n) + (1 - a) v_mean + sqrt(1 - a²) s w(n), w standard normal, every step; between steps the
    velocity is constant (Liang and Haas 1999; the survey of Camp, Boleng and Davies 2002 draws speed and
    direction instead of components). The process starts in its steady state, uniform over the area. Tracks
    are reflected at the edges, which changes the direction but not the speed.

    Parameters
    ----------
    key
        From :func:`edgesim.rng.key_of`, for instance of (seed, replication, device's name, "track").
    area
        Area that contains the track.
    mean_speed_m_per_s
        Mean speed around the drift [m/s]: that of two normal components of standard deviation
        ``mean_speed / sqrt(pi / 2)``, so that speeds are Rayleigh distributed if there is no drift.
    alpha
        a: at 0 a velocity lasts one step, at 1 indefinitely.
    step_s
        Time between changes [s].
    drift_m_per_s
        Mean velocity [m/s], before reflections.
    """

    key: int
    area: Area
    mean_speed_m_per_s: float
    alpha: float = 0.75
    step_s: float = 1.0
    drift_m_per_s: tuple[float, float] = (0.0, 0.0)
    _steps: list[tuple[float, float, float, float]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )  # coordinates before reflection, and velocity, at the beginning of each step

    def __post_init__(self) -> None:
        if not 0.0 <= self.mean_speed_m_per_s < math.inf:
            raise InputError(
                f"gauss-markov: found a mean speed of {self.mean_speed_m_per_s:g} m/s; expected 0 or more"
            )
        if not 0.0 <= self.alpha <= 1.0:
            raise InputError(f"gauss-markov: found an alpha of {self.alpha:g}; expected a number from 0 to 1")
        if not 0.0 < self.step_s < math.inf:
            raise InputError(f"gauss-markov: found a step of {self.step_s:g} s; expected a duration above 0")
        x_m, y_m = self.area.at(keyed_uniform(self.key, -1), keyed_uniform(self.key, -2))
        spread = self.mean_speed_m_per_s / math.sqrt(math.pi / 2)
        across, up = (spread * float(draw) for draw in keyed_normals(self.key, np.arange(2)))
        self._steps.append((x_m, y_m, self.drift_m_per_s[0] + across, self.drift_m_per_s[1] + up))

    @property
    def moves(self) -> bool:
        """Whether the terminal has any speed."""
        return self.mean_speed_m_per_s > 0 or any(self.drift_m_per_s)

    def position(self, at_s: float) -> Place:
        """Return the coordinates at an instant [m]."""
        number, since_s = self._step(at_s)
        x_m, y_m, across, up = self._steps[number]
        return (
            _reflected(x_m + across * since_s, self.area.min_x_m, self.area.max_x_m),
            _reflected(y_m + up * since_s, self.area.min_y_m, self.area.max_y_m),
        )

    def speed(self, at_s: float) -> float:
        """Return the speed at an instant [m/s]."""
        return math.hypot(*self._steps[self._step(at_s)[0]][2:])

    def _step(self, at_s: float) -> tuple[int, float]:
        number = int(at_s // self.step_s)
        while number >= len(self._steps):
            self._go_on()
        return number, at_s - number * self.step_s

    def _go_on(self, n_steps: int = 64) -> None:
        first = len(self._steps)
        draws = keyed_normals(self.key, np.arange(2 * first, 2 * (first + n_steps)))
        kept, spread = self.alpha, self.mean_speed_m_per_s / math.sqrt(math.pi / 2)
        push = math.sqrt(1.0 - kept * kept) * spread
        x_m, y_m, across, up = self._steps[-1]
        drift_across, drift_up = self.drift_m_per_s
        for shock_across, shock_up in draws.reshape(-1, 2).tolist():
            x_m += across * self.step_s
            y_m += up * self.step_s
            across = kept * across + (1 - kept) * drift_across + push * shock_across
            up = kept * up + (1 - kept) * drift_up + push * shock_up
            self._steps.append((x_m, y_m, across, up))


def mean_distance_m(area: Area) -> float:
    """Return the mean distance of two points drawn uniformly from a rectangle [m] (Ghosh 1951)."""
    a_m, b_m = sorted((area.max_x_m - area.min_x_m, area.max_y_m - area.min_y_m), reverse=True)
    if b_m < 1e-6 * a_m:  # a line, within floating-point precision
        return a_m / 3
    d_m = math.hypot(a_m, b_m)
    powers = a_m**3 / b_m**2 + b_m**3 / a_m**2 + d_m * (3 - a_m**2 / b_m**2 - b_m**2 / a_m**2)
    logs = b_m**2 / a_m * math.log((a_m + d_m) / b_m) + a_m**2 / b_m * math.log((b_m + d_m) / a_m)
    return (powers + 2.5 * logs) / 15


def _log_mean(low: float, high: float) -> float:
    """Return the logarithmic mean: the mean speed over time, if the speeds of legs are uniform."""
    return low if high <= low * (1 + 1e-9) else (high - low) / math.log(high / low)


def _residual(shortest: float, longest: float, which: float, part: float) -> float:
    """Return what remains, at a random instant, of a duration that is uniform between two lengths."""
    # A random instant hits durations in proportion to their length, each at a uniform point.
    square = shortest**2 + (longest**2 - shortest**2) * which
    return math.sqrt(square) * part


def _reflected(at_m: float, low_m: float, high_m: float) -> float:
    """Return the end of a straight path that is reflected at both edges."""
    side_m = high_m - low_m
    if side_m == 0.0:
        return low_m
    along_m = math.fmod(at_m - low_m, 2 * side_m)
    if along_m < 0:
        along_m += 2 * side_m
    return low_m + (along_m if along_m <= side_m else 2 * side_m - along_m)
