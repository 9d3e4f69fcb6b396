"""Figure of measured answers: perplexity over impairment levels, and accuracy over depth."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from edgesim.report.answers.quality_tables import Measured, by_kind, column_name
from edgesim.report.figure import new_figure, save_figure

__all__ = ["plot_quality"]

_N_COLUMNS = 3


def plot_quality(measured: Measured, file: Path) -> None:
    """Draw one panel per kind of impairment, and one for early exits.

    Raises
    ------
    InputError
        If matplotlib is not installed, or the file cannot be written.
    """
    kinds = by_kind(measured.table)
    n_rows = math.ceil((len(kinds) + 1) / _N_COLUMNS)
    figure = new_figure(4.0 * _N_COLUMNS, 3.0 * n_rows)
    from matplotlib.ticker import LogLocator, NullFormatter  # new_figure has checked that it is installed

    panels = np.atleast_1d(figure.subplots(n_rows, _N_COLUMNS, squeeze=False)).ravel()
    clean = measured.table.clean.perplexity
    for panel, (name, rows) in zip(panels, kinds.items(), strict=False):
        for column in dict.fromkeys(column_name(row) for row in rows):
            own = [row for row in rows if column_name(row) == column]
            levels, values = [row.level for row in own], [math.exp(row.nll) for row in own]
            panel.plot(levels, values, marker=".", ms=4, lw=1, label=column)
        panel.axhline(clean, color="grey", lw=0.8, ls=":")
        panel.set(title=name, yscale="log", ylabel="perplexity")
        panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter(NullFormatter())
        if "noise" in name:
            panel.set(xscale="log", xlabel="normalised error")
        else:
            panel.set_xlabel("bits" if name.startswith("quantised") else "probability")
        if len({column_name(row) for row in rows}) > 1:
            panel.legend(fontsize="x-small", frameon=False)
    leaving = panels[len(kinds)]
    records = measured.exits
    thresholds = np.linspace(0.0, 1.0, 41)
    at = [[threshold] * (len(records.blocks) - 1) for threshold in thresholds]
    blocks, right = [records.mean_block(one) for one in at], [100 * records.accuracy(one) for one in at]
    leaving.plot(blocks, right, marker=".", ms=4, lw=1)
    leaving.set(title="early exits", xlabel="mean blocks computed", ylabel="right tokens [%]")
    for panel in panels[len(kinds) + 1 :]:
        panel.set_axis_off()
    for panel in panels[: len(kinds) + 1]:
        panel.grid(alpha=0.3)
    save_figure(figure, file, dpi=110)
