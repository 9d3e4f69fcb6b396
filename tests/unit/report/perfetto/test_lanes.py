"""Lanes: nothing overlaps in one, and there are as few as can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.report.perfetto.lanes import lanes_of

INTERVALS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=60)


def columns(intervals: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    ordered = sorted((start, start + length) for start, length in intervals)
    return np.array([s for s, _ in ordered], dtype=np.int64), np.array(
        [e for _, e in ordered], dtype=np.int64
    )


@given(INTERVALS)
@settings(max_examples=300, deadline=None)
def test_lanes_are_disjoint_and_as_few_as_intervals_overlap(intervals: list[tuple[int, int]]) -> None:
    start, end = columns(intervals)
    lanes = lanes_of(start, end)
    end = np.maximum(end, start + 1)
    for lane in np.unique(lanes):
        mine = lanes == lane
        assert (start[mine][1:] >= end[mine][:-1]).all()
    overlapping = [((start <= at) & (end > at)).sum() for at in range(50)]
    assert lanes.max(initial=-1) + 1 == max(overlapping)
    # What begins when nothing else goes on is on the first.
    for number in range(len(start)):
        if (end[:number] <= start[number]).all():
            assert lanes[number] == 0


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_and_one(n: int) -> None:
    start = np.arange(n, dtype=np.int64)
    assert lanes_of(start, start + 5).tolist() == [0] * n


def test_many_of_one_instant() -> None:
    start = np.zeros(1000, dtype=np.int64)
    assert sorted(lanes_of(start, start)) == list(range(1000))
