"""Adaptive splitting: what moving the cut takes, by hand; where blocks lie; what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from edgesim import runner
from edgesim.errors import PlacementError
from edgesim.model.architecture import Slice
from edgesim.scenario.build import build_world
from edgesim.scenario.load import load
from edgesim.scenario.timings import timings
from edgesim.strategies.rl_split import RlSplit
from edgesim.strategies.rl_split.losses import Losses
from edgesim.strategies.rl_split.moving import Mover
from edgesim.testing import check_strategy
from edgesim.world.fleet import Fleet

SCENARIO = """
name: moved
seed: 1
horizon: 20 s
model: {architecture: edgesim-tiny, dtype: float32}
profile: analytic
topology:
  devices:
    - {id: phone, kind: phone}
    - {id: edge, kind: jetson-orin-nano}
  links:
    - {between: [phone, edge], wired: {rate: 50 Mbit/s, latency: 5 ms}}
workload: {arrivals: {deterministic: {rate: 0.2 Hz}}, prompt_tokens: 24, output_tokens: 6}
strategies:
  - {use: rl_split, to: edge, policy: random, decide: 2, moving: HOW, splits: [SPLITS]}
"""


def fleet_of(folder: Path) -> Fleet:
    file = folder / "moved.yaml"
    file.write_text(SCENARIO.replace("HOW", "transfer").replace("SPLITS", "1, 3"))
    prepared = runner.prepare(load(file))
    return Fleet.of(build_world(prepared.scenario, 0, timings(prepared.scenario, prepared.profiles)))


@pytest.mark.parametrize("moving", ["transfer", "recompute", "cheaper"])
def test_keeps_the_contract_with_a_cut_that_moves(moving):
    check_strategy(RlSplit(to="server", policy="random", decide="token", moving=moving))


@pytest.mark.parametrize("policy", ["fixed", "greedy", "oracle", "threshold", "bandit"])
def test_keeps_the_contract_with_each_rule(policy):
    check_strategy(RlSplit(to="server", policy=policy))


def test_moves_the_keys_and_values_of_the_blocks_between():
    class Model:
        @staticmethod
        def kv_bytes_per_token(n_blocks):
            return 2 * 3 * 5 * 4 * n_blocks  # key and value, 3 heads of 5, 4 bytes

        @staticmethod
        def activation_bytes(n_tokens):
            return 28 * n_tokens

    mover = Mover(Model, None, "transfer")
    assert mover.cache_bytes(2, 6, 11) == 11 * 4 * 120
    assert mover.cache_bytes(6, 2, 11) == 11 * 4 * 120
    assert mover.state_bytes(2, 11, 4) == 11 * 28
    assert mover.state_bytes(0, 11, 4) == 11 * 4  # ids alone


def test_a_token_counts_at_the_mean_loss_over_all_positions():
    losses = Losses("erasure")
    losses.crossed(4, 8, 0.5)
    losses.crossed(4, 1, 0.0)
    assert losses.level(4) == pytest.approx(4 / 9)
    losses.crossed(6, 1, 1.0)
    assert losses.level(4) == pytest.approx(0.4)
    assert losses.level(6) == pytest.approx(0.1)
    losses.kept(10)
    assert losses.level(4) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "ppo"}, "none of fixed"),
        ({"policy": "bandit", "decide": "token"}, "whole requests"),
        ({"decide": 0}, "greater than or equal to 1"),
        ({"see": ["colour"]}, "colour|literal|see"),
    ],
)
def test_refuses_options_that_make_no_sense(options, message):
    with pytest.raises(ValidationError, match=message):
        RlSplit(to="edge", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "edgy"}, "edgy"),
        ({"splits": (1, 99)}, "split 99"),
        ({"splits": (1, 2), "split": 3}, "none of the allowed"),
        ({"policy": "nowhere.safetensors"}, "no policy file"),
    ],
)
def test_says_what_cannot_be_placed(options, message, tmp_path):
    fleet = fleet_of(tmp_path)
    with pytest.raises(PlacementError, match=message):
        RlSplit(**{"to": "edge", **options}).place(fleet.model, fleet)


def test_both_ends_hold_what_they_may_need(tmp_path):
    fleet = fleet_of(tmp_path)
    placement = RlSplit(to="edge", splits=(1, 3)).place(fleet.model, fleet)
    assert placement.holdings["phone"] == (Slice(0, 3, embedding=True),)
    assert placement.holdings["edge"] == (Slice(1, 4, head=True),)
    assert "2 of 4 blocks" in placement.remark
