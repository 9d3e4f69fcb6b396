"""Two bisections against conditions that are known."""

from __future__ import annotations

import pytest

from edgesim.sweep.bracket import Bracket, Verdict


def searched(lowest: float, highest: float, meets_to: float, misses_from: float, resolution: float = 0.01):
    bracket, n_looks = Bracket(lowest, highest, resolution), 0
    while values := bracket.next():
        for value in values:
            n_looks += 1
            bracket.verdicts[value] = (
                Verdict.MEETS
                if value <= meets_to
                else Verdict.MISSES
                if value >= misses_from
                else Verdict.OPEN
            )
    return bracket, n_looks


@pytest.mark.parametrize(("meets_to", "misses_from"), [(3.0, 3.0), (3.0, 4.0), (0.11, 9.9), (7.77, 7.78)])
def test_the_ends_are_within_the_resolution_of_where_the_verdicts_change(meets_to, misses_from) -> None:
    bracket, n_looks = searched(0.1, 10.0, meets_to, misses_from)
    assert bracket.low is not None
    assert bracket.high is not None
    assert bracket.low <= meets_to
    assert bracket.high >= misses_from
    # An end is next to a look that was judged otherwise, at most the resolution away.
    values = sorted(bracket.verdicts)
    above, below = values[values.index(bracket.low) + 1], values[values.index(bracket.high) - 1]
    assert above - bracket.low <= 0.01 * above
    assert bracket.high - below <= 0.01 * bracket.high
    assert n_looks <= 2 + 2 * 14  # each bisection halves a hundredfold range down to one per cent of 0.1


@pytest.mark.parametrize("edge", range(1, 17))
def test_whole_numbers_end_at_neighbours(edge: int) -> None:
    bracket = Bracket(1.0, 17.0, 0.001, is_whole=True)
    while values := bracket.next():
        for value in values:
            bracket.verdicts[value] = Verdict.MEETS if value <= edge else Verdict.MISSES
    assert (bracket.low, bracket.high) == (edge, edge + 1)
    assert all(value.is_integer() for value in bracket.verdicts)


def test_a_range_that_ends_before_has_one_end() -> None:
    assert [searched(1, 2, meets_to=5, misses_from=6)[0].low, searched(1, 2, 5, 6)[0].high] == [2, None]
    assert [searched(1, 2, meets_to=0.1, misses_from=0.2)[0].low, searched(1, 2, 0.1, 0.2)[0].high] == [
        None,
        1,
    ]
    assert searched(1, 2, meets_to=0.1, misses_from=6)[1] == 2  # open at both ends: nothing to search


def test_looks_that_contradict_each_other_widen_the_interval() -> None:
    bracket = Bracket(1.0, 4.0, 0.01)
    bracket.verdicts |= dict(
        zip(
            (1.0, 1.5, 2.0, 2.5, 3.0, 4.0),
            (Verdict.MEETS, Verdict.OPEN, Verdict.MEETS, Verdict.MISSES, Verdict.OPEN, Verdict.MISSES),
            strict=True,
        )
    )
    assert (bracket.low, bracket.high) == (1.0, 4.0)
