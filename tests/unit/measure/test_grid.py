"""Which calls a grid asks for."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from small_models import GPT2, SMALL

from edgesim.errors import InputError
from edgesim.measure.grid import Grid
from edgesim.model.architecture import Architecture
from edgesim.model.profile import Phase


@pytest.mark.parametrize(("max_new", "max_context"), [(1, 0), (64, 64), (100, 1000), (513, 700)])
def test_it_covers_what_was_asked_and_no_more_than_its_double(max_new: int, max_context: int) -> None:
    grid = Grid.covering(max_new, max_context)

    assert grid.prompts[0] == 1
    assert max_new <= grid.prompts[-1] < 2 * max(max_new, 64)
    assert max_context <= grid.contexts[-1] < 2 * max(max_context, 64)


def test_lengths_that_differ_a_little_share_a_grid() -> None:
    assert Grid.covering(300, 400) == Grid.covering(512, 257)


def test_a_held_out_value_lies_strictly_between_neighbours_of_its_axis() -> None:
    grid = Grid.covering(512, 512)
    for axis, held_out in ((grid.prompts, grid.held_out_prompts), (grid.contexts, grid.held_out_contexts)):
        assert not set(axis) & set(held_out)
        assert sum(any(a < n < b for a, b in pairwise(axis)) for n in held_out) == len(held_out) > 3


def test_every_shape_belongs_to_its_phase() -> None:
    shapes = Grid.covering(64, 64, batches=(1, 4)).shapes()

    assert {s.n_context for s in shapes if s.phase is Phase.PREFILL} == {0}
    assert {s.n_new for s in shapes if s.phase is Phase.DECODE} == {1}
    assert {s.batch for s in shapes if s.phase is Phase.DECODE} == {1, 4}
    assert {s.batch for s in shapes if s.phase is Phase.PREFILL} == {1}
    assert len({replace(s, held_out=False) for s in shapes}) == len(shapes)


def test_prompts_are_measured_in_batches_only_where_that_is_asked() -> None:
    """Eight prompts of 256 tokens are 2048 tokens, a decoding step of eight requests is eight."""

    def tokens(**batches: tuple[int, ...]) -> int:
        return sum(s.batch * s.n_new for s in Grid.covering(256, 512, **batches).shapes())

    n_contexts = sum(s.phase is Phase.DECODE for s in Grid.covering(256, 512).shapes())
    plain, decoding = tokens(), tokens(batches=(1, 2, 4, 8))
    assert decoding - plain == (2 + 4 + 8) * n_contexts
    assert tokens(batches=(1, 2, 4, 8), prefill_batches=(1, 2, 4, 8)) > 10 * plain
    both = Grid.covering(64, 64, batches=(1, 2), prefill_batches=(1, 4))
    assert {s.batch for s in both.step_shapes()} == {1, 2, 4}


def test_all_passes_of_an_encoder_are_prefills_and_take_its_batches() -> None:
    bert = Architecture.from_config(SMALL["bert"], name="small-bert", dtype="float32")
    assert Grid.covering(64, 64, batches=(1, 4)).within(bert).prefill_batches == (1, 4)


def test_it_is_cut_to_the_longest_text_of_the_model() -> None:
    gpt2 = Architecture.from_config(GPT2, name="small-gpt2", dtype="float32")
    grid = Grid.covering(1000, 1000).within(gpt2)

    assert grid.prompts[-1] == gpt2.max_context
    assert grid.contexts[-1] == gpt2.max_context - 1
    assert max(s.n_new + s.n_context for s in grid.shapes()) == gpt2.max_context


def test_an_encoder_has_prompts_only() -> None:
    bert = Architecture.from_config(SMALL["bert"], name="small-bert", dtype="float32")
    grid = Grid.covering(64, 64).within(bert)

    assert {s.phase for s in grid.shapes()} == {Phase.PREFILL}
    assert grid.within(bert) == grid


def test_every_shard_has_the_shapes_of_the_whole_which_is_always_there() -> None:
    grid = Grid.covering(64, 64, shards=(4, 2))
    whole = {replace(s, n_shards=1) for s in grid.shapes()}

    assert grid.shards == (1, 2, 4)
    assert len(grid.shapes()) == 3 * len(whole) == 3 * len(Grid.covering(64, 64).shapes())
    assert {s.n_shards for s in grid.step_shapes()} == {1}


def test_shards_that_the_model_has_not_are_refused() -> None:
    llama = Architecture.from_config(SMALL["llama"], name="small-llama", dtype="float32")
    with pytest.raises(InputError, match=r"cannot be cut into 3 equal tensor shards.*1, 2, 4, 8"):
        Grid.covering(64, 64, shards=(3,)).within(llama)


@pytest.mark.parametrize(
    "asked", [(0, 10, (1,)), (10, -1, (1,)), (10, 10, ()), (10, 10, (0,)), (10, 10, (1,), (0,))]
)
def test_nothing_to_cover_is_refused(asked: tuple[int, int, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="nothing to cover"):
        Grid.covering(*asked)
