"""Medians, spreads and verdicts of repetitions; and a run of medians, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgesim.validate.local.comparing import FigureComparison, compare
from edgesim.validate.local.figures import Figures, of_runs


def comparison(*errors: float, limit: float = 0.03) -> FigureComparison:
    return FigureComparison(
        figure="tpot_s",
        real=(2.0,) * len(errors),
        predicted=tuple(2.0 * (1.0 + error) for error in errors),
        limit=limit,
    )


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ((0.01, 0.02, 0.025, 0.0, 0.03), "passed"),
        ((-0.029, -0.029, -0.029), "passed"),
        ((-0.031, -0.032, -0.033), "failed"),
        ((0.0, 0.0, 0.0, 0.5, -0.5), "passed"),  # half of them say the same
        ((0.0, 0.04, -0.04, 0.05, -0.05), "too noisy"),
        ((0.2, 0.3, 0.4), "too noisy"),  # not failed: the machine did not hold still
    ],
)
def test_a_verdict_is_of_median_and_spread(errors: tuple[float, ...], verdict: str) -> None:
    found = comparison(*errors)

    assert found.verdict == verdict
    assert found.median == pytest.approx(float(np.median(errors)))
    quartiles = np.percentile(errors, [25, 75])
    assert found.spread == pytest.approx((quartiles[1] - quartiles[0]) / 2)


def test_gross_is_a_factor_of_two_in_every_repetition() -> None:
    assert comparison(1.1, 1.2, 3.0).is_gross
    assert comparison(-0.6, -0.51, -0.9).is_gross
    assert not comparison(1.1, 0.9, 3.0).is_gross
    assert not comparison(1.1, -0.6).is_gross
    assert not comparison(0.0).is_gross


def test_shares_are_compared_by_their_difference() -> None:
    real = [Figures(ttft_s=1.0, tpot_s=1.0, tokens_per_s=1.0, utilisation=(0.5, 0.02))] * 3
    foreseen = [Figures(ttft_s=1.0, tpot_s=1.02, tokens_per_s=1.0, utilisation=(0.52, 0.03))] * 3
    found = {each.figure: each for each in compare(real, foreseen, 0.03)}

    assert found["tpot_s"].median == pytest.approx(0.02)
    assert found["utilisation 0"].median == pytest.approx(0.02)
    assert found["utilisation 1"].median == pytest.approx(0.01)  # though it is half as much again
    assert all(each.verdict == "passed" for each in found.values())


def test_a_moment_that_disturbs_one_run_does_not_count() -> None:
    def run(began_at_s: float, *gaps_s: float) -> dict[str, Any]:
        return {
            "began_at_s": began_at_s,
            "emitted_at_s": [(began_at_s + np.cumsum(gaps_s)).tolist()],
            "busy_s": [0.5 * sum(gaps_s)],
        }

    undisturbed = [run(5.0 + number, 3.0, 1.0, 1.0) for number in range(18)]
    found = of_runs([*undisturbed, run(9.0, 3.0, 1.0, 7.0), run(1.0, 3.0, 8.0, 1.0)])

    assert (found.ttft_s, found.tpot_s) == pytest.approx((3.0, 1.0))
    assert found.tokens_per_s == pytest.approx(3 / 5)
    assert found.utilisation == pytest.approx((0.5,))


def test_samples_in_flight_share_the_time() -> None:
    run = {"began_at_s": 0.0, "emitted_at_s": [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]], "busy_s": [6.0, 3.0]}
    found = of_runs([run])

    assert (found.ttft_s, found.tpot_s) == pytest.approx((1.5, 2.0))
    assert found.tokens_per_s == pytest.approx(1.0)
    assert found.utilisation == pytest.approx((1.0, 0.5))


def test_of_further_runs_only_first_tokens_count() -> None:
    run = {"began_at_s": 0.0, "emitted_at_s": [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]], "busy_s": [6.0, 3.0]}
    further = {"began_at_s": 1.0, "emitted_at_s": [[5.0, 99.0], [6.0, 99.0]], "busy_s": [0.0, 0.0]}

    found = of_runs([run], prompts=[further])

    assert found.ttft_s == pytest.approx(((1.0 + 4.0) / 2 + (2.0 + 5.0) / 2) / 2)
    assert replace(found, ttft_s=1.5) == of_runs([run])
