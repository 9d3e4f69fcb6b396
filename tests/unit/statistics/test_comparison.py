"""Intervals cover what they promise, and pairing removes what strategies share."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from scipy import stats

from edgesim.errors import TraceError
from edgesim.statistics.comparison import Comparison, compare
from edgesim.statistics.requests import Outcomes
from edgesim.statistics.summary import Summary
from edgesim.statistics.survival import Distribution


def summary(strategy: str, replication: int, ttft_s: float | None, **other: object) -> Summary:
    """Make a summary in which only one number matters."""
    sample = None if ttft_s is None else Distribution(n=1, mean=ttft_s, p50=ttft_s, p95=ttft_s, p99=ttft_s)
    base = Summary(
        strategy=strategy,
        replication=replication,
        warmup_s=0.0,
        ended_at_s=1.0,
        outcomes=Outcomes(completed=1, failed=0, censored=0),
        ttft_s=sample,
        tpot_s=None,
        itl_s=None,
        e2e_s=None,
        output_tokens_per_s=1.0,
        requests_per_s=1.0,
        goodput_per_s=None,
        attainment=None,
        active_j_per_token=1.0,
        total_j_per_token=2.0,
        utilisation={"edge": 0.5},
        origins=("measured",),
    )
    return replace(base, **other)


def comparison() -> Comparison:
    return compare(
        [
            summary("local", 1, 4.0),
            summary("local", 0, 2.0),
            summary("pipeline", 0, 1.0, outcomes=Outcomes(completed=3, failed=1, censored=2)),
            summary("pipeline", 1, 2.0, utilisation={"edge": 0.7, "camera": 0.1}, origins=("scaled",)),
        ]
    )


def test_rows_keep_the_order_of_the_strategies_and_the_first_is_the_reference() -> None:
    local, pipeline = comparison().rows
    assert (local.strategy, pipeline.strategy) == ("local", "pipeline")
    assert local.replications == (0, 1)
    assert local.differences == {}
    difference = pipeline.differences["ttft_mean_s"]
    assert difference is not None
    assert (difference.n, difference.mean) == (2, -1.5)
    assert difference.ratio is not None
    assert difference.ratio.ratio == pytest.approx(math.sqrt(1 / 2 * 2 / 4), rel=1e-15)


def test_differences_are_paired_by_replication_not_by_order_of_arrival() -> None:
    difference = comparison().rows[1].differences["ttft_mean_s"]
    assert difference is not None
    # Within replications -1 and -2: half-width t(0.975, 1) * 0.5.
    half_width = stats.t.ppf(0.975, 1) * 0.5
    assert difference.interval == pytest.approx((-1.5 - half_width, -1.5 + half_width), rel=1e-12)


def test_outcomes_add_up_and_origins_unite_over_replications() -> None:
    pipeline = comparison().rows[1]
    assert pipeline.outcomes == Outcomes(completed=4, failed=1, censored=2)
    assert pipeline.origins == ("measured", "scaled")


def test_utilisation_is_estimated_by_group() -> None:
    utilisation = comparison().rows[1].utilisation
    assert list(utilisation) == ["camera", "edge"]
    assert utilisation["edge"] is not None
    assert utilisation["edge"].mean == pytest.approx(0.6, rel=1e-15)
    assert utilisation["camera"] is not None
    assert utilisation["camera"].n == 1


def test_a_metric_missing_from_a_replication_is_averaged_over_the_others_and_says_so() -> None:
    rows = compare(
        [summary("a", 0, 2.0), summary("a", 1, None), summary("b", 0, 3.0), summary("b", 1, 5.0)]
    ).rows
    estimate, difference = rows[0].estimates["ttft_mean_s"], rows[1].differences["ttft_mean_s"]
    assert estimate is not None
    assert (estimate.n, estimate.mean) == (1, 2.0)
    assert difference is not None
    assert (difference.n, difference.mean) == (1, 1.0)
    assert rows[0].estimates["tpot_mean_s"] is None


def test_a_replication_in_which_a_metric_is_no_number_is_not_paired() -> None:
    rows = compare(
        [
            summary("a", 0, 2.0, active_j_per_token=2.0),
            summary("a", 1, 2.0),
            summary("b", 0, 2.0, active_j_per_token=3.0),
            summary("b", 1, 2.0, active_j_per_token=math.nan),
        ]
    ).rows
    difference = rows[1].differences["active_j_per_token"]
    assert difference is not None
    assert (difference.n, difference.mean) == (1, 1.0)


def test_replications_that_only_one_strategy_has_are_not_paired() -> None:
    rows = compare([summary("a", 0, 2.0), summary("b", 0, 3.0), summary("b", 1, 50.0)]).rows
    difference = rows[1].differences["ttft_mean_s"]
    assert difference is not None
    assert (difference.n, difference.mean) == (1, 1.0)


def test_a_replication_given_twice_is_refused() -> None:
    with pytest.raises(TraceError, match="replication 0 twice"):
        compare([summary("a", 0, 1.0), summary("a", 0, 1.0)])


def test_nothing_compares_to_nothing() -> None:
    assert compare([]).rows == ()
