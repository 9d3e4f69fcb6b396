"""Shared bands against a plain loop over every change of rate, and against what can be worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from airwaves import BAND_HZ, NOISE_DBM, STATION, Channel, Message, carry, cell, cells, link
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.radio.access.duplex import HalfDuplex, TddPattern
from edgesim.radio.adaptation.shannon import Shannon
from edgesim.radio.channel.fading import BlockFading
from edgesim.radio.channel.fading_law import Rayleigh
from edgesim.radio.radio_link import RadioLink
from edgesim.world.medium import Medium
from edgesim.world.world import World

COHERENCE_S = 0.02
SNRS_DB = {"near": 20.0, "far": 3.0, "edge": -4.0}
WEIGHTS = {"near": 1.0, "far": 3.0, "edge": 0.5}
KEYS = {"near": 11, "far": 12, "edge": 13}


def fading(terminal: str) -> BlockFading:
    return BlockFading(Rayleigh(), KEYS[terminal], COHERENCE_S)


def faded_cell(access: str, **facts: object) -> World:
    # Long blocks: no fade is so deep that one would not bear a bit.
    air = Shannon(slot_s=1e3)
    channels = {name: link(snr_db, fading=fading(name), air=air) for name, snr_db in SNRS_DB.items()}
    return cell(channels, Medium(name=STATION, access=access, **facts), weights=WEIGHTS)


def bits_per_s(terminal: str, block: int, share: float, is_uplink: bool) -> float:
    """Capacity over a share of the band in a block of the fading, written out."""
    gain = float(fading(terminal).gains(np.array([block]))[0])
    ratio = 10.0 ** (SNRS_DB[terminal] / 10.0) * gain
    return BAND_HZ * share * math.log2(1.0 + (ratio / share if is_uplink else ratio))


def shares_of_band(access: str, active: Sequence[Message], block: int, is_uplink: bool) -> list[float]:
    """Rates of the transfers of a direction: each access's rule, from its definition."""
    terminals = [one.source if is_uplink else one.target for one in active]
    if access in ("equal", "weighted"):
        weights = [WEIGHTS[name] if access == "weighted" else 1.0 for name in terminals]
        own = [
            sum(w for w, other in zip(weights, terminals, strict=True) if other == name) for name in terminals
        ]
        return [
            bits_per_s(name, block, mine / sum(weights), is_uplink) * weight / mine
            for name, weight, mine in zip(terminals, weights, own, strict=True)
        ]
    whole = [bits_per_s(name, block, 1.0, is_uplink) for name in terminals]
    if access == "tdma":
        return [rate / len(whole) for rate in whole]
    assert access == "max-rate"
    best = whole.index(max(whole))
    return [rate if place == best else 0.0 for place, rate in enumerate(whole)]


def slow_loop(
    messages: Sequence[Message], rates: Callable[[list[Message], int], list[float]]
) -> dict[Message, float]:
    """When each message's last bit has left: from one change to the next, whatever changes."""
    waiting = sorted(messages, key=lambda one: one.at_s)
    active: dict[Message, float] = {}
    ended: dict[Message, float] = {}
    now_s, block = 0.0, 0
    while waiting or active:
        current = rates(list(active), block) if active else []
        ends_s = [
            now_s + left / rate if rate else math.inf
            for left, rate in zip(active.values(), current, strict=True)
        ]
        arrives_s = waiting[0].at_s if waiting else math.inf
        changes_s = (block + 1) * COHERENCE_S
        until_s = min([arrives_s, changes_s, *ends_s])
        for message, rate in zip(list(active), current, strict=True):
            active[message] -= rate * (until_s - now_s)
        for message, end_s in zip(list(active), ends_s, strict=True):
            if end_s == until_s:
                ended[message] = until_s
                del active[message]
        if arrives_s == until_s:
            active[waiting[0]] = waiting[0].n_bits
            del waiting[0]
        if changes_s == until_s:
            block += 1
        now_s = until_s
    return ended


def random_messages(seed: int, n: int = 40) -> list[Message]:
    rng = np.random.default_rng(seed)
    at_s = np.cumsum(rng.exponential(0.03, n)).tolist()
    ups = rng.random(n) < 0.6
    terminals = rng.choice(list(SNRS_DB), n).tolist()
    n_bits = (8 * rng.integers(10, 20_000, n)).tolist()
    return [
        Message(at, name, STATION, size) if up else Message(at, STATION, name, size)
        for at, up, name, size in zip(at_s, ups, terminals, n_bits, strict=True)
    ]


@pytest.mark.parametrize("access", ["equal", "weighted", "tdma", "max-rate"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_transfer_ends_when_a_loop_over_every_change_says(access: str, seed: int) -> None:
    messages = random_messages(seed)
    got = carry(faded_cell(access), messages).ended_s()
    told: dict[Message, float] = {}
    for is_uplink in (True, False):  # two bands: neither direction hears of the other
        mine = [one for one in messages if (one.target == STATION) == is_uplink]
        told |= slow_loop(mine, lambda active, block, up=is_uplink: shares_of_band(access, active, block, up))
    assert got == pytest.approx([told[one] for one in messages], rel=1e-9)


def test_one_alone_on_a_constant_channel_takes_its_bits_over_its_rate() -> None:
    ran = carry(cell({"a": link(10.0)}, latency_s=0.004), [Message(1.0, "a", STATION, 1e6)])
    assert ran.ended_s() == pytest.approx([1.0 + 1e6 / (BAND_HZ * math.log2(11.0)) + 0.004], rel=1e-12)


def test_a_half_of_the_band_has_half_the_noise_and_an_uplink_all_its_power() -> None:
    """Capacity of two sharers up: B/2 log2(1 + 2 SNR) each; down: B/2 log2(1 + SNR)."""
    for sends_up, ratio in ((True, 20.0), (False, 10.0)):
        ends = ("a", STATION) if sends_up else (STATION, "a"), ("b", STATION) if sends_up else (STATION, "b")
        ran = carry(cell({"a": link(10.0), "b": link(10.0)}), [Message(0.0, *pair, 1e6) for pair in ends])
        expected_s = 1e6 / (BAND_HZ / 2 * math.log2(1.0 + ratio))
        assert ran.ended_s() == pytest.approx([expected_s] * 2, rel=1e-12)


def test_two_transfers_of_one_terminal_have_its_power_once() -> None:
    """The whole band is the terminal's: it gains nothing by cutting a message in two."""
    whole = carry(cell({"a": link(10.0)}), [Message(0.0, "a", STATION, 2e6)]).ended_s()
    halves = carry(cell({"a": link(10.0)}), [Message(0.0, "a", STATION, 1e6)] * 2).ended_s()
    assert halves == pytest.approx(whole * 2, rel=1e-12)


@pytest.mark.parametrize("access", ["round-robin", "proportional-fair"])
def test_slots_share_a_constant_channel_as_evenly_as_time_division_to_within_slots(access: str) -> None:
    channels = {"a": Channel(1e6), "b": Channel(2e6), "c": Channel(4e6)}
    messages = [
        Message(0.0, name, STATION, 1e5 * size) for name, size in zip(channels, (1, 2, 6), strict=True)
    ]
    in_turns = carry(cell(channels, Medium(name=STATION, access="tdma")), messages).ended_s()
    by_slots = carry(cell(channels, Medium(name=STATION, access=access)), messages).ended_s()
    n_slots = 3 if access == "round-robin" else 40  # its first averages are of few slots
    assert np.abs(np.subtract(by_slots, in_turns)).max() <= n_slots * 0.5e-3
    assert by_slots != in_turns


def test_slots_are_gone_through_only_while_two_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """One alone, however long, is one event, and so is the best of a constant channel."""
    for access, n_waiting, most in (
        ("round-robin", 1, 50),
        ("max-rate", 2, 50),
        ("round-robin", 2, math.inf),
    ):
        channels = {"a": Channel(1e6), "b": Channel(1e6)}
        there = cell(channels, Medium(name=STATION, access=access))
        ran = carry(there, [Message(0.0, name, STATION, 1e6) for name in list(channels)[:n_waiting]])
        n_events = next(ran.tables.cluster._clock._eid)
        assert n_events <= most
        if math.isinf(most):  # 2 s in slots of half a millisecond
            assert n_events >= 3000


def test_max_rate_serves_the_best_channel_first() -> None:
    channels = {"a": Channel(1e6), "b": Channel(2e6)}
    there = cell(channels, Medium(name=STATION, access="max-rate"))
    messages = [Message(0.0, "a", STATION, 1e6), Message(0.5, "b", STATION, 1e6)]
    assert carry(there, messages).ended_s() == pytest.approx([1.5, 1.0])


def test_both_ways_share_where_the_duplex_takes_turns() -> None:
    for duplex, ends_s in ((None, [1.0, 1.0]), (HalfDuplex(), [2.0, 2.0])):
        for access in ("equal", "tdma"):
            facts = {} if duplex is None else {"duplex": duplex}
            there = cell({"a": Channel(1e6)}, Medium(name=STATION, access=access, **facts))
            messages = [Message(0.0, "a", STATION, 1e6), Message(0.0, STATION, "a", 1e6)]
            assert carry(there, messages).ended_s() == pytest.approx(ends_s)


@settings(max_examples=40, deadline=None)
@given(
    at_s=st.floats(0.0, 0.02),
    n_bits=st.integers(1, 40).map(lambda n: 800 * n),
    is_up=st.booleans(),
)
def test_time_division_duplex_sends_in_its_own_slots_and_only_then(
    at_s: float, n_bits: int, is_up: bool
) -> None:
    pattern = TddPattern("DDDSU", 0.5e-3)
    there = cell({"a": Channel(1e6)}, Medium(name=STATION, duplex=pattern))
    ends = ("a", STATION) if is_up else (STATION, "a")
    assert carry(there, [Message(at_s, *ends, n_bits)]).ended_s() == pytest.approx(
        [pattern.finish_s(at_s, n_bits / 1e6, uplink=is_up)], rel=1e-12
    )


def test_two_in_time_division_duplex_share_what_is_open() -> None:
    pattern = TddPattern("DU", 1e-3)
    there = cell({"a": Channel(1e6), "b": Channel(1e6)}, Medium(name=STATION, duplex=pattern))
    # Open from 1 to 2 ms and from 3 to 4: the first sends 500 bits alone, then both share.
    messages = [Message(0.0, "a", STATION, 800), Message(1.5e-3, "b", STATION, 400)]
    assert carry(there, messages).ended_s() == pytest.approx([3.1e-3, 3.2e-3], rel=1e-12)


# --- cells that disturb one another -----------------------------------------------------------------


def two_cells(load: float | None = None) -> World:
    """Two terminals, each 20 dB from its own station and 10 dB from the other's, on one band."""
    own, other = link(20.0), link(10.0)
    facts = {} if load is None else {"load": load}
    media = {
        "west": Medium(name="west", band="3.5 GHz", across={"a": own, "b": other}, **facts),
        "east": Medium(name="east", band="3.5 GHz", across={"a": other, "b": own}, **facts),
    }
    return cells({"west": (media["west"], {"a": link(20.0)}), "east": (media["east"], {"b": link(20.0)})})


CLEAR_BPS = BAND_HZ * math.log2(1.0 + 100.0)
DISTURBED_BPS = BAND_HZ * math.log2(1.0 + 100.0 / (1.0 + 10.0))


@pytest.mark.parametrize("is_up", [True, False])
def test_cells_disturb_one_another_exactly_while_both_are_active(is_up: bool) -> None:
    pairs = [("a", "west"), ("b", "east")] if is_up else [("west", "a"), ("east", "b")]
    # The first has the air to itself for a tenth of a second, then both are disturbed, the last is alone.
    n_bits = 2e6
    messages = [Message(0.0, *pairs[0], n_bits), Message(0.1, *pairs[1], n_bits)]
    first_s = 0.1 + (n_bits - 0.1 * CLEAR_BPS) / DISTURBED_BPS
    second_s = first_s + (n_bits - (first_s - 0.1) * DISTURBED_BPS) / CLEAR_BPS
    assert carry(two_cells(), messages).ended_s() == pytest.approx([first_s, second_s], rel=1e-9)


def test_opposite_ways_do_not_disturb_one_another() -> None:
    messages = [Message(0.0, "a", "west", 2e6), Message(0.0, "east", "b", 2e6)]
    assert carry(two_cells(), messages).ended_s() == pytest.approx([2e6 / CLEAR_BPS] * 2, rel=1e-9)


@pytest.mark.parametrize("is_up", [True, False])
def test_full_buffers_disturb_whether_anybody_sends_or_not(is_up: bool) -> None:
    half_bps = BAND_HZ * math.log2(1.0 + 100.0 / (1.0 + 5.0))
    messages = [Message(0.0, "a", "west", 2e6) if is_up else Message(0.0, "west", "a", 2e6)]
    assert carry(two_cells(load=0.5), messages).ended_s() == pytest.approx([2e6 / half_bps], rel=1e-9)


def test_the_noise_of_the_test_links_is_thermal() -> None:
    assert link(10.0).state(0.0, uplink=True).sinr == pytest.approx(10.0, rel=1e-12)
    assert NOISE_DBM == -114.0


# --- the channel is a pure function -------------------------------------------------------------------


def fresh() -> RadioLink:
    return link(5.0, fading=fading("far"))


calls = st.tuples(
    st.floats(0.0, 1.0),
    st.booleans(),
    st.sampled_from([1.0, 0.5, 1 / 3, 0.01]),
    st.sampled_from([0.0, 1e-15]),
)


@settings(max_examples=60, deadline=None)
@given(asked=st.lists(calls, min_size=1, max_size=20))
def test_a_channel_does_not_remember_who_asked(asked: list[tuple[float, bool, float, float]]) -> None:
    """Whatever was asked before, and in whatever order: the same instant has the same state, to the bit."""
    shared = fresh()
    for at_s, uplink, share, interference_w in asked:
        facts = {"uplink": uplink, "band_share": share, "interference_w": interference_w}
        assert shared.state(at_s, **facts) == fresh().state(at_s, **facts)
