"""Recorded rates against a replay packet by packet, integrals by hand, and conservation."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.errors import RecordingError
from edgesim.radio.motion.rate_files import read_rates
from edgesim.radio.motion.recorded import RecordedRate

PACKET_BITS = 12_000


def replay(lines_ms, messages):
    """Mahimahi's link, opportunity by opportunity: an opportunity serves whoever waits, up to 1500 bytes."""
    period_ms = lines_ms[-1]
    waiting, ended_ms = [], {}
    arrivals = sorted((at_ms, number, size) for number, (at_ms, size) in enumerate(messages))
    round_ms, left = 0, len(messages)
    while left:
        for line_ms in lines_ms:
            at_ms = round_ms + line_ms
            while arrivals and arrivals[0][0] < at_ms:
                _, number, size = arrivals.pop(0)
                waiting.append([number, size])
            room = 1500
            while room and waiting:
                taken = min(room, waiting[0][1])
                room -= taken
                waiting[0][1] -= taken
                if not waiting[0][1]:
                    ended_ms[waiting.pop(0)[0]] = at_ms
                    left -= 1
        round_ms += period_ms
    return [ended_ms[number] for number in range(len(messages))]


@given(
    lines_ms=st.lists(st.integers(1, 40), min_size=1, max_size=12).map(sorted),
    messages=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 6000)), min_size=1, max_size=8).map(
        sorted
    ),
)
def test_first_come_first_served_over_packets_is_mahimahis_replay(lines_ms, messages) -> None:
    recorded = RecordedRate.of_packets([float(line) for line in lines_ms])  # in milliseconds, to stay exact
    free_bits, ended_ms = 0.0, []
    for at_ms, size_bytes in messages:
        free_bits = max(recorded.delivered_bits(float(at_ms)), free_bits) + 8 * size_bytes
        ended_ms.append(recorded.instant_s(free_bits))
    assert ended_ms == replay(lines_ms, messages)


def test_a_rate_is_integrated_exactly_over_its_changes_and_its_end() -> None:
    # 100 bit/s for 2 s, nothing for 1 s, 50 bit/s for 4 s: 400 bits in 7 s.
    recorded = RecordedRate.of_rates([0.0, 2.0, 3.0, 7.0], [100.0, 0.0, 50.0, 123.0])
    assert recorded.mean_bps == pytest.approx(400 / 7)
    assert recorded.finish_s(0.0, 150.0) == pytest.approx(1.5)
    assert recorded.finish_s(1.0, 100.0) == pytest.approx(2.0)
    assert recorded.finish_s(1.0, 150.0) == pytest.approx(4.0)
    assert recorded.finish_s(2.5, 10.0) == pytest.approx(3.2)
    assert recorded.finish_s(5.0, 100.0 + 50.0) == pytest.approx(7.5)
    assert recorded.finish_s(5.0, 100.0 + 400.0 * 3) == pytest.approx(28.0)
    assert recorded.finish_s(2.5, 0.0) == 2.5
    assert [recorded.rate_bps(t) for t in (0.0, 2.0, 2.9, 3.0, 6.9, 7.0, 9.5)] == [100, 0, 0, 50, 50, 100, 0]


@given(st.floats(0.0, 100.0), st.floats(1.0, 5000.0), st.floats(0.01, 0.99))
def test_a_transfer_in_two_parts_ends_with_the_whole(start_s: float, size_bits: float, part: float) -> None:
    recorded = RecordedRate.of_rates([0.0, 1.0, 1.5, 4.0], [300.0, 20.0, 90.0, 0.0])
    half_s = recorded.finish_s(start_s, part * size_bits)
    whole_s = recorded.finish_s(start_s, size_bits)
    assert recorded.finish_s(half_s, (1 - part) * size_bits) == pytest.approx(whole_s, rel=1e-9)
    assert recorded.delivered_bits(whole_s) - recorded.delivered_bits(start_s) == pytest.approx(
        size_bits, rel=1e-9, abs=1e-6
    )


def test_files_are_read_by_their_format(tmp_path) -> None:
    packets = tmp_path / "lte.down"
    packets.write_text("3\n3\n10\n")
    recorded, down = read_rates(packets)
    assert recorded is down
    assert recorded.mean_bps == pytest.approx(3 * PACKET_BITS / 0.010)
    assert recorded.finish_s(0.0, 2 * PACKET_BITS) == pytest.approx(0.003)
    assert recorded.finish_s(0.0, 2 * PACKET_BITS + 1) == pytest.approx(0.010)
    assert recorded.finish_s(0.0, 4 * PACKET_BITS) == pytest.approx(0.013)
    assert recorded.rate_bps(0.0) == 300 * PACKET_BITS
    rates = tmp_path / "wifi.csv"
    rates.write_text("t, rate_bps\n10, 1e6\n12, 2e6\n13, 0\n")
    assert read_rates(rates)[0].finish_s(0.0, 3e6) == pytest.approx(2.5)


@pytest.mark.parametrize("name", ["rates.csv", "rates.log", "rates", "rates.down"])
@pytest.mark.parametrize("packed", [False, True])
def test_contents_tell_the_format_whatever_the_file_is_called(tmp_path, name: str, packed: bool) -> None:
    for text, mean_bps in (("t,rate_kbps\n0,8\n2,0\n", 8e3), ("\n\n7\n10\n", 2 * PACKET_BITS / 0.010)):
        data = ("\ufeff" + text).encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
        assert read_rates(tmp_path / name)[0].mean_bps == pytest.approx(mean_bps)


@pytest.mark.parametrize(
    ("column", "unit", "factor"),
    [
        ("rate_bps", None, 1.0),
        ("rate_kbps", None, 1e3),
        ("rate_mbps", None, 1e6),
        ("RATE_Gbps", None, 1e9),
        ("rate [Mbit/s]", None, 1e6),
        ("rate(kbit/s)", None, 1e3),
        ("rate_Mbit/s", None, 1e6),
        ("Mbit/s", None, 1e6),
        ("rate", "Mbit/s", 1e6),
        ("rate", "kbps", 1e3),
        ("rate_mbps", "Mbit/s", 1e6),
    ],
)
def test_a_column_of_rates_has_its_unit(tmp_path, column: str, unit: str | None, factor: float) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"t,{column},note\n0,5,x\n1,15,x\n2,0,x\n")
    up, down = read_rates(path, unit=unit)
    assert up is down
    assert up.mean_bps == pytest.approx(10 * factor)


@pytest.mark.parametrize("column", ["rate_MBps", "rate_kBps", "up_MBps"])
def test_bytes_are_not_read_as_bits(tmp_path, column: str) -> None:
    (tmp_path / "r.csv").write_text(f"t,{column}\n0,5\n10,5\n")
    with pytest.raises(RecordingError, match="bytes per second; give bits per second"):
        read_rates(tmp_path / "r.csv")


def test_columns_of_both_ways_and_of_milliseconds(tmp_path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("down_mbps,t_ms,up_kbps\n40,0,10\n60,500,30\n0,1000,0\n")
    up, down = read_rates(path)
    assert (up.mean_bps, down.mean_bps) == (pytest.approx(20e3), pytest.approx(50e6))
    assert up.length_s == down.length_s == 1.0


def test_rates_without_a_unit_are_taken_for_bits_where_a_link_may_have_them(tmp_path: Path) -> None:
    path = tmp_path / "rate.csv"
    path.write_text("t,rate\n0,1000000\n1,2000000\n2,500000\n")
    up, down = read_rates(path)
    assert up is down
    assert (up.mean_bps, up.is_guessed) == (1.5e6, True)
    assert not read_rates(path, unit="bit/s")[0].is_guessed
    path.write_text("t,rate\n0,90000\n1,90000\n2,0\n")
    with pytest.raises(RecordingError, match="its mean would be 9e"):
        read_rates(path)


PENSIEVE = "t,rate\n0,5.2\n1,6.1\n2,1\n"


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        (
            PENSIEVE,
            None,
            "line 1: the column 'rate' does not state its unit, and in bit/s its mean would be 5.65; rename "
            "it rate_bps, rate_kbps, rate_mbps",
        ),
        (
            "t,up,down\n0,1,2\n1,1,2\n",
            None,
            "does not state its unit, and in bit/s its mean would be 1; rename it up_",
        ),
        ("t,up_mbps,down\n0,1,2\n1,1,2\n", None, "the column 'down' does not state its unit"),
        ("t,rate_mbps\n0,1\n1,1\n", "kbit/s", "the column 'rate_mbps' contradicts 'unit: kbit/s'"),
        ("t,rate [MB/s]\n0,1\n1,1\n", None, "has no unit of a data rate"),
        ("t,rate []\n0,1\n1,1\n", None, "has no unit of a data rate"),
        ("t,rate_MB/s\n0,1\n1,1\n", None, "has no unit of a data rate"),
        ("t,rate_bps,rate_mbps\n0,1,1\n", None, "two columns of rates, 'rate_bps' and 'rate_mbps'"),
        ("t,up_mbps\n0,1\n1,1\n", None, "no column of rates in the header"),
        ("t,speed\n0,1\n1,1\n", None, "no column of rates in the header 't,speed'"),
        ("t,t_ms,rate_bps\n0,1,1\n", None, "two columns of instants"),
        ("3\n5\n", "Mbit/s", "is a Mahimahi list, whose lines are milliseconds; leave 'unit' out"),
        ("0.5\t3.2\n1.0\t2.2\n", None, "no column of instants in the header"),
        (
            '{"t": [0]}',
            None,
            "line 1: found '{\"t\": [0]}'; expected CSV with a header such as 't,rate_mbps', or",
        ),
        ("<rates/>", None, "expected CSV with a header such as 't,rate_mbps', or Mahimahi"),
        ("", None, "no header; expected the names of the columns"),
    ],
)
def test_a_rate_without_its_unit_is_refused(tmp_path, text: str, unit: str | None, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=re.escape(message)):
        read_rates(path, unit=unit)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.down", "3\nx\n", "line 2: found 'x', expected whole milliseconds"),
        ("a.down", "3\n2\n", "line 2: found 2 ms after 3 ms"),
        ("a.down", "0\n0\n", "no delivery after 0 ms"),
        ("a.csv", "time,rate_bps\n0,1\n", "line 1: no column of instants in the header 'time,rate_bps'"),
        ("a.csv", "t,rate_bps\n0,1\n0,2\n", "line 3: found t = 0 s after 0 s"),
        ("a.csv", "t,rate_bps\n0,-1\n", "line 2: found a rate of -1"),
        ("a.csv", "t,rate_bps\n0,fast\n", "line 2: found rate_bps = 'fast'"),
        ("a.csv", "t,rate_bps\n0\n", "line 2: found 1 cells, expected 2 as in the header"),
        ("a.csv", "t,rate_bps\n0,0\n1,5\n", "a rate above 0 before the last"),
        (
            "a.csv",
            "t,rate_bps\n0,1e308\n1,1e308\n2,1\n",
            "line 2: found a rate of 1e\\+308 bit/s; expected 0 to",
        ),
        ("a.csv", "t,rate_bps\n0,1e-300\n1,5\n", "a mean rate of 1e-300 bit/s; expected 1 to 1e"),
        ("a.csv", "t,rate_bps\n0,5\n1e-320,5\n", "lasts 9.99989e-321 s; expected 1e-06 to 1e"),
        ("a.csv", "t,up_bps,down_bps\n0,0,1\n1,5,1\n", "a rate above 0 before the last"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(RecordingError, match=message):
        read_rates(path)


def test_a_small_file_that_unpacks_without_end_is_refused(tmp_path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(b"1\n" * 30_000_000, compresslevel=1) + gzip.compress(b"1\n" * 30_000_000))
    with pytest.raises(RecordingError, match="unpacks to more than 200 times its size"):
        read_rates(path)
    path.write_bytes(gzip.compress(b"1\n" * 300_000)[:-9])
    with pytest.raises(RecordingError, match="cannot be read"):
        read_rates(path)


def test_a_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(RecordingError, match="cannot be read"):
        read_rates(tmp_path / "none.csv")
