"""Slots, requests and grants against loops over every slot, and against what the rules say by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slot_loop import Carrier

from edgesim.errors import InputError
from edgesim.radio.access.duplex import Duplex, Fdd, TddPattern
from edgesim.radio.access.grants import grant_by_weight, grant_in_order
from edgesim.radio.access.resource_grid import ResourceGrid
from edgesim.radio.access.slots import Slots, slots_of
from edgesim.radio.access.uplink_grant import PERIODS_SLOTS, UplinkGrant, default_k2

PATTERNS = ("DDDSU", "DSU", "DU", "DDDDDDDSUU", "SU", "UDDD")


def every_slot(pattern: str, up: bool, n: int) -> list[tuple[int, float, float]]:
    """Number, beginning and end within it of every slot of a direction, one after the other."""
    found: list[tuple[int, float, float]] = []
    for slot in range(n):
        letter = pattern[slot % len(pattern)]
        if letter == ("U" if up else "D"):
            found.append((slot, 0.0, 1.0))
        elif letter == "S" and not up:
            found.append((slot, 0.0, 10 / 14))
    return found


@settings(max_examples=100, deadline=None)
@given(pattern=st.sampled_from(PATTERNS), up=st.booleans(), at=st.integers(0, 600).map(lambda n: n / 10))
def test_slots_are_those_of_the_pattern_one_after_the_other(pattern: str, up: bool, at: float) -> None:
    slot_s = 0.25e-3
    slots = slots_of(TddPattern(pattern, slot_s), slot_s, uplink=up)
    told = every_slot(pattern, up, 100)
    for number, (slot, begin, end) in enumerate(told):
        assert slots.slot(number) == slot
        assert slots.begin_s(number) == pytest.approx((slot + begin) * slot_s, rel=1e-12)
        assert slots.end_s(number) == pytest.approx((slot + end) * slot_s, rel=1e-12)
        assert slots.part(number) == pytest.approx(end - begin)
    at_s = at * slot_s
    assert slots.next(at_s) == next(n for n, (slot, begin, _) in enumerate(told) if slot + begin >= at - 1e-9)
    passed = sum(min(max(at - slot - begin, 0.0), end - begin) for slot, begin, end in told[1:])
    assert slots.airtime_s(1, len(told), at_s) == pytest.approx(passed * slot_s, abs=1e-12)


@pytest.mark.parametrize("n", [1, 7, 13_579, 1_000_001])
def test_an_instant_that_was_summed_up_is_in_time_for_its_slot(n: int) -> None:
    slots = Slots(0.5e-3)
    assert slots.next(n * 0.1e-3 * 5.0) == n
    assert slots.next(math.nextafter(n * 0.5e-3, math.inf)) == n
    assert slots.next(n * 0.5e-3 * (1.0 + 1e-12)) == n + 1


def test_a_pattern_needs_a_slot_for_data_either_way() -> None:
    with pytest.raises(InputError, match="add a slot U"):
        slots_of(TddPattern("DS", 0.5e-3), 0.5e-3, uplink=True)  # two symbols up are too few
    long = slots_of(TddPattern("DS", 0.5e-3, (4, 2, 8)), 0.5e-3, uplink=True)
    assert long.places == ((1, 6, 8),)


# --- requests ---------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    pattern=st.sampled_from(("", *PATTERNS)),
    period=st.sampled_from((0, 1, 4, 5, 10, 16, 20, 40)),
    processing=st.integers(0, 4),
    k2=st.integers(0, 4),
    key=st.integers(0, 2**64 - 1),
    at=st.floats(0.0, 100.0),
)
def test_a_silent_uplink_is_granted_the_slot_that_a_walk_over_slots_finds(
    pattern: str, period: int, processing: int, k2: int, key: int, at: float
) -> None:
    slot_s = 0.5e-3
    duplex: Duplex = TddPattern(pattern, slot_s) if pattern else Fdd()
    rule = UplinkGrant(period_slots=period, processing_slots=processing, k2_slots=k2)
    up, down = (slots_of(duplex, slot_s, uplink=uplink) for uplink in (True, False))
    offset = rule.offset(key, up)
    assert offset == rule.offset(key, up) < max(1, period)
    carrier = Carrier(slot_s, 51, pattern, period=period, processing=processing, k2=k2)
    assert up.slot(rule.first(at * slot_s, offset, up, down)) == carrier.granted(at * slot_s, offset)


def test_opportunities_are_spread_over_the_uplink_slots_of_a_period() -> None:
    up = slots_of(TddPattern("DDDSU", 0.5e-3), 0.5e-3, uplink=True)
    rule = UplinkGrant(period_slots=20)
    assert {rule.offset(key, up) for key in range(100)} == {4, 9, 14, 19}
    assert {UplinkGrant(period_slots=2).offset(key, up) for key in range(9)} == {
        0,
        1,
    }  # put off to the next U


@pytest.mark.parametrize(
    ("duplex", "slot_s", "facts", "up_ms", "down_ms"),
    [
        # Half of 10 ms to the request, and six slots from its beginning to the end of the granted one.
        (TddPattern("DDDSU", 0.5e-3), 0.5e-3, {"period_slots": 20}, 8.0, None),
        (Fdd(), 1e-3, {"period_slots": 10}, 5.0 + 4.0, 1.5),
        (Fdd(), 1e-3, {"period_slots": 0}, 1.5, 1.5),
    ],
)
def test_planners_count_the_mean_wait_for_a_first_slot(
    duplex: Duplex, slot_s: float, facts: dict[str, int], up_ms: float, down_ms: float | None
) -> None:
    grid = ResourceGrid(slot_s=slot_s, n_prb=51, duplex=duplex, uplink=UplinkGrant(**facts))
    assert grid.mean_wait_s(uplink=True) == pytest.approx(up_ms * 1e-3)
    if down_ms is not None:
        assert grid.mean_wait_s(uplink=False) == pytest.approx(down_ms * 1e-3)
    # And it is the mean over instants, in the middle of equal steps.
    for uplink, slots in ((True, grid.up), (False, grid.down)):
        waits_s = []
        for step in range(1000):
            at_s = (step + 0.5) / 1000 * 20 * slot_s
            number = grid.uplink.first(at_s, grid.uplink.offset(0, grid.up), grid.up, grid.down)
            waits_s.append(slots.end_s(number if uplink else slots.next(at_s)) - at_s)
        assert grid.mean_wait_s(uplink=uplink) == pytest.approx(float(np.mean(waits_s)), rel=1e-3)


def test_k2_by_default_is_the_standards() -> None:
    assert [default_k2(slot_s) for slot_s in (1e-3, 0.5e-3, 0.25e-3, 0.125e-3)] == [1, 1, 2, 3]


@pytest.mark.parametrize("facts", [{"period_slots": 7}, {"k2_slots": -1}, {"processing_slots": -1}])
def test_what_the_standard_does_not_have_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        UplinkGrant(**facts)
    assert 20 in PERIODS_SLOTS


# --- resource blocks ----------------------------------------------------------------------------------


wants = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(asked=wants, n_prb=st.integers(12, 60), data=st.data())
def test_shares_are_whole_resource_blocks_fair_to_within_one(
    asked: list[int], n_prb: int, data: st.DataObject
) -> None:
    """None is lost, none is given twice, and no share is a whole one below that of a divisible band."""
    members = dict(enumerate(asked))
    weights = {member: data.draw(st.sampled_from([0.25, 1.0, 3.0])) for member in members}
    granted = grant_by_weight(members, weights, n_prb)
    assert all(isinstance(n, int) and 1 <= n <= members[member] for member, n in granted.items())
    assert sum(granted.values()) == min(n_prb, sum(asked))
    fair = water_filled(members, weights, n_prb)
    # At least one each may cost the others: those with less than one are raised to it.
    raised = sum(max(0.0, 1.0 - share) for share in fair.values())
    for member, n in granted.items():
        assert n > fair[member] - 1.0 - raised - 1e-6


def water_filled(wants: dict[int, int], weights: dict[int, float], n_prb: int) -> dict[int, float]:
    """Max-min fair shares of a band that can be divided at will: the level is found by bisection."""
    low, high = 0.0, 1e6
    for _ in range(200):
        level = 0.5 * (low + high)
        if sum(min(want, level * weights[member]) for member, want in wants.items()) > n_prb:
            high = level
        else:
            low = level
    return {member: min(want, low * weights[member]) for member, want in wants.items()}


@settings(max_examples=100, deadline=None)
@given(asked=wants, n_prb=st.integers(1, 60))
def test_in_turn_the_first_have_all_they_want(asked: list[int], n_prb: int) -> None:
    granted = grant_in_order(dict(enumerate(asked)), range(len(asked)), n_prb)
    assert sum(granted.values()) == min(n_prb, sum(asked))
    for member in list(granted)[:-1]:
        assert granted[member] == asked[member]
    assert list(granted) == list(range(len(granted)))
    assert all(n >= 1 for n in granted.values())
