"""Tables of splits that users bring: CSV or Parquet."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from edgesim.errors import InputError
from edgesim.nearest import suggest
from edgesim.planning.splitting.table import SplitTable

__all__ = ["read_split_table", "write_split_table"]

_LOSSES = ("loss", "p_loss")
_SPLITS = ("split", "block")
_MEASURES = ("quality", "relative_quality", "perplexity", "nll_rise")
_COLUMNS = (*_LOSSES, *_SPLITS, *_MEASURES, "repeat")


_PLACE = "place in the file"
"""Column of the rows' own numbers, which no file has: a blank line before one counts."""


def read_split_table(path: str | PathLike[str]) -> SplitTable:
    """Read a table with a row for every loss and split.

    Columns: ``loss`` (or ``p_loss``), a probability; ``split`` (or ``block``), after how many blocks; and one
    of

    - ``quality``: the value as it is, of which more is better, such as (PPL_0 - PPL) / PPL_0 or a utility;
    - ``relative_quality``: clean perplexity over that of the row, PPL_0 / PPL, 1 as good as clean;
    - ``perplexity``: of which PPL_0 is that at loss 0, which must stand there and be one number;
    - ``nll_rise``: of the negative log likelihood [nats/token] over that without loss.

    With a column ``repeat``, rows of the same loss and split are averaged.

    Raises
    ------
    InputError
        Naming the file, the row (of CSV the line, of Parquet counted from 1) or column, and what was
        expected.
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
    told = rows
    if "repeat" in rows.columns:
        rows = rows.groupby([loss, split])[[measure]].mean().reset_index()
    again = rows.duplicated([loss, split])
    if again.any():
        first = rows[again].iloc[0]
        raise InputError(
            f"{path}, row {first[_PLACE]:.0f}: loss {first[loss]:g} and split {first[split]:g} stand there "
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
        its = told[(told[loss] == grid.index[row]) & (told[split] == grid.columns[column])].iloc[0]
        raise InputError(
            f"{path}, row {its[_PLACE]:.0f}: {measure} is {its[measure]:g}, which as a relative perplexity "
            "is beyond what numbers hold; expected one of a model that still answers"
        )
    return SplitTable(grid.index.to_numpy(np.float64), grid.columns.to_numpy(np.int64), values)


def write_split_table(table: SplitTable, path: str | PathLike[str]) -> None:
    """Write a table as :func:`read_split_table` reads it: CSV, or Parquet by the name's ending."""
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
    try:
        rows = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no table can be read ({error}); expected CSV or Parquet") from error
    if rows.empty:
        raise InputError(f"{path}: the table has no rows; expected one for every loss and split")
    return rows


def _read_csv(path: Path) -> pd.DataFrame:
    """Rows with the numbers of their lines, of which blank ones are none."""
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        n_blank = next((n for n, line in enumerate(lines) if line.strip()), 0)
    rows = pd.read_csv(path, skiprows=n_blank, skip_blank_lines=False)
    rows[_PLACE] = np.arange(len(rows)) + n_blank + 2
    return rows[~rows.drop(columns=_PLACE).isna().all(axis=1)].reset_index(drop=True)


def _read_parquet(path: Path) -> pd.DataFrame:
    rows = pd.read_parquet(path)
    rows[_PLACE] = np.arange(len(rows)) + 1
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
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        if measure == "relative_quality":
            return np.asarray(1 - 1 / values)
        if measure == "nll_rise":
            return np.asarray(-np.expm1(values))
    if measure == "quality":
        return values
    if grid.index[0] != 0 or np.ptp(values[0]) > 1e-9 * values[0, 0]:
        raise InputError(
            f"{path}: perplexities need that without loss to compare with; expected rows with loss 0 and one "
            "perplexity for all splits"
        )
    return np.asarray(1 - values / values[0, 0])
