"""What keys and values alone cost, against counts by hand and bounds that must hold."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from miniature import model as miniature

from edgesim.engine.device.price import Price
from edgesim.errors import ProfileError
from edgesim.model.architecture import Architecture, Component, Slice
from edgesim.model.ceilings import Ceilings
from edgesim.model.fill_timing import FillTiming, fill_share
from edgesim.model.profile import Profile
from edgesim.model.scaling import AnalyticTiming

BLOCKS = Slice(3, 7)


def grouped() -> Architecture:
    """32 query heads of 64 on 4 KV heads."""
    return Architecture.from_config(
        {
            "model_type": "llama",
            "hidden_size": 2048,
            "intermediate_size": 5632,
            "num_hidden_layers": 22,
            "num_attention_heads": 32,
            "num_key_value_heads": 4,
            "vocab_size": 32000,
            "max_position_embeddings": 2048,
        },
        name="grouped",
        dtype="float16",
    )


@pytest.mark.parametrize("n_tokens", [1, 7, 400])
@pytest.mark.parametrize(("flop_per_s", "bytes_per_s"), [(1e12, 1e18), (1e18, 1e9), (1e12, 1e11)])
def test_a_roofline_without_overhead_takes_no_longer_for_keys_and_values_alone(
    n_tokens: int, flop_per_s: float, bytes_per_s: float
) -> None:
    """The share is a bound: never below the roofline of the projections' own FLOP and bytes."""
    model = grouped()
    timing = AnalyticTiming(model, Ceilings(flop_per_s, bytes_per_s, 0.0))
    seconds = float(FillTiming(timing, model).seconds(BLOCKS, batch=1, n_new=n_tokens, n_context=0))
    flop = 2 * n_tokens * 2048 * 512  # keys and values, of 4 heads of 64 each
    moved_bytes = 2 * (2048 * 512 + n_tokens * (2048 + 512))
    own_s = 4 * max(flop / flop_per_s, moved_bytes / bytes_per_s)
    whole_s = float(timing.seconds(BLOCKS, batch=1, n_new=n_tokens, n_context=0))
    assert own_s * (1 - 1e-9) <= seconds < whole_s / 4


def test_where_arithmetic_decides_it_is_the_projections_share_of_it() -> None:
    model = grouped()
    timing = AnalyticTiming(model, Ceilings(1e12, 1e30, 0.0))
    n = 64
    seconds = float(FillTiming(timing, model).seconds(Slice(0, 1), batch=1, n_new=n, n_context=0))
    flop_share = 512 / (2 * 2048 + 512 + 2048 * (n + 1) / 2048)
    bytes_share = fill_share(model, Component.ATTENTION, batch=1, n_new=n, n_context=0)
    attention_s = float(timing.component_seconds(Component.ATTENTION, batch=1, n_new=n, n_context=0))
    rest_s = float(timing.unsharded_seconds(Component.ATTENTION, batch=1, n_new=n, n_context=0))
    assert seconds == pytest.approx(rest_s + max(flop_share, bytes_share) * (attention_s - rest_s))


def test_overhead_that_does_not_shrink_is_paid_entire() -> None:
    model = grouped()
    free, costly = (
        FillTiming(AnalyticTiming(model, Ceilings(1e12, 1e30, overhead_s)), model)
        for overhead_s in (0.0, 0.5)
    )
    asked = {"batch": 1, "n_new": 8, "n_context": 0}
    assert float(costly.seconds(BLOCKS, **asked) - free.seconds(BLOCKS, **asked)) == pytest.approx(4 * 0.5)


def shipped() -> Profile:
    folder = resources.files("edgesim") / "data" / "profiles"
    return Profile.load(Path(str(folder)) / "tinyllama-1.1b-float32-epyc.parquet")


def test_of_a_measured_profile_it_is_a_part_of_its_attention() -> None:
    profile = shipped()
    timing = profile.timing()
    fill = FillTiming(timing, profile.architecture)
    counts = np.array([1, 2, 16, 128])
    seconds = fill.seconds(Slice(0, 1), batch=1, n_new=counts, n_context=0)
    halves = [
        float(timing.component_seconds(Component.ATTENTION, batch=1, n_new=n, n_context=int(n == 1)))
        for n in counts.tolist()
    ]
    assert (seconds > 0).all()
    assert (seconds < halves).all()
    assert fill.origin == "measured"


def test_it_fills_whole_blocks_only() -> None:
    fill = FillTiming(AnalyticTiming(grouped(), Ceilings(1e12, 1e12, 0.0)), grouped())
    for part in (Slice(0, 2, embedding=True), Slice(0, 2, head=True), Slice(2, 2)):
        with pytest.raises(ValueError, match="expected whole blocks"):
            fill.seconds(part, batch=1, n_new=1, n_context=0)


def test_several_tokens_behind_a_context_cost_what_was_measured_of_both() -> None:
    """A profile has prompts from an empty cache and single tokens behind contexts, and nothing between."""
    timing = shipped().timing()
    part = Slice(4, 8)
    with pytest.raises(ProfileError):
        timing.seconds(part, batch=1, n_new=4, n_context=200)
    price = Price(timing, part)
    decode_s = [price.alone(1, n_context) for n_context in (1, 200)]
    chunk_s = price.chunk(200, 4)
    expected_s = max(decode_s[1], price.alone(4, 0) + max(0.0, decode_s[1] - decode_s[0]), chunk_s)
    assert price.alone(4, 200) == expected_s
    assert price.alone(4, 200) >= decode_s[1]


def test_a_timing_of_blocks_alone_is_shared_out_by_work() -> None:
    class Flat:
        origin = "analytic"

        def seconds(self, part, *, batch, n_new, n_context, n_shards=1):
            return 1.0 * part.n_blocks

    model = miniature()
    share = fill_share(model, Component.BLOCK, batch=1, n_new=3, n_context=0)
    seconds = FillTiming(Flat(), model).seconds(Slice(0, 2), batch=1, n_new=np.array([3, 3]), n_context=0)
    assert seconds.tolist() == [2 * share] * 2
    assert 0 < share < 1
