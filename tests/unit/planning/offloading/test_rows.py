from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from edgesim.planning.offloading.rows import Rows, plain_shift, proximal_shift


def drawn(seed: int) -> tuple[Rows, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 5, size=3)
    rows = Rows(np.repeat(np.arange(3), lengths), 3)
    plan = rng.exponential(size=len(rows.row)) * (rng.random(len(rows.row)) < 0.7) + 1e-3
    return (
        rows,
        plan / rows.sums(plan)[rows.row],
        rng.uniform(1, 2, len(plan)),
        rng.uniform(0.3, 3, len(plan)),
    )


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_plain_shift_is_the_papers_loop(seed: int) -> None:
    rows, plan, costs_s, _ = drawn(seed)
    expected = plan.copy()
    for row in range(3):
        mine = np.flatnonzero(rows.row == row)
        cheapest = mine[np.argmin(costs_s[mine])]
        for hop in mine:
            if hop != cheapest:
                step = min(expected[hop], 0.3 * (costs_s[hop] - costs_s[cheapest]))
                expected[hop] -= step
                expected[cheapest] += step
    assert plain_shift(rows, plan, costs_s, 0.3) == pytest.approx(expected, abs=1e-15)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_proximal_shift_minimises_what_it_says(seed: int) -> None:
    rows, plan, costs_s, weights_s = drawn(seed)
    found = proximal_shift(rows, plan, costs_s, weights_s)
    assert rows.sums(found) == pytest.approx(np.ones(3), rel=1e-12)
    assert found.min() >= 0
    for row in range(3):
        mine = rows.row == row

        def value(q: np.ndarray, mine: np.ndarray = mine) -> float:
            return float(costs_s[mine] @ q + weights_s[mine] @ (q - plan[mine]) ** 2 / 2)

        by_scipy = minimize(
            value,
            plan[mine],
            bounds=[(0, 1)] * int(mine.sum()),
            constraints={"type": "eq", "fun": lambda q: q.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-12},
        )
        assert value(found[mine]) <= by_scipy.fun + 1e-9


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_row_alone_shifts_as_it_does_among_others(seed: int) -> None:
    rows, plan, costs_s, weights_s = drawn(seed)
    together = proximal_shift(rows, plan, costs_s, weights_s)
    for row in range(3):
        mine = rows.row == row
        alone = proximal_shift(Rows.single(int(mine.sum())), plan[mine], costs_s[mine], weights_s[mine])
        assert alone == pytest.approx(together[mine], abs=1e-12)
