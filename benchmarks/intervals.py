"""Whether the printed intervals cover the truth as often as they say, and are no wider than they have to be.

    python benchmarks/intervals.py [--experiments 1000]

Each law makes replications as the simulator's are: requests of one replication share its load, so that they
scatter together, latencies are skewed, two strategies meet the same requests. What is true is known in closed
form or, where it is not, from 40,000 replications. Experiment k draws from seed k. An interval is as printed:
over 5 or 20 replications, by the functions that the report calls.

`width` is the printed interval's mean width over the exact one's. The exact interval knows the law but not
the scatter of the few replications at hand: for means, ratios and differences it takes its quantiles from
the known sampling distribution of the same pivot (2,000 further experiments) instead of Student's, and so
covers 95 % by construction; for shares it is Clopper and Pearson's of the effective number of requests,
which it is given (Korn and Graubard 1998). `known` is the width over that of a normal interval that is given
the scatter, which none from data can be: Student's t from 5 replications is 1.33 times as wide.

Laws marked with ~ are shown and not judged: short runs of a queue so near to saturation that the means of
five replications are far from any law with two parameters. No interval from so few of them covers what it
says.

Exit status 1 unless every interval judged covers 93 to 97 % and is at most 1.3 times as wide as the exact
one, and the examples of biased comparisons come out right.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv, expit, logit, stdtrit

from edgesim.statistics import (
    RequestLatencies,
    Scale,
    compare,
    estimate_mean,
    pair,
    paired_ratio,
    student_t,
    summarise,
)
from edgesim.statistics.survival import met_share, percentiles

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Array]
Interval = tuple[float, float]

N_TRUTH, N_PIVOT, BATCH = 40_000, 2_000, 2_000
COVERAGE, WIDEST = (0.93, 0.97), 1.3
LEVELS = (0.025, 0.975)
Z = 1.959964
FIRST_OTHER_SEED = 1_000_000


@dataclass(frozen=True)
class Law:
    """How replications come about; `draw` makes so many, each a number or (ratios, differences) two."""

    name: str
    scale: Scale
    draw: Draw
    truth: float | None = None
    n_trials: float | None = None
    is_judged: bool = True


# --- replications ----------------------------------------------------------------------------------


def shared_load(rng: np.random.Generator, n: int, *, scatter: float, n_requests: int = 200) -> Array:
    """Latencies of gamma law times a load that a replication's requests share; shape (n, n_requests)."""
    load = np.exp(rng.normal(-(scatter**2) / 2, scatter, (n, 1)))
    return load * rng.gamma(2.0, 0.5, (n, n_requests))


def queue(
    rng: np.random.Generator, n: int, loads: Sequence[float], n_requests: int = 1000
) -> tuple[Array, ...]:
    """Times in M/M/1 from its start on, at several loads on the same requests; shapes (n, n_requests)."""
    arrived_s = np.cumsum(rng.exponential(1.0, (n, n_requests)), axis=1)
    work = rng.exponential(1.0, (n, n_requests))
    times = []
    for load in loads:
        served = np.cumsum(load * work, axis=1)
        before = np.concatenate([np.zeros((n, 1)), served[:, :-1]], axis=1)
        times.append(served + np.maximum.accumulate(arrived_s - before, axis=1) - arrived_s)
    return tuple(times)


def load_mean(rng: np.random.Generator, n: int, scatter: float) -> Array:
    return shared_load(rng, n, scatter=scatter).mean(axis=1)


def queue_mean(rng: np.random.Generator, n: int, load: float, n_requests: int = 1000) -> Array:
    return queue(rng, n, (load,), n_requests)[0].mean(axis=1)


def queue_percentile(rng: np.random.Generator, n: int, load: float, percent: float) -> Array:
    found: Array = np.percentile(queue(rng, n, (load,))[0], percent, axis=1)
    return found


def rate(rng: np.random.Generator, n: int) -> Array:
    return rng.poisson(200 * np.exp(rng.normal(-(0.1**2) / 2, 0.1, n))) / 600.0


def queue_log_ratio(rng: np.random.Generator, n: int, loads: tuple[float, float]) -> Array:
    one, two = queue(rng, n, loads)
    return np.log(one.mean(axis=1) / two.mean(axis=1))


def lognormal_log_ratio(rng: np.random.Generator, n: int) -> Array:
    """Replications share 0.5 of scatter, and differ by 0.05 on their own."""
    shared = rng.normal(0.0, 0.5, n)
    one, two = (np.exp(shared + rng.normal(mean, 0.05, n)) for mean in (-4.0, 0.0))
    return np.log(one / two)


def request_difference(rng: np.random.Generator, n: int, loads: tuple[float, float]) -> Array:
    one, two = queue(rng, n, loads)
    return (one - two).mean(axis=1)


def load_difference(rng: np.random.Generator, n: int) -> Array:
    """A request takes three quarters of the time under the one, and a little more or less."""
    other = shared_load(rng, n, scatter=0.2)
    return (0.75 * other + rng.normal(0.0, 0.1, other.shape) - other).mean(axis=1)


def request_log_ratio(rng: np.random.Generator, n: int, loads: tuple[float, float]) -> Array:
    one, two = queue(rng, n, loads)
    return np.log(one / two).mean(axis=1)


def attained(rng: np.random.Generator, n: int, share: float, scatter: float, n_requests: int) -> Array:
    """Share of requests within the objectives, of which each replication has its own chance."""
    chance = expit(logit(share) + scatter * rng.normal(size=n))
    return rng.binomial(n_requests, chance) / n_requests


def attained_truth(share: float, scatter: float) -> float:
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return float((expit(logit(share) + scatter * nodes) * weights).sum() / weights.sum())


def cut_off(rng: np.random.Generator, n: int, *, of: Callable[[Array, Array], float]) -> Array:
    """What is left of exponential latencies of mean 1, of which each is cut off at an age from 0.5 to 4."""
    latencies = rng.exponential(1.0, (n, 300))
    ages = rng.uniform(0.5, 4.0, (n, 300))
    return np.array([of(latency, age) for latency, age in zip(latencies, ages, strict=True)])


def kept_median(latency: Array, age: Array) -> float:
    (median,) = percentiles(latency[latency <= age], age[latency > age], 0, (0.5,))
    assert median is not None
    return median


def kept_within(latency: Array, age: Array, limit: float = 2.0) -> float:
    seen, late = latency <= age, latency > limit
    missed = late & (age > limit)
    undecided = ~seen & (age <= limit)
    share, _ = met_share(latency[seen & ~late], np.full(int(missed.sum()), limit), age[undecided])
    assert share is not None
    return share


LAWS = (
    Law("mean, shared load 0.1", Scale.LOG, partial(load_mean, scatter=0.1), 1.0),
    Law("mean, shared load 0.3", Scale.LOG, partial(load_mean, scatter=0.3), 1.0),
    Law("mean, queue at 0.5", Scale.LOG, partial(queue_mean, load=0.5)),
    Law("mean, queue at 0.7", Scale.LOG, partial(queue_mean, load=0.7)),
    Law(
        "mean, short queue at 0.8 ~",
        Scale.LOG,
        partial(queue_mean, load=0.8, n_requests=300),
        is_judged=False,
    ),
    Law("p95, queue at 0.5", Scale.LOG, partial(queue_percentile, load=0.5, percent=95)),
    Law("rate", Scale.LOG, rate, 200 / 600),
    Law("p50 with cut-off", Scale.LOG, partial(cut_off, of=kept_median)),
    Law("ratio, lognormal", Scale.LINEAR, lognormal_log_ratio, -4.0),
    Law("ratio, queues 0.7/0.5", Scale.LINEAR, partial(queue_log_ratio, loads=(0.7, 0.5))),
    Law("ratio, queues 0.5/0.45", Scale.LINEAR, partial(queue_log_ratio, loads=(0.5, 0.45))),
    Law("requests' ratio 0.7/0.5", Scale.LINEAR, partial(request_log_ratio, loads=(0.7, 0.5))),
    Law("requests' difference 0.5/0.3", Scale.LINEAR, partial(request_difference, loads=(0.5, 0.3))),
    Law("requests' difference, shared load", Scale.LINEAR, load_difference, -0.25),
    Law(
        "requests' difference 0.8/0.5 ~",
        Scale.LINEAR,
        partial(request_difference, loads=(0.8, 0.5)),
        is_judged=False,
    ),
    *(
        Law(
            f"attainment {share:g}, scatter {scatter:g}",
            Scale.LOGIT,
            partial(attained, share=share, scatter=scatter, n_requests=2000),
            attained_truth(share, scatter),
            2000.0,
        )
        for scatter in (0.0, 0.3)
        for share in (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
    ),
    Law("attainment with cut-off", Scale.LOGIT, partial(cut_off, of=kept_within), 1 - np.exp(-2.0), 300.0),
)


# --- intervals -------------------------------------------------------------------------------------


def printed(law: Law, values: Array) -> Interval:
    """The interval that the report prints; of a ratio, that of its logarithm."""
    if law.scale is Scale.LINEAR:
        found = student_t(values.tolist())
        if law.name.startswith("ratio"):
            ratio = paired_ratio(np.exp(values).tolist(), [1.0] * values.size)
            assert ratio is not None
            assert ratio.low is not None
            assert ratio.high is not None
            return float(np.log(ratio.low)), float(np.log(ratio.high))
    else:
        n_trials = None if law.n_trials is None else law.n_trials * values.size
        found = estimate_mean(values.tolist(), law.scale, n_trials=n_trials)
    assert found is not None
    assert found.interval is not None
    return found.interval


def scatter_of(law: Law, values: Array) -> tuple[float, float]:
    """Mean, and its standard error, on the scale on which the interval is symmetric."""
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))
    return (float(np.log(mean)), error / mean) if law.scale is Scale.LOG else (mean, error)


def pivot(law: Law, values: Array, truth: float) -> float:
    mean, error = scatter_of(law, values)
    return (mean - (float(np.log(truth)) if law.scale is Scale.LOG else truth)) / error


def exact_width(law: Law, values: Array, pivots: tuple[float, float], n_effective: float) -> float:
    """Width of the interval that knows its law."""
    mean, error = scatter_of(law, values)
    if law.scale is Scale.LOGIT:
        n = n_effective * (Z / float(stdtrit(values.size - 1, LEVELS[1]))) ** 2
        low = betaincinv(mean * n, n - mean * n + 1, LEVELS[0]) if mean > 0 else 0.0
        high = betaincinv(mean * n + 1, n - mean * n, LEVELS[1]) if mean < 1 else 1.0
        return float(high - low)
    low, high = mean - pivots[1] * error, mean - pivots[0] * error
    return float(np.exp(high) - np.exp(low)) if law.scale is Scale.LOG else high - low


@dataclass(frozen=True)
class Result:
    """Of all experiments of one law: how often it covered, and the widths' ratios."""

    coverage: float
    width: float
    known: float

    @property
    def is_right(self) -> bool:
        return COVERAGE[0] <= self.coverage <= COVERAGE[1] and self.width <= WIDEST


def examine(law: Law, n_replications: int, n_experiments: int) -> Result:
    rng = np.random.default_rng(FIRST_OTHER_SEED)
    pool = np.concatenate([law.draw(rng, BATCH) for _ in range(N_TRUTH // BATCH)])
    truth = float(pool.mean()) if law.truth is None else law.truth
    pivots = (0.0, 0.0)
    if law.scale is not Scale.LOGIT:
        groups = pool[: N_PIVOT * n_replications].reshape(-1, n_replications)
        low, high = np.quantile([pivot(law, group, truth) for group in groups], LEVELS)
        pivots = (float(low), float(high))
    scatter = float(pool.std(ddof=1))
    n_effective = truth * (1 - truth) / scatter**2 * n_replications
    n_covering, widths, exact, known = 0, 0.0, 0.0, 0.0
    for seed in range(n_experiments):
        values = law.draw(np.random.default_rng(seed), n_replications)
        start, end = printed(law, values)
        n_covering += start <= truth <= end
        widths += end - start
        exact += exact_width(law, values, pivots, n_effective)
        known += 2 * Z * scatter / np.sqrt(n_replications)
    return Result(n_covering / n_experiments, widths / exact, widths / known)


# --- comparisons that used to be biased ------------------------------------------------------------


def requests_table(arrived_s: Array, latency_s: Array, seen_until_s: float) -> pd.DataFrame:
    """Requests of two tokens, of which those that end after the observation are cut off."""
    ended_s = arrived_s + latency_s
    is_done = ended_s <= seen_until_s
    n = arrived_s.size
    return pd.DataFrame(
        {
            "request_id": np.arange(n),
            "arrived_at_s": arrived_s,
            "first_token_at_s": np.where(is_done, arrived_s + latency_s / 2, np.nan),
            "ended_at_s": np.where(is_done, ended_s, np.nan),
            "n_output_tokens": 2,
            "n_emitted_tokens": np.where(is_done, 2, 0),
            "outcome": np.where(is_done, "completed", "censored"),
            "reason": None,
            "beyond_measured": None,
            "nll": np.nan,
            "correct": np.nan,
        }
    )


def devices_table(duration_s: float) -> pd.DataFrame:
    zero = dict.fromkeys(("energy_compute_j", "energy_tx_j", "energy_rx_j", "energy_idle_j", "busy_s"), 0.0)
    return pd.DataFrame(
        {"device": ["edge"], "group": "edge", "origin": "scaled", "duration_s": duration_s} | zero
    )


def overloaded_wins_nothing(n_replications: int = 5) -> list[str]:
    """Of 5,280 requests a pipeline answers the first 19 at once and no other; return what comes out wrong."""
    summaries, pairs, horizon_s = [], [], 600.0
    for replication in range(n_replications):
        rng = np.random.default_rng(replication)
        arrived_s = np.sort(rng.uniform(0, horizon_s, 5280))
        slow = shared_load(rng, 1, scatter=0.1, n_requests=5280)[0]
        few = np.where(np.arange(5280) < 19, 0.01, np.inf)
        tables = {
            name: requests_table(arrived_s, latency_s, 700.0)
            for name, latency_s in (("local", slow), ("pipeline", few))
        }
        summaries += [
            summarise(
                table,
                devices_table(700.0),
                None,
                strategy=name,
                replication=replication,
                horizon_s=horizon_s,
            )
            for name, table in tables.items()
        ]
        local, pipeline = (RequestLatencies.of(table, horizon_s=horizon_s) for table in tables.values())
        pairs.append(pair("pipeline", pipeline, "local", local, replication=replication))
    local_row, row = sorted(compare(summaries, pairs).rows, key=lambda row: row.strategy)
    same, wrong = row.same_requests, []
    if row.estimates["e2e_mean_s"] is not None or row.differences["e2e_mean_s"] is not None:
        wrong.append("the pipeline has a mean, or a difference")
    if row.estimates["e2e_p50_s"] is not None or row.bounds["e2e_p50_s"] < 100:
        wrong.append("the pipeline's median is not beyond what was seen")
    if same is None or same.is_enough or same.differs("e2e_s") is not None:
        wrong.append("19 of 5,280 pairs give a verdict")
    if not row.is_saturated or local_row.is_saturated:
        wrong.append("which strategy keeps up is wrong")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiments", type=int, default=1000)
    asked = parser.parse_args()
    print(f"{'':34}{'5 replications':>24}{'20 replications':>26}")
    print(f"{'':34}{'covers':>10}{'width':>8}{'known':>8}{'covers':>10}{'width':>8}{'known':>8}")
    n_wrong = 0
    for law in LAWS:
        results = [examine(law, n, asked.experiments) for n in (5, 20)]
        cells = "".join(f"{r.coverage:>9.1%} {r.width:>7.2f} {r.known:>7.2f}" for r in results)
        n_missed = sum(not result.is_right for result in results) if law.is_judged else 0
        n_wrong += n_missed
        print(f"{law.name:34}{cells}{'   MISSED' if n_missed else ''}", flush=True)
    for wrong in overloaded_wins_nothing():
        n_wrong += 1
        print(f"overloaded pipeline: {wrong}   MISSED")
    print("all as promised" if not n_wrong else f"{n_wrong} missed")
    return int(n_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
