"""Error of a strategy's analog sums, from a trace: median, and mean if that exists."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from edgesim.radio.channel.fading_law import Rayleigh
from edgesim.radio.collective.aircomp_moments import has_mean_error
from edgesim.statistics.median import MedianEstimate, median_estimate
from edgesim.trace.reader import Trace

__all__ = ["SumError", "sum_errors"]


@dataclass(frozen=True, slots=True)
class SumError:
    """Normalised error of one strategy's analog sums, over all its requests.

    Attributes
    ----------
    strategy
        Label of the strategy.
    estimate
        Median over requests of `error_variance`, estimated over replications.
    mean
        Mean over requests; None unless the mean is known to exist.
    why
        Reason for a missing mean; empty if there is one.
    """

    strategy: str
    estimate: MedianEstimate
    mean: float | None
    why: str

    def __str__(self) -> str:
        """One line of text for a terminal."""
        stated = self.estimate
        between = "" if stated.low is None else f" (95 % {stated.low:.3g} to {stated.high:.3g})"
        mean = f"mean {self.mean:.3g}" if self.mean is not None else f"no mean: {self.why}"
        return f"{self.strategy}: error of a sum, median over requests {stated.median:.3g}{between}; {mean}"

    def as_json(self) -> dict[str, Any]:
        """Return the error as JSON values; infinite numbers, which JSON lacks, as text."""
        stated = self.estimate
        numbers = {"median": stated.median, "low": stated.low, "high": stated.high, "mean": self.mean}
        return {
            **{name: _plain(value) for name, value in numbers.items()},
            "n_requests": stated.n_values,
            "why_no_mean": self.why or None,
        }


def sum_errors(trace: Trace) -> list[SumError]:
    """Return the errors of all strategies with analog sums, in the order of the scenario."""
    found = []
    for strategy in trace.strategies:
        tables = [trace.requests(strategy, r)["error_variance"] for r in trace.replications(strategy)]
        columns = [np.asarray(table.to_numpy(dtype=np.float64, na_value=np.nan)) for table in tables]
        estimate = median_estimate(columns)
        if estimate is not None:
            why = _why_no_mean(cast("Mapping[str, Any]", trace.run), strategy)
            mean = None if why else float(np.nanmean(np.concatenate(columns)))
            found.append(SumError(strategy, estimate, mean, why))
    return found


def _why_no_mean(run: Mapping[str, Any], strategy: str) -> str:
    """Return why the error of a strategy's sums has no mean over fading; empty if it has one."""
    options, placement = run["options"].get(strategy, {}), run["placements"].get(strategy, [])
    members = {stage["device"] for stage in placement}
    band = next((b for b in run.get("bands", {}).values() if members <= set(b["terminals"])), None)
    scheme = options.get("all_reduce")
    if band is None or scheme not in ("aircomp", "uncoded_fdma"):
        return "the trace does not state how sums were computed"
    way = options["transceiver"] if scheme == "aircomp" else scheme
    antennas, n_streams = band["antennas"], band["streams"]
    exists = has_mean_error(
        way,
        Rayleigh(),  # Rician entries have the same exponents at any K
        n_devices=len(members),
        n_receive=antennas["station"],
        n_transmit=antennas["terminal"],
        n_streams=n_streams,
        threshold=options["truncation"],
    )
    if exists:
        return ""
    streams = f"{n_streams} stream{'s' * (n_streams > 1)}"
    return (
        f"with {way} the error is proportional to the inverse gain of the deepest fade, whose mean over "
        f"Rayleigh and Rician fading is infinite for {streams} from {antennas['terminal']} to "
        f"{antennas['station']} antennas, so that an average grows with the number of requests"
    )


def _plain(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)
