"""Publication figures of traces and sweeps, as functions that return matplotlib Figures.

Each kind of figure is a module with a function of the same name, which takes a
:class:`~edgesim.trace.reader.Trace` (or tables made from traces) and needs no display.
:func:`edgesim.report.plots.saving.save` writes a figure with its provenance.
"""

from __future__ import annotations

__all__: list[str] = []
