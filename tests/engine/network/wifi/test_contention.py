"""Wi-Fi's contention: the whole log of tiny cases whose every instant can be worked out by hand.

With a window of 0 slots all backoffs are 0. 802.11ax at 600 Mb/s: a frame of a few bytes takes 56.8 us (43.2
us of preamble, one symbol of 13.6 us), with SIFS 16 us and acknowledgement 28 us 100.8 us. AIFS is 43 us,
EIFS 103 us; who gets no answer waits 45 + 43 us from its frame's end.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from airwaves import STATION, Carried, Channel, Interface, Message, carry, cells
from miniature import Serve, answered, run
from slotted_dcf import RATE_BPS
from wifi_cells import RETRIES, channels, wifi_cell

from edgesim.radio.access.duplex import HalfDuplex
from edgesim.radio.access.edca import ACCESS_CATEGORIES, Edca
from edgesim.radio.access.wifi_mac import Aggregation, WifiMac
from edgesim.radio.adaptation.air_interface import Arq
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.world.device import Power
from edgesim.world.faults import Faults
from edgesim.world.medium import Medium

US = 1e-6
AT_ONCE = WifiMac(edca=Edca(cw_min=0, cw_max=0))
DATA, ACK, SIFS, AIFS, EIFS, NO_ANSWER = 56.8, 28.0, 16.0, 43.0, 103.0, 88.0
WHOLE = DATA + SIFS + ACK
POWER = Power(tx_w=1.0, rx_w=100.0)


def up(at_us: float, station: int = 0, size: int = 4) -> Message:
    return Message(at_us * US, f"t{station}", STATION, 8 * size)


def down(at_us: float, station: int = 0, size: int = 4) -> Message:
    return Message(at_us * US, STATION, f"t{station}", 8 * size)


def log(ran: Carried) -> list[tuple[str, float, float, int]]:
    """Sender, begin and end [us] and attempts of each message."""
    rows = ran.spans[["device", "asked_at_s", "ended_at_s", "attempts"]].itertuples(index=False)
    return [(sender, round(1e6 * a, 3), round(1e6 * b, 3), n) for sender, a, b, n in rows]


def energies_us(ran: Carried) -> dict[str, tuple[float, float]]:
    """Time of sending and receiving of each device [us], from its energy."""
    table = ran.tables.devices.set_index("device")
    return {
        name: (round(1e6 * row["energy_tx_j"], 3), round(1e4 * row["energy_rx_j"], 3))
        for name, row in table.iterrows()
    }


def test_one_alone_sends_at_once_and_a_slot_later_at_most() -> None:
    """Slot boundaries lie on the grid that began when the air fell idle: 0, 9, …; then 143.8, 152.8, … us."""
    ran = carry(wifi_cell(channels(1), AT_ONCE, power=POWER), [up(0), up(200)])
    begins = 143.8 + 7 * 9
    assert log(ran) == [("t0", 0, WHOLE, 1), ("t0", 200, round(begins + WHOLE, 3), 1)]
    assert energies_us(ran) == {"t0": (2 * DATA, 2 * ACK), STATION: (2 * ACK, 2 * DATA)}
    assert ran.spans["energy_j"].sum() == pytest.approx(101 * 2 * (DATA + ACK) * US)


def test_who_comes_while_the_air_is_busy_waits_for_its_end_and_aifs() -> None:
    ran = carry(wifi_cell(channels(3), AT_ONCE), [up(0), up(20, 1)])
    assert log(ran) == [("t0", 0, WHOLE, 1), ("t1", 20, 2 * WHOLE + AIFS, 1)]


def test_what_waits_for_one_receiver_goes_together() -> None:
    """Two frames that came during the first exchange: 152 bytes in one symbol, one block acknowledgement."""
    ran = carry(wifi_cell(channels(1), AT_ONCE), [up(0), up(20), up(30)])
    together = round(WHOLE + AIFS + DATA + SIFS + 32, 3)
    assert log(ran) == [("t0", 0, WHOLE, 1), ("t0", 20, together, 1), ("t0", 30, together, 1)]
    alone = WifiMac(edca=AT_ONCE.edca, aggregation=Aggregation(most_frames=1))
    ran = carry(wifi_cell(channels(1), alone), [up(0), up(20), up(30)])
    each = WHOLE + AIFS
    assert log(ran) == [
        ("t0", 0, WHOLE, 1),
        ("t0", 20, round(WHOLE + each, 3), 1),
        ("t0", 30, round(WHOLE + 2 * each, 3), 1),
    ]


def test_the_station_serves_its_receivers_in_turns() -> None:
    messages = [down(0, 0), down(10, 0), down(20, 1), down(30, 0)]
    ran = carry(wifi_cell(channels(2), AT_ONCE), messages)
    second = 2 * WHOLE + AIFS
    third = round(second + AIFS + DATA + SIFS + 32, 3)
    ends = [WHOLE, third, second, third]
    assert [row[2] for row in log(ran)] == ends


def test_two_at_once_collide_until_the_retry_limit_drops_both() -> None:
    """Seven frames with no answer; their energy is spent, and the receiver's for what it could not read."""
    ran = carry(wifi_cell(channels(2), AT_ONCE, power=POWER), [up(0, 0), up(0, 1)])
    gone = round(7 * DATA + 6 * NO_ANSWER, 3)
    assert log(ran) == [("t0", 0, gone, 7), ("t1", 0, gone, 7)]
    assert ran.lost == [0, 1]
    assert energies_us(ran) == {
        "t0": (round(7 * DATA, 3), 0),
        "t1": (round(7 * DATA, 3), 0),
        STATION: (0, round(7 * DATA, 3)),
    }


def test_with_rts_only_that_collides() -> None:
    mac = WifiMac(edca=AT_ONCE.edca, rts_from_bytes=100)
    ran = carry(wifi_cell(channels(2), mac), [up(0, 0, 1000), up(0, 1, 1000)])
    assert log(ran)[0] == ("t0", 0, 7 * 28 + 6 * NO_ANSWER, 7)
    ran = carry(wifi_cell(channels(1), mac, power=POWER), [up(0, 0, 1000), up(1000)])
    first = 28 + 16 + 28 + 16 + 43.2 + 2 * 13.6 + 16 + 28
    assert log(ran)[0] == ("t0", 0, round(first, 3), 1)
    data = 28 + 43.2 + 2 * 13.6
    assert energies_us(ran)["t0"] == (round(data + DATA, 3), 28 + 28 + ACK)  # the short one is not announced


def test_who_could_not_read_a_frame_waits_for_eifs() -> None:
    """t2 has a message since 30 us: its first boundary, EIFS after the collision, is later than the others'.

    t0 and t1 draw 0 after every failure, and t2 once the air is idle for it: never before they have dropped.
    """
    ran = carry(wifi_cell(channels(3), AT_ONCE), [up(0, 0), up(0, 1), up(30, 2)])
    gone = 7 * DATA + 6 * NO_ANSWER
    assert log(ran)[2] == ("t2", 30, round(gone + EIFS + WHOLE, 3), 1)


def test_higher_categories_go_first() -> None:
    edcas = {name: Edca(aifsn=one.aifsn, cw_min=0, cw_max=0) for name, one in ACCESS_CATEGORIES.items()}
    macs = {"t1": WifiMac(edca=edcas["background"]), "t2": WifiMac(edca=edcas["voice"])}
    ran = carry(wifi_cell(channels(3), AT_ONCE, macs), [up(0, 0), up(10, 1), up(20, 2)])
    voice = WHOLE + 34 + WHOLE
    assert [row[2] for row in log(ran)] == [WHOLE, round(voice + 79 + WHOLE, 3), round(voice, 3)]


def test_categories_of_one_station_meet_inside_it() -> None:
    """Same AIFSN, both at the first boundary: the smaller window wins, the other counts a collision."""
    macs = {
        "t0": WifiMac(edca=Edca(aifsn=2, cw_min=0, cw_max=0)),
        "t1": WifiMac(edca=Edca(aifsn=2, cw_min=0, cw_max=0, txop_s=1e-3)),
        "t2": WifiMac(edca=Edca(aifsn=2, cw_min=0, cw_max=1)),
    }
    ran = carry(wifi_cell(channels(3), AT_ONCE, macs), [down(0, 0), down(0, 2)])
    assert ran.lost == []
    ends = [row[2] for row in log(ran)]
    assert ends[0] == WHOLE
    assert ends[1] in (round(WHOLE + 34 + k * 9 + WHOLE, 3) for k in (0, 1))
    assert [row[3] for row in log(ran)] == [1, 1]


class FailsFirst(Channel):
    """Every frame fails its first attempt."""

    def __init__(self) -> None:
        super().__init__(RATE_BPS, (1.0, 0.0), block_bits=12_000, air=RETRIES)


def test_a_frame_that_the_channel_garbles_goes_again() -> None:
    ran = carry(wifi_cell({"t0": FailsFirst()}, AT_ONCE, power=POWER), [up(0)])
    assert log(ran) == [("t0", 0, round(DATA + NO_ANSWER + WHOLE, 3), 2)]
    assert energies_us(ran) == {"t0": (2 * DATA, ACK), STATION: (ACK, 2 * DATA)}


def test_a_block_acknowledgement_repeats_the_failed_frames_alone() -> None:
    """About a fifth of 40 frames fails: the second exchange is as long as those alone take."""
    air = Channel(RATE_BPS, (0.2, 0.0), block_bits=8 * 1566, air=RETRIES)
    ran = carry(wifi_cell({"t0": air}, AT_ONCE, power=POWER), [up(0, 0, 40 * 1500)])
    sent_us = energies_us(ran)["t0"][0]
    first = 43.2 + 13.6 * math.ceil((16 + 8 * 40 * 1572) / 8166)
    repeats = {n: 43.2 + 13.6 * math.ceil((16 + 8 * n * 1572) / 8166) for n in range(1, 20)}
    (n_failed,) = {n for n, took in repeats.items() if took == pytest.approx(sent_us - first, abs=1e-3)} or {
        0
    }
    assert 1 <= n_failed <= 19
    answer = 32 if n_failed > 1 else 28
    assert log(ran)[0] == ("t0", 0, round(sent_us + 2 * SIFS + 32 + AIFS + answer, 3), 2)


def test_a_short_frame_fails_less_often_than_a_full_one() -> None:
    """By the bits: 1 - (1 - p)^(70/1566) of 4 bytes with headers, where full frames fail with p."""
    from scipy import stats

    p, n = 0.9, 400
    air = Channel(RATE_BPS, (p,), block_bits=8 * 1566, air=Interface(0.0, Arq(0, 0.0)))
    ran = carry(wifi_cell({"t0": air}, AT_ONCE), [up(1000 * i) for i in range(n)])
    expected = 1.0 - (1.0 - p) ** (70 / 1566)
    assert stats.binomtest(len(ran.lost), n, expected).pvalue > 1e-3


def test_transports_may_acknowledge_on_the_air() -> None:
    """Three segments, TCP's headers: two acknowledgements of 78 bytes come back together, in one symbol."""
    mac = WifiMac(edca=AT_ONCE.edca, acknowledges_segments=True)
    ran = carry(wifi_cell(channels(1), mac, power=POWER), [up(0, 0, 4000), up(900)])
    data = 43.2 + 13.6 * math.ceil((16 + 8 * (4 + 1580) * 2 + 8 * (4 + 1080)) / 8166)
    whole = data + SIFS + 32
    rows = ran.tables.log("device", "peer", "size_bytes", "asked_at_s", "ended_at_s")
    sends = [row for row in rows if row[1] is not None][:2]
    assert [(a, b, size, round(1e6 * t, 1), round(1e6 * u, 1)) for a, b, size, t, u in sends] == [
        ("t0", STATION, 4000, 0.0, round(whole, 1)),
        (STATION, "t0", 80, round(whole, 1), round(whole + AIFS + DATA + SIFS + 32, 1)),
    ]
    # And the second message's, whose own acknowledgement the end of the run cuts off.
    assert energies_us(ran)[STATION] == (round(32 + DATA + ACK, 3), round(data + 32 + DATA, 3))


def test_the_end_of_a_run_cuts_an_exchange_off() -> None:
    """At 40 us the frame is on the air; at 90 us its acknowledgement is."""
    for cut_us, sent, acknowledged in ((40, 40, 0), (90, DATA, 90 - DATA - SIFS)):
        ran = carry(wifi_cell(channels(1), AT_ONCE, power=POWER, horizon_s=cut_us * US), [up(0)])
        heard = round(acknowledged, 3)
        assert energies_us(ran) == {"t0": (sent, heard), STATION: (heard, sent)}
        assert ran.spans["ended_at_s"].isna().all()
        assert ran.spans["energy_j"].sum() == pytest.approx(101 * (sent + heard) * US)


def test_a_link_that_goes_down_takes_what_is_on_it_and_the_air_is_free_again() -> None:
    faults = Faults(links={f"{STATION}--t0": ScheduledOutages(((30 * US, 1.0),))})
    there = wifi_cell(channels(2), AT_ONCE, power=POWER, faults=faults)
    ran = carry(there, [up(0, 0), up(10, 1)])
    assert ran.lost == [0]
    # t1 has waited for the whole exchange of t0: the air stays busy for as long as was announced.
    assert log(ran) == [("t0", 0, 30, 1), ("t1", 10, round(2 * WHOLE + AIFS, 3), 1)]
    assert energies_us(ran)["t0"] == (30, 0)


class Silent(Channel):
    """Out of reach until an instant."""

    def __init__(self, until_s: float) -> None:
        super().__init__(RATE_BPS, block_bits=12_000, air=RETRIES)
        self.until_s = until_s

    def state(self, at_s: float, **facts: Any) -> Any:
        state = super().state(at_s, **facts)
        if at_s >= self.until_s:
            return state
        return state._replace(rate_bps=0.0, errors=(1.0,), until_s=self.until_s)


def test_out_of_reach_a_message_waits_and_is_lost_in_the_end() -> None:
    there = wifi_cell(
        {"t0": Silent(4.0), "t1": Silent(math.inf), "t2": channels(1)["t0"]}, AT_ONCE, power=POWER
    )
    ran = carry(there, [up(0, 0), up(10, 1), up(20, 2), up(5e6, 1)])
    assert ran.lost == [1, 3]
    begins, ends, _ = zip(*((row[1], row[2], row[3]) for row in log(ran)), strict=True)
    assert ends[0] == pytest.approx(4e6 + WHOLE, abs=9)
    assert ends[1] == pytest.approx(10e6 + begins[1], abs=9)
    assert ends[2] == pytest.approx(begins[2] + WHOLE, abs=9)  # who is out of reach takes none of the air
    assert ends[3] == pytest.approx(10e6 + begins[3], abs=9)
    assert energies_us(ran)["t1"] == (0, 0)


def test_rates_are_looked_at_exchange_by_exchange() -> None:
    class Moves(Channel):
        """Half as fast from 50 us on."""

        def state(self, at_s: float, **facts: Any) -> Any:
            state = super().state(at_s, **facts)
            return state._replace(rate_bps=RATE_BPS / (2.0 if at_s > 50 * US else 1.0))

    moves = {"t0": Moves(RATE_BPS, block_bits=12_000, air=RETRIES)}
    ran = carry(wifi_cell(moves, AT_ONCE), [up(0, 0, 1000), up(20, 0, 1000)])
    fast, slow = 43.2 + 2 * 13.6, 43.2 + 13.6 * math.ceil((16 + 8 * 1072) / 4083)
    ends = fast + 44
    assert [row[2] for row in log(ran)] == [round(ends, 3), round(ends + AIFS + slow + 44, 3)]


def test_cells_of_one_channel_share_the_air() -> None:
    def two(band: str | None) -> list[tuple[str, float, float, int]]:
        media = {
            name: Medium(name=name, access="dcf", duplex=HalfDuplex(), band=band) for name in ("west", "east")
        }
        made = {
            "west": (media["west"], {"t0": channels(1)["t0"]}),
            "east": (media["east"], {"t1": channels(1)["t0"]}),
        }
        return log(carry(cells(made), [Message(0.0, "t0", "west", 32), Message(20 * US, "t1", "east", 32)]))

    assert two(None)[1][2] < 150
    ends = two("5.21 GHz")[1][2]
    assert ends in {round(WHOLE + AIFS + 9 * k + WHOLE, 3) for k in range(16)}


def test_backoffs_are_of_the_cell_the_station_and_the_instant_and_of_nothing_else() -> None:
    """Other messages, long before and long after, leave those of an instant as they are."""
    crowd = [up(1e6, i, 1000) for i in range(6)]
    few = log(carry(wifi_cell(channels(6)), crowd))
    more = [down(20, 3), up(30, 2, 20_000), *crowd, up(2e6)]
    assert log(carry(wifi_cell(channels(6)), more))[2:-1] != []
    # The slots' grid has moved with the earlier exchange, by less than a slot.
    shifted = log(carry(wifi_cell(channels(6)), crowd))
    assert shifted == few
    assert log(carry(wifi_cell(channels(6), key=2), crowd)) != few


def test_messages_of_a_request_arrive_in_their_order() -> None:
    """The first one's frame is repeated; the second waits for it."""
    air = Channel(RATE_BPS, (0.5,), block_bits=8 * 70, air=RETRIES)
    messages = [up(100 * i) for i in range(60)]
    in_order = carry(wifi_cell({"t0": air}), messages, in_order=True).ended_s()
    free = carry(wifi_cell({"t0": air}), messages).ended_s()
    assert free != sorted(free)
    assert in_order == pytest.approx([max(free[: i + 1]) for i in range(60)])


def test_a_strategy_may_catch_a_message_that_was_dropped() -> None:
    there = wifi_cell({"t0": Channel(RATE_BPS, (1.0,), block_bits=12_000, air=RETRIES)}, AT_ONCE)
    ran = carry(there, [up(0, 0, 3000)], catches=False)
    request = ran.tables.requests.iloc[0]
    assert (request["outcome"], request["reason"]) == (
        "failed",
        "message lost: station--t0 (2 blocks undelivered)",
    )


def test_requests_over_wifi_are_served() -> None:
    def serve(request: Any, cluster: Any) -> Any:
        answered(request, STATION)
        yield from cluster.send(request, "t0", STATION, 2000)
        for token in request.tokens():
            yield from cluster.emit(request, STATION, token)

    requests = run(wifi_cell(channels(1)), Serve(serve)).requests
    assert requests["outcome"].tolist() == ["completed"]
