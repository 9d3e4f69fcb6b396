"""The inspector of radio links: lines that add up, and rates that a run's medium grants."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import pytest

from edgesim.errors import InputError
from edgesim.radio.adaptation.scheme_names import reported_cqi, scheme_name
from edgesim.report.links.budget import budget, budget_table
from edgesim.report.links.plot import plot_links
from edgesim.report.links.table import (
    Direction,
    decibels,
    directions,
    evaluate,
    evaluate_over,
    link_table,
    links_table,
    rate,
)
from edgesim.scenario.load import parse
from edgesim.scenario.radio.inspection import Inspected, radio_links

TEXT = """\
name: air
seed: 3
model: {architecture: gpt2, dtype: float32}
profile: analytic
topology:
  devices:
    - {id: user, kind: raspberry-pi-5, count: 2, place: {grid: 30 m}}
    - {id: cell, kind: rtx-3090, count: 2, place: {grid: 90 m, corner: [40 m, 25 m]}}
  links:
    - {between: [user, cell], RADIO}
    - {between: [cell, cell], wired: {rate: 1 Gbit/s}}
workload: {sources: user, arrivals: {poisson: 1 Hz}, prompt_tokens: 8, output_tokens: 4, requests: 5}
strategies: [{use: local}]
"""


def inspected(radio: str = "radio: nr-n78", between: tuple[str, str] | None = None) -> list[Inspected]:
    asked = parse(TEXT.replace("RADIO", radio), name="air.yaml", folder=Path())
    return radio_links(asked, replication=0, between=between)


def both(radio: str = "radio: nr-n78") -> tuple[Direction, Direction]:
    up, down = directions(inspected(radio, ("user-0", "cell-0")))
    return up, down


def number(text: str) -> float:
    found = re.match(r"[+-]?[0-9.]+", text)
    assert found is not None, text
    return float(found[0])


@pytest.mark.parametrize("radio", ["nr-n78", "nr-n1", "nr-n258", "wifi6"])
def test_the_lines_of_a_budget_add_up(radio: str) -> None:
    for direction in both(f"radio: {radio}"):
        lines = budget(direction, 0.3)
        loss = next(name for name in lines if name.startswith("path loss"))
        parts = ["transmit power", "antenna gains", loss, "shadowing", "fading"]
        received_dbm = sum(number(lines[name]) for name in parts)
        # Each line is rounded to 0.05 at worst, the two with two digits to 0.005.
        assert number(lines["= received"]) == pytest.approx(received_dbm, abs=0.05 * 4 + 0.005 * 2 + 1e-9)
        snr_db = number(lines["= received"]) - number(lines["noise"])
        if lines["narrower band"] != "–":
            snr_db += number(lines["narrower band"])
        assert number(lines["= SNR"]) == pytest.approx(snr_db, abs=0.05 * 4 + 1e-9)


@pytest.mark.parametrize(
    ("radio", "distance_m", "los", "loss_db", "snr_db"),
    [
        # Path loss as tabulated for 3.5 GHz and a terminal at 1.5 m; noise in 40 MHz -97.98 dBm.
        ("nr-n78", 100, "always", 85.31, 23.0 + 8.0 - 85.31 - (-97.98 + 5.0)),
        ("nr-n78", 200, "never", 115.23, 23.0 + 8.0 - 115.23 - (-97.98 + 5.0)),
        # At 20 MHz, -100.99 dBm.
        ("{use: nr-n78, bandwidth: 20 MHz}", 100, "always", 85.31, 23.0 + 8.0 - 85.31 - (-100.99 + 5.0)),
    ],
)
def test_a_ratio_is_the_one_worked_out_by_hand(
    radio: str, distance_m: int, los: str, loss_db: float, snr_db: float
) -> None:
    text = TEXT.replace("place: {grid: 30 m}", f"place: {{grid: 1 m, corner: [{40 + distance_m} m, 25 m]}}")
    text = text.replace(
        "RADIO",
        f"radio: {radio}, fading: none, propagation: {{model: 3gpp-umi, los: {los}, shadowing: false}}",
    )
    asked = parse(text, name="air.yaml", folder=Path())
    up, _ = directions(radio_links(asked, replication=0, between=("user-0", "cell-0")))
    told = evaluate(up, 0.0)
    assert told.at.distance_m == distance_m
    assert told.at.path_loss_db == pytest.approx(loss_db, abs=0.005)  # two digits are tabulated
    # Where the ratio is low the terminal narrows its band; the ratio over all of it is what it gains on.
    narrowed_db = told.at.sinr_db - (told.at.received_dbm + 174 - 10 * math.log10(40e6) - 5.0)
    if "20 MHz" in radio:
        narrowed_db -= 10 * math.log10(2.0)
    assert told.at.sinr_db - narrowed_db == pytest.approx(snr_db, abs=0.01)
    assert narrowed_db == pytest.approx(0.0, abs=1e-6) or snr_db < 10.0


def test_noise_is_that_of_the_receiver_and_its_band() -> None:
    up, down = both()
    # -174 + 10 log10(40 MHz) = -97.98 dBm; a station adds 5 dB, a terminal 9.
    assert budget(up, 0.0)["noise"].startswith("-93.0 dBm")
    assert budget(down, 0.0)["noise"].startswith("-89.0 dBm")


def test_goodput_alone_is_the_rate_in_the_openings_less_repetitions() -> None:
    # DDDSU with a special slot of 10:2:2 symbols is open for data in 14 of 70 symbols up and 52 down.
    for direction, share in zip(both("radio: nr-n78, fading: none"), (14 / 70, 52 / 70), strict=True):
        told = evaluate(direction, 0.0)
        assert told.at.bler < 1e-3
        assert told.alone_bps == pytest.approx(told.at.rate_bps * share, rel=1e-3)


def test_goodput_alone_under_contention_is_that_of_full_aggregates_back_to_back() -> None:
    direction = both("radio: wifi6, fading: none")[0]
    told = evaluate(direction, 0.0)
    symbol_s, preamble_s, sifs_s, block_ack_s = 13.6e-6, 43.2e-6, 16e-6, 32e-6
    symbol_bits = int(told.at.rate_bps * symbol_s + 1e-6)
    # As many frames of 1500 + 66 bytes, with delimiter and padding 1572, as a TXOP of 2.528 ms has room for.
    n_symbols = int((2.528e-3 - sifs_s - block_ack_s - preamble_s) / symbol_s)
    n_frames = min(64, (n_symbols * symbol_bits - 16) // (8 * 1572))
    data_s = preamble_s + symbol_s * math.ceil((16 + 8 * 1572 * n_frames) / symbol_bits)
    # AIFS of 16 + 3 x 9 us, half of the first window of 15 slots.
    cycle_s = 43e-6 + 7.5 * 9e-6 + data_s + sifs_s + block_ack_s
    assert told.at.bler < 1e-3
    assert told.alone_bps == pytest.approx(12_000 * n_frames / cycle_s, rel=1e-3)
    # The shortest message: half a slot, 72 + 4 bytes, SIFS and acknowledgement.
    least_s = 4.5e-6 + preamble_s + symbol_s * math.ceil((16 + 8 * 72) / symbol_bits) + sifs_s + 28e-6
    assert budget(direction, 0.0)["shortest message"] == f"{1e6 * least_s:.0f} us on idle air"


def test_out_of_reach_is_said_and_has_no_rate() -> None:
    direction = both("radio: {use: nr-n78, terminal: {power: -90 dBm}}")[0]
    told = evaluate(direction, 0.0)
    assert (told.at.mcs, told.at.rate_bps, told.alone_bps, told.cqi) == (-1, 0.0, 0.0, 0)
    assert budget(direction, 0.0)["scheme"] == "out of reach"
    table = link_table(evaluate_over(direction, from_s=0.0, until_s=1.0, every_s=0.5))
    assert list(table.columns[table.columns.index(_column(table, "scheme"))].cells) == ["out of reach"] * 3


def test_neighbours_that_interfere_come_into_the_budget() -> None:
    alone = budget(both()[1], 0.0)
    up, down = both("radio: nr-n78, interference: true")
    assert alone["SINR, all cells active"] == budget(up, 0.0)["SINR, all cells active"] == "–"
    (neighbour,) = down.whole.neighbours
    signal_w = 10 ** (number(alone["= received"]) / 10)
    noise_w = 10 ** (number(alone["noise"]) / 10)
    interference_w = 10 ** (neighbour.mean_received_dbm(0.0) / 10)
    expected_db = 10 * math.log10(signal_w / (noise_w + interference_w))
    assert number(budget(down, 0.0)["SINR, all cells active"]) == pytest.approx(expected_db, abs=0.15)


def test_cqi_and_schemes_are_the_standards() -> None:
    air = both()[0].link.air
    # TS 38.214 table 5.1.3.1-1: MCS 0 is QPSK 120/1024, MCS 28 is 64-QAM 948/1024.
    assert (scheme_name(air, 0), scheme_name(air, 28), scheme_name(air, -1)) == (
        "QPSK 0.12",
        "64-QAM 0.93",
        "",
    )
    wifi = both("radio: wifi6")[0].link.air
    assert (scheme_name(wifi, 0), scheme_name(wifi, 11)) == ("BPSK 1/2", "1024-QAM 5/6")
    assert reported_cqi(wifi, 1e3, 80e6) is None
    reported = [reported_cqi(air, 10 ** (db / 10), 40e6) for db in range(-15, 30)]
    assert reported == sorted(reported)  # type: ignore[type-var]
    assert (reported[0], reported[-1]) == (0, 15)


def _column(table, heading: str):  # type: ignore[no-untyped-def]
    return next(column for column in table.columns if column.header == heading)


def test_a_table_over_time_shows_what_was_asked_for() -> None:
    told = evaluate_over(both()[0], from_s=1.0, until_s=2.0, every_s=0.1)
    assert [one.at.at_s for one in told.looks] == pytest.approx([1.0 + 0.1 * n for n in range(11)])
    table = link_table(told)
    assert table.row_count == 11
    assert list(_column(table, "SNR").cells) == [f"{one.at.sinr_db:.1f}" for one in told.looks]
    long = link_table(evaluate_over(both()[0], from_s=0.0, until_s=10.0, every_s=0.01))
    assert long.row_count <= 24
    assert "One in 42 of 1001 instants" in str(long.caption)


def test_the_overview_has_a_row_for_each_direction() -> None:
    looked = [evaluate_over(one, from_s=0.0, until_s=1.0, every_s=0.1) for one in directions(inspected())]
    table = links_table(looked)
    assert list(table.columns[0].cells)[:2] == ["user-0 → cell-0", "cell-0 → user-0"]
    assert table.row_count == 2 * 4
    assert budget_table(both(), 0.0).row_count > 10


def test_the_station_that_serves_is_told() -> None:
    looked = [evaluate_over(one, from_s=0.0, until_s=1.0, every_s=0.5) for one in directions(inspected())]
    serves = {one.direction.name: one.looks[0].serves for one in looked}
    for user in ("user-0", "user-1"):
        channels = {
            one.direction.whole.station: one.direction.link.mean_received_dbm(0.0)
            for one in looked
            if one.direction.whole.terminal == user
        }
        strongest = max(channels, key=channels.__getitem__)
        assert {cell: serves[f"{user} → {cell}"] for cell in channels} == {
            cell: cell == strongest for cell in channels
        }
    assert list(_column(links_table(looked), "serves %").cells) == [
        "100" if one.looks[0].serves else "0" for one in looked
    ]
    assert set(_column(link_table(looked[0]), "serves").cells) <= {"yes", "no"}
    (alone,) = inspected("radio: nr-n78, connect: nearest", ("user-0", "cell-0"))
    assert alone.serving is None


def test_numbers_are_printed_as_the_field_does() -> None:
    assert [rate(x) for x in (0.0, 950.0, 12_340.0, 1.5e6, 2.5e9)] == ["0", "950", "12.3 k", "1.5 M", "2.5 G"]
    assert (decibels(-math.inf), decibels(3.04, sign=True), decibels(-3.0)) == ("–∞", "+3.0", "-3.0")


def test_a_figure_is_a_figure_and_its_absence_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = [evaluate_over(one, from_s=0.0, until_s=1.0, every_s=0.1) for one in both()]
    plot_links(looked, tmp_path / "link.png", title="air")
    assert (tmp_path / "link.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(InputError, match=r"cannot be written .*name a \.png"):
        plot_links(looked, tmp_path / "link.xyz", title="air")
    with pytest.raises(InputError, match="cannot be written"):
        plot_links(looked, tmp_path / "none" / "link.png", title="air")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'edgesim\[plots\]'"):
        plot_links(looked, tmp_path / "again.png", title="air")
