"""Sequential stopping: how often the mean is as precise as is said, and which replications are asked for."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.sweep.axes import Cell
from edgesim.sweep.precision import Precision, Sequential
from edgesim.sweep.unit import Unit


def stopped(precision: Precision, draw) -> tuple[int, float, float]:
    values = draw(precision.at_most)
    n = precision.at_least
    while True:
        judged = precision.reached(values[:n].tolist())
        if judged.is_reached or n == precision.at_most:
            assert judged.mean is not None
            assert judged.half_width is not None
            return n, judged.mean, judged.half_width
        n = precision.after(n)


LAWS = {
    "normal, cv 4 %": lambda rng: lambda n: 1 + 0.04 * rng.standard_normal(n),
    "normal, cv 12 %": lambda rng: lambda n: 1 + 0.12 * rng.standard_normal(n),
    "gamma, cv 15 %": lambda rng: lambda n: rng.gamma(1 / 0.15**2, 0.15**2, n),
    "lognormal, cv 10 %": lambda rng: (
        lambda n: rng.lognormal(-math.log(1.01) / 2, math.sqrt(math.log(1.01)), n)
    ),
}


@pytest.mark.parametrize("law", LAWS)
def test_the_mean_is_as_precise_as_is_said_at_least_as_often_as_is_said(law: str) -> None:
    rng = np.random.default_rng(7)
    precision = Precision("e2e_mean_s", 0.03, at_most=2000)
    n_samples = 1500
    found = [stopped(precision, LAWS[law](rng)) for _ in range(n_samples)]
    n_within = sum(abs(mean - 1) <= 0.03 for _, mean, _ in found)
    # One-sided: that it is below 95 % would be shown with an error of 0.1 %.
    assert n_within >= stats.binom.ppf(0.001, n_samples, 0.95)
    # Student's interval at a chosen moment: Law (2015, section 9.4.1) reports a loss of up to two points.
    n_covered = sum(abs(mean - 1) <= half_width for _, mean, half_width in found)
    assert n_covered >= stats.binom.ppf(0.001, n_samples, 0.93)
    assert min(n for n, _, _ in found) >= 10


def test_it_is_read_and_judged_by_hand() -> None:
    asked = Precision.parse("e2e_mean_s ± 2.5 %", at_least=12)
    assert (asked.metric, asked.relative, asked.at_least, asked.at_most) == ("e2e_mean_s", 0.025, 12, 100)
    values = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0, 1.02, 0.98, 1.0]
    half_width = stats.t.ppf(0.975, 9) * np.std(values, ddof=1) / math.sqrt(10)
    judged = asked.reached(values)
    assert judged.half_width == pytest.approx(half_width, rel=1e-12)
    limit = half_width / (1 - half_width)  # g / (1 + g) = half-width, for a mean of one
    assert Precision("e2e_mean_s", limit * 1.001).reached(values).is_reached
    assert not Precision("e2e_mean_s", limit * 0.999).reached(values).is_reached


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("e2e_mean_s", {}, "expected a metric and a precision"),
        ("e2e_men_s±2%", {}, "did you mean 'e2e_mean_s'"),
        ("e2e_mean_s±0%", {}, "between 0 % and 100 %"),
        ("e2e_mean_s±2%", {"at_least": 5}, "expected 10 replications or more, got 5"),
        ("e2e_mean_s±2%", {"at_least": 50, "at_most": 20}, "expected no fewer than --at-least, 50; got 20"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Precision.parse(text, **options)


def table(**values: float) -> pa.Table:
    return pa.table({"strategy": list(values), "e2e_mean_s": list(values.values())})


def driven(plan: Sequential, value, order) -> list[Unit]:
    """All units that a plan asks for, done in the order that is drawn."""
    asked, open_ = [], []
    while True:
        while (unit := plan.next()) is not None:
            asked.append(unit)
            open_.append(unit)
        if not open_:
            return asked
        unit = open_.pop(order(len(open_)))
        plan.record(unit, value(unit))


def test_all_strategies_of_a_cell_get_the_replications_that_the_worst_needs() -> None:
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((2, 200))
    cells = [Cell(0, (), ()), Cell(1, (), ())]
    precision = Precision("e2e_mean_s", 0.05, at_most=90)

    def value(unit: Unit) -> pa.Table:
        spread = 0.15 if unit.cell == 0 else 0.001
        return table(calm=1.0, wild=1 + spread * noise[unit.cell, unit.replication])

    n = 10
    while n < 90 and not precision.reached((1 + 0.15 * noise[0, :n]).tolist()).is_reached:
        n = min(90, math.ceil(1.25 * n))
    assert 10 < n < 90
    expected = {Unit(0, i) for i in range(n)} | {Unit(1, i) for i in range(10)}
    plans = [Sequential(cells, precision) for _ in range(3)]
    orders = (lambda k: 0, lambda k: k - 1, lambda k: int(rng.integers(k)))
    facts = []
    for plan, order in zip(plans, orders, strict=True):
        assert set(driven(plan, value, order)) == expected
        facts.append(plan.facts())
        assert plan.n_asked() == n + 10
        assert list(plan.not_needed()) == []
    assert facts[0] == facts[1] == facts[2]
    assert facts[0]["stopping"]["0"]["wild"]["reached"]


def test_what_an_earlier_sweep_had_is_not_asked_for_again_and_what_it_had_too_many_of_is_named() -> None:
    plan = Sequential([Cell(0, (), ())], Precision("e2e_mean_s", 0.05))
    for n in range(14):
        plan.record(Unit(0, n), table(one=1.0))
    assert plan.next() is None
    assert list(plan.not_needed()) == [Unit(0, n) for n in range(10, 14)]


def test_a_metric_that_is_unknown_and_a_replication_that_failed_end_a_cell() -> None:
    for value, told in ((lambda unit: table(one=math.nan), True), (lambda unit: None, False)):
        plan = Sequential([Cell(0, (), ())], Precision("e2e_mean_s", 0.05))
        assert len(driven(plan, value, lambda k: 0)) == 10
        judged = plan.facts()["stopping"]["0"]
        assert ("unknown in 10 of 10" in str(judged)) == told
