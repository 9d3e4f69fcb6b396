"""Duplexing against patterns walked symbol by symbol."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.errors import InputError
from edgesim.radio.access.duplex import Duplex, Fdd, HalfDuplex, TddPattern

SLOT_S = 14 / 1024  # a symbol is a binary fraction: symbol boundaries are exact
SYMBOL_S = 1 / 1024

specials = st.sampled_from([(10, 2, 2), (6, 4, 4), (12, 2, 0), (0, 14, 0), (3, 1, 10)])
patterns = st.builds(
    lambda slots, special: TddPattern("D" + slots + "U", SLOT_S, special),
    st.text("DSU", max_size=8),
    specials,
)
directions = st.booleans()


def symbols(pattern: TddPattern, *, uplink: bool) -> list[bool]:
    """Which symbols of a pattern are open in a direction, one by one."""
    down, guard, up = pattern.special
    words = {"D": "d" * 14, "U": "u" * 14, "S": "d" * down + "-" * guard + "u" * up}
    return [symbol == ("u" if uplink else "d") for slot in pattern.slots for symbol in words[slot]]


def walked(pattern: TddPattern, start: Fraction, airtime: Fraction, *, uplink: bool) -> Fraction:
    """When the airtime has been had, symbol after symbol; all in symbols, exactly."""
    is_open = symbols(pattern, uplink=uplink)
    at, left = start, airtime
    while True:
        end = Fraction(math.floor(at) + 1)
        if is_open[math.floor(at) % len(is_open)]:
            if left <= end - at:
                return at + left
            left -= end - at
        at = end


@given(patterns, directions)
def test_shares_are_counted_symbols(pattern: TddPattern, uplink: bool) -> None:
    is_open = symbols(pattern, uplink=uplink)
    assert pattern.share(uplink=uplink) == pytest.approx(sum(is_open) / len(is_open), rel=1e-12)


@given(patterns, directions, st.integers(-4000, 40_000), st.integers(0, 3000))
def test_transmissions_end_where_a_walk_over_symbols_does(
    pattern: TddPattern, uplink: bool, start: int, airtime: int
) -> None:
    # Instants in quarters of symbols. Walked in exact fractions, so the tolerance is of rounding alone.
    expected = walked(pattern, Fraction(start, 4), Fraction(airtime, 4), uplink=uplink)
    finish_s = pattern.finish_s(start / 4 * SYMBOL_S, airtime / 4 * SYMBOL_S, uplink=uplink)
    if airtime:
        assert finish_s == pytest.approx(float(expected) * SYMBOL_S, abs=1e-12)
    next_s = pattern.next_s(start / 4 * SYMBOL_S, uplink=uplink)
    is_open = symbols(pattern, uplink=uplink)
    at = Fraction(start, 4)
    while not is_open[math.floor(at) % len(is_open)]:
        at = Fraction(math.floor(at) + 1)
    assert next_s == pytest.approx(float(at) * SYMBOL_S, abs=1e-12)


@given(patterns, directions, st.integers(-4000, 40_000), st.integers(0, 3000))
def test_open_time_of_an_interval_is_counted_symbols(
    pattern: TddPattern, uplink: bool, start: int, length: int
) -> None:
    is_open = symbols(pattern, uplink=uplink)
    counted = sum(is_open[i % len(is_open)] for i in range(start, start + length))
    open_s = pattern.open_s(start * SYMBOL_S, (start + length) * SYMBOL_S, uplink=uplink)
    assert open_s == pytest.approx(counted * SYMBOL_S, abs=1e-12)


@given(patterns, directions, st.floats(0, 100), st.floats(1e-4, 10))
def test_a_finished_transmission_has_had_its_airtime(
    pattern: TddPattern, uplink: bool, start_s: float, airtime_s: float
) -> None:
    finish_s = pattern.finish_s(start_s, airtime_s, uplink=uplink)
    assert pattern.open_s(start_s, finish_s, uplink=uplink) == pytest.approx(airtime_s, abs=1e-11)


@given(patterns, directions)
def test_the_mean_wait_is_that_of_all_symbols(pattern: TddPattern, uplink: bool) -> None:
    # From the middle of each symbol: the wait is linear within one, so the mean is exact.
    is_open = symbols(pattern, uplink=uplink)
    waits = [
        0.0
        if is_open[i]
        else float(walked(pattern, Fraction(2 * i + 1, 2), Fraction(0), uplink=uplink)) - i - 0.5
        for i in range(len(is_open))
    ]
    # walked() ends a transmission of nothing at the first opening.
    assert pattern.mean_wait_s(uplink=uplink) == pytest.approx(sum(waits) / len(waits) * SYMBOL_S, abs=1e-12)


@pytest.mark.parametrize("uplink", [False, True])
def test_openings_follow_one_another_without_a_stop(uplink: bool) -> None:
    # A slot of 0.5 ms is no binary fraction: ends and beginnings must not fall between two stools.
    pattern, at_s, seen = TddPattern("DDDSU", 5e-4), 0.0, []
    for _ in range(20_000):
        begin_s = pattern.next_s(at_s, uplink=uplink)
        assert pattern.next_s(begin_s, uplink=uplink) == begin_s
        until_s = pattern.until_s(begin_s, uplink=uplink)
        assert until_s > begin_s
        seen.append(begin_s)
        at_s = until_s
    assert all(later - earlier == pytest.approx(2.5e-3, abs=1e-10) for earlier, later in pairwise(seen))


def test_the_usual_pattern() -> None:
    pattern = TddPattern("DDDSU", 5e-4)
    assert pattern.share(uplink=False) == pytest.approx(52 / 70)
    assert pattern.share(uplink=True) == pytest.approx(16 / 70)
    assert pattern.next_s(0.0, uplink=True) == pytest.approx((3 + 12 / 14) * 5e-4)
    # The gap of the uplink is 54 symbols of 70: met with 54/70, waited out for 27 symbols on average.
    assert pattern.mean_wait_s(uplink=True) == pytest.approx(54 / 70 * 27 * 5e-4 / 14)


@pytest.mark.parametrize(("duplex", "takes_turns"), [(Fdd(), False), (HalfDuplex(), True)])
def test_without_a_pattern_nothing_waits(duplex: Duplex, takes_turns: bool) -> None:
    assert duplex.takes_turns is takes_turns
    for uplink in (False, True):
        assert duplex.share(uplink=uplink) == 1.0
        assert duplex.next_s(3.0, uplink=uplink) == 3.0
        assert duplex.until_s(3.0, uplink=uplink) == math.inf
        assert duplex.open_s(3.0, 5.0, uplink=uplink) == 2.0
        assert duplex.finish_s(3.0, 5.0, uplink=uplink) == 8.0
        assert duplex.mean_wait_s(uplink=uplink) == 0.0


def test_mistakes_are_told() -> None:
    with pytest.raises(InputError, match="pattern 'DXU'; expected slots D"):
        TddPattern("DXU", 1e-3)
    with pytest.raises(InputError, match="never open up; expected both directions: add a slot U"):
        TddPattern("DDD", 1e-3)
    with pytest.raises(InputError, match="10:2:1 symbols; expected 14"):
        TddPattern("DSU", 1e-3, (10, 2, 1))
    with pytest.raises(InputError, match="a slot is 0 s"):
        TddPattern("DSU", 0.0)
