"""Link budget at an instant, line by line from transmit power to goodput."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from edgesim.radio.adaptation.scheme_names import scheme_name
from edgesim.radio.channel.noise import thermal_noise_dbm
from edgesim.report.links.table import Direction, decibels, evaluate, rate
from edgesim.units import dbm_to_w

__all__ = ["budget", "budget_table"]


def budget(direction: Direction, at_s: float) -> dict[str, str]:
    """Return the lines of a direction's link budget by name, in the order in which they add up."""
    link, medium, uplink = direction.link, direction.whole.medium, direction.uplink
    ends = (link.terminal, link.station)
    sender, receiver = ends if uplink else ends[::-1]
    large, bandwidth_hz = link.large_scale, link.bandwidth_hz(uplink=uplink)
    seen = evaluate(direction, at_s)
    report, state = seen.at, link.state(at_s, uplink=uplink)
    los = large.environment.los_probability(
        report.distance_m,
        station_height_m=large.station_height_m,
        terminal_height_m=large.terminal_height_m,
    )
    noise_dbm = thermal_noise_dbm(bandwidth_hz, receiver.noise_figure_db)
    # A weak terminal concentrates its power in a part of the band, which raises the SNR.
    narrowed_db = report.sinr_db - (report.received_dbm - noise_dbm)
    mac = direction.whole.mac
    share = medium.alone_bps(state.rate_bps, mac, uplink=uplink) / (state.rate_bps or 1.0)
    out = report.mcs < 0
    wall = f", {large.extra_loss_db:.1f} dB of it a wall" if large.extra_loss_db else ""
    return {
        "distance, heights": f"{report.distance_m:.1f} m, {_heights(direction)}",
        "line of sight": f"{'yes' if report.is_los else 'no'} (probability {float(los):.2f})",
        "transmit power": f"{sender.power_dbm:.1f} dBm",
        "antenna gains": f"{sender.gain_dbi + receiver.gain_dbi:+.1f} dB",
        f"path loss ({direction.whole.propagation}{wall})": f"{-report.path_loss_db:+.2f} dB",
        "shadowing": f"{-report.shadowing_db:+.2f} dB",
        "fading": f"{decibels(report.fading_db, sign=True)} dB",
        "= received": f"{report.received_dbm:.1f} dBm",
        "noise": f"{noise_dbm:.1f} dBm ({bandwidth_hz / 1e6:g} MHz, noise figure "
        f"{receiver.noise_figure_db:g} dB)",
        "narrower band": f"{narrowed_db:+.1f} dB" if narrowed_db > 0.05 else "–",
        "= SNR": f"{decibels(report.sinr_db)} dB",
        "estimate of it": f"{decibels(report.sinr_estimate_db)} dB",
        "CQI": "–" if seen.cqi is None else str(seen.cqi),
        "scheme": "out of reach" if out else f"MCS {report.mcs} {scheme_name(link.air, report.mcs)}".strip(),
        "BLER, first attempt": "–" if out else f"{report.bler:.4f}",
        "rate while it sends": f"{rate(report.rate_bps)}bit/s",
        f"share of time ({medium.access})": "–" if out else f"{100 * share:.1f} %",
        "mean wait, first slot": "–"
        if out or medium.grid is None
        else f"{medium.grid.mean_wait_s(uplink=uplink) * 1e3:.1f} ms",
        "= goodput, alone": f"{rate(seen.alone_bps)}bit/s",
        "shortest message": "–"
        if out or medium.access != "dcf"
        else f"{1e6 * mac.least_s(state.rate_bps):.0f} us on idle air",
        "SINR, all cells active": _worst(direction, at_s),
    }


def _worst(direction: Direction, at_s: float) -> str:
    """Downlink SINR while all other stations of the band send; none for the uplink, whose senders vary."""
    neighbours = direction.whole.neighbours
    if not neighbours or direction.uplink:
        return "–"
    interference_w = math.fsum(dbm_to_w(link.mean_received_dbm(at_s)) for link in neighbours)
    report = direction.link.report(at_s, uplink=False, interference_w=interference_w)
    return f"{decibels(report.sinr_db)} dB"


def _heights(direction: Direction) -> str:
    """Heights of the two antennas, that of the sender first."""
    large = direction.link.large_scale
    heights_m = (large.terminal_height_m, large.station_height_m)
    here_m, there_m = heights_m if direction.uplink else heights_m[::-1]
    return f"{here_m:g} m to {there_m:g} m"


def budget_table(both: Sequence[Direction], at_s: float) -> Table:
    """Create a table with the link budgets of directions side by side."""
    table = Table(box=None, header_style="bold", pad_edge=False, title=f"link budget at {at_s:g} s")
    table.title_justify, table.title_style = "left", "bold"
    table.add_column("")
    for direction in both:
        table.add_column(direction.name, justify="left")
    columns = [budget(direction, at_s) for direction in both]
    for name in columns[0]:
        if all(column[name] == "–" for column in columns):
            continue
        table.add_row(name, *(column[name] for column in columns), style="bold" if name[0] == "=" else "")
    return table
