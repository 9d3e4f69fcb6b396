"""5G's grants against a loop over every slot and number of resource blocks, and against literal numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from airwaves import STATION, Message, carry, cell, cells, link
from slot_loop import Carrier, ends, is_up

from edgesim.engine.network.air.slotted_pool import SlottedPool
from edgesim.radio.access.duplex import Duplex, Fdd, TddPattern
from edgesim.radio.access.resource_grid import ResourceGrid
from edgesim.radio.access.uplink_grant import UplinkGrant
from edgesim.radio.adaptation.air_interface import Arq
from edgesim.radio.adaptation.nr import Nr
from edgesim.radio.channel.fading import BlockFading
from edgesim.radio.channel.fading_law import Rayleigh
from edgesim.radio.radio_link import RadioLink
from edgesim.world.medium import Medium

SLOT_S = 0.5e-3
PATTERN = TddPattern("DDDSU", SLOT_S)
ACCESSES = ("equal", "weighted", "tdma", "round-robin", "proportional-fair", "max-rate")


class Faultless(Nr):
    """5G NR whose blocks all arrive."""

    def errors(self, grant: Any, sinr: float) -> tuple[float, ...]:
        return (0.0,)


def on(bandwidth_hz: float, snr_db: float, air: Callable[[float], Nr] = Faultless, **facts: Any) -> RadioLink:
    return link(snr_db, air=air(bandwidth_hz), bandwidth_hz=bandwidth_hz, **facts)


def medium(
    access: str = "equal", *, duplex: Duplex = PATTERN, n_prb: int = 51, period: int = 20, **facts: Any
) -> Medium:
    grid = ResourceGrid(
        slot_s=SLOT_S, n_prb=n_prb, duplex=duplex, uplink=UplinkGrant(period_slots=period, **facts)
    )
    return Medium(name=STATION, access=access, duplex=duplex, grid=grid)


# --- against a loop over every slot ---------------------------------------------------------------------

SNRS_DB = {"near": 30.0, "middle": 16.0, "far": 6.0}
WEIGHTS = {"near": 1.0, "middle": 3.0, "far": 0.5}


def faded() -> dict[str, RadioLink]:
    return {
        name: on(20e6, snr_db, fading=BlockFading(Rayleigh(), 11 + place, 0.02))
        for place, (name, snr_db) in enumerate(SNRS_DB.items())
    }


def often_wrong(bandwidth_hz: float) -> Nr:
    return Nr(bandwidth_hz, target_bler=0.5)


def random_messages(seed: int, n: int = 60) -> list[Message]:
    """Messages of 4 bytes to 20 kB, many of them at once, up and down."""
    rng = np.random.default_rng(seed)
    at_s = np.cumsum(rng.exponential(0.002, n) * (rng.random(n) < 0.7)).tolist()
    ups = rng.random(n) < 0.5
    terminals = rng.choice(list(SNRS_DB), n).tolist()
    n_bits = np.round(8 * np.exp(rng.uniform(math.log(4), math.log(20_000), n))).tolist()
    return [
        Message(at, name, STATION, size) if up else Message(at, STATION, name, size)
        for at, up, name, size in zip(at_s, ups, terminals, n_bits, strict=True)
    ]


@pytest.mark.parametrize("duplex", [PATTERN, Fdd()], ids=["tdd", "fdd"])
@pytest.mark.parametrize("access", ACCESSES)
def test_every_message_has_the_slots_that_a_loop_over_all_of_them_says(access: str, duplex: Duplex) -> None:
    messages = random_messages(5)
    ran = carry(cell(faded(), medium(access, duplex=duplex), weights=WEIGHTS), messages)
    carrier = Carrier(SLOT_S, 51, "DDDSU" if duplex is PATTERN else "")
    offset = 4 if duplex is PATTERN else 0
    told: dict[Message, tuple[float, float, float]] = {}
    for up in (True, False):
        mine = [one for one in messages if is_up(one) == up]
        told |= ends(
            carrier,
            faded(),
            mine,
            up=up,
            access=access,
            weights=WEIGHTS,
            offsets=dict.fromkeys(SNRS_DB, offset),
        )
    assert ran.ended_s() == pytest.approx([told[one][0] for one in messages], rel=1e-9)
    energy_j = [2.0 * told[one][1] + 1.0 * told[one][2] for one in messages]
    assert ran.spans["energy_j"].tolist() == pytest.approx(energy_j, rel=1e-6)


@pytest.mark.parametrize("access", ["equal", "round-robin"])
def test_a_lone_message_goes_as_it_would_in_company(access: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots worked out in advance, and slots met one by one: the same to the bit, with repetitions."""

    def run() -> tuple[list[float], list[float], list[int]]:
        links = {
            name: on(20e6, snr_db, often_wrong, fading=BlockFading(Rayleigh(), 11 + place, 0.02))
            for place, (name, snr_db) in enumerate(SNRS_DB.items())
        }
        messages = [one._replace(at_s=4.0 * one.at_s) for one in random_messages(8, 80)]
        ran = carry(cell(links, medium(access)), messages)
        return ran.ended_s(), ran.spans["energy_j"].tolist(), ran.spans["attempts"].tolist()

    in_advance = run()
    monkeypatch.setattr(SlottedPool, "join_alone", SlottedPool.join)
    one_by_one = run()
    assert in_advance[0] == one_by_one[0]
    assert in_advance[1] == pytest.approx(one_by_one[1], rel=1e-9)
    assert in_advance[2] == one_by_one[2]
    assert max(in_advance[2]) > 1


# --- by hand: 30 kHz, MCS 28 at 40 dB, 144 data elements a resource block and slot -----------------------
# Powers: 2 W to send, 1 W to receive.

MS = 1e-3
SIZE_BITS = {4: 32.0, 65536: 524_288.0}


def alone(
    messages: list[Message],
    duplex: Duplex = PATTERN,
    *,
    bandwidth_hz: float = 20e6,
    n_prb: int = 51,
    **facts: Any,
) -> Any:
    air = facts.pop("air", Faultless)
    return carry(
        cell({"a": on(bandwidth_hz, 40.0, air)}, medium(duplex=duplex, n_prb=n_prb, **facts)), messages
    )


def test_four_bytes_up_after_silence_wait_for_request_answer_and_pattern() -> None:
    """DDDSU: a request in slot 4, its answer in slot 6, K2 of 1, and the next U is slot 9: 4.5 to 5 ms.

    Who comes just after an opportunity waits for the next, in slot 24; that is answered for slot 29.
    """
    for at_ms, ends_ms in ((0.1, 5.0), (2.0, 5.0), (2.1, 15.0)):
        ran = alone([Message(at_ms * MS, "a", STATION, 32.0)])
        assert ran.ended_s() == pytest.approx([ends_ms * MS])
        assert ran.spans["energy_j"].tolist() == pytest.approx([2.0 * 0.5 * MS + 1.0 * 0.5 * MS / 51])


@pytest.mark.parametrize(
    ("facts", "ends_ms"),
    [
        ({"period": 0}, 2.5),  # a configured grant: the next U, slot 4
        ({"period": 10}, 5.0),
        ({"period": 20, "processing_slots": 4}, 7.5),  # answered in slot 10 (slot 9 is up), sent in slot 14
        ({"period": 20, "k2_slots": 4}, 7.5),  # slot 6 and 4: slot 10; the next U is slot 14
    ],
)
def test_requests_and_their_answers_are_options(facts: dict[str, int], ends_ms: float) -> None:
    ran = alone([Message(0.1 * MS, "a", STATION, 32.0)], **facts)
    assert ran.ended_s() == pytest.approx([ends_ms * MS])


def test_without_a_pattern_only_requests_and_slots_are_waited_for() -> None:
    """FDD: a request in slot 0 of 20, its answer in slot 2, sent in slot 3; downlinks in the next slot."""
    up, down = Message(0.0, "a", STATION, 32.0), Message(0.1 * MS, STATION, "a", 32.0)
    assert alone([up, down], Fdd()).ended_s() == pytest.approx([2.0 * MS, 1.0 * MS])


def test_four_bytes_down_have_the_next_slot_and_one_resource_block_of_it() -> None:
    """In S, slot 3, ten of fourteen symbols are down; who has missed it waits for slot 5."""
    of_s = 10 / 14
    for at_ms, ends_ms, slots in ((0.1, 1.0, 1.0), (1.4, 1.5 + 0.5 * of_s, of_s), (1.6, 3.0, 1.0)):
        ran = alone([Message(at_ms * MS, STATION, "a", 32.0)])
        assert ran.ended_s() == pytest.approx([ends_ms * MS])
        assert ran.spans["energy_j"].tolist() == pytest.approx([0.5 * MS * slots * (2.0 / 51 + 1.0)])


def test_an_uplink_that_goes_on_asks_for_nothing() -> None:
    """The first two share slot 9; the third comes 0.9 ms after that, its report still being answered.

    The fourth comes 1.1 ms after slot 14, a slot of processing and a K2 of one later than would do: it asks.
    """
    messages = [Message(at_ms * MS, "a", STATION, 32.0) for at_ms in (0.1, 4.0, 5.9, 8.6)]
    ran = alone(messages)
    assert ran.ended_s() == pytest.approx([5.0 * MS, 5.0 * MS, 7.5 * MS, 15.0 * MS])
    # Two in one grant have its energy once.
    whole_j = 2.0 * 0.5 * MS + 1.0 * 0.5 * MS / 51
    assert ran.spans["energy_j"].tolist() == pytest.approx([whole_j / 2, whole_j / 2, whole_j, whole_j])


@pytest.mark.parametrize(
    ("bandwidth_hz", "n_prb", "n_whole", "rest_prb", "up_ms", "down_ms"),
    [
        # 12 transport blocks of 40,976 bits and 32,576 bits in 41 resource blocks (32,776): U slots 4 to 64.
        (20e6, 51, 12, 41, 32.5, 7.0),
        # 6 of 83,976 and 20,432 in 26 (21,000): U slots 4 to 34.
        (40e6, 106, 6, 26, 17.5, 4.0),
        # 2 of 217,128 and 90,032 in 112 (90,176): U slots 4, 9, 14.
        (100e6, 273, 2, 112, 7.5, 2.0),
    ],
)
def test_64_kib_take_whole_slots_and_the_fewest_blocks_of_the_last(
    bandwidth_hz: float, n_prb: int, n_whole: int, rest_prb: int, up_ms: float, down_ms: float
) -> None:
    facts: dict[str, Any] = {"bandwidth_hz": bandwidth_hz, "n_prb": n_prb, "period": 0}
    up = alone([Message(0.1 * MS, "a", STATION, 524_288.0)], **facts)
    assert up.ended_s() == pytest.approx([up_ms * MS])
    band = n_whole + rest_prb / n_prb
    assert up.spans["energy_j"].tolist() == pytest.approx([0.5 * MS * (2.0 * (n_whole + 1) + 1.0 * band)])
    down = alone([Message(0.1 * MS, STATION, "a", 524_288.0)], Fdd(), **facts)
    assert down.ended_s() == pytest.approx([down_ms * MS])
    assert down.spans["energy_j"].tolist() == pytest.approx([0.5 * MS * (2.0 * band + 1.0 * (n_whole + 1))])


def test_64_kib_down_a_pattern_have_ten_fourteenths_of_its_special_slots() -> None:
    """Three patterns carry 3 (3 + 10/14) 40,976 bits, slot 15 40,976, and slot 16 the other 26,722."""
    assert alone([Message(0.0, STATION, "a", 524_288.0)]).ended_s() == pytest.approx([8.5 * MS])


@pytest.mark.parametrize("access", ACCESSES)
def test_tiny_messages_fill_a_carrier_at_one_resource_block_each(access: str) -> None:
    """120 terminals, 4 bytes each: 51, 51 and 18 a slot; under TDMA, one a slot."""
    links = {f"t-{place}": on(20e6, 40.0) for place in range(120)}
    there = cell(links, medium(access, duplex=Fdd(), period=0))
    ran = carry(there, [Message(0.1 * MS, name, STATION, 32.0) for name in links])
    n_by_slot = np.unique(np.round(np.divide(ran.ended_s(), SLOT_S)), return_counts=True)[1].tolist()
    assert n_by_slot == ([1] * 120 if access == "tdma" else [51, 51, 18])
    assert ran.spans["energy_j"].tolist() == pytest.approx([2.0 * 0.5 * MS + 1.0 * 0.5 * MS / 51] * 120)


def test_what_a_short_message_leaves_of_a_slot_is_the_others() -> None:
    """A long message of another terminal has 50 of the first slot's 51 resource blocks, then all."""
    links = {name: on(20e6, 40.0) for name in "ab"}
    whole_bits, without_one_bits = (
        links["a"].state(0.0, uplink=False, band_share=n / 51).grant.block_bits for n in (51, 50)
    )
    n_bits = float(without_one_bits + whole_bits)
    messages = [Message(0.0, STATION, "a", 32.0), Message(0.0, STATION, "b", n_bits)]
    ran = carry(cell(links, medium(duplex=Fdd())), messages)
    assert ran.ended_s() == pytest.approx([0.5 * MS, 1.0 * MS])
    assert ran.spans["energy_j"].tolist() == pytest.approx(
        [0.5 * MS * (2.0 / 51 + 1.0), 0.5 * MS * (2.0 * (50 / 51 + 1.0) + 2.0)]
    )


class Second(Nr):
    """5G NR whose blocks fail at the first attempt and arrive at the second."""

    def errors(self, grant: Any, sinr: float) -> tuple[float, ...]:
        return (1.0, 0.0)


class Never(Nr):
    """5G NR whose blocks never arrive."""

    def errors(self, grant: Any, sinr: float) -> tuple[float, ...]:
        return (1.0,)


def test_a_repetition_has_a_grant_of_its_own_a_round_trip_later() -> None:
    """Down at 0.1 ms in slot 1; again 8 slots later, in slot 9: the end of 5 ms, and twice the energy."""
    ran = alone([Message(0.1 * MS, STATION, "a", 32.0)], Fdd(), air=Second)
    assert ran.ended_s() == pytest.approx([5.0 * MS])
    assert ran.spans["energy_j"].tolist() == pytest.approx([2 * 0.5 * MS * (2.0 / 51 + 1.0)])
    # Up a pattern: slot 9, 8 slots later slot 17; the next U is slot 19. No new request.
    assert alone([Message(0.1 * MS, "a", STATION, 32.0)], air=Second).ended_s() == pytest.approx([10.0 * MS])


def test_a_message_that_never_arrives_is_lost_when_its_last_grant_is_over() -> None:
    def never(bandwidth_hz: float) -> Nr:
        return Never(bandwidth_hz, n_attempts=1, arq=Arq(1, 45.0 * MS))

    ran = alone([Message(0.1 * MS, STATION, "a", 32.0)], Fdd(), air=never)
    assert ran.lost == [0]
    # Slot 1, and again 45 ms (90 slots) later.
    assert ran.ended_s() == pytest.approx([(91 + 1) * 0.5 * MS])


def test_a_run_that_ends_in_a_slot_charges_its_part() -> None:
    there = cell({"a": on(20e6, 40.0)}, medium(duplex=Fdd()), horizon_s=0.7 * MS)
    ran = carry(there, [Message(0.1 * MS, STATION, "a", 32.0)])
    assert ran.tables.spans["energy_j"].sum() == pytest.approx(0.2 * MS * (2.0 / 51 + 1.0))


# --- cells that disturb one another -----------------------------------------------------------------------


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("first", ["west", "east"])
def test_a_short_message_disturbs_another_cell_for_its_slot_with_its_power(up: bool, first: str) -> None:
    """A station with one of 51 resource blocks has a 51st of its power on the air, a terminal all of its own.

    Whichever message is asked for first: both cells' grants begin with the same slot.
    """
    own, other = on(20e6, 20.0), on(20e6, 10.0)
    grid = ResourceGrid(slot_s=SLOT_S, n_prb=51, uplink=UplinkGrant(period_slots=0))
    media = {
        "west": Medium(name="west", band="n78", across={"a": own, "b": other}, grid=grid),
        "east": Medium(name="east", band="n78", across={"a": other, "b": own}, grid=grid),
    }
    disturbing_w = other.mean_received_w(0.0, uplink=up) / (1 if up else 51)
    met, clear = (
        own.state(0.0, uplink=up, interference_w=power_w).grant.block_bits for power_w in (disturbing_w, 0.0)
    )
    assert met < clear
    for extra, n_slots in ((0.0, 2), (8.0, 3)):
        pairs = {"west": ("a", "west"), "east": ("b", "east")}
        n_bits = {"west": met + clear + extra, "east": 32.0}
        order = [first, "east" if first == "west" else "west"]
        messages = [
            Message(0.1 * MS, *(pairs[name] if up else pairs[name][::-1]), n_bits[name]) for name in order
        ]
        there = cells(
            {"west": (media["west"], {"a": on(20e6, 20.0)}), "east": (media["east"], {"b": on(20e6, 20.0)})}
        )
        ended_s = dict(zip(order, carry(there, messages).ended_s(), strict=True))
        assert ended_s["east"] == pytest.approx(1.0 * MS)
        assert ended_s["west"] == pytest.approx((1 + n_slots) * SLOT_S)
