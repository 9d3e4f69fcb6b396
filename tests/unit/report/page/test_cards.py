"""Cards of the page: winners are those of the pairs of replications, and of no single run."""

from __future__ import annotations

import pytest
from scipy import stats

from edgesim.report.page.comparing import cards
from edgesim.statistics.comparison import Comparison, compare
from edgesim.statistics.requests import Outcomes
from edgesim.statistics.summary import Summary
from edgesim.statistics.survival import Distribution


def compared(**means_s: list[float]) -> Comparison:
    """Strategies by their mean E2E latency in each replication."""
    return compare(
        Summary(
            strategy=strategy,
            replication=replication,
            warmup_s=0.0,
            ended_at_s=1.0,
            outcomes=Outcomes(completed=1, failed=0, censored=0),
            ttft_s=None,
            tpot_s=None,
            itl_s=None,
            e2e_s=Distribution(n=1, mean=e2e_s, p50=e2e_s, p95=e2e_s, p99=e2e_s),
            output_tokens_per_s=1.0,
            requests_per_s=1.0,
            goodput_per_s=None,
            attainment=None,
            active_j_per_token=None,
            total_j_per_token=None,
            utilisation={},
            origins=("measured",),
        )
        for strategy, own in means_s.items()
        for replication, e2e_s in enumerate(own)
    )


def test_a_winner_is_told_apart_by_pairs_however_much_replications_scatter() -> None:
    slow, fast = [1.0, 4.0, 9.0], [0.9, 3.7, 8.0]
    assert stats.ttest_ind(slow, fast).pvalue > 0.8
    (card,) = cards(compared(slow=slow, fast=fast))
    assert card.strategy == "fast"
    assert "next is slow with 4.67 s" in card.note
    assert "not distinguished" not in card.note


def test_a_best_mean_that_pairs_do_not_support_is_said() -> None:
    (card,) = cards(compared(a=[1.0, 2.0, 3.0], b=[2.0, 1.0, 3.1], c=[9.0, 9.5, 9.9]))
    assert card.strategy == "a"
    assert card.note.endswith("; not distinguished from b")


@pytest.mark.parametrize("n", [1, 2])
def test_one_replication_makes_no_winner(n: int) -> None:
    assert len(cards(compared(a=[1.0] * n, b=[2.0] * n))) == (n > 1)
