"""Tensor shards: what each holds, which there are, and what they compute together."""

from __future__ import annotations

import pytest
from small_models import SMALL

from edgesim.errors import InputError
from edgesim.model.architecture import Architecture, Component, Slice
from edgesim.model.families import FAMILIES


def small(family: str = "llama", **changes: object) -> Architecture:
    return Architecture.from_config(SMALL[family] | changes, name="small", dtype="float16")


def replicated(model: Architecture) -> int:
    """Parameters of a block that every shard holds: normalisations, and the biases of what is summed."""
    _, in_attention, in_mlp, _ = model.norms
    biases = model.hidden_size * (model.out_bias + model.mlp_bias)
    return in_attention + in_mlp + model.qk_norm + biases


@pytest.mark.parametrize("family", FAMILIES)
def test_shards_hold_each_divided_weight_once(family: str) -> None:
    model = small(family)
    shard = model.shard(2)  # of two KV heads, so that none is replicated
    whole, part = (m.component_parameters(Component.BLOCK) for m in (model, shard))

    assert 2 * (part - replicated(model)) == whole - replicated(model)
    assert 2 * shard.kv_bytes_per_token(3) == model.kv_bytes_per_token(3)


def test_beyond_the_kv_heads_a_kv_head_is_held_by_several_shards() -> None:
    model = small()
    shard = model.shard(8)
    head_weights = model.hidden_size * model.head_dim

    assert (shard.n_heads, shard.n_kv_heads) == (1, 1)
    assert 8 * shard.kv_bytes_per_token() == 4 * model.kv_bytes_per_token()
    # Two KV heads are held four times instead of once: three more keys and values of each.
    extra = 8 * shard.weight_bytes(Slice(0, 1)) - model.weight_bytes(Slice(0, 1))
    assert extra == 2 * (2 * 3 * 2 * head_weights + 7 * replicated(model))


def test_the_ends_of_a_model_are_not_divided() -> None:
    model = small()
    for component in (Component.EMBEDDING, Component.HEAD):
        assert model.shard(4).component_parameters(component) == model.component_parameters(component)


@pytest.mark.parametrize("family", FAMILIES)
def test_shards_together_compute_what_the_whole_computes(family: str) -> None:
    model = small(family)
    for n_shards in (2, 4, 8):
        shard = model.shard(n_shards)
        for half in (Component.ATTENTION, Component.MLP):
            whole, part = (m.work(half, batch=2, n_new=5, n_context=0) for m in (model, shard))
            n_copies = max(1, n_shards // model.n_kv_heads) if half is Component.ATTENTION else 1
            # 2 FLOP per weight of the keys and values that several shards compute, per token
            again = (n_copies - 1) * 2 * 10 * model.hidden_size * 2 * model.n_kv_heads * model.head_dim
            assert n_shards * part.flop == whole.flop + again


def test_possible_shards_keep_groups_and_widths_whole() -> None:
    assert small().possible_shards() == (1, 2, 4, 8)
    assert small(num_attention_heads=16, num_key_value_heads=16, head_dim=4).possible_shards() == (
        1,
        2,
        4,
        8,
        16,
    )
    assert small(intermediate_size=162).possible_shards() == (1, 2)
    assert small(hidden_size=60, num_attention_heads=12, num_key_value_heads=3).possible_shards() == (1,)


@pytest.mark.parametrize("n_shards", [3, 5, 16])
def test_a_shard_that_would_cut_a_group_is_refused(n_shards: int) -> None:
    with pytest.raises(InputError, match=f"cannot be cut into {n_shards} .* 8 heads on 2 KV heads"):
        small().shard(n_shards)


def test_a_shard_is_another_model_to_a_digest_and_one_shard_is_the_model_itself() -> None:
    model = small()

    assert model.shard(1) is model
    assert len({model.digest, model.shard(2).digest, model.shard(4).digest}) == 3
    with pytest.raises(ValueError, match="2 shards"):
        model.shard(2).shard(2)
