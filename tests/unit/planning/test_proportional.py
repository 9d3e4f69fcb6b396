"""Blocks in proportion to memory, against every way of dealing them out."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.errors import PlacementError
from edgesim.planning.proportional import proportional


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_counts_that_fit_come_nearer_to_the_shares(data: st.DataObject) -> None:
    n_devices, n_blocks = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 8))
    free = data.draw(st.lists(st.integers(0, 50), min_size=n_devices, max_size=n_devices))
    most = [min(n_blocks, data.draw(st.integers(0, 8))) if n_bytes else 0 for n_bytes in free]
    every = [c for c in product(*(range(m + 1) for m in most)) if sum(c) == n_blocks]
    if not every:
        with pytest.raises(PlacementError, match="room for"):
            proportional(n_blocks, free, most)
        return

    def distance(counts: tuple[int, ...]) -> int:
        return sum((n_blocks * n_bytes - n * sum(free)) ** 2 for n, n_bytes in zip(counts, free, strict=True))

    found = proportional(n_blocks, free, most)
    assert found in every
    assert distance(found) == min(map(distance, every))


def test_shares_that_divide_are_given_to_the_letter() -> None:
    assert proportional(12, [32, 32, 16, 16], [12] * 4) == (4, 4, 2, 2)


def test_what_a_full_device_cannot_take_goes_to_the_others() -> None:
    # exo's rounding would give 7 of 10 blocks to a device that holds 6.
    assert proportional(10, [68, 16, 16], [6, 8, 8]) == (6, 2, 2)


def test_a_tie_goes_to_the_device_named_first() -> None:
    assert proportional(3, [10, 10], [3, 3]) == (2, 1)
