"""Adaptive splitting: what moving the cut takes, by hand; where blocks lie; what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from one_phone import one_phone
from policies import always
from pydantic import ValidationError

from edgesim import runner
from edgesim.errors import InputError, PlacementError
from edgesim.gym import DecisionEnv
from edgesim.model.architecture import Slice
from edgesim.planning.splitting.policy import Policy
from edgesim.scenario.build import build_world
from edgesim.scenario.load import load
from edgesim.scenario.timings import timings
from edgesim.strategies.rl_split import RlSplit
from edgesim.strategies.rl_split.losses import Losses
from edgesim.strategies.rl_split.split_moves import Mover
from edgesim.testing import check_strategy
from edgesim.world.fleet import Fleet

SCENARIO = one_phone(
    "{use: rl_split, to: edge, policy: random, decide: 2, moving: transfer, splits: [1, 3]}",
    name="moved",
    horizon="20 s",
    arrivals="deterministic: {rate: 0.2 Hz}",
    prompt=24,
    output=6,
)


def fleet_of(folder: Path) -> Fleet:
    file = folder / "moved.yaml"
    file.write_text(SCENARIO)
    prepared = runner.prepare(load(file))
    return Fleet.of(build_world(prepared.scenario, 0, timings(prepared.scenario, prepared.profiles)))


def trained_for(**provenance: object) -> Policy:
    return always(0, 2, more={"splits": [1, 3], "provenance": provenance})


@pytest.mark.slow
@pytest.mark.parametrize("moving", ["transfer", "recompute", "cheaper"])
def test_keeps_the_contract_with_a_cut_that_moves(moving):
    check_strategy(RlSplit(to="server", policy="random", decide="token", moving=moving))


@pytest.mark.slow
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


def test_losses_are_cleared_once_all_blocks_have_recomputed():
    losses = Losses("erasure")
    losses.crossed(4, 8, 0.5)
    losses.recomputed()
    losses.kept(1)
    assert losses.level(4) == 0.0
    losses.crossed(4, 1, 1.0)
    assert losses.level(4) == pytest.approx(0.1)  # of ten positions, nine are whole


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
        ({"policy": "nowhere.safetensors"}, "no policy file nowhere.safetensors; train one"),
        ({"policy": "shipped:nothing"}, "no policy 'nothing' ships"),
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


@pytest.mark.parametrize(
    ("policy", "options", "message"),
    [
        (always(0, 2), {}, None),
        (always(0, 2, more={"splits": [1, 3]}), {}, None),
        (always(0, 2, ("edge_requests", "loss", "battery")), {"see": "published"}, None),
        (always(0, 2, more={"splits": [1, 2]}), {}, "trained for splits 1, 2, but the allowed ones are 1, 3"),
        (always(0, 5, more={"splits": [1, 2, 3, 4, 5]}), {}, "among 5 actions, but there are 2"),
        (always(0, 2, ("loss", "colour")), {}, "uses 'colour'"),
        (always(0, 2, actions="relative"), {}, "actions: relative"),
        (
            always(0, 2, first_split=1, n_splits=2),
            {},
            "trained for splits 1, 2, but the allowed ones are 1, 3",
        ),
        (trained_for(decision="server"), {}, "trained for the decision 'server'"),
        (trained_for(model={"name": "deep", "n_blocks": 22}), {}, "a model of 22 blocks, but this one has 4"),
        (trained_for(model="deep", decision="split"), {}, None),
    ],
)
def test_holds_a_policy_to_what_it_decides(policy, options, message, tmp_path):
    fleet = fleet_of(tmp_path)
    policy.save(tmp_path / "it.safetensors")
    strategy = RlSplit(to="edge", splits=(1, 3), policy=str(tmp_path / "it.safetensors"), **options)
    if message is None:
        strategy.place(fleet.model, fleet)
        return
    with pytest.raises(InputError, match=message):
        strategy.place(fleet.model, fleet)


@pytest.mark.parametrize(
    ("policy", "options", "remark"),
    [
        (trained_for(strategy={"options": {"lost": "packets"}}), {}, "lost: 'packets' (here 'elements')"),
        (trained_for(strategy={"options": {"lost": "packets"}}), {"lost": "packets"}, ""),
        (trained_for(strategy={"options": {"decide": "token"}}), {}, "decide: 'token' (here 'request')"),
        (trained_for(strategy={"options": {"decide": 4}}), {"decide": 4}, ""),
        (trained_for(utility={"latency_per_s": 1.0, "failure": 3.0}), {}, "latency_per_s 1 (here 0)"),
        (trained_for(utility={"latency_per_s": 1.0}), {"utility": {"latency_per_s": 1.0}}, ""),
        (trained_for(utility={"latency_per_s": "much"}, strategy=3), {}, ""),
        (always(0, 2), {}, "does not record for which splits it was trained"),
    ],
)
def test_says_what_a_policy_was_trained_for_that_is_otherwise_here(policy, options, remark, tmp_path):
    fleet = fleet_of(tmp_path)
    policy.save(tmp_path / "it.safetensors")
    strategy = RlSplit(to="edge", splits=(1, 3), policy=str(tmp_path / "it.safetensors"), **options)
    said = strategy.place(fleet.model, fleet).remark
    assert remark in said
    assert ("edgesim train" in said) is bool(remark)


def test_a_policy_is_given_what_it_names_in_its_own_order(tmp_path, monkeypatch):
    """Whatever `see` says: the policy was trained on these numbers in this order."""
    fleet_of(tmp_path)
    given = []
    monkeypatch.setattr(Policy, "act", lambda self, seen, allowed=None: given.append(seen) or 1)
    always(1, 2, ("context", "split", "edge_requests")).save(tmp_path / "it.safetensors")
    scenario = load(tmp_path / "moved.yaml", [f"strategies[0].policy={tmp_path / 'it.safetensors'}"])
    runner.run(runner.prepare(scenario), tmp_path / "trace")
    assert [seen[0] for seen in given[:3]] == [24.0, 26.0, 28.0]  # the prompt, and two tokens more each time
    assert [seen[1] for seen in given[:2]] == [3.0, 3.0]
    assert {seen[2] for seen in given} == {1.0}


def test_training_says_the_same_whichever_policy_is_in_force(tmp_path):
    fleet = fleet_of(tmp_path)
    told = []
    rules = {"trained": {}, "greedy": {}, "threshold": {"threshold": 0.3}, "fixed": {"split": 3}}
    for policy, rest in rules.items():
        strategy = RlSplit(to="edge", splits=(1, 3), see="all", policy=policy, **rest)
        assert rest.keys() <= strategy.options_beside_training
        assert strategy.needs_training is (policy == "trained")
        told.append(strategy.training(strategy.place(fleet.model, fleet), fleet.model, fleet).facts())
        assert not strategy.with_policy(tmp_path / "it.safetensors").needs_training
    assert all(each == told[0] for each in told)


def test_load_is_that_of_the_cut_that_an_action_leads_to(tmp_path):
    fleet = fleet_of(tmp_path)  # four blocks
    options = {"to": "edge", "splits": (1, 2, 4), "utility": {"load": 1.0}}
    absolute = RlSplit(**options)
    load_of = absolute.training(absolute.place(fleet.model, fleet), fleet.model, fleet).load_of
    assert [load_of((0.0, 1.0), action) for action in range(3)] == [0.25, 0.5, 1.0]
    relative = RlSplit(actions="relative", **options)
    load_of = relative.training(relative.place(fleet.model, fleet), fleet.model, fleet).load_of
    assert [load_of((0.0, 2.0), action) for action in range(3)] == [
        0.5,
        0.25,
        1.0,
    ]  # stay, one less, one more


@pytest.mark.parametrize("actions", ["absolute", "relative"])
def test_what_rules_decide_has_no_part_in_the_episodes_that_others_decide(actions, tmp_path):
    """In the place of a fixed cut the first decision is as in the place of any other rule."""
    fleet_of(tmp_path)
    seen = []
    for rule in ("policy=fixed", "policy=threshold"):
        settings = [
            f"strategies[0].{each}" for each in (rule, "split=1", f"actions={actions}", "splits=[1, 2, 3]")
        ]
        env = DecisionEnv(
            load(tmp_path / "moved.yaml", settings),
            strategy="rl_split",
            decision="split",
            reward=lambda _: 0.0,
        )
        seen.append(env.reset(options={"replication": 0})[0].tolist())
    assert seen[0] == seen[1] == [0.0, 2.0]
