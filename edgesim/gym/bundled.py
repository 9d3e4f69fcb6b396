"""Measured answer quality of the bundled model's splits."""

from __future__ import annotations

from importlib.resources import as_file, files

from edgesim.model.answers.impaired_answers import QualityTable
from edgesim.planning.splitting.table import SplitTable

__all__ = ["bundled_table"]


def bundled_table(kind: str = "erasure") -> SplitTable:
    """Return the bundled model's measured answer quality under one kind of loss, as a split table."""
    with as_file(files("edgesim") / "data" / "bundled" / "quality.parquet") as path:
        return SplitTable.of_answers(QualityTable.load(path), kind)
