"""Numbers of one run, each against a table small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from edgesim.errors import TraceError
from edgesim.statistics.summary import Distribution, Outcomes, Summary, summarise

WARMUP_S, ENDED_AT_S = 10.0, 30.0

# request 0 arrives in the warm-up; 1 to 3 complete; 4 failed; 5 is censored after its first token.
REQUESTS = pd.DataFrame(
    {
        "request_id": [0, 1, 2, 3, 4, 5],
        "arrived_at_s": [9.0, 10.0, 12.0, 14.0, 16.0, 28.0],
        "first_token_at_s": [9.5, 11.0, 13.0, 17.0, np.nan, 29.0],
        "ended_at_s": [11.5, 13.0, 13.0, 18.0, 16.5, np.nan],
        "n_output_tokens": [3, 3, 1, 2, 4, 4],
        "n_emitted_tokens": [3, 3, 1, 2, 0, 1],
        "nll": [9.0, 1.0, 2.0, 3.0, np.nan, 9.0],
        "correct": [0.0, 1.0, 0.0, 0.5, np.nan, 0.0],
        "outcome": pd.Categorical(["completed"] * 4 + ["failed", "censored"]),
        "reason": pd.Categorical([None] * 4 + ["memory", None]),
        "beyond_measured": [True, False, True, None, None, True],
    }
)
EMITS = [
    (0, 9.5),
    (0, 10.5),
    (1, 11.0),
    (0, 11.5),
    (1, 11.5),
    (1, 13.0),
    (2, 13.0),
    (3, 17.0),
    (3, 18.0),
    (5, 29.0),
]
DEVICES = pd.DataFrame(
    {
        "device": ["camera-1", "camera-2", "edge", "switch"],
        "group": ["camera", "camera", "edge", "switch"],
        "origin": ["scaled", "scaled", "measured", None],
        "duration_s": [ENDED_AT_S] * 4,
        "busy_s": [3.0, 9.0, 15.0, 0.0],
        "energy_compute_j": [1.0, 2.0, 10.0, 0.0],
        "energy_tx_j": [0.5, 0.5, 2.0, 0.0],
        "energy_rx_j": [0.5, 0.5, 3.0, 0.0],
        "energy_idle_j": [10.0, 10.0, 20.0, 40.0],
    }
)


@dataclass(frozen=True)
class Limits:
    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None


def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Hand out the deliveries in blocks of a size."""
    for start in range(0, len(EMITS), size):
        ids, instants_s = zip(*EMITS[start : start + size], strict=True)
        yield np.array(ids), np.array(instants_s)


def summary(requests: pd.DataFrame = REQUESTS, **options: object) -> Summary:
    given = {"strategy": "s", "replication": 0, "warmup_s": WARMUP_S} | options
    return summarise(requests, DEVICES, blocks(4), **given)


def test_latencies_are_those_of_completed_requests_that_arrived_after_the_warm_up() -> None:
    result = summary()
    assert result.ttft_s == Distribution.of(np.array([1.0, 1.0, 3.0]))
    assert result.e2e_s == Distribution.of(np.array([3.0, 1.0, 4.0]))


def test_tpot_leaves_out_answers_of_one_token() -> None:
    # Request 1: (3 - 1) / 2; request 3: (4 - 3) / 1; request 2 has one token.
    assert summary().tpot_s == Distribution.of(np.array([1.0, 1.0]))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 10])
def test_itl_pools_the_gaps_however_the_blocks_are_cut(size: int) -> None:
    result = summarise(REQUESTS, DEVICES, blocks(size), strategy="s", replication=0, warmup_s=WARMUP_S)
    assert result.itl_s == Distribution.of(np.array([0.5, 1.5, 1.0]))


def test_the_mean_of_itl_is_not_the_mean_of_tpot_where_lengths_differ() -> None:
    requests = REQUESTS.iloc[[1, 3]].assign(ended_at_s=[14.0, 18.0])
    emits = [(np.array([1, 1, 1, 3, 3]), np.array([11.0, 11.5, 14.0, 17.0, 18.0]))]
    result = summarise(requests, DEVICES, emits, strategy="s", replication=0)
    assert result.tpot_s is not None
    assert result.itl_s is not None
    assert result.tpot_s.mean == pytest.approx((1.5 + 1.0) / 2, rel=1e-15)
    assert result.itl_s.mean == pytest.approx((0.5 + 2.5 + 1.0) / 3, rel=1e-15)


def test_throughputs_count_what_happens_in_the_window_whoever_asked() -> None:
    # Nine of ten tokens fall after 10 s; requests 0 to 3 end after it; the window is 20 s long.
    result = summary()
    assert result.output_tokens_per_s == 9 / 20
    assert result.requests_per_s == 4 / 20


def test_outcomes_are_counted_apart_and_by_arrival_after_the_warm_up() -> None:
    assert summary().outcomes == Outcomes(completed=3, failed=1, censored=1)
    assert summary(warmup_s=0.0).outcomes == Outcomes(completed=4, failed=1, censored=1)


def test_a_censored_request_with_a_reason_was_stuck() -> None:
    assert summary().n_stuck == 0  # the failed one's reason is its own affair
    stuck = REQUESTS.assign(reason=[None] * 4 + ["memory", "deadlock"])
    assert summary(requests=stuck).n_stuck == 1
    assert summary(requests=stuck, warmup_s=28.5).n_stuck == 0


@pytest.mark.parametrize(
    ("limits", "n_good"),
    [
        (Limits(ttft_s=1.0), 2),
        (Limits(tpot_s=0.9), 1),  # an answer of one token has no TPOT to miss
        (Limits(e2e_s=3.0), 2),
        (Limits(ttft_s=1.0, e2e_s=2.0), 1),
        (Limits(ttft_s=0.5), 0),
    ],
)
def test_goodput_meets_all_objectives_and_attainment_counts_failed_and_censored_as_misses(
    limits: Limits, n_good: int
) -> None:
    result = summary(objectives=limits)
    assert result.goodput_per_s == n_good / 20
    assert result.attainment == n_good / 5


@pytest.mark.parametrize("objectives", [None, Limits()])
def test_without_objectives_there_is_no_goodput(objectives: Limits | None) -> None:
    result = summary(objectives=objectives)
    assert result.goodput_per_s is None
    assert result.attainment is None


def test_energy_is_per_token_delivered_in_the_whole_run() -> None:
    result = summary()
    assert result.active_j_per_token == 20.0 / 10
    assert result.total_j_per_token == 100.0 / 10


def test_utilisation_is_averaged_over_a_group_and_leaves_switches_out() -> None:
    assert summary().utilisation == {"camera": pytest.approx(0.2, rel=1e-15), "edge": 0.5}


def test_origins_are_those_of_devices_that_computed() -> None:
    assert summary().origins == ("measured", "scaled")
    idle = DEVICES.assign(busy_s=[0.0, 0.0, 1.0, 0.0])
    result = summarise(REQUESTS, idle, None, strategy="s", replication=0)
    assert result.origins == ("measured",)


def test_without_spans_itl_and_token_rate_are_unknown_not_zero() -> None:
    result = summarise(REQUESTS, DEVICES, None, strategy="s", replication=0)
    assert result.itl_s is None
    assert result.output_tokens_per_s is None
    assert result.ttft_s is not None


def test_a_run_without_requests_has_no_latency_and_no_attainment() -> None:
    result = summarise(
        REQUESTS.iloc[:0], DEVICES, [], strategy="s", replication=0, objectives=Limits(ttft_s=1.0)
    )
    assert result.outcomes.offered == 0
    assert result.attainment is None
    assert result.active_j_per_token is None
    assert result.requests_per_s == 0.0
    undefined = [name for name, value in result.metrics().items() if value is None]
    assert {"ttft_mean_s", "tpot_p50_s", "itl_p95_s", "e2e_p99_s", "attainment"} <= set(undefined)


def test_percentiles_interpolate_linearly() -> None:
    # Type 7 by hand: rank 1 + p (n - 1) among 1, 2, 3, 4, 5.
    sample = Distribution.of(np.array([5.0, 1.0, 3.0, 2.0, 4.0]))
    assert sample == Distribution(n=5, mean=3.0, p50=3.0, p95=pytest.approx(4.8), p99=pytest.approx(4.96))


def test_row_order_does_not_matter() -> None:
    shuffled = REQUESTS.iloc[[3, 5, 0, 2, 4, 1]]
    result = summarise(shuffled, DEVICES, blocks(4), strategy="s", replication=0, warmup_s=WARMUP_S)
    assert result == summary()


def test_a_token_out_of_time_order_is_refused() -> None:
    backwards = [(np.array([1]), np.array([12.0])), (np.array([1]), np.array([11.0]))]
    with pytest.raises(TraceError, match="delivered before an earlier one"):
        summarise(REQUESTS, DEVICES, backwards, strategy="s", replication=0)


def test_a_token_of_an_unknown_request_is_refused() -> None:
    with pytest.raises(TraceError, match="requests table lacks"):
        summarise(REQUESTS, DEVICES, [(np.array([7]), np.array([12.0]))], strategy="s", replication=0)


@pytest.mark.parametrize(
    ("column", "value"), [("outcome", "lost"), ("first_token_at_s", None), ("ended_at_s", None)]
)
def test_a_damaged_requests_table_is_refused(column: str, value: object) -> None:
    damaged = REQUESTS.astype({"outcome": str})
    damaged.loc[1, column] = value
    with pytest.raises(TraceError, match="expected"):
        summarise(damaged, DEVICES, None, strategy="s", replication=0)


def test_perplexity_and_accuracy_are_means_over_tokens_of_completed_requests() -> None:
    """Of requests 1 to 3, with 3, 1 and 2 tokens; 0 is of the warm-up, 4 and 5 did not complete."""
    result = summary()
    assert result.perplexity == pytest.approx(np.exp((3 * 1.0 + 1 * 2.0 + 2 * 3.0) / 6))
    assert result.accuracy == pytest.approx((3 * 1.0 + 1 * 0.0 + 2 * 0.5) / 6)
    assert {"perplexity", "accuracy"} <= set(result.metrics())


def test_a_mean_of_some_requests_is_no_mean_of_all() -> None:
    """One completed request without: those that are left may be the ones that met no noise."""
    open_ = REQUESTS.assign(correct=[0.0, 1.0, np.nan, 0.5, np.nan, 0.0])
    result = summarise(open_, DEVICES, None, strategy="a", replication=0, warmup_s=WARMUP_S)
    assert result.accuracy is None
    assert result.perplexity == summary().perplexity


def test_completed_requests_beyond_what_was_measured_are_counted() -> None:
    """Of requests 1 to 3, the second; 0 is of the warm-up, 5 did not complete."""
    assert summary().n_beyond == 1


def test_answers_that_were_not_measured_have_no_perplexity() -> None:
    silent = REQUESTS.assign(nll=np.nan, correct=np.nan)
    result = summarise(silent, DEVICES, None, strategy="a", replication=0)
    assert (result.perplexity, result.accuracy) == (None, None)
