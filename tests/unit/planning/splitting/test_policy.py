"""Trained policies: against a loop over neurons, and kept to the byte."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgesim.errors import InputError
from edgesim.planning.splitting.encoding import Encoding
from edgesim.planning.splitting.policy import Policy, PolicyRecord


def policy(activation: str = "tanh", scores: str = "logits", seed: int = 0) -> Policy:
    rng = np.random.default_rng(seed)
    encoding = Encoding(np.array([0.0, 1.0]), np.array([0.3, 7.0]), (1, 7))
    widths = (encoding.n_inputs, 5, 4, 3)
    layers = tuple(
        (rng.normal(size=(n_out, n_in)).astype(np.float32), rng.normal(size=n_out).astype(np.float32))
        for n_in, n_out in pairwise(widths)
    )
    record = PolicyRecord(
        algorithm="ppo",
        preset="published",
        seed=3,
        n_steps=240_000,
        actions="absolute",
        first_split=1,
        n_splits=3,
        observations=("loss", "split"),
        trained_on="abc",
        more={"note": "übrig"},
    )
    return Policy(encoding=encoding, layers=layers, activation=activation, scores=scores, record=record)  # type: ignore[arg-type]


def slow_scores(it: Policy, seen: list[float]) -> list[float]:
    """Neuron by neuron, in plain Python."""
    loss, split = float(np.float32(seen[0])), float(np.float32(seen[1]))
    state = [2 * min(max(loss / 0.3, 0.0), 1.0) - 1]
    state += [max(0.0, 1 - abs(min(max(split, 1.0), 7.0) - knot)) for knot in range(1, 8)]
    for place, (weight, bias) in enumerate(it.layers):
        if place:
            state = [math.tanh(x) if it.activation == "tanh" else max(x, 0.0) for x in state]
        state = [
            sum(float(w) * x for w, x in zip(row, state, strict=True)) + float(b)
            for row, b in zip(weight, bias, strict=True)
        ]
    return state


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("seen", [[0.1, 3.0], [0.0, 1.0], [0.5, 9.0], [0.25, 4.5]])
def test_scores_are_those_of_a_loop_over_neurons(activation: str, seen: list[float]) -> None:
    it = policy(activation)
    slow = slow_scores(it, seen)
    np.testing.assert_allclose(it.scored(seen), slow, rtol=1e-12, atol=1e-12)
    assert it.act(seen) == max(range(3), key=lambda action: slow[action])
    powers = [math.exp(each) for each in slow]
    np.testing.assert_allclose(it.probabilities(seen), np.array(powers) / sum(powers), rtol=1e-10)


def test_many_observations_are_acted_on_as_one_by_one() -> None:
    it = policy()
    many = np.random.default_rng(1).uniform([0, 1], [0.3, 7], size=(50, 2))
    assert it.acts(many).tolist() == [it.act(seen) for seen in many]


def test_what_is_not_allowed_is_never_chosen_and_has_no_probability() -> None:
    it = policy()
    best = it.act([0.1, 3.0])
    allowed = [action != best for action in range(3)]
    assert it.act([0.1, 3.0], allowed) != best
    shares = it.probabilities([0.1, 3.0], allowed)
    assert shares[best] == 0
    assert shares.sum() == pytest.approx(1.0)
    free = it.probabilities([0.1, 3.0])
    np.testing.assert_allclose(shares[allowed], free[allowed] / free[allowed].sum())


def test_expected_returns_leave_nothing_to_chance() -> None:
    it = policy(scores="returns")
    assert sorted(it.probabilities([0.1, 3.0])) == [0, 0, 1]
    assert it.probabilities([0.1, 3.0])[it.act([0.1, 3.0])] == 1


def test_a_file_gives_the_policy_back_to_the_bit_and_has_no_pickle(tmp_path: Path) -> None:
    it = policy()
    it.save(tmp_path / "a.safetensors")
    back = Policy.load(tmp_path / "a.safetensors")
    assert back.record == it.record
    assert (back.activation, back.scores, back.encoding.knots) == (
        it.activation,
        it.scores,
        it.encoding.knots,
    )
    seen = np.random.default_rng(2).uniform([0, 1], [0.3, 7], size=(20, 2))
    assert np.array_equal(back.scored(seen), it.scored(seen))
    back.save(tmp_path / "b.safetensors")
    kept = (tmp_path / "a.safetensors").read_bytes()
    assert kept == (tmp_path / "b.safetensors").read_bytes()
    n_header = int.from_bytes(kept[:8], "little")
    header = json.loads(kept[8 : 8 + n_header])  # the format's own definition: JSON, then plain numbers
    assert all(isinstance(value, dict) for value in header.values())


def test_files_that_are_no_policy_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(InputError, match=r"x\.safetensors: no policy can be read"):
        Policy.load(path)
    path.write_bytes(b"no tensors at all")
    with pytest.raises(InputError, match="no policy can be read"):
        Policy.load(path)
    save_file({"low": np.zeros(2)}, path)
    with pytest.raises(InputError, match="no policy of version 1"):
        Policy.load(path)
    for told in ("[1]", '{"version": 9}', "not json"):
        save_file({"low": np.zeros(2)}, path, {"edgesim_policy": told})
        with pytest.raises(InputError, match="train it again"):
            Policy.load(path)
    save_file({"low": np.zeros(2)}, path, {"edgesim_policy": '{"version": 1, "record": {}}'})
    with pytest.raises(InputError, match="a damaged policy"):
        Policy.load(path)
    save_file({"low": np.zeros(2)}, path, {"edgesim_policy": '{"version": 1, "record": 3}'})
    with pytest.raises(InputError, match="a damaged policy"):
        Policy.load(path)


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    policy().save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="no policy can be read"):
        Policy.load(path)


@pytest.mark.parametrize(
    ("seen", "allowed", "match"),
    [
        ([0.1], None, "2 finite numbers"),
        ([0.1, math.nan], None, "2 finite numbers"),
        ([0.1, 3.0], [True], "3 flags"),
        ([0.1, 3.0], [False] * 3, "at least one true"),
    ],
)
def test_what_it_cannot_act_on_is_refused(seen: list[float], allowed: list[bool] | None, match: str) -> None:
    with pytest.raises(InputError, match=match):
        policy().act(seen, allowed)


def test_layers_that_do_not_fit_are_refused() -> None:
    encoding = Encoding(np.zeros(1), np.ones(1), (1,))
    with pytest.raises(InputError, match="layer 0 has weights"):
        Policy(encoding=encoding, layers=((np.zeros((2, 3)), np.zeros(2)),))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not finite"):
        Policy(encoding=encoding, layers=((np.full((2, 1), np.nan), np.zeros(2)),))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no layers"):
        Policy(encoding=encoding, layers=())
    with pytest.raises(InputError, match="increasing"):
        Encoding(np.ones(1), np.zeros(1), (1,))


def test_hat_functions_share_a_value_between_its_neighbours() -> None:
    encoding = Encoding(np.array([0.0, -1.0]), np.array([1.0, 1.0]), (5, 0))
    inputs = encoding(np.array([[0.375, 7.0], [2.0, -3.0]]))
    np.testing.assert_allclose(inputs, [[0, 0.5, 0.5, 0, 0, 7.0], [0, 0, 0, 0, 1, -3.0]])
