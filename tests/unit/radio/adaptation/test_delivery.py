"""How blocks fare, against the binomial law and against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgesim.radio.adaptation.air_interface import Arq
from edgesim.radio.adaptation.delivery import BlocksDelivered, binomial, deliver
from edgesim.rng import keyed_uniform

NO_ARQ = Arq(limit=0, round_trip_s=0.0)


@given(
    n=st.integers(1, 256),
    p=st.floats(1e-6, 1.0 - 1e-6),
    key=st.integers(1, 2**64 - 1),
    draw=st.integers(0, 99),
)
def test_a_draw_is_the_quantile_of_its_uniform(n: int, p: float, key: int, draw: int) -> None:
    """One of two quantiles, should the uniform fall within rounding of a step of the distribution."""
    uniform = keyed_uniform(key, draw)
    law = stats.binom(n, p)
    found = {binomial(n, p, key, draw)[0]}
    if p <= 0.5:
        assert found <= {int(law.ppf(uniform * (1 - 1e-9))), int(law.ppf(uniform + (1 - uniform) * 1e-9))}
    else:  # summed up from the other end
        mirrored = stats.binom(n, 1.0 - p)
        likely = {int(mirrored.ppf((1 - uniform) * (1 - 1e-9))), int(mirrored.ppf(1 - uniform * (1 - 1e-9)))}
        assert found <= {n - k for k in likely}


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (40, 0.1), (100, 0.97), (1000, 0.02)])
def test_draws_follow_the_binomial_law(n: int, p: float) -> None:
    """By the chi-square test over cells of five and more; beyond 256 blocks, of a sum of draws."""
    found = np.array([binomial(n, p, key)[0] for key in range(4000)])
    law = stats.binom(n, p)
    low, high = int(law.ppf(0.002)), int(law.ppf(0.998))
    edges = np.arange(low, high + 1)
    expected = np.diff([0.0, *law.cdf(edges), 1.0]) * len(found)
    observed = np.bincount(np.clip(np.searchsorted(edges, found), 0, len(edges)), minlength=len(edges) + 1)
    keep = expected >= 5.0
    observed = np.append(observed[keep], observed[~keep].sum())
    expected = np.append(expected[keep], expected[~keep].sum())
    if expected[-1] == 0.0:
        observed, expected = observed[:-1], expected[:-1]
    assert stats.chisquare(observed, expected).pvalue > 1e-4


def test_extremes_need_no_draw() -> None:
    assert binomial(7, 0.0, 1, 5) == (0, 5)
    assert binomial(7, 1.0, 1, 5) == (7, 5)
    assert binomial(0, 0.5, 1, 5) == (0, 5)


def test_blocks_that_always_fail_twice_are_counted_by_hand() -> None:
    assert deliver(5, (1.0, 1.0, 0.0), 0.002, NO_ARQ, key=1) == BlocksDelivered(15, 0, 3, 0.004)
    assert deliver(5, (1.0, 1.0), 0.002, NO_ARQ, key=1) == BlocksDelivered(10, 5, 2, 0.002)
    # Two attempts, a wait, two more, a wait, two more: and all is lost.
    lost = deliver(5, (1.0, 1.0), 0.002, Arq(2, 0.01), key=1)
    assert lost == BlocksDelivered(30, 5, 6, pytest.approx(3 * 0.002 + 2 * 0.01))
    assert deliver(5, (0.0,), 0.002, Arq(2, 0.01), key=1) == BlocksDelivered(5, 0, 1, 0.0)


def test_repetitions_ask_for_the_errors_of_their_own_time() -> None:
    asked: list[float] = []

    def again(waited_s: float) -> tuple[float, ...]:
        asked.append(waited_s)
        return (1.0, 1.0) if len(asked) == 1 else (0.0,)

    assert deliver(2, (1.0, 1.0), 0.002, Arq(4, 0.01), key=1, again=again) == BlocksDelivered(
        10, 0, 5, pytest.approx(2 * 0.002 + 2 * 0.01)
    )
    assert asked == pytest.approx([0.002 + 0.01, 0.004 + 0.02])
