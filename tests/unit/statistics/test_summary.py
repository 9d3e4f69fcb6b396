"""Numbers of one run, each against a table small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from edgesim.errors import TraceError
from edgesim.statistics.requests import Outcomes
from edgesim.statistics.summary import Summary, summarise
from edgesim.statistics.survival import Distribution

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
    given = {"strategy": "s", "replication": 0, "warmup_s": WARMUP_S, "horizon_s": ENDED_AT_S} | options
    return summarise(requests, DEVICES, blocks(4), **given)


def test_latencies_count_every_request_that_arrived_after_the_warm_up() -> None:
    # 4 failed before its first token; 5 had one after 1 s, and was 2 s old when observation ended.
    result = summary()
    assert result.ttft_s == Distribution.of(np.array([1.0, 1.0, 3.0, 1.0]), n_never=1)
    assert result.e2e_s == Distribution.of(np.array([3.0, 1.0, 4.0]), np.array([2.0]), n_never=1)


def test_tpot_leaves_out_answers_of_one_token() -> None:
    # Request 1: (3 - 1) / 2; request 3: (4 - 3) / 1; 2 has one token; 5 took 1 s over some of its three gaps.
    assert summary().tpot_s == Distribution.of(np.array([1.0, 1.0]), np.array([1 / 3]), n_never=1)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 10])
def test_itl_pools_the_gaps_however_the_blocks_are_cut(size: int) -> None:
    result = summarise(REQUESTS, DEVICES, blocks(size), strategy="s", replication=0, warmup_s=WARMUP_S)
    assert result.itl_s == Distribution.of(np.array([0.5, 1.5, 1.0]), np.array([1.0]))


def test_a_request_that_fails_after_a_token_leaves_a_gap_that_never_ends() -> None:
    requests = REQUESTS.assign(
        outcome=["completed"] * 4 + ["failed", "failed"], ended_at_s=[11.5, 13, 13, 18, 16.5, 29.5]
    )
    result = summary(requests)
    assert result.itl_s == Distribution.of(np.array([0.5, 1.5, 1.0]), n_never=1)


def test_a_mean_of_which_a_part_is_unknown_is_a_bound() -> None:
    result = summary()
    assert result.e2e_s is not None
    assert result.metrics()["e2e_mean_s"] is None
    assert result.bounds()["e2e_mean_s"] == (3 + 1 + 4 + 2) / 4
    assert result.metrics()["e2e_p99_s"] is None  # one of five never ends
    assert result.bounds()["e2e_p99_s"] == 4.0
    assert "e2e_p50_s" not in result.bounds()


def test_what_arrives_after_the_horizon_is_not_counted_but_what_ends_after_it_is() -> None:
    result = summary(horizon_s=14.0)  # requests 1 and 2; both end at 13
    assert result.outcomes == Outcomes(completed=2, failed=0, censored=0)
    assert result.e2e_s == Distribution.of(np.array([3.0, 1.0]))
    late = summary(horizon_s=12.5)
    assert late.e2e_s == result.e2e_s
    # Requests 0 ends in the window too, at 11.5; tokens at 10.5, 11, 11.5 and 11.5.
    assert late.requests_per_s == 1 / 2.5
    assert late.output_tokens_per_s == 4 / 2.5


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
    ("limits", "n_good", "n_undecided"),
    [
        (Limits(ttft_s=1.0), 2, 1),
        (Limits(tpot_s=0.9), 1, 1),  # an answer of one token has no TPOT to miss
        (
            Limits(tpot_s=0.3),
            1,
            0,
        ),  # the censored one took 1 s since its first token: 0.33 s per token or more
        (Limits(e2e_s=3.0), 2, 1),
        (Limits(e2e_s=1.5), 1, 0),  # it is older than that
        (Limits(ttft_s=1.0, e2e_s=2.0), 1, 1),
        (Limits(ttft_s=0.5), 0, 0),
    ],
)
def test_attainment_counts_failed_requests_as_misses_and_is_bounded_by_the_undecided(
    limits: Limits, n_good: int, n_undecided: int
) -> None:
    result = summary(objectives=limits)
    assert result.attainment_at_least == n_good / 5
    assert result.attainment_at_most == (n_good + n_undecided) / 5
    if n_undecided == 0:
        assert result.attainment == n_good / 5


@pytest.mark.parametrize(
    ("limits", "n_good"),
    [
        (Limits(ttft_s=1.0), 3),  # 0, 1 and 2
        (Limits(tpot_s=0.9), 1),  # 2, whose answer of one token has no TPOT to miss
        (Limits(e2e_s=3.0), 3),
        (Limits(ttft_s=1.0, e2e_s=2.0), 1),
        (Limits(ttft_s=0.5), 1),  # 0 arrived in the warm-up, and ends in the window
    ],
)
def test_goodput_is_the_good_part_of_the_requests_per_second(limits: Limits, n_good: int) -> None:
    result = summary(objectives=limits)
    assert result.goodput_per_s == n_good / 20
    assert result.requests_per_s == 4 / 20


def test_attainment_of_one_limit_is_kaplan_and_meiers_share_at_it() -> None:
    # E2E: failed at 0.5 (never), 1, 2 (cut off), 3, 4; within 3 s. A fifth has missed for good from 0.5 s on.
    # At risk 5: one misses (0.2), one of 4 meets (0.8 / 4), then one of two (0.6 * 2/3 = 0.6 over 2).
    result = summary(objectives=Limits(e2e_s=3.0))
    assert result.attainment == pytest.approx(0.8 / 4 + 0.6 / 2, rel=1e-15)


@pytest.mark.parametrize("objectives", [None, Limits()])
def test_without_objectives_there_is_no_goodput(objectives: Limits | None) -> None:
    result = summary(objectives=objectives)
    assert result.goodput_per_s is None
    assert result.attainment is None


def test_energy_is_per_token_delivered_in_the_whole_run() -> None:
    result = summary()
    assert result.active_j_per_token == 20.0 / 10
    assert result.total_j_per_token == 100.0 / 10


def test_what_askers_pay_leaves_servers_out() -> None:
    asking = REQUESTS.assign(source=pd.Categorical(["camera-1"] * len(REQUESTS)))
    assert summary(asking).asker_j_per_token == 2.0 / 10
    assert summary().asker_j_per_token is None  # a table that does not say who asked


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
    assert result.requests_per_s is None
    undefined = [name for name, value in result.metrics().items() if value is None]
    assert {"ttft_mean_s", "tpot_p50_s", "itl_p95_s", "e2e_p99_s", "attainment"} <= set(undefined)


def test_percentiles_interpolate_linearly() -> None:
    # Type 7 by hand: rank 1 + p (n - 1) among 1, 2, 3, 4, 5.
    sample = Distribution.of(np.array([5.0, 1.0, 3.0, 2.0, 4.0]))
    assert sample is not None
    assert (sample.n, sample.mean, sample.p50) == (5, 3.0, 3.0)
    assert (sample.p95, sample.p99) == (pytest.approx(4.8), pytest.approx(4.96))


def test_row_order_does_not_matter() -> None:
    shuffled = REQUESTS.iloc[[3, 5, 0, 2, 4, 1]]
    result = summarise(
        shuffled, DEVICES, blocks(4), strategy="s", replication=0, warmup_s=WARMUP_S, horizon_s=30.0
    )
    assert result == summary()


def test_a_token_out_of_time_order_is_refused() -> None:
    backwards = [(np.array([1]), np.array([12.0])), (np.array([1]), np.array([11.0]))]
    with pytest.raises(TraceError, match="tokens of a request are out of order"):
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
