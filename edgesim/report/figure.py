"""Create and save figures with matplotlib, if it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.errors import InputError
from edgesim.report.requirements import require_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["new_figure", "save_figure"]


def new_figure(width: float, height: float) -> Figure:
    """Create an empty figure, sized in inches, with a backend that needs no display.

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    require_matplotlib("--plot")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, file: Path, *, dpi: int) -> None:
    """Write a figure to a file; raise InputError if the file cannot be written."""
    try:
        figure.savefig(file, dpi=dpi)
    except (OSError, ValueError) as error:
        raise InputError(f"--plot: {file} cannot be written ({error}); name a .png, .pdf or .svg") from None
