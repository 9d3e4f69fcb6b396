"""What splits of the bundled model are worth, as measured."""

from __future__ import annotations

from importlib.resources import as_file, files

from edgesim.model.answers.impaired_answers import QualityTable
from edgesim.planning.splitting.table import SplitTable

__all__ = ["bundled_table"]


def bundled_table(kind: str = "erasure") -> SplitTable:
    """The bundled model's measured answers under losses of a kind, as a table of splits."""
    with as_file(files("edgesim") / "data" / "bundled" / "quality.parquet") as path:
        return SplitTable.of_answers(QualityTable.load(path), kind)
