"""What strategies see of links, medium by medium: by hand, and against what a message then meets."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from airwaves import BAND_HZ, STATION, Channel, Interface, Message, cell, cells, link
from miniature import PerBlock, Serve, Steady, device, run, world
from watching import watched
from wifi_cells import RETRIES, wifi_cell

from edgesim.errors import ContractError, PlacementError
from edgesim.radio.access.duplex import HalfDuplex, TddPattern
from edgesim.radio.access.resource_grid import ResourceGrid
from edgesim.radio.access.uplink_grant import UplinkGrant
from edgesim.radio.access.wifi_mac import WifiMac
from edgesim.radio.adaptation.air_interface import Arq
from edgesim.radio.adaptation.nr import Nr
from edgesim.radio.channel.fading import BlockFading
from edgesim.radio.channel.fading_law import Rayleigh
from edgesim.radio.motion.handover import A3, ServingCell
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.trace.schema import LinkKind
from edgesim.world.device import Endpoint
from edgesim.world.faults import Faults
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel
from edgesim.world.roaming import Roaming

WIRE = Link(between=("a-0", "b-0"), rate_bps=8e6, latency_s=0.5)
MEGABYTE = Message(0.0, "a-0", "b-0", 8e6)
OUTAGE = ScheduledOutages([(50.0, 51.0)])
PATTERN = TddPattern("DDDSU", 0.5e-3)


def pair(*links, **facts):
    return world([device("a-0"), device("b-0")], links or [WIRE], **facts)


def seen_from(source, target):
    return lambda cluster: cluster.observe().link(source, target)


# --- wires ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("may_fail", [False, True])
def test_behind_a_megabyte_on_a_wire(may_fail: bool) -> None:
    """1 MB at 1 MB/s, looked at after a quarter of it; 4 bytes the other way are free to go."""
    faults = Faults(links={"a-0--b-0": OUTAGE}) if may_fail else None
    seen, _ = watched(
        pair(faults=faults),
        [MEGABYTE],
        [0.25],
        lambda cluster: [cluster.observe().link(*ends) for ends in (("a-0", "b-0"), ("b-0", "a-0"))],
    )
    up, down = seen[0]
    assert (up.at_s, up.sender, up.peer, up.via, up.kind) == (0.25, "a-0", "b-0", "a-0--b-0", LinkKind.WIRED)
    assert (up.rate_bps, up.queued_bytes, up.queued_s, up.latency_s) == (8e6, 750_000.0, 0.75, 0.5)
    assert (up.is_up, up.down, up.snr_db, up.station, up.serving) == (True, None, None, None, None)
    assert (up.loss(1e9), up.n_attempts, up.is_serving) == (0.0, 1.0, True)
    assert up.seconds(1000) == pytest.approx(0.75 + 0.001 + 0.5)
    assert (down.queued_bytes, down.queued_s, down.seconds(1000)) == (0.0, 0.0, pytest.approx(0.501))


def test_what_is_seen_of_a_wire_is_what_a_message_then_meets() -> None:
    """A rate that changes with the instant, and a recording: queued time to the bit."""
    recorded = RecordedRate.of_rates([0.0, 1.0, 2.0, 40.0], [8e6, 2e6, 8e6, 8e6])
    for rate, expected in (
        (lambda at_s: 8e6 if at_s < 1.0 else 4e6, (8e6, 1_500_000.0, 1.5, 3.0)),
        # 2 MB need 1 s at 1 MB/s, 1 s at 0.25 MB/s, and 0.75 s at 1 MB/s.
        (recorded, (8e6, 1_500_000.0, 2.25, 3.25)),
    ):
        sent = [Message(0.0, "a-0", "b-0", 16e6), Message(0.5, "a-0", "b-0", 4e6)]
        first = pair(Link(between=("a-0", "b-0"), rate_bps=rate))
        (seen,), ran = watched(first, sent[:1], [0.5], seen_from("a-0", "b-0"))
        *told, arrives_s = expected
        assert (seen.rate_bps, seen.queued_bytes, seen.queued_s) == pytest.approx(tuple(told))
        assert seen.kind == ("recorded" if rate is recorded else "wired")
        _, ran = watched(first, sent, [0.5], lambda cluster: None)
        second = ran.spans[ran.spans["token"] == 1].iloc[0]
        assert second["started_at_s"] == pytest.approx(0.5 + seen.queued_s)
        assert second["ended_at_s"] == pytest.approx(arrives_s)


def test_links_of_no_time_and_of_no_rate() -> None:
    """A wire that is infinitely fast, and a recording in an outage, which goes on by itself."""
    free = pair(Link(between=("a-0", "b-0"), rate_bps=math.inf, latency_s=0.5))
    (seen,), _ = watched(free, [MEGABYTE], [0.25], seen_from("a-0", "b-0"))
    assert (seen.rate_bps, seen.queued_bytes, seen.queued_s) == (math.inf, 0.0, 0.0)
    assert seen.seconds(1e9) == 0.5
    pauses = RecordedRate.of_rates([0.0, 1.0, 2.0, 40.0], [8e6, 0.0, 8e6, 8e6])
    (seen,), _ = watched(
        pair(Link(between=("a-0", "b-0"), rate_bps=pauses)), [], [1.5], seen_from("a-0", "b-0")
    )
    assert (seen.is_up, seen.rate_bps, seen.queued_s, seen.loss(1)) == (True, 0.0, 0.0, 0.0)
    assert math.isinf(seen.seconds(1))


def test_a_route_is_seen_hop_by_hop() -> None:
    ends = Endpoint(overhead_s=0.125)
    there = world(
        [device("a-0", endpoint=ends), device("s-0", timing=None), device("b-0", endpoint=ends)],
        [
            Link(between=("a-0", "s-0"), rate_bps=8e6, latency_s=0.25),
            Link(between=("s-0", "b-0"), rate_bps=4e6, latency_s=0.5),
        ],
    )
    (route,), _ = watched(
        there, [Message(0.0, "s-0", "b-0", 4e6)], [0.5], lambda c: c.observe().route("a-0", "b-0")
    )
    assert [(hop.sender, hop.peer, hop.queued_s) for hop in route.hops] == [
        ("a-0", "s-0", 0.0),
        ("s-0", "b-0", 0.5),
    ]
    assert (route.is_up, route.snr_db, route.rate_bps, route.loss(1000)) == (True, None, 4e6, 0.0)
    assert (route.queued_bytes, route.queued_s) == (250_000.0, 0.5)
    assert route.seconds(1000) == pytest.approx(0.125 + (0.001 + 0.25) + (0.5 + 0.002 + 0.5) + 0.125)


def test_what_cannot_be_seen_is_told_in_a_sentence() -> None:
    there = world([device("a-0"), device("s-0", timing=None), device("b-0"), device("c-0")], [
        Link(between=("a-0", "s-0"), rate_bps=8e6), Link(between=("s-0", "b-0"), rate_bps=8e6)
    ])  # fmt: skip

    def serve(request, cluster):
        state = cluster.observe()
        here = state.route("a-0", "a-0")
        assert (here.hops, here.is_up, here.rate_bps, here.seconds(1e9)) == ((), True, math.inf, 0.0)
        with pytest.raises(
            ContractError, match="no link leads from 'a-0' to 'b-0'; 'a-0' is linked to 's-0'"
        ):
            state.link("a-0", "b-0")
        with pytest.raises(ContractError, match="no device 'b-9'; did you mean 'b-0'"):
            state.link("a-0", "b-9")
        with pytest.raises(PlacementError, match="no path leads from 'a-0' to 'c-0'"):
            state.route("a-0", "c-0")
        kept = state.device("a-0")
        yield from cluster.sleep(1.0)
        assert kept.at_s == 0.0
        with pytest.raises(ContractError, match="the view of 0 s is used at 1 s; observe again"):
            state.backlog_s("a-0")
        with pytest.raises(ContractError, match="the view of 0 s is used at 1 s; observe again"):
            state.route("a-0", "b-0")
        cluster.fail(request, "seen")

    assert run(there, Serve(serve)).requests["reason"].tolist() == ["seen"]


# --- what fails -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_radio", [False, True])
def test_a_link_is_seen_down_while_it_or_an_end_is(is_radio: bool) -> None:
    faults = Faults(
        links={"a-0--b-0": ScheduledOutages([(1.0, 2.0)])}, devices={"b-0": ScheduledOutages([(3.0, 4.0)])}
    )
    one, facts = WIRE, {}
    if is_radio:
        channel = RadioChannel(link=Steady(8e6), terminal="a-0", station="b-0", medium="b-0", key=1)
        one, facts = replace(WIRE, radio=channel), {"media": {"b-0": Medium(name="b-0")}}
    seen, _ = watched(
        pair(one, faults=faults, **facts), [], [0.5, 1.0, 2.0, 3.5, 4.5], seen_from("a-0", "b-0")
    )
    assert [state.down for state in seen] == [None, "link down", None, "b-0 down", None]
    assert [(state.rate_bps, state.loss(1)) for state in seen] == [
        (8e6, 0.0), (0.0, 1.0), (8e6, 0.0), (0.0, 1.0), (8e6, 0.0)
    ]  # fmt: skip
    assert [math.isinf(state.seconds(1)) for state in seen] == [False, True, False, True, False]


def test_a_link_out_of_reach_is_down() -> None:
    there = cell({"t0": link(-40.0, air=Nr(BAND_HZ * 20))})
    (seen,), _ = watched(there, [], [0.5], seen_from("t0", STATION))
    assert (seen.down, seen.is_up, seen.rate_bps, seen.loss(1)) == ("out of reach", False, 0.0, 1.0)
    assert seen.snr_db == pytest.approx(-40.0, abs=20.0)


# --- one's own spectrum ---------------------------------------------------------------------------------


def test_ratio_and_rate_are_the_channels_at_that_instant() -> None:
    channel = link(12.0, fading=BlockFading(Rayleigh(), 11, 0.02))
    looks = [0.001, 0.0205, 0.3, 0.777]
    for uplink, ends in ((True, ("t0", STATION)), (False, (STATION, "t0"))):
        seen, _ = watched(cell({"t0": channel}), [], looks, seen_from(*ends))
        reports = [channel.report(at_s, uplink=uplink) for at_s in looks]
        assert [state.snr_db for state in seen] == [report.sinr_db for report in reports]
        assert [state.rate_bps for state in seen] == [report.rate_bps for report in reports]
        assert len({state.snr_db for state in seen}) > 2
        assert seen[0].rate_bps == pytest.approx(BAND_HZ * math.log2(1 + 10 ** (seen[0].snr_db / 10)))
        assert all(state.station == state.serving == STATION for state in seen)


def test_odds_of_blocks_and_messages() -> None:
    """Two attempts of 0.5 and 0.25, each gone through twice: lost with 1/64, sent 1.5 (1 + 1/8) times."""
    channel = Channel(1e6, (0.5, 0.25), block_bits=1000, air=Interface(0.0, Arq(1, 0.0)))
    (seen,), _ = watched(cell({"t0": channel}), [], [0.5], seen_from("t0", STATION))
    assert (seen.block_bits, seen.block_loss, seen.n_attempts) == (1000, 1 / 64, 1.6875)
    assert seen.loss(125) == pytest.approx(1 / 64)
    assert seen.loss(1) == pytest.approx(1 / 64)
    assert seen.loss(126) == pytest.approx(1 - (63 / 64) ** 2)
    assert seen.seconds(125) == pytest.approx(1.6875e-3)


# --- shared bands ---------------------------------------------------------------------------------------

OTHERS = [Message(0.0, "t1", STATION, 1e8), Message(0.1, "t2", STATION, 1e8)]
SHARE = {"equal": 1 / 3, "weighted": 2.0 / 3.5}  # of t0, whose weight is 2, beside 1 and 0.5


@pytest.mark.parametrize("access", ["equal", "weighted", "tdma", "round-robin"])
def test_beside_two_others_in_a_band(access: str) -> None:
    """A terminal puts its power into its part, a station spreads it; in turns each has all of the band."""
    channels = {f"t{i}": link(10.0) for i in range(3)}
    there = cell(channels, Medium(name=STATION, access=access), weights={"t0": 2.0, "t1": 1.0, "t2": 0.5})
    (alone, beside), _ = watched(there, OTHERS, [0.05, 0.2], seen_from("t0", STATION))
    share = SHARE.get(access, 1.0)
    expected_bps = BAND_HZ * share * math.log2(1 + 10.0 / share) * (1.0 if access in SHARE else 1 / 3)
    assert beside.rate_bps == pytest.approx(expected_bps)
    assert beside.snr_db == alone.snr_db == pytest.approx(10.0)
    assert alone.rate_bps > beside.rate_bps
    (down,), _ = watched(there, OTHERS, [0.2], seen_from(STATION, "t0"))
    assert down.rate_bps == pytest.approx(BAND_HZ * math.log2(11.0))  # a band of its own


def test_one_band_both_ways_is_shared_with_the_other_way() -> None:
    channels = {f"t{i}": link(10.0) for i in range(3)}
    there = cell(channels, Medium(name=STATION, access="equal", duplex=HalfDuplex()))
    (down,), _ = watched(there, OTHERS, [0.2], seen_from(STATION, "t0"))
    assert down.rate_bps == pytest.approx(BAND_HZ * math.log2(11.0) / 3)


@pytest.mark.parametrize("n_own", [0, 1, 2])
@pytest.mark.parametrize("access", ["equal", "tdma"])
def test_the_rate_seen_is_what_one_more_message_makes_of_the_link(access: str, n_own: int) -> None:
    """Own messages that arrive at one instant with the last other: what they carry in a second together."""
    channels = {f"t{i}": link(10.0) for i in range(3)}
    there = cell(channels, Medium(name=STATION, access=access))
    own = [Message(0.0, "t0", STATION, 1e8)] * n_own
    looks = [0.2, 0.3, 1.3]
    one_more = Message(0.25, "t0", STATION, 1e8)
    seen, _ = watched(there, [*OTHERS, *own, one_more], looks, seen_from("t0", STATION))
    before, after, later = seen
    carried_bps = 8 * (after.queued_bytes - later.queued_bytes) / 1.0
    assert before.rate_bps == pytest.approx(carried_bps)
    assert after.queued_s == pytest.approx(8 * after.queued_bytes / after.rate_bps)


def test_bytes_on_the_air_are_counted_down() -> None:
    """1 Mbit at 1 Mbit/s, alone and beside another; a repetition is none of what the message has left."""
    there = cell({"t0": Channel(1e6), "t1": Channel(1e6)})
    (alone, shared), _ = watched(
        there,
        [Message(0.0, "t0", STATION, 1e6), Message(0.5, "t1", STATION, 1e6)],
        [0.25, 0.75],
        seen_from("t0", STATION),
    )
    assert alone.queued_bytes == pytest.approx(750_000 / 8)
    assert shared.queued_bytes == pytest.approx((1e6 - 0.5e6 - 0.125e6) / 8)
    assert alone.rate_bps == pytest.approx(1e6)
    again = cell({"t0": Channel(1e6, (0.5,), block_bits=10_000, air=Interface(0.0, Arq(20, 0.0)))})
    (half,), ran = watched(again, [Message(0.0, "t0", STATION, 1e6)], [0.5], seen_from("t0", STATION))
    took_s = ran.spans["ended_at_s"].max()
    assert took_s > 1.5  # half of the blocks are repeated, and half of these ...
    assert half.queued_bytes == pytest.approx(1e6 / 8 * (1 - 0.5 / took_s))


# --- cells on one channel -------------------------------------------------------------------------------


@pytest.mark.parametrize("in_slots", [False, True])
@pytest.mark.parametrize("is_up", [True, False])
def test_the_ratio_falls_while_a_cell_on_the_channel_sends(is_up: bool, in_slots: bool) -> None:
    """20 dB from one's own station, 10 dB from the other's: 100 / 11 while that sends, alone on its air."""
    hz = 20e6 if in_slots else BAND_HZ
    air = Faultless(hz) if in_slots else None
    own, other = (link(snr_db, air=air, bandwidth_hz=hz) for snr_db in (20.0, 10.0))
    facts = {"band": "3.5 GHz", "duplex": PATTERN, "grid": grid()} if in_slots else {"band": "3.5 GHz"}
    media = {
        "west": Medium(name="west", across={"a": own, "b": other}, **facts),
        "east": Medium(name="east", across={"a": other, "b": own}, **facts),
    }
    there = cells({"west": (media["west"], {"a": own}), "east": (media["east"], {"b": own})})
    ours, theirs = (("a", "west"), ("b", "east")) if is_up else (("west", "a"), ("east", "b"))
    # In 1.2 ms and in 2.2 ms the pattern is open down and up.
    (quiet, against, with_), _ = watched(
        there,
        [Message(0.5, *theirs, 5e7)],
        [0.1, 0.6 + (2.2e-3 if is_up else 1.2e-3), 0.7 + (2.2e-3 if is_up else 1.2e-3)],
        lambda cluster: (cluster.observe().link(*ours), cluster.observe().link(*ours[::-1])),
    )
    assert quiet[0].snr_db == pytest.approx(20.0)
    assert against[0].snr_db == with_[0].snr_db == pytest.approx(10.0 * math.log10(100.0 / 11.0))
    assert against[1].snr_db == pytest.approx(20.0)  # the other way is not disturbed
    assert against[0].rate_bps < quiet[0].rate_bps


# --- 5G's slots -----------------------------------------------------------------------------------------


class Faultless(Nr):
    """5G NR whose blocks all arrive."""

    def errors(self, grant, sinr):
        return (0.0,)


def grid() -> ResourceGrid:
    return ResourceGrid(slot_s=0.5e-3, n_prb=51, duplex=PATTERN, uplink=UplinkGrant(period_slots=20))


def grid_cell(access: str, air=Nr):
    medium = Medium(name=STATION, access=access, duplex=PATTERN, grid=grid())
    channels = {f"t{i}": link(15.0, air=air(20e6), bandwidth_hz=20e6) for i in range(3)}
    return cell(channels, medium), channels


@pytest.mark.parametrize("access", ["equal", "tdma", "round-robin", "proportional-fair"])
def test_in_slots_beside_two_others(access: str) -> None:
    there, channels = grid_cell(access)
    share = grid().share(uplink=False)
    others = [Message(0.0, STATION, "t1", 1e8), Message(0.0, STATION, "t2", 1e8)]
    (alone,), _ = watched(there, [], [0.1], seen_from(STATION, "t0"))
    (seen,), _ = watched(there, others, [0.1], seen_from(STATION, "t0"))
    whole = channels["t0"].state(0.1, uplink=False)
    part = channels["t0"].state(0.1, uplink=False, band_share=17 / 51)
    rate_bps = (part.grant.block_bits if access == "equal" else whole.grant.block_bits / 3) / 0.5e-3
    assert seen.rate_bps == pytest.approx(rate_bps * share)
    assert seen.snr_db == channels["t0"].report(0.1, uplink=False).sinr_db
    assert alone.rate_bps == pytest.approx(whole.rate_bps * share)
    assert seen.block_bits == (part if access == "equal" else whole).grant.block_bits


@pytest.mark.parametrize("n_others", [0, 2])
def test_what_has_left_in_slots_is_seen_gone(n_others: int) -> None:
    """In 200 whole patterns of slots, alone (worked out ahead) and in company, as the rate seen says."""
    there, _ = grid_cell("equal", Faultless)
    messages = [Message(0.0, STATION, f"t{i}", 1e8) for i in range(n_others + 1)]
    seen, _ = watched(there, messages, [0.1, 0.6], seen_from(STATION, "t0"))
    carried_bytes = seen[0].queued_bytes - seen[1].queued_bytes
    assert carried_bytes == pytest.approx(0.5 * seen[0].rate_bps / 8)


# --- Wi-Fi ----------------------------------------------------------------------------------------------


def test_on_wifi_turns_are_shared_with_all_that_contend() -> None:
    """Beside two other stations a third of what the MAC gives one alone; the access point's own two halve."""
    rate_bps, mac = 100e6, WifiMac()
    channels = {f"t{i}": Channel(rate_bps, block_bits=12_000, air=RETRIES) for i in range(4)}
    there = wifi_cell(channels, mac)
    up = [Message(0.0, f"t{i}", STATION, 4e7) for i in (1, 2)]
    (idle, busy), _ = watched(there, up, [0.0, 0.1], seen_from("t0", STATION))
    assert idle.rate_bps == pytest.approx(mac.alone_bps(rate_bps) / 3)  # both have come at that instant
    assert busy.rate_bps == pytest.approx(mac.alone_bps(rate_bps) / 3)
    down = [*up, Message(0.0, STATION, "t3", 4e7)]
    (beside,), _ = watched(there, down, [0.1], seen_from(STATION, "t0"))
    assert beside.rate_bps == pytest.approx(mac.alone_bps(rate_bps) / 3 / 2)
    (own,), _ = watched(there, down, [0.1], seen_from(STATION, "t3"))
    assert own.rate_bps == pytest.approx(mac.alone_bps(rate_bps) / 3)
    assert 0.0 < own.queued_bytes < 4e7 / 8
    assert own.queued_s == pytest.approx(8 * own.queued_bytes / own.rate_bps)


def test_on_wifi_a_block_is_a_frame_with_its_headers() -> None:
    mac = WifiMac()
    channel = Channel(100e6, (0.1,), block_bits=12_000, air=RETRIES)
    (seen,), _ = watched(wifi_cell({"t0": channel}, mac), [], [0.1], seen_from("t0", STATION))
    error = 1 - 0.9 ** (8 * mac.mpdu_bytes(mac.frame_bytes) / 12_000)
    assert seen.block_bits == 12_000
    assert seen.block_loss == pytest.approx(error**7)
    assert seen.n_attempts == pytest.approx(sum(error**k for k in range(7)))


# --- cells that change ----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_radio", [False, True])
def test_the_cell_that_serves_is_seen_and_the_interruption(is_radio: bool) -> None:
    """West serves until its power falls; the measurement at 1.2 s is the fifth in a row that says east."""

    def measure(cell_, times_s):
        return [0.0 if (cell_ == "west") == (t < 1.0) else -30.0 for t in times_s.tolist()]

    roams = Roaming(serving=ServingCell(measure, ("west", "east"), A3(interruption_s=0.5)))
    masts = [device(name, timing=None, memory_bytes=0) for name in ("west", "east")]
    air = [Link(between=("user", mast.id), rate_bps=8e4) for mast in masts]
    facts = {}
    if is_radio:
        facts["media"] = {mast.id: Medium(name=mast.id) for mast in masts}
        air = [
            replace(
                one,
                radio=RadioChannel(
                    link=Steady(8e4), terminal="user", station=one.between[1], medium=one.between[1], key=1
                ),
            )
            for one in air
        ]
    wires = [Link(between=(mast.id, "server"), rate_bps=8e6) for mast in masts]
    there = world(
        [device("user"), *masts, device("server", PerBlock(0.25))],
        [*air, *wires],
        roaming={"user": roams},
        **facts,
    )

    def look(cluster):
        state = cluster.observe()
        west, route = state.link("user", "west"), state.route("user", "server")
        back = state.route("server", "user")
        return (
            (west.station, west.serving, west.is_serving),
            [hop.peer for hop in route.hops],
            [hop.sender for hop in back.hops],
            route.queued_s,
        )

    seen, _ = watched(there, [], [0.5, 1.4], look)
    first, second = seen
    assert first == (("west", "west", True), ["west", "server"], ["server", "west"], 0.0)
    changed = roams.serving.next_handover(0.0, 5.0)
    assert changed is not None
    assert 1.0 < changed.at_s < 1.4 < changed.ends_at_s
    ready_s = changed.ends_at_s - 1.4
    assert second == (
        ("west", "east", False),
        ["east", "server"],
        ["server", "east"],
        pytest.approx(ready_s),
    )
