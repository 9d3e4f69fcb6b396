"""Exchanges of sums and what they cost, against instants written out by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edgesim.measure.real.exchanges import ExchangePoint, Exchanges, GroupTimes, Slowdown, SumContext
from edgesim.measure.real.members import Stretches

CONFIG = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}
COMPUTED_S = [9.0, 3.0, 1.0, 5.0, 8.0, 0.4, 0.1, 0.6]  # before each sum of a prompt and a decoding step
LONGER_S = 0.05  # what each takes longer behind a sum than behind a sleep
LATE_S = 0.2  # for which the second member is behind the first at every sum
EXCHANGED_S = [1.0] * 4 + [0.5] * 2 + [4.5] * 2


class Workers:
    """Two members that answer as if they had computed and summed, or slept."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []

    def ask(self, orders: Sequence[tuple[Any, dict[str, Any]]], *, timeout_s: float) -> list[dict[str, Any]]:
        self.orders.append(orders[0][1])
        if orders[0][1]["do"] == "hold":
            return [{} for _ in orders]
        return [
            {"began_at_s": 0.0, "before_s": 0.5, "sums_s": self._instants(rank, **order)}
            for rank, (_, order) in enumerate(orders)
        ]

    def _instants(self, rank: int, *, sums: bool, rests_s: list[float], n_out: int, **_: Any) -> Any:
        at_s, found = 0.0, []
        for number, (computed_s, exchanged_s) in enumerate(zip(COMPUTED_S, EXCHANGED_S, strict=True)):
            at_s += computed_s + LONGER_S * sums
            entered_at_s = at_s + LATE_S * rank * sums
            at_s += LATE_S + exchanged_s if sums else rests_s[number]
            found.append((entered_at_s, at_s))
        return found[: 4 * n_out]


@pytest.fixture
def measured() -> tuple[Workers, SumContext]:
    workers = Workers()
    context = SumContext(workers, [None, None], CONFIG, "small")  # type: ignore[arg-type, list-item]
    for _ in range(4):
        context.turn(n_out=2)
    return workers, context


def test_an_exchange_lasts_from_its_last_member_until_all_have_left(
    measured: tuple[Workers, SumContext],
) -> None:
    prompt, step = measured[1].points(fastest=1)

    # A pass is as long as the mean of its sums, however they scatter.
    assert (prompt.exchange_s, step.exchange_s) == pytest.approx((1.0, (0.5 + 4.5) / 2))
    assert step.stretch_s == pytest.approx((0.1 + (0.4 + 0.6) / 2) / 2 + LONGER_S + LATE_S / 2)


def test_members_sleep_as_long_as_they_waited_in_sums_and_neither_run_is_always_first(
    measured: tuple[Workers, SumContext],
) -> None:
    ways = [order for order in measured[0].orders if order["do"] == "together"]

    assert [order["sums"] for order in ways if order["n_out"] > 1] == [True, False, False, True] * 2
    assert sum(order["sums"] for order in ways if order["n_out"] == 1) == 4 * 4
    waits_s = [LATE_S + 0.5, 0.5, LATE_S + 4.5, 4.5]
    rests_s = np.array([order["rests_s"] for order in ways if not order["sums"]])
    assert np.unique(rests_s.round(6)) == pytest.approx(sorted(waits_s))
    json.dumps(ways)  # plain numbers: orders are sent as text


def test_computing_behind_sums_is_compared_with_computing_behind_sleeps(
    measured: tuple[Workers, SumContext],
) -> None:
    _, context = measured

    found = context.slowdown(fastest=1)
    assert found.stretch_s == pytest.approx((0.1 + (0.4 + 0.6) / 2) / 2)
    assert found.ratio == pytest.approx((found.stretch_s + LONGER_S + LATE_S / 2) / found.stretch_s)
    both = Exchanges.of([context, context], fastest=1)
    assert both.slowdowns == (found, found)
    assert len(both.points) == 4


def test_an_exchange_is_interpolated_between_stretches_and_may_fall_with_them() -> None:
    points = (ExchangePoint(5e-3, 1e-3), ExchangePoint(1e-3, 2e-3))
    exchanges = Exchanges(points, (Slowdown(3e-3, 1.0), Slowdown(1e-3, 2.0)))

    assert exchanges.after(2e-3) == pytest.approx(1.75e-3)
    assert (exchanges.after(0.0), exchanges.after(1.0)) == (2e-3, 1e-3)
    stretches = Stretches(attention_s=1e-3, mlp_s=3e-3, late_s=0.1e-3)
    group = GroupTimes(stretches, stretches, exchanges, first_stretch_s=0.0)
    assert [exchanges.slowdown(stretch_s) for stretch_s in (0.0, 2e-3, 1.0)] == pytest.approx([2.0, 1.5, 1.0])
    # Stretches of 2 ms take 3 behind a sum.
    assert group.prompt_sum_s == group.step_sum_s == pytest.approx(1.5e-3 + 0.1e-3)
