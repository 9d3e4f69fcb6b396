"""Airtimes of 802.11 and the rules of EDCA, each worked out by hand from the standard's numbers."""

from __future__ import annotations

import math

import pytest

from edgesim.errors import InputError
from edgesim.radio.access.edca import (
    ACCESS_CATEGORIES,
    RESPONSE_TIMEOUT_S,
    Edca,
    backoff_slots,
    first_boundary,
    slots_passed,
)
from edgesim.radio.access.wifi_mac import Aggregation, Exchange, WifiMac
from edgesim.radio.access.wifi_phy import PpduFormat, control_s
from edgesim.radio.adaptation.wifi_rates import data_rate_bps

US = 1e-6
AX80 = data_rate_bps("ax", 11, 80)  # 8166 bits per symbol of 13.6 us
assert AX80 is not None


def us(seconds: float) -> float:
    return round(1e6 * seconds, 6)


@pytest.mark.parametrize(
    ("n_bytes", "rate_bps", "expected_us"),
    [
        (14, 24e6, 28),  # acknowledgement, CTS: 134 bits, two symbols of 96
        (14, 6e6, 44),  # six of 24
        (20, 24e6, 28),  # RTS: 182 bits, still two
        (32, 24e6, 32),  # block acknowledgement of 64: 278 bits, three
        (56, 24e6, 40),  # of 256: 470 bits, five
    ],
)
def test_control_frames_are_a_legacy_preamble_and_whole_symbols(
    n_bytes: int, rate_bps: float, expected_us: float
) -> None:
    assert us(control_s(n_bytes, rate_bps)) == expected_us


@pytest.mark.parametrize(
    ("ppdu", "mcs", "width_mhz", "n_bytes", "expected_us"),
    [
        # 20 us legacy, RL-SIG 4, SIG-A 8, STF 4, one LTF 7.2: 43.2 us. 624 bits fit one symbol of 8166.
        (PpduFormat(), 11, 80, 76, 43.2 + 13.6),
        # 34,512 bits: 4.2 symbols.
        (PpduFormat(), 11, 80, 4312, 43.2 + 5 * 13.6),
        # 234 tones, BPSK 1/2: 117 bits a symbol; 12,592 bits.
        (PpduFormat(), 0, 20, 1572, 43.2 + 108 * 13.6),
        # 468 tones, 64-QAM 5/6: 2340 bits.
        (PpduFormat(), 7, 40, 1572, 43.2 + 6 * 13.6),
        # Longer guards: 14.4 us with an LTF of 8 us, 16 us with one of 16.
        (PpduFormat(guard_s=1.6e-6), 11, 80, 4312, 44.0 + 5 * 14.4),
        (PpduFormat(guard_s=3.2e-6), 11, 80, 4312, 52.0 + 5 * 16.0),
        # Two streams: two LTFs, 16,333 bits a symbol.
        (PpduFormat(n_streams=2), 11, 80, 4312, 50.4 + 3 * 13.6),
        # VHT, 234 tones, 256-QAM 5/6: 1560 bits. 12,598 bits with tail: nine symbols of 3.6 us, up to 36 us.
        (PpduFormat(generation="ac"), 9, 80, 1572, 40.0 + 36.0),
        (PpduFormat(generation="ac", guard_s=0.8e-6), 9, 80, 1572, 40.0 + 9 * 4.0),
        # HT, 52 tones, 64-QAM 5/6: 260 bits. 12,550 bits.
        (PpduFormat(generation="n", guard_s=0.8e-6), 7, 20, 1566, 36.0 + 49 * 4.0),
    ],
)
def test_a_data_frame_is_its_preamble_and_whole_symbols(
    ppdu: PpduFormat, mcs: int, width_mhz: int, n_bytes: int, expected_us: float
) -> None:
    rate_bps = data_rate_bps(ppdu.generation, mcs, width_mhz, guard_s=ppdu.guard_s, n_streams=ppdu.n_streams)
    assert rate_bps is not None
    assert us(ppdu.data_s(n_bytes, rate_bps)) == pytest.approx(expected_us)
    # And the longest that takes no longer does not take longer, and one byte more does.
    airtime_s = ppdu.data_s(n_bytes, rate_bps)
    longest = ppdu.bytes_within(airtime_s, rate_bps)
    assert longest >= n_bytes
    assert us(ppdu.data_s(longest, rate_bps)) == us(airtime_s)
    assert ppdu.data_s(longest + 1, rate_bps) > airtime_s + 1e-9


def exchange_of(mac: WifiMac, *payloads: int) -> Exchange:
    size = sum(mac.subframe_bytes(payload) for payload in payloads)
    return mac.exchange(len(payloads), payloads[0], size, AX80)


def test_an_exchange_is_data_sifs_and_acknowledgement() -> None:
    """4 bytes: 4 + 28 + 8 + 30 = 70 bytes, 76 in an aggregate of one. 4 KiB: 2 x 1572 and 1168 bytes."""
    mac = WifiMac()
    assert (mac.mpdu_bytes(4), mac.subframe_bytes(4), mac.subframe_bytes(1500)) == (70, 76, 1572)
    assert us(exchange_of(mac, 4).whole_s) == pytest.approx(56.8 + 16 + 28)
    assert us(exchange_of(mac, 1500, 1500, 1096).whole_s) == pytest.approx(43.2 + 5 * 13.6 + 16 + 32)
    announced = exchange_of(WifiMac(rts_from_bytes=0), 4)
    assert us(announced.whole_s) == pytest.approx(28 + 16 + 28 + 16 + 56.8 + 16 + 28)
    assert us(announced.first_s) == 28
    selective = WifiMac(rts_from_bytes=1000)
    assert (us(exchange_of(selective, 4).rts_s), us(exchange_of(selective, 1500).rts_s)) == (0, 28)
    assert us(mac.least_s(AX80)) == pytest.approx(4.5 + 56.8 + 16 + 28)
    # TCP: 40 bytes of headers; an acknowledgement is these alone.
    assert (WifiMac(acknowledges_segments=True).mpdu_bytes(0)) == 20 + 20 + 8 + 30


def test_a_frame_alone_travels_bare_with_802_11n() -> None:
    mac = WifiMac(ppdu=PpduFormat(generation="n", guard_s=0.8e-6))
    assert us(mac.exchange(1, 1500, 1572, 65e6).data_s) == pytest.approx(36 + 49 * 4)  # 1566 bytes
    assert us(mac.exchange(2, 1500, 3144, 65e6).data_s) == pytest.approx(36 + 97 * 4)


@pytest.mark.parametrize(
    ("mac", "rate_bps", "n_frames"),
    [
        (WifiMac(), AX80, 64),
        (WifiMac(aggregation=Aggregation(most_frames=256)), AX80, 115),  # 2.528 ms - 56 us: 178 symbols
        (WifiMac(aggregation=Aggregation(most_frames=1)), AX80, 1),
        (WifiMac(edca=Edca(txop_s=0.0)), AX80, 64),  # one PPDU: an aggregate as any other
        (WifiMac(aggregation=Aggregation(most_bytes=10_000)), AX80, 6),
        (WifiMac(aggregation=Aggregation(longest_s=200e-6)), AX80, 7),  # 11 symbols: 11,226 bytes
        (WifiMac(), 10e6, 1),  # 179 symbols of 136 bits: 3041 bytes
        (WifiMac(), 1e6, 1),  # a single frame goes, whatever its length
    ],
)
def test_an_aggregate_has_what_fits_its_limits(mac: WifiMac, rate_bps: float, n_frames: int) -> None:
    exchange, found = mac.full_exchange(rate_bps)
    assert found == n_frames
    if n_frames > 1:
        assert exchange.whole_s <= (mac.edca.txop_s or 6e-3)
        cycle_s = 43e-6 + 7.5 * 9e-6 + exchange.whole_s
        assert mac.alone_bps(rate_bps) == pytest.approx(n_frames * 12_000 / cycle_s)
    assert WifiMac().alone_bps(0.0) == 0.0


def test_access_categories_are_the_standards() -> None:
    found = {
        name: (us(one.aifs_s), one.cw_min, one.cw_max, us(one.txop_s))
        for name, one in ACCESS_CATEGORIES.items()
    }
    assert found == {
        "background": (79, 15, 1023, 2528),
        "best-effort": (43, 15, 1023, 2528),
        "video": (34, 7, 15, 4096),
        "voice": (34, 3, 7, 2080),
    }
    edca = ACCESS_CATEGORIES["best-effort"]
    assert us(edca.eifs_s) == 16 + 44 + 43
    assert us(RESPONSE_TIMEOUT_S) == 16 + 9 + 20
    assert us(edca.after_failure_s) == 45 + 43
    windows = [edca.cw_min]
    while windows[-1] < edca.cw_max:
        windows.append(edca.next_cw(windows[-1]))
    assert windows == [15, 31, 63, 127, 255, 511, 1023]
    assert edca.next_cw(1023) == 1023


@pytest.mark.parametrize(
    ("busy_us", "n_passed"),
    [(-20, 0), (-9.1, 0), (-4, 1), (0, 1), (4.5, 2), (9, 2), (27, 4), (8999991, 1000000)],
)
def test_a_backoff_counts_boundaries_until_a_slot_after_a_transmission_began(
    busy_us: float, n_passed: int
) -> None:
    """Boundaries at 0, 9, 18, … us; the one at which another begins to send counts (10.23.2.4)."""
    assert slots_passed(1.0, 1.0 + busy_us * US) == n_passed
    boundaries_us = [9 * k for k in range(20)]
    if busy_us < 100:
        assert n_passed == sum(at < busy_us + 9 - 1e-6 for at in boundaries_us)


def test_who_comes_to_idle_air_sends_at_the_next_boundary() -> None:
    cases = [(0.0, 0), (-50.0, 0), (0.1, 1), (9.0, 1), (9.00000001, 1), (10.0, 2)]
    assert [first_boundary(1.0, 1.0 + at * US) for at, _ in cases] == [n for _, n in cases]


def test_backoffs_are_uniform_over_the_window_and_of_their_key_and_instant_alone() -> None:
    from scipy import stats

    drawn = [backoff_slots(77, instant, 15) for instant in range(8000)]
    assert stats.chisquare([drawn.count(slots) for slots in range(16)]).pvalue > 1e-3
    assert drawn[:50] == [backoff_slots(77, instant, 15) for instant in range(50)]
    assert {backoff_slots(key, 5, 0) for key in range(99)} == {0}
    assert math.isclose(sum(drawn) / 8000, 7.5, abs_tol=0.25)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Edca(aifsn=0), "AIFSN 0"),
        (lambda: Edca(cw_min=31, cw_max=15), "windows of 31 to 15 slots"),
        (lambda: Aggregation(most_frames=0), "aggregates of 0 frames"),
        (lambda: Aggregation(longest_s=6e-3), "6 ms; expected"),
        (lambda: Aggregation(most_bytes=0), "0 bytes; expected 1"),
        (lambda: WifiMac(frame_bytes=11_389), "expected 1 to 11388"),
        (
            lambda: WifiMac(ppdu=PpduFormat(generation="n"), aggregation=Aggregation(most_frames=65)),
            "at once",
        ),
        (lambda: PpduFormat(generation="n", n_streams=5), "5 streams"),
        (lambda: PpduFormat(guard_s=0.4e-6), "expected one of 0.8, 1.6, 3.2 us"),
    ],
)
def test_what_no_standard_has_is_refused(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        make()
