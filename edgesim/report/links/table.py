"""The state of a radio link over time, as values and as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table

from edgesim.radio.adaptation.scheme_names import reported_cqi, scheme_name
from edgesim.radio.radio_link import LinkReport, RadioLink, goodput
from edgesim.scenario.radio.inspection import Inspected
from edgesim.units import db_to_linear

__all__ = [
    "Direction",
    "LinkRow",
    "LinkSeries",
    "decibels",
    "directions",
    "evaluate",
    "evaluate_over",
    "link_table",
    "links_table",
    "rate",
]

MOST_ROWS = 24  # most rows of a table over time; a figure shows every instant


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of a radio link."""

    whole: Inspected
    uplink: bool

    @property
    def link(self) -> RadioLink:
        """The radio link with its channel."""
        return self.whole.link

    @property
    def name(self) -> str:
        """Name in tables and figures: sender → receiver."""
        ends = (self.whole.terminal, self.whole.station)
        return " → ".join(ends if self.uplink else ends[::-1])


@dataclass(frozen=True, slots=True)
class LinkRow:
    """State of a direction at an instant.

    Attributes
    ----------
    at
        Ratios, scheme and rates during a transmission.
    alone_bps
        Goodput over time if nothing else is on the air: the rate reduced by the direction's share of time,
        contention and retransmissions.
    cqi
        CQI that a 5G terminal would report; None for other radios.
    serves
        Whether this station is the one that serves the terminal, if the terminal has links to several.
    """

    at: LinkReport
    alone_bps: float
    cqi: int | None
    serves: bool = True


@dataclass(frozen=True, slots=True)
class LinkSeries:
    """States of a direction at a series of instants."""

    direction: Direction
    looks: tuple[LinkRow, ...]


def directions(links: Iterable[Inspected]) -> Iterator[Direction]:
    """Yield both directions of links, the uplink first."""
    for one in links:
        yield Direction(one, uplink=True)
        yield Direction(one, uplink=False)


def evaluate(direction: Direction, at_s: float) -> LinkRow:
    """Evaluate a direction at an instant, with nothing else on the air and no interference."""
    link, uplink = direction.link, direction.uplink
    report, state = link.report(at_s, uplink=uplink), link.state(at_s, uplink=uplink)
    gross_bps = direction.whole.medium.alone_bps(state.rate_bps, direction.whole.mac, uplink=uplink)
    sinr = db_to_linear(report.sinr_estimate_db) if report.sinr_estimate_db > -math.inf else 0.0
    cqi = reported_cqi(link.air, sinr, link.bandwidth_hz(uplink=uplink))
    serving = direction.whole.serving
    serves = serving is None or serving.cell(at_s) == direction.whole.station
    return LinkRow(report, goodput(gross_bps, state.errors), cqi, serves)


def evaluate_over(direction: Direction, *, from_s: float, until_s: float, every_s: float) -> LinkSeries:
    """Evaluate a direction at equally spaced instants."""
    n_instants = max(1, math.floor((until_s - from_s) / every_s * (1 + 1e-12)) + 1)
    return LinkSeries(
        direction, tuple(evaluate(direction, from_s + number * every_s) for number in range(n_instants))
    )


def links_table(all_seen: Sequence[LinkSeries]) -> Table:
    """Create a table with one row per direction: means, medians and percentiles over the instants."""
    roams = any(one.direction.whole.serving is not None for one in all_seen)
    table = _table(
        "link", *["serves %"] * roams, "m", "LOS %", "path loss", "shadow", "SNR p50/p5", "MCS", "BLER",
        "rate", "goodput",
    )  # fmt: skip
    for one in all_seen:
        reports = [each.at for each in one.looks]
        snr_db = sorted(report.sinr_db for report in reports)
        in_reach = [report for report in reports if report.mcs >= 0]
        mcs = sorted(report.mcs for report in reports)[len(reports) // 2]
        table.add_row(
            one.direction.name,
            *[f"{100 * sum(each.serves for each in one.looks) / len(reports):.0f}"] * roams,
            f"{_mean([report.distance_m for report in reports]):.0f}",
            f"{100 * sum(report.is_los for report in reports) / len(reports):.0f}",
            f"{_mean([report.path_loss_db for report in reports]):.1f}",
            f"{_mean([report.shadowing_db for report in reports]):+.1f}",
            f"{decibels(snr_db[len(snr_db) // 2])}/{decibels(snr_db[len(snr_db) // 20])}",
            f"{mcs}" if mcs >= 0 else "–",
            f"{_mean([report.bler for report in in_reach]):.3f}" if in_reach else "–",
            rate(_mean([report.rate_bps for report in reports])),
            rate(_mean([each.alone_bps for each in one.looks])),
        )
    table.caption = (
        "Means over the instants, MCS the median; losses and SNR in dB. Rate: bit/s while it sends, with the "
        "whole band. Goodput: bit/s received over time, alone on the air."
    )
    table.caption_style, table.caption_justify = "dim", "left"
    return table


def link_table(one: LinkSeries) -> Table:
    """Create a table of one direction over time, thinned to at most :data:`MOST_ROWS` rows."""
    has_cqi = one.looks[0].cqi is not None
    roams = one.direction.whole.serving is not None
    table = _table(
        "s", "m", "LOS", "path loss", "shadow", "fading", "dBm", "SNR", *["CQI"] * has_cqi, "MCS", "scheme",
        "BLER", "rate", "goodput", *["serves"] * roams,
    )  # fmt: skip
    step = max(1, math.ceil(len(one.looks) / MOST_ROWS))
    for each in one.looks[::step]:
        report, out = each.at, each.at.mcs < 0
        table.add_row(
            f"{report.at_s:.6g}",
            f"{report.distance_m:.1f}",
            "yes" if report.is_los else "no",
            f"{report.path_loss_db:.2f}",
            f"{report.shadowing_db:+.2f}",
            decibels(report.fading_db, sign=True),
            f"{report.received_dbm:.1f}",
            decibels(report.sinr_db),
            *[str(each.cqi)] * has_cqi,
            "–" if out else str(report.mcs),
            "out of reach" if out else scheme_name(one.direction.link.air, report.mcs),
            "–" if out else f"{report.bler:.3f}",
            rate(report.rate_bps),
            rate(each.alone_bps),
            *["yes" if each.serves else "no"] * roams,
        )
    table.caption = "Losses and ratios in dB, rates in bit/s."
    if step > 1:
        table.caption += f" One in {step} of {len(one.looks)} instants; a figure (--plot) shows them all."
    table.caption_style, table.caption_justify = "dim", "left"
    return table


def decibels(value: float, *, sign: bool = False) -> str:
    """Format a level or a ratio in decibels."""
    return "–∞" if math.isinf(value) else f"{value:+.1f}" if sign else f"{value:.1f}"


def rate(rate_bps: float) -> str:
    """Format a rate in bit/s with an SI prefix."""
    for letter, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if rate_bps >= size:
            return f"{rate_bps / size:.3g} {letter}"
    return f"{rate_bps:.3g}"


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
