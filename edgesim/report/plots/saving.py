"""Saving figures with their provenance, reproducible byte by byte."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.errors import InputError
from edgesim.report.outputs import check_output
from edgesim.report.plots.provenance import Provenance
from edgesim.report.plots.style import paper_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "check_file", "save"]

FORMATS = ("pdf", "svg", "png")


def check_file(file: Path) -> str:
    """Return the format given by a file's suffix, and check that the file can be written.

    Raises
    ------
    InputError
        If the format is not one of :data:`FORMATS`, or the file cannot be written.
    """
    suffix = file.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise InputError(f"--output: {file} ends in {file.suffix or 'nothing'}; expected .pdf, .svg or .png")
    check_output(file, "--output")
    return suffix


def save(figure: Figure, file: str | Path, provenance: Provenance | None = None) -> Path:
    """Write a figure as PDF (fonts embedded as TrueType), SVG, or PNG (300 dots per inch).

    The metadata contains the provenance but no date, so that the same figure gives the same bytes.

    Raises
    ------
    InputError
        If the suffix is that of another format, or the file cannot be written.
    """
    file = Path(file)
    kind, written = check_file(file), BytesIO()
    with paper_style():
        figure.savefig(written, format=kind, metadata=_metadata(kind, provenance))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(written.getvalue())
    except OSError as error:
        raise InputError(
            f"--output: {file} cannot be written ({error.strerror or error}); name another file"
        ) from None
    return file


def _metadata(kind: str, provenance: Provenance | None) -> dict[str, Any]:
    sentence = "" if provenance is None else provenance.sentence()
    everything = "" if provenance is None else provenance.as_json()
    match kind:
        case "pdf":
            return {"Creator": "edgesim", "Subject": sentence, "Keywords": everything, "CreationDate": None}
        case "svg":
            return {"Creator": "edgesim", "Description": sentence, "Source": everything, "Date": None}
    return {"Software": "edgesim", "Description": sentence, "Source": everything}
