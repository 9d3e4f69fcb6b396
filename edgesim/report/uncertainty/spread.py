"""Spread of a run's metrics over the fitted parameters of its devices: the uncertainty of the prediction.

It is separate from the sampling error (other seeds, other arrivals). Every strategy is run again, with the
same seeds and the same placements, under parameter sets that are equally likely given the published rates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgesim import runner
from edgesim.errors import InputError
from edgesim.report.comparison import comparison
from edgesim.runner import Prepared, RunFinished
from edgesim.scenario.runtimes import has_parameter_set
from edgesim.statistics.comparison import Comparison

__all__ = ["COVERAGE", "SHOWN", "Spread", "as_json", "check_spread", "parameter_spread"]

COVERAGE = 0.9
LEAST_DRAWS = 2
SHOWN = ("ttft_p50_s", "tpot_p50_s", "e2e_mean_s", "output_tokens_per_s")
"""Metrics whose spread is shown, if a run defines them."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Spread of one metric of one strategy.

    Attributes
    ----------
    centre
        Mean over replications, at the centre of the parameter sets.
    sampling
        95 % interval of that mean over replications; None with one replication.
    parameters
        Central 90 % of the mean over the parameter sets.
    """

    strategy: str
    metric: str
    centre: float
    sampling: tuple[float, float] | None
    parameters: tuple[float, float]


def parameter_spread(
    prepared: Prepared,
    compared: Comparison,
    n_draws: int,
    *,
    jobs: int = 1,
    on_progress: Callable[[RunFinished], None] | None = None,
) -> list[Spread]:
    """Run a study again under `n_draws` parameter sets, and compute the spread of its metrics.

    Parameters
    ----------
    prepared
        The study, as it was run at the centre of the parameter sets.
    compared
        The results of that run.
    n_draws
        Number of sets; with fewer than 19, the interval reaches from the smallest to the largest value.

    Raises
    ------
    InputError
        As :func:`check_spread`.
    """
    check_spread(prepared, n_draws)
    values: dict[tuple[str, str], list[float]] = {}
    for index in range(n_draws):
        with TemporaryDirectory(prefix="edgesim-") as folder:
            trace = runner.run(
                prepared.with_parameters(index, n_draws),
                Path(folder) / "trace",
                jobs=jobs,
                on_progress=on_progress,
            )
            for row in comparison(trace).rows:
                for metric, estimate in row.estimates.items():
                    if metric in SHOWN and estimate is not None:
                        values.setdefault((row.strategy, metric), []).append(estimate.mean)
    found = []
    for row in compared.rows:
        for metric in SHOWN:
            estimate, drawn = row.estimates.get(metric), values.get((row.strategy, metric), [])
            if estimate is not None and len(drawn) == n_draws:
                found.append(Spread(row.strategy, metric, estimate.mean, estimate.interval, _middle(drawn)))
    return found


def check_spread(prepared: Prepared, n_draws: int) -> None:
    """Check that a study has uncertain parameters, and that enough parameter sets are requested.

    Raises
    ------
    InputError
        If no device of the study takes its times from fitted parameters, or the number of sets is not a whole
        number of two or more.
    """
    if not has_parameter_set(prepared.kinds):
        raise InputError(
            f"{prepared.scenario.origin.name}: no device has a 'runtime', so no parameter is uncertain; "
            "set 'runtime' for a device or a kind (edgesim list runtimes), or leave out --parameters"
        )
    if not isinstance(n_draws, Integral) or isinstance(n_draws, bool) or n_draws < LEAST_DRAWS:
        raise InputError(
            f"--parameters: expected a whole number of parameter sets, {LEAST_DRAWS} or more, got {n_draws}"
        )


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """Return the central 90 % of equally likely values (quantiles by Weibull's plotting positions)."""
    ends = np.quantile(values, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], method="weibull")
    return float(ends[0]), float(ends[1])


def as_json(spreads: Sequence[Spread]) -> list[Mapping[str, object]]:
    """Return the spreads as plain values for JSON."""
    return [
        {
            "strategy": one.strategy,
            "metric": one.metric,
            "mean": one.centre,
            "sampling_95": None if one.sampling is None else list(one.sampling),
            "parameters_90": list(one.parameters),
        }
        for one in spreads
    ]
