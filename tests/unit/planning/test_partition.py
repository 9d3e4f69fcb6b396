"""Block counts per stage: even shares, and MDI-LLM's published table and its rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.errors import PlacementError
from edgesim.planning import partition
from edgesim.planning.partition import MDI_STARTER_BLOCKS, even, mdi

# Typed from the paper's repository a second time: (blocks, stages) -> starter + secondaries.
PUBLISHED = """
5: 2+3 1+2+2
7: 3+4 1+3+3
9: 4+5 1+4+4
12: 5+7 2+5+5
22: 10+12 6+8+8 4+6+6+6 2+5+5+5+5
24: 10+14 4+10+10
32: 14+18 8+12+12 5+9+9+9 4+7+7+7+7
36: 16+20 10+13+13
48: 22+26 14+17+17
"""
TABLE = {
    (int(n_blocks), len(shares)): shares
    for n_blocks, columns in (line.split(":") for line in PUBLISHED.strip().splitlines())
    for shares in (tuple(map(int, column.split("+"))) for column in columns.split())
}
SIZES = st.integers(1, 120).flatmap(lambda n_blocks: st.tuples(st.just(n_blocks), st.integers(1, n_blocks)))


@pytest.mark.parametrize(("size", "shares"), TABLE.items(), ids=str)
def test_mdi_is_the_published_table(size: tuple[int, int], shares: tuple[int, ...]) -> None:
    assert mdi(*size) == shares


def test_the_table_holds_no_other_entry() -> None:
    stored = {(n_blocks, n_stages) for n_blocks, row in MDI_STARTER_BLOCKS.items() for n_stages in row}
    assert stored == set(TABLE)


def test_one_stage_holds_everything() -> None:
    assert mdi(22, 1) == even(22, 1) == (22,)


def test_the_rule_comes_as_close_to_the_table_as_documented() -> None:
    misses = [
        partition._starter_by_rule(n_blocks, n_stages) - shares[0]
        for (n_blocks, n_stages), shares in TABLE.items()
    ]
    assert len(misses) == 22
    assert misses.count(0) == 14
    assert sorted(map(abs, misses))[-2:] == [1, 2]


def test_no_other_starter_load_meets_more_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    def n_met(load_blocks: float) -> int:
        monkeypatch.setattr(partition, "MDI_STARTER_LOAD_BLOCKS", load_blocks)
        return sum(partition._starter_by_rule(*size) == shares[0] for size, shares in TABLE.items())

    chosen = partition.MDI_STARTER_LOAD_BLOCKS
    assert max(n_met(quarters / 4) for quarters in range(33)) == n_met(chosen)


@given(SIZES)
def test_every_block_is_placed_once_and_no_stage_is_empty(size: tuple[int, int]) -> None:
    for shares in (even(*size), mdi(*size)):
        assert (sum(shares), len(shares)) == size
        assert min(shares) >= 1


@given(SIZES)
def test_even_shares_differ_by_at_most_one_block_larger_first(size: tuple[int, int]) -> None:
    shares = even(*size)
    assert max(shares) - min(shares) <= 1
    assert list(shares) == sorted(shares, reverse=True)


@given(SIZES)
def test_mdi_secondaries_are_equal_up_to_one_block(size: tuple[int, int]) -> None:
    secondaries = mdi(*size)[1:] or (0,)
    assert max(secondaries) - min(secondaries) <= 1


@pytest.mark.parametrize("n_stages", [0, -1, 6])
@pytest.mark.parametrize("share", [even, mdi])
def test_more_stages_than_blocks_or_none_is_refused(share, n_stages: int) -> None:
    with pytest.raises(PlacementError, match=f"{n_stages} stages for 5 blocks"):
        share(5, n_stages)
