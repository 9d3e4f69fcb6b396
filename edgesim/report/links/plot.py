"""Figure of radio links over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from edgesim.report.figure import new_figure, save_figure
from edgesim.report.links.table import LinkSeries

__all__ = ["MOST_LINES", "plot_links"]

MOST_LINES = 12  # directions in one figure


def plot_links(all_seen: Sequence[LinkSeries], file: Path, *, title: str) -> None:
    """Draw SNR, MCS, block error rate and rates over time, for at most :data:`MOST_LINES` directions.

    Raises
    ------
    InputError
        If matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure(9, 9)
    axes = figure.subplots(4, 1, sharex=True, height_ratios=(3, 2, 1, 2))
    snr, scheme, errors, rate = axes
    for one in all_seen[:MOST_LINES]:
        reports = [stated.at for stated in one.looks]
        at_s = [report.at_s for report in reports]
        line = snr.plot(at_s, [report.sinr_db for report in reports], lw=0.9, label=one.direction.name)[0]
        colour = line.get_color()
        mean_db = [report.sinr_db - report.fading_db for report in reports]
        snr.plot(at_s, mean_db, lw=1.6, ls="--", color=colour, alpha=0.7)
        reached = [report.mcs >= 0 for report in reports]
        mcs = [report.mcs if ok else math.nan for report, ok in zip(reports, reached, strict=True)]
        bler = [report.bler if ok else math.nan for report, ok in zip(reports, reached, strict=True)]
        scheme.step(at_s, mcs, where="post", lw=0.9, color=colour)
        errors.step(at_s, bler, where="post", lw=0.9, color=colour)
        gross = [report.rate_bps / 1e6 for report in reports]
        rate.step(at_s, gross, where="post", lw=0.6, alpha=0.5, color=colour)
        rate.step(at_s, [stated.alone_bps / 1e6 for stated in one.looks], where="post", lw=1.2, color=colour)
    snr.set_ylabel("SNR [dB]\n(dashed: without fading)")
    scheme.set_ylabel("MCS\n(gap: out of reach)")
    errors.set_ylabel("BLER, first\nattempt")
    rate.set_ylabel("goodput [Mbit/s]\n(thin: while it sends)")
    rate.set_xlabel("time [s]")
    rate.set_ylim(bottom=0)
    snr.set_title(title)
    snr.legend(fontsize="small", ncols=2)
    for axis in axes:
        axis.grid(alpha=0.3)
    save_figure(figure, file, dpi=120)
