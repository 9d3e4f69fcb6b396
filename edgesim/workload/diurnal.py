"""Arrivals whose rate varies over the day: inhomogeneous Poisson processes.

Both processes are exact: the number of arrivals between two instants is Poisson with the mean that
``expected`` gives, and numbers in disjoint intervals are independent.

Not modelled: weekdays, seasons, and bursts beyond those of a Poisson process with this rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgesim.errors import InputError

__all__ = ["DAY_S", "HOUR_S", "Diurnal", "Hourly"]

DAY_S = 86_400.0
HOUR_S = 3_600.0
BLOCK = 4096  # numbers per draw, as in the other arrival processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Diurnal:
    """Poisson process whose rate varies around its mean as a cosine.

    ::

        rate(t) = mean_hz (1 + swing cos(2 pi (t - peak_at_s) / period_s))

    Drawn by thinning (Lewis and Shedler 1979, Naval Research Logistics Quarterly 26): candidates arrive at
    the peak rate, and one at instant t is kept with probability rate(t) / peak rate.

    Parameters
    ----------
    mean_hz
        Rate averaged over a period.
    swing
        Amplitude as a share of the mean: with 0 it is a plain Poisson process, with 1 the rate falls to
        zero once a period.
    peak_at_s
        An instant of the highest rate; any number of periods may be added to it.
    period_s
        Time from peak to peak.
    """

    mean_hz: float
    swing: float
    peak_at_s: float = 0.0
    period_s: float = DAY_S

    def __post_init__(self) -> None:
        for name, value in (("mean_hz", self.mean_hz), ("period_s", self.period_s)):
            if not (value > 0 and math.isfinite(value)):
                raise InputError(
                    f"arrivals diurnal: {name} is {value:g}; expected a finite number above 0: correct it"
                )
        if not 0 <= self.swing <= 1:
            raise InputError(
                f"arrivals diurnal: swing is {self.swing:g}; expected 0 to 1, a share of the mean rate: "
                "a larger one would make the rate negative"
            )
        if not math.isfinite(self.peak_at_s):
            raise InputError(
                f"arrivals diurnal: peak_at_s is {self.peak_at_s:g}; expected a finite instant: correct it"
            )

    @property
    def rate_hz(self) -> float:
        """Long-run arrivals per second."""
        return self.mean_hz

    def rate_at(self, instant_s: float) -> float:
        """Return the arrivals per second at an instant."""
        return self.mean_hz * (1 + self.swing * math.cos(self._phase(instant_s)))

    def expected(self, until_s: float) -> float:
        """Return the mean number of arrivals from time zero to an instant: the integral of the rate."""
        wave = math.sin(self._phase(until_s)) - math.sin(self._phase(0.0))
        return self.mean_hz * (until_s + self.swing * self.period_s / math.tau * wave)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield the instants, in seconds since time zero."""
        scale_s = 1.0 / (self.mean_hz * (1 + self.swing))
        now_s = 0.0
        while True:
            gaps_s = scale_s * rng.standard_exponential(BLOCK)
            gaps_s[0] += now_s
            candidates_s = np.cumsum(gaps_s)
            wave = np.cos(math.tau * ((candidates_s - self.peak_at_s) / self.period_s))
            kept = rng.random(BLOCK) * (1 + self.swing) < 1 + self.swing * wave
            yield from candidates_s[kept].tolist()
            now_s = float(candidates_s[-1])

    def _phase(self, instant_s: float) -> float:
        return math.tau * ((instant_s - self.peak_at_s) / self.period_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hourly:
    """Poisson process whose rate is constant within each hour and given for every hour.

    The table repeats after its end: 24 rates are a day, 168 a week. Drawn by a time change: the arrivals of a
    process of rate 1 occur when the expected number of arrivals, which is piecewise linear, reaches them.

    Parameters
    ----------
    rates_hz
        Arrivals per second in each hour; some may be zero, but not all.
    start_s
        Position of time zero in the table.
    """

    rates_hz: tuple[float, ...]
    start_s: float = 0.0

    def __post_init__(self) -> None:
        sound = all(math.isfinite(rate_hz) and rate_hz >= 0 for rate_hz in self.rates_hz)
        if not (sound and any(self.rates_hz)):
            raise InputError(
                f"arrivals hourly: rates_hz is {self.rates_hz}; expected finite numbers of 0 or more, "
                "at least one of them above 0: correct them"
            )
        if not (self.start_s >= 0 and math.isfinite(self.start_s)):
            raise InputError(
                f"arrivals hourly: start_s is {self.start_s:g}; expected 0 s or more: correct it"
            )

    @property
    def period_s(self) -> float:
        """Length of the table."""
        return HOUR_S * len(self.rates_hz)

    @property
    def rate_hz(self) -> float:
        """Long-run arrivals per second."""
        return sum(self.rates_hz) / len(self.rates_hz)

    def rate_at(self, instant_s: float) -> float:
        """Return the arrivals per second at an instant."""
        return self.rates_hz[int((instant_s + self.start_s) // HOUR_S) % len(self.rates_hz)]

    def expected(self, until_s: float) -> float:
        """Return the mean number of arrivals from time zero to an instant: the integral of the rate."""
        return self._from_start(self.start_s + until_s) - self._from_start(self.start_s)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield the instants, in seconds since time zero."""
        rates_hz = np.array(self.rates_hz)
        counts = HOUR_S * np.concatenate(([0.0], np.cumsum(rates_hz)))  # [n_hours + 1]
        total = float(counts[-1])
        count, now_s = self._from_start(self.start_s), 0.0
        while True:
            draws = rng.standard_exponential(BLOCK)
            draws[0] += count
            reached = np.cumsum(draws)
            tables, within = np.divmod(reached, total)
            # Hours with rate 0 are never found: of equal counts the last one begins the hour.
            hour = np.searchsorted(counts, within, side="right") - 1
            into_s = (within - counts[hour]) / rates_hz[hour]
            instants_s = tables * self.period_s + HOUR_S * hour + into_s - self.start_s
            instants_s[0] = max(instants_s[0], now_s)
            instants_s = np.maximum.accumulate(instants_s)  # rounding between hours may err in the last bit
            yield from instants_s.tolist()
            count, now_s = float(reached[-1]), float(instants_s[-1])

    def _from_start(self, table_s: float) -> float:
        """Return the mean number of arrivals from the table's beginning to a time in it or a repetition."""
        periods, within_s = divmod(table_s, self.period_s)
        hour, rest_s = divmod(within_s, HOUR_S)
        whole = HOUR_S * sum(self.rates_hz[: int(hour)])
        return periods * HOUR_S * sum(self.rates_hz) + whole + self.rates_hz[int(hour)] * rest_s
