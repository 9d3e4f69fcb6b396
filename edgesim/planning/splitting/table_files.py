"""Reading and writing of split tables as CSV or Parquet."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from edgesim.csv_rows import CsvError, read_rows
from edgesim.errors import InputError
from edgesim.files import opened_text
from edgesim.model.parquet_file import read_parquet
from edgesim.nearest import suggest
from edgesim.planning.splitting.table import SplitTable

__all__ = ["read_split_table", "write_split_table"]

_LOSSES = ("loss", "p_loss")
_SPLITS = ("split", "block")
_MEASURES = ("quality", "relative_quality", "perplexity", "nll_rise")
_COLUMNS = (*_LOSSES, *_SPLITS, *_MEASURES, "repeat")


_PLACE = "place in the file"
"""Column of the rows' positions in the file, which no file has; blank lines before a row are counted."""


def read_split_table(path: str | PathLike[str]) -> SplitTable:
    """Read a table with one row for every loss and split.

    Columns: ``loss`` (or ``p_loss``), a probability; ``split`` (or ``block``), the number of blocks before
    the split; and one of

    - ``quality``: the value itself, larger is better, such as (PPL_0 - PPL) / PPL_0 or a utility;
    - ``relative_quality``: clean perplexity over the row's, PPL_0 / PPL, where 1 equals clean;
    - ``perplexity``: PPL; PPL_0 is that at loss 0, which must be present and the same for all splits;
    - ``nll_rise``: increase of the negative log likelihood over that without loss [nats/token].

    With a column ``repeat``, rows of the same loss and split are averaged.

    Raises
    ------
    InputError
        Naming the file, the row (CSV: the line; Parquet: counted from 1) or column, and what was expected.
    """
    path = Path(path)
    rows = _read(path)
    unknown = [str(name) for name in rows.columns if name not in (*_COLUMNS, _PLACE)]
    if unknown:
        raise InputError(f"{path}: no column is called '{unknown[0]}'; {suggest(unknown[0], _COLUMNS)}")
    loss, split, measure = (_only(path, rows, names) for names in (_LOSSES, _SPLITS, _MEASURES))
    for name in (loss, split, measure):
        rows[name] = pd.to_numeric(rows[name], errors="coerce")
    _check_rows(path, rows, loss, split, measure)
    rows[split] = rows[split].astype(np.int64)
    listed = rows
    if "repeat" in rows.columns:
        rows = rows.groupby([loss, split])[[measure]].mean().reset_index()
    again = rows.duplicated([loss, split])
    if again.any():
        first = rows[again].iloc[0]
        raise InputError(
            f"{path}, row {first[_PLACE]:.0f}: loss {first[loss]:g} and split {first[split]:g} occur "
            "twice; expected one row for each, or a column 'repeat' if they are repeated measurements"
        )
    grid = rows.pivot_table(index=loss, columns=split, values=measure)
    if grid.isna().any(axis=None):
        row, column = np.argwhere(grid.isna().to_numpy())[0]
        raise InputError(
            f"{path}: no row with loss {grid.index[row]:g} and split {grid.columns[column]:g}; expected "
            "every loss with every split"
        )
    values = _relative(path, grid, measure)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        its = listed[(listed[loss] == grid.index[row]) & (listed[split] == grid.columns[column])].iloc[0]
        raise InputError(
            f"{path}, row {its[_PLACE]:.0f}: {measure} is {its[measure]:g}, whose relative perplexity is "
            "beyond the range of floating-point numbers; expected that of a model that still answers"
        )
    return SplitTable(grid.index.to_numpy(np.float64), grid.columns.to_numpy(np.int64), values)


def write_split_table(table: SplitTable, path: str | PathLike[str]) -> None:
    """Write a table for :func:`read_split_table`: Parquet if the name ends in ``.parquet``, else CSV."""
    path = Path(path)
    rows = pd.DataFrame(
        {
            "loss": np.repeat(table.loss, table.n_splits),
            "split": np.tile(table.splits, len(table.loss)),
            "quality": table.relative.ravel(),
        }
    )
    if path.suffix == ".parquet":
        rows.to_parquet(path, index=False)
    else:
        rows.to_csv(path, index=False)


def _read(path: Path) -> pd.DataFrame:
    rows: pd.DataFrame
    try:
        if path.suffix == ".parquet":
            rows = read_parquet(path).to_pandas()
            rows.columns = [str(name).strip().casefold() for name in rows.columns]
            places = list(range(1, len(rows) + 1))
        else:
            with opened_text(path) as text:
                found = read_rows(text)
                lines = list(found.rows)
            rows = pd.DataFrame((cells for _, cells in lines), columns=list(found.names))
            places = [line for line, _ in lines]
    except CsvError as error:
        raise InputError(f"{path}:{error.line}: {error}; correct the row") from None
    except ValueError as error:
        raise InputError(f"{path}: no table can be read: {error}; expected CSV or Parquet") from None
    if rows.columns.has_duplicates:
        raise InputError(f"{path}: two columns have the same name; remove one")
    rows[_PLACE] = places
    if rows.empty:
        raise InputError(f"{path}: the table has no rows; expected one for every loss and split")
    return rows


def _only(path: Path, rows: pd.DataFrame, names: tuple[str, ...]) -> str:
    found = [name for name in names if name in rows.columns]
    if len(found) != 1:
        raise InputError(
            f"{path}: expected one of the columns {', '.join(names)}, got {' and '.join(found) or 'none'}"
        )
    return found[0]


def _check_rows(path: Path, rows: pd.DataFrame, loss: str, split: str, measure: str) -> None:
    is_ratio = measure in ("relative_quality", "perplexity")
    least = "a finite number of more than 0" if is_ratio else "a finite number"
    values = rows[measure]
    is_wrong = {
        loss: (~rows[loss].between(0, 1), "a probability from 0 to 1"),
        split: (~(rows[split].between(0, 2**31) & (rows[split] % 1 == 0)), "a whole number of blocks"),
        measure: (~np.isfinite(values) | ((values <= 0) & is_ratio), least),
    }
    for name, (wrong, expected) in is_wrong.items():
        if wrong.any():
            its = rows[wrong].iloc[0]
            raise InputError(f"{path}, row {its[_PLACE]:.0f}: {name} is {its[name]:g}; expected {expected}")


def _relative(path: Path, grid: pd.DataFrame, measure: str) -> np.ndarray:
    values = grid.to_numpy(np.float64)
    with np.errstate(over="ignore"):  # infinite values are rejected by the caller
        if measure == "relative_quality":
            return np.asarray(1 - 1 / values)
        if measure == "nll_rise":
            return np.asarray(-np.expm1(values))
    if measure == "quality":
        return values
    if grid.index[0] != 0 or np.ptp(values[0]) > 1e-9 * values[0, 0]:
        raise InputError(
            f"{path}: perplexities need the one without loss for comparison; expected rows with loss 0 and "
            "one perplexity for all splits"
        )
    return np.asarray(1 - values / values[0, 0])
