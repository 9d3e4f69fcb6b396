"""What blocks lack of tokens that left early: groups of positions against positions kept one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgesim.engine.causality.data_locations import Contents, Place, Whereabouts
from edgesim.engine.causality.skipped_positions import (
    SkippedPositions,
    Waiting,
    forward,
    joined,
    lacking,
    states,
    taken_along,
)
from edgesim.model.architecture import Slice

N_BLOCKS, CUTS = 6, (0, 2, 4, 6)


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_positions_kept_one_by_one(seed: int) -> None:
    """Tokens leave after stages at random; what is lacking passes or is filled, and some are taken back."""
    random = np.random.default_rng(seed)
    waiting: Waiting = ()
    level, filled, device = [], [], []  # by position
    for _ in range(40):
        leaves = int(random.choice([2, 4, 6]))
        for first, last in itertools.pairwise(CUTS):
            if first == leaves:
                break
            part, here = Slice(first, last), str(random.integers(2))
            n_lacking = sum(blocks <= first for blocks in filled)
            assert [lacking(waiting, block) for block in (first, last - 1)] == [n_lacking] * 2
            assert all(blocks > first for blocks in filled[: len(filled) - n_lacking])  # the newest lack it
            is_filled = random.random() < 0.5
            for position, blocks in enumerate(filled):
                if blocks == first:
                    filled[position] = last
                    if not is_filled:
                        level[position], device[position] = last, here
            if is_filled:
                waiting = forward(waiting, part, N_BLOCKS)
            else:
                waiting = taken_along(waiting, part, here, N_BLOCKS)
        n_new, n_dropped = int(random.integers(1, 4)), int(random.random() < 0.2)
        waiting = joined(waiting, n_new, leaves if leaves < N_BLOCKS else None, ("0",), n_dropped)
        for of, value in ((level, leaves), (filled, leaves), (device, "0")):
            of += [value] * n_new
            del of[len(of) - n_dropped :]
        spelled = [one[1:3] for one in waiting for _ in range(one.n_positions)]
        assert spelled == [pair for pair in zip(level, filled, strict=True) if pair[1] < N_BLOCKS]
        for name in ("0", "1"):
            assert states(waiting, name, -1) == sum(
                own == name and blocks < N_BLOCKS for own, blocks in zip(device, filled, strict=True)
            )


def test_a_message_brings_what_waits_where_its_token_stands_and_no_more() -> None:
    near, deep = SkippedPositions(3, 2, 2, ("a",)), SkippedPositions(2, 4, 4, ("a",))
    there = Whereabouts(waiting=(deep, near)).put("a", Place(levels=0b100))
    arrived = there.arrived("b", Contents(levels=0b100, waiting_of="a"))
    assert arrived.waiting == (deep, near._replace(devices=("a", "b")))
    assert there.arrived("b", Contents(levels=0b100)).waiting == there.waiting
    assert arrived.without("a").waiting == (deep._replace(devices=()), near._replace(devices=("b",)))


def test_a_token_that_goes_on_behind_the_exit_that_answered_it_waits_where_it_ends() -> None:
    there = Whereabouts().passed("a", Slice(0, 2, embedding=True, head=True), 2, N_BLOCKS, is_part=False)
    left = there.leaving(2)
    asked = {"is_afresh": False, "is_long": False, "n_blocks": N_BLOCKS, "n_before": 5}
    assert left.opened(1, 0, **asked).waiting == (SkippedPositions(5, 2, 2, ("a",)),)
    further = left.passed("b", Slice(2, 4), 4, N_BLOCKS, is_part=False)
    assert further.opened(1, 0, **asked).waiting == (SkippedPositions(5, 4, 4, ("b",)),)
    whole = further.passed("b", Slice(4, 6), 6, N_BLOCKS, is_part=False)
    assert whole.opened(1, 0, **asked).waiting == ()
    assert there.leaving(2, keeps=True).opened(1, 0, **asked).waiting == ()
    assert left.opened(1, 0, **{**asked, "is_afresh": True}).waiting == ()


def test_only_who_took_others_along_has_all_positions() -> None:
    """Both devices had all of blocks 2 and 3; then a token left before them, and passed them on one."""
    group = SkippedPositions(1, 2, 2, ("a", "b"))
    there = Whereabouts(made=0b1111, waiting=(group,))
    there = there.put("a", Place(whole=0b1111)).put("b", Place(whole=0b1100))
    for after in (there.caught_up("a", Slice(2, 4), N_BLOCKS), there.filled("a", Slice(2, 4), N_BLOCKS)):
        assert (after.at("a").whole, after.at("b").whole) == (0b1111, 0)
        assert lacking(after.waiting, 3) == 0
        assert lacking(after.waiting, 4) == 1
