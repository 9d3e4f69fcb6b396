"""Unequal shards: against equal ones, against exhaustive search, and against counts made by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from small_models import SMALL

from edgesim.errors import InputError, PlacementError
from edgesim.model.architecture import Architecture, Component, Slice
from edgesim.model.families import FAMILIES
from edgesim.model.sharding import interpolate_share, to_heads


def small(family: str = "llama", **changes: object) -> Architecture:
    return Architecture.from_config(SMALL[family] | changes, name="small", dtype="float16")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_shards", [1, 2, 4, 8])
def test_even_shares_are_the_equal_shards_of_the_architecture(family: str, n_shards: int) -> None:
    model = small(family)
    equal = model.shard(n_shards)
    for shard in to_heads([1.0] * n_shards, model):
        assert (shard.n_heads, shard.n_kv_heads, shard.n_columns) == (
            equal.n_heads,
            equal.n_kv_heads,
            equal.mlp_size,
        )
        assert shard.block_parameters == equal.component_parameters(Component.BLOCK)
        assert shard.kv_bytes_per_token(3) == equal.kv_bytes_per_token(3)
        for part in (Slice(0, 3), equal.whole):
            # Tied ends count once in both: they belong to a device entire.
            assert shard.weight_bytes(part) == equal.weight_bytes(part)
        assert shard.block_share == pytest.approx(1 / n_shards, rel=1e-15)


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_the_nearest_of_all_that_keep_the_limits(seed: int) -> None:
    generator = np.random.default_rng(seed)
    model = small(hidden_size=63, num_attention_heads=9, num_key_value_heads=9, intermediate_size=12)
    shares = generator.dirichlet([1.0] * 3)
    limits = np.clip(shares + generator.uniform(-0.1, 0.4, 3), 0.2, 1.0)
    limits += max(0.0, 1.34 - float(limits.sum())) / 3  # each loses less than a ninth to whole numbers
    least = int(generator.integers(2))

    def best(n_pieces: int) -> float:
        most = np.floor(limits * n_pieces + 1e-9)
        return min(
            float(np.sum((np.array(counts) - shares * n_pieces) ** 2))
            for counts in product(range(least, n_pieces + 1), repeat=3)
            if sum(counts) == n_pieces and np.all(np.array(counts) <= most)
        )

    got = to_heads(list(shares), model, at_most=list(limits), may_be_empty=not least)
    for counts, n_pieces in (([s.n_heads for s in got], 9), ([s.n_columns for s in got], 12)):
        assert sum(counts) == n_pieces
        assert np.all(np.array(counts) <= limits * n_pieces + 1e-9)
        distance = float(np.sum((np.array(counts) - shares * n_pieces) ** 2))
        assert distance == pytest.approx(best(n_pieces), rel=1e-12, abs=1e-12)


def test_a_group_is_spread_only_where_there_are_more_devices_than_kv_heads() -> None:
    model = small()  # 8 heads on 2 KV heads
    whole_groups = to_heads([0.7, 0.3], model)
    assert [(s.n_heads, s.n_kv_heads) for s in whole_groups] == [(4, 1), (4, 1)]

    # Halves of groups, 4 of them, for three devices: the first holds one group entire.
    spread = to_heads([0.5, 0.3, 0.2], model)
    assert [(s.n_heads, s.n_kv_heads) for s in spread] == [(4, 1), (2, 1), (2, 1)]
    # The middle one straddles both groups, and so keeps both KV heads.
    straddling = to_heads([0.25, 0.5, 0.25], model)
    assert [(s.n_heads, s.n_kv_heads) for s in straddling] == [(2, 1), (4, 2), (2, 1)]


def test_together_shards_hold_each_divided_weight_once_however_unequal() -> None:
    model = small(num_attention_heads=8, num_key_value_heads=8)
    _, in_attention, in_mlp, _ = model.norms
    shards = to_heads([5, 2, 1], model)
    again = 2 * (in_attention + in_mlp)  # normalisations are held by all three

    assert [s.n_heads for s in shards] == [5, 2, 1]
    assert sum(s.block_parameters for s in shards) - again == model.component_parameters(Component.BLOCK)
    assert sum(s.kv_bytes_per_token() for s in shards) == model.kv_bytes_per_token()
    assert sum(s.block_share for s in shards) == pytest.approx(1.0, rel=1e-15)


def test_a_share_of_nothing_holds_nothing_and_a_small_one_only_where_it_may() -> None:
    model = small()
    nothing = to_heads([1.0, 0.0], model)[1]
    assert nothing.is_empty
    assert nothing.weight_bytes(Slice(0, 3)) == nothing.kv_bytes_per_token(3) == 0
    assert not to_heads([1.0, 1e-6], model)[1].is_empty
    assert to_heads([1.0, 1e-6], model, may_be_empty=True)[1].is_empty


def test_columns_come_in_the_multiples_asked_for() -> None:
    shards = to_heads([0.55, 0.45], small(), column_multiple=32)
    assert [s.n_columns for s in shards] == [96, 64]


def test_quantised_weights_are_counted_in_their_own_bytes() -> None:
    model = small()
    plain, quantised = (to_heads([3, 1], m)[0] for m in (model, model.quantised(0.5625)))
    assert quantised.weight_bytes(Slice(0, 4)) == pytest.approx(
        plain.weight_bytes(Slice(0, 4)) * 0.5625 / 2, abs=1
    )
    assert quantised.kv_bytes_per_token() == plain.kv_bytes_per_token()


def test_what_cannot_be_cut_is_refused_with_a_remedy() -> None:
    model = small()
    with pytest.raises(PlacementError, match=r"groups of heads: 2 of them .* can take at most 1, 0"):
        to_heads([1, 1], model, at_most=[0.5, 0.4])
    with pytest.raises(InputError, match="8 heads for 9 devices"):
        to_heads([1] * 9, model)
    with pytest.raises(InputError, match="expected numbers of at least 0"):
        to_heads([1, -1], model)
    with pytest.raises(InputError, match="in multiples of 33"):
        to_heads([1, 1], model, column_multiple=33)


MEASURED = (1, 2, 4, 8)


@pytest.mark.parametrize("n_shards", MEASURED)
def test_a_measured_share_is_read_alone(n_shards: int) -> None:
    assert interpolate_share(1 / n_shards, MEASURED) == ((n_shards, 1.0),)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.15, 0.3, 0.7, 0.99])
def test_overhead_and_work_are_met_exactly_at_any_share(share: float) -> None:
    weights = interpolate_share(share, MEASURED)
    assert sum(weight for _, weight in weights) == pytest.approx(1.0, rel=1e-14)
    told = sum(weight * (3.0 + 5.0 / n_shards) for n_shards, weight in weights)
    assert told == pytest.approx(3.0 + 5.0 * share, rel=1e-14)


def test_the_neighbours_are_read_and_no_others() -> None:
    assert [n for n, _ in interpolate_share(0.3, MEASURED)] == [2, 4]
    assert [n for n, _ in interpolate_share(0.05, MEASURED)] == [4, 8]


@pytest.mark.parametrize(
    ("share", "measured"), [(0.5, (1,)), (0.9, (2, 4)), (0.0, MEASURED), (1.2, MEASURED)]
)
def test_a_share_that_nothing_measured_tells_is_refused(share: float, measured: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected"):
        interpolate_share(share, measured)
