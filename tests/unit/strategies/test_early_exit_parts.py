"""Layouts, meters and options of staged inference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from staged import city, records

from edgesim.errors import PlacementError
from edgesim.strategies.early_exit import EarlyExit
from edgesim.strategies.early_exit.layout import lay_out
from edgesim.strategies.early_exit.rate_estimates import Meters
from edgesim.strategies.early_exit.thresholds import exit_table
from edgesim.strategy import Fleet


def test_stages_follow_groups_the_slowest_first() -> None:
    there = city([[0.1], [0.4, 0.3], [0.2]], 2)
    layout = lay_out(there.model, Fleet.of(there), stages=(), cuts=(), with_exits=True)
    assert layout.layers == (("s2-0", "s2-1"), ("s3-0",), ("s1-0",))
    assert [str(part) for part in layout.parts] == ["embedding+0", "1", "2+head"]
    assert not layout.shares_devices


def test_cuts_are_where_exits_stand() -> None:
    there = city([[0.1]] * 6, 1, exits=records(6, 0.5))
    fleet = Fleet.of(there)
    two = lay_out(there.model, fleet, stages=[["s1"], ["s2"], ["s3"]], cuts=(), with_exits=True)
    assert [part.last for part in two.parts] == [2, 4, 6]
    assert two.has_exit == (True, True, True)
    none = lay_out(there.model, fleet, stages=[["s1"], ["s2"]], cuts=(5,), with_exits=False)
    assert [str(part) for part in none.parts] == ["embedding+0-4", "5+head"]
    assert none.exit_blocks == ()


def test_every_server_serves_all_stages_where_groups_are_few() -> None:
    there = city([[0.1, 0.2]], 1, exits=None)
    layout = lay_out(
        city([[0.1]] * 4, 1).model, Fleet.of(there), stages=[["s1"], ["s1"]], cuts=(), with_exits=True
    )
    assert layout.layers == (("s1-0", "s1-1"),) * 2
    assert layout.shares_devices


@pytest.mark.parametrize(
    "options",
    [
        {"offloading": "cf", "thresholds": "joint"},
        {"exit_rule": "channel-aware", "thresholds": 0.5},
        {"thresholds": "sometimes"},
        {"period": "3"},
        {"stages": [[]]},
        {"offloading": "jsed", "choices": True},
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EarlyExit.model_validate(options)


def test_options_are_read_as_scenarios_write_them() -> None:
    made = EarlyExit.model_validate(
        {"stages": [["a", "b"], "c"], "thresholds": 0.8, "period": "500 ms", "message": "1 kB"}
    )
    assert (made.stages, made.thresholds) == ((("a", "b"), ("c",)), (0.8,))
    assert (made.period, made.message) == (0.5, 1000)


def test_a_channel_aware_rule_needs_answers_and_gets_its_figures() -> None:
    there = city([[0.1], [0.1]], 1, exits=records(2, 0.5))
    placement = EarlyExit(exit_rule="channel-aware", stages=(("s1",), ("s2",)), exchange="2 s").place(
        there.model, Fleet.of(there)
    )
    assert placement.channel is not None
    assert placement.channel.exchange_s == 2.0
    with pytest.raises(PlacementError, match="after block 2 of 2"):
        EarlyExit(cuts=(2,)).place(there.model, Fleet.of(there))


# --- meters ---------------------------------------------------------------------------------------------


def test_a_genetic_search_breeds_rows_for_the_thresholds_of_the_channel() -> None:
    said = records(2, 0.5)
    there = city([[0.1, 0.2], [0.1]], 2, rate_hz=2.0, exits=said, tuning_exits=said)
    options = {"stages": [["s1"], ["s2"]], "exit_rule": "channel-aware", "evaluations": 80}
    found = [
        EarlyExit.model_validate(options | {"offloading": rule}).place(there.model, Fleet.of(there))
        for rule in ("ga", "cf")
    ]
    assert found[0].thresholds[0] == pytest.approx(found[1].thresholds[0], abs=0.1)
    assert found[0].thresholds[0] not in (0.0, None)


def test_among_entropies_there_is_one_at_which_all_leave() -> None:
    said = records(2, 0.5)
    entropy = np.random.default_rng(1).uniform(0.1, 3.0, said.confidence.shape)
    there = city([[0.1], [0.1]], 1, exits=replace(said, entropy=entropy))
    fleet = Fleet.of(there)
    layout = lay_out(there.model, fleet, stages=[["s1"], ["s2"]], cuts=(), with_exits=True)
    table = exit_table(layout, fleet, by_entropy=True)
    assert table is not None
    assert table.outcome((0,)).leaves[0] == 1.0
    assert table.outcome(table.highest).leaves[0] == 0.0


def test_a_meter_believes_what_it_is_told_while_counts_scatter_about_it() -> None:
    """Poisson counts of the mean that is expected: at most one false change in 20 nodes over 300 rounds."""
    draws, expected = np.random.default_rng(1), np.full(20, 100.0)
    meters, n_off = Meters(expected), 0
    for _ in range(300):
        meters.update(draws.poisson(expected).astype(float), expected)
        n_off += int((meters.ratio != 1).sum())
    assert n_off / (300 * 20) < 0.05
    assert np.all(np.abs(meters.ratio - 1) < 0.05)


@pytest.mark.parametrize(("factor", "rounds"), [(1.5, 2), (1.2, 16), (0.5, 2)])
def test_a_meter_follows_a_change(factor: float, rounds: int) -> None:
    """Nineteen of 20 nodes at least, to within 4 standard deviations of 8 rounds' counts.

    Who has begun anew at a round of many tasks may be further off for a while.
    """
    draws, expected = np.random.default_rng(2), np.full(20, 100.0)
    meters = Meters(expected)
    for _ in range(50):
        meters.update(draws.poisson(expected).astype(float), expected)
    for _ in range(rounds + 8):
        meters.update(draws.poisson(expected * factor).astype(float), expected)
    is_near = np.abs(meters.ratio - factor) < 4 * np.sqrt(factor / 100 / 8)
    assert is_near.sum() >= 19


def test_where_nothing_is_expected_a_meter_takes_no_ratio() -> None:
    meters = Meters(np.array([0.0, 10.0]))
    for _ in range(5):
        meters.update(np.array([0.0, 10.0]), np.array([0.0, 10.0]))
    assert meters.ratio.tolist() == [1.0, 1.0]
