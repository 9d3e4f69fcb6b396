"""Reader for users' own tables of answer quality: CSV or Parquet, absolute or relative quality."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from edgesim.csv_rows import CsvError, read_rows
from edgesim.errors import InputError
from edgesim.files import UnreadableFileError, opened_text
from edgesim.model.answers.impaired_answers import CLEAN, QualityRow, QualityTable
from edgesim.model.answers.quality_curves import axis_of
from edgesim.model.parquet_file import read_parquet
from edgesim.nearest import suggest

__all__ = ["read_user_table"]

_LEVELS: Mapping[str, str] = {"p_loss": "erasure", "nmse": "noise", "bits": "quantised"}
"""Level columns whose name determines the kind of impairment."""

_MOST_ROWS = 1_000_000
_MOST = 1e12  # of any column: levels, nats per token, perplexities
_COLUMNS = (
    "impairment", "level", "split", "block", "n_devices", "perplexity", "nll", "accuracy",
    "relative_quality", "nll_se", "accuracy_se", *_LEVELS,
)  # fmt: skip


def read_user_table(path: Path) -> QualityTable:
    """Read a table of answer quality from CSV or Parquet.

    Columns: the level, as ``p_loss`` (probability that an element is erased), ``nmse`` (normalised error of
    all-reduces), ``bits`` (of quantised values), or as ``level`` with ``impairment``, any name; ``split`` (or
    ``block``), the number of blocks after which it acts, if any; and ``perplexity`` or ``nll`` [nats/token],
    or ``relative_quality``, the clean perplexity over that of the row (1 is as good as clean). ``accuracy``,
    ``nll_se`` and ``accuracy_se`` are optional; a missing ``accuracy`` is unknown (nan). The clean row is the
    one without impairment. If only relative quality is given and there is no clean row, one with a perplexity
    of 1 is added, so that perplexities are relative, too. A file written by `edgesim quality -o FOLDER` is
    loaded unchanged.

    Raises
    ------
    InputError
        Naming the file, the column or row, and what was expected.
    """
    if QualityTable.wrote(path):
        return QualityTable.load(path)
    table = _read(path)
    columns = list(table[0])
    unknown = [name for name in columns if name not in _COLUMNS]
    if unknown:
        raise InputError(f"{path}: no column is called '{unknown[0]}'; {suggest(unknown[0], _COLUMNS)}")
    levels = [name for name in ("level", *_LEVELS) if name in columns]
    if len(levels) != 1:
        raise InputError(
            f"{path}: expected one column of levels (p_loss, nmse, bits, or level with impairment), got "
            f"{' and '.join(levels) or 'none'}"
        )
    if levels == ["level"] and "impairment" not in columns:
        raise InputError(
            f"{path}: column 'level' without 'impairment', the name of its kind; add that column"
        )
    measures = [name for name in ("perplexity", "nll", "relative_quality") if name in columns]
    if len(measures) != 1:
        raise InputError(
            f"{path}: expected one of perplexity, nll and relative_quality, got "
            f"{' and '.join(measures) or 'none'}"
        )
    rows = [
        _row(path, number, record, levels[0], measures[0]) for number, record in enumerate(table, start=2)
    ]
    stated = _provenance(path) | {"is_relative": measures[0] == "relative_quality"}
    return QualityTable(_with_clean(path, rows, measures[0]), stated)


def _read(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a table, with column names in lower case."""
    try:
        if path.suffix == ".parquet":
            table = read_parquet(path, most_rows=_MOST_ROWS)
            names = [str(name).strip().casefold() for name in table.column_names]
            rows = [dict(zip(names, row.values(), strict=True)) for row in table.to_pylist()]
        else:
            with opened_text(path) as text:
                found = read_rows(text)
                names = list(found.names)
                rows = [
                    {name: cell.strip() or None for name, cell in zip(names, cells, strict=True)}
                    for _, cells in islice(found.rows, _MOST_ROWS)
                ]
    except CsvError as error:
        raise InputError(f"{path}:{error.line}: {error}; correct the row") from None
    except (UnreadableFileError, ValueError) as error:
        raise InputError(f"{path}: cannot read a table: {error}; expected CSV or Parquet") from None
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: two columns are called '{twice}'; leave one out")
    if not rows:
        raise InputError(f"{path}: the table has no rows; expected one for each measured point")
    return rows


def _row(path: Path, number: int, record: Mapping[Any, Any], level: str, measure: str) -> QualityRow:
    def number_of(column: str, default: float | None = None) -> float:
        value = record.get(column)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            if default is None:
                raise InputError(f"{path}, row {number}: no {column}; expected a number")
            return default
        try:
            found = float(value)
        except (TypeError, ValueError, OverflowError):
            found = math.nan
        if not abs(found) <= _MOST:
            raise InputError(f"{path}, row {number}: {column} is {value!r:.40}; expected a number")
        return found

    def whole(column: str) -> int | None:
        value = number_of(column, math.nan)
        if math.isnan(value):
            return None
        if not (1 <= value < 2**31 and value == int(value)):
            raise InputError(f"{path}, row {number}: {column} is {value:g}; expected a whole number from 1")
        return int(value)

    value = number_of(measure)
    if measure != "nll" and not value > 0:
        raise InputError(f"{path}, row {number}: {measure} is {value:g}; expected more than 0")
    nll = value if measure == "nll" else math.log(value) * (1 if measure == "perplexity" else -1)
    accuracy = number_of("accuracy") if "accuracy" in record else math.nan
    if not (0 <= accuracy <= 1 or math.isnan(accuracy)):
        raise InputError(f"{path}, row {number}: accuracy is {accuracy:g}; expected a share from 0 to 1")
    split = whole("split") if "split" in record else whole("block")
    errors = [number_of(column, 0.0) for column in ("nll_se", "accuracy_se")]
    if not all(0 <= each < math.inf for each in errors):
        raise InputError(f"{path}, row {number}: a standard error of {min(errors):g}; expected 0 or more")
    kind = record.get("impairment", _LEVELS.get(level, ""))
    if not isinstance(kind, str) or not kind:
        raise InputError(f"{path}, row {number}: no impairment; expected the name of a kind")
    return QualityRow(
        name=kind,
        level=number_of(level),
        block=split,
        n_devices=whole("n_devices"),
        nll=nll,
        nll_se=errors[0],
        nll_rise=nll,  # the clean row's is subtracted in _with_clean
        nll_rise_se=errors[0],
        accuracy=accuracy,
        accuracy_se=errors[1],
    )


def _with_clean(path: Path, rows: list[QualityRow], measure: str) -> tuple[QualityRow, ...]:
    clean = [row for row in rows if _is_clean(row)]
    if not clean and measure != "relative_quality":
        raise InputError(
            f"{path}: no row without impairment; expected one (such as p_loss 0) as reference for the others"
        )
    if not clean and not all(math.isnan(row.accuracy) for row in rows):
        raise InputError(
            f"{path}: accuracies, but no row without impairment; add one (such as p_loss 0, "
            "relative_quality 1), or omit 'accuracy'"
        )
    best = clean[0] if clean else None
    zero_nll = 0.0 if best is None else best.nll
    if best is not None and any(abs(row.nll - zero_nll) > 1e-9 for row in clean):
        raise InputError(f"{path}: rows without impairment differ from one another; expected one quality")
    base = QualityRow(
        name=CLEAN,
        level=0.0,
        nll=zero_nll,
        nll_se=0.0 if best is None else best.nll_se,
        nll_rise=0.0,
        nll_rise_se=0.0,
        accuracy=math.nan if best is None else best.accuracy,
        accuracy_se=0.0 if best is None else best.accuracy_se,
    )
    impaired = []
    for row in rows:
        if not _is_clean(row):
            if row.nll < zero_nll:
                raise InputError(
                    f"{path}: '{row.name}' at level {row.level:g} is better than without impairment; "
                    "expected it no better"
                )
            impaired.append(replace(row, nll_rise=row.nll - zero_nll))
    return (base, *impaired)


def _is_clean(row: QualityRow) -> bool:
    return row.name == CLEAN or ("+" not in row.name and row.level == axis_of(row.name).clean)


def _provenance(path: Path) -> dict[str, Any]:
    return {"source": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
