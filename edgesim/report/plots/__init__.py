"""Figures of traces and sweeps, for papers: functions that return matplotlib's Figures.

Each kind is a module with one function of its name, which takes a :class:`~edgesim.trace.reader.Trace` (or
tables made from some) and draws nothing to a screen. :func:`edgesim.report.plots.saving.save` writes a figure
with its provenance.
"""

from __future__ import annotations

__all__: list[str] = []
