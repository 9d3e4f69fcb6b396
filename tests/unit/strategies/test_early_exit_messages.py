"""Options of early_exit that cannot be: one sentence each, with what was found, expected and to be done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from staged import city, records

from edgesim.errors import PlacementError
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.propagated_paths import ExitOutputs, PropagatedPaths
from edgesim.strategies.early_exit import EarlyExit
from edgesim.strategy import Fleet
from edgesim.workload.lengths import Fixed
from edgesim.world.world import World

# Options, and what the one message must say.
REFUSED: list[tuple[dict[str, object], list[str]]] = [
    ({"thresholds": 1.5}, ["a confidence is at most 1, got 1.5", "'never'", "exit_rule: entropy"]),
    ({"thresholds": [0.5, 2]}, ["at most 1, got 2"]),
    ({"thresholds": -0.5}, ["at least 0, got -0.5", "'never'", "'none'"]),
    ({"thresholds": -1, "exit_rule": "entropy"}, ["at least 0, got -1"]),
    ({"thresholds": []}, ["got []", "leave 'thresholds' out"]),
    ({"thresholds": ["a", "b"]}, ["'auto'", "got ['a', 'b']"]),
    ({"thresholds": True}, ["got True"]),
    ({"thresholds": "sometimes"}, ["'joint'", "'never'", "got 'sometimes'"]),
    ({"thresholds": float("nan")}, ["finite", "nan"]),
    ({"thresholds": float("inf")}, ["finite", "'never'"]),
    ({"thresholds": "none", "exit_rule": "entropy"}, ["thresholds: none", "leave one of the two out"]),
    ({"period": 3}, ["'5 ms'", "got 3", "'3 s'"]),
    ({"exchange": 3}, ["got 3", "write the unit"]),
    ({"drop_late": 3.5}, ["got 3.5", "write the unit"]),
    ({"message": 32}, ["data size", "got 32", "'32 B'"]),
    ({"message": "0 B"}, ["more than zero", "0 B"]),
    ({"period": "-1 s"}, ["more than zero", "-1 s"]),
    ({"stages": []}, ["at least one stage", "leave 'stages' out"]),
    ({"stages": [[]]}, ["stage 1", "at least one device or group", "[]"]),
    ({"stages": ["a", []]}, ["stage 2", "at least one device or group"]),
    ({"stages": [["a", "a"], "b"]}, ["stage 1", "'a' occurs twice"]),
    ({"stages": [1, 2]}, ["stage 1", "names of devices or groups", "got 1"]),
    ({"stages": {"a": "b"}}, ["list of stages", "got {'a': 'b'}"]),
    ({"cuts": [3, 3]}, ["increasing", "[3, 3]"]),
    ({"cuts": [3, 2]}, ["increasing", "[3, 2]"]),
    ({"cuts": [0, 2]}, ["at least one block before the first cut"]),
    ({"cuts": [2.5]}, ["whole numbers of blocks", "[2.5]"]),
    ({"cuts": [True]}, ["whole numbers of blocks"]),
]


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_options_that_cannot_be_get_one_sentence(options: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        EarlyExit.model_validate(options)
    lines = caught.value.errors(include_url=False)
    assert len(lines) == 1
    for word in words:
        assert word in lines[0]["msg"]
    for raw in ("Input should", "Tuple should", "valid tuple", "tuple["):
        assert raw not in lines[0]["msg"]


STAGES = [["s1"], ["s2"], ["s3"]]
SAID = records(3, 0.5)
PLACED: list[tuple[dict[str, object], ExitRecords | None, list[str]]] = [
    ({"stages": STAGES, "cuts": [1]}, SAID, ["cuts: [1] for 3 stages", "expected 2", "leave 'cuts' out"]),
    ({"stages": STAGES, "cuts": [1, 3]}, SAID, ["cuts: after block 3 of 3", "1 to 2"]),
    ({"stages": STAGES, "cuts": [1, 99]}, SAID, ["cuts: after block 99 of 3"]),
    ({"stages": [*STAGES, ["s3"]]}, SAID, ["4 stages for 3 blocks", "give fewer stages"]),
    ({"stages": [["s1"], ["s2"], ["s33"]]}, SAID, ["stage 3", "'s33'", "did you mean"]),
    ({"stages": [["s1", "s1-0"], ["s2"], ["s3"]]}, SAID, ["stage 1", "'s1-0' is named twice"]),
    ({"stages": STAGES, "thresholds": [0.5] * 3}, SAID, ["3 for 2 exits after blocks 1, 2", "one for all"]),
    ({"stages": STAGES, "thresholds": 0.5}, None, ["no measured answers", "quality: {model: bundled}"]),
    ({"stages": STAGES, "exit_rule": "entropy"}, None, ["exit_rule: entropy", "leave 'exit_rule' out"]),
    ({"stages": STAGES, "exit_rule": "channel-aware"}, None, ["channel-aware", "quality"]),
    ({"stages": STAGES, "caches": "propagate"}, None, ["caches: propagate", "leave 'caches' out"]),
    ({"stages": STAGES, "exit_rule": "entropy"}, SAID, ["have no entropies"]),
]


@pytest.mark.parametrize(("options", "said", "words"), PLACED)
def test_what_does_not_fit_a_world_gets_one_sentence(
    options: dict[str, object], said: ExitRecords | None, words: list[str]
) -> None:
    there = city([[0.1]] * 3, 1, exits=said)
    with pytest.raises(PlacementError) as caught:
        EarlyExit.model_validate(options).place(there.model, Fleet.of(there))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_cuts_past_all_exits_are_no_silent_mistake() -> None:
    there = city([[0.1]] * 4, 1, exits=ExitRecords((2, 4), SAID.confidence[:, :2], SAID.is_correct[:, :2]))
    options: dict[str, object] = {"stages": [["s1"], ["s2"]], "cuts": [3]}
    with pytest.raises(
        PlacementError, match=r"after any of the cuts \(3\); measured exits are after blocks 2"
    ):
        EarlyExit.model_validate(options).place(there.model, Fleet.of(there))
    placed = EarlyExit.model_validate(options | {"thresholds": "none"}).place(there.model, Fleet.of(there))
    assert placed.thresholds == (None,)


def test_a_switch_is_no_server() -> None:
    there = city([[0.1]] * 2, 1)
    switch = there.devices["s2-0"]
    assert switch.timing is not None
    made = replace(there, devices=there.devices | {"s2-0": replace(switch, timing=None)})
    with pytest.raises(PlacementError, match="stage 2: 's2-0' is a switch and computes nothing"):
        EarlyExit(stages=(("s1",), ("s2-0",))).place(made.model, Fleet.of(made))


# --- thresholds that were measured with propagated caches -------------------------------------------------

GRID = [(0.3, 0.6), (0.3, np.inf), (0.9, 0.9)]


def generating(rules: list[tuple[float, ...]]) -> World:
    there = city([[0.1]] * 3, 1, rate_hz=0.05, exits=SAID, tuning_exits=SAID)
    n = SAID.n_tokens
    said = {
        ExitRule(rule): ExitOutputs(
            SAID.leave(confidence=rule), np.ones(n), np.zeros(n), np.ones(n, dtype=np.bool_)
        )
        for rule in rules
    }
    asked = replace(there.workload, output_tokens=Fixed(4))
    return replace(there, workload=asked, paths=PropagatedPaths(SAID.blocks, said))


@pytest.mark.parametrize("offloading", ["dto-ee", "optimum", "cf", "ga"])
@pytest.mark.parametrize("exchange", ["1 ms", "1000 s"])
def test_thresholds_are_sought_among_those_measured(offloading: str, exchange: str) -> None:
    """Errors that cost nothing let the most leave; errors that cost all let them go on to where all is right.

    With these records an exit that is met is right, and the last is right nine times in ten.
    """
    there = generating(GRID)
    strategy = EarlyExit.model_validate(
        {
            "stages": STAGES,
            "caches": "propagate",
            "offloading": offloading,
            "exchange": exchange,
            "evaluations": 60,
        }
    )
    placed = strategy.place(there.model, Fleet.of(there))
    assert placed.thresholds in [*GRID, (np.inf, np.inf)]
    if exchange == "1 ms":
        assert placed.thresholds in [(0.3, 0.6), (0.9, 0.9)]
    if placed.rule is not None:
        assert placed.rule in {ExitRule(rule) for rule in GRID}


def test_thresholds_off_the_measured_grid_are_refused_with_the_nearest() -> None:
    there = generating(GRID)
    asked = EarlyExit.model_validate({"stages": STAGES, "caches": "propagate", "thresholds": [0.35, 0.6]})
    with pytest.raises(PlacementError, match=r"nearest are \[0\.3, 0\.6\].*caches: recompute"):
        asked.place(there.model, Fleet.of(there))
    never = EarlyExit.model_validate({"stages": STAGES, "caches": "propagate", "thresholds": "never"})
    assert never.place(there.model, Fleet.of(there)).rule is None


def test_fewer_stages_than_exits_take_rules_that_leave_the_others_closed() -> None:
    """One cut after block 1: of the grid the rule that never leaves after block 2."""
    there = generating(GRID)
    two: dict[str, object] = {"stages": [["s1"], ["s2"]], "cuts": [1], "caches": "propagate"}
    placed = EarlyExit.model_validate(two | {"exchange": "1 ms"}).place(there.model, Fleet.of(there))
    assert placed.rule == ExitRule((0.3, np.inf))
    closed = generating([(0.9, 0.9)])
    with pytest.raises(PlacementError, match=r"1 of 2 measured exits.*make 3 stages with 'cuts: \[1, 2\]'"):
        EarlyExit.model_validate(two).place(closed.model, Fleet.of(closed))
