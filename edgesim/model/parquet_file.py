"""Reader for untrusted Parquet files: bounded in size, with a reason for every refusal."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from edgesim.files import UnreadableFileError, read_bounded

__all__ = ["read_parquet"]

MOST_BYTES = 256_000_000
_MOST_ROWS = 50_000_000
_MOST_TIMES = 1000  # largest expansion accepted: dictionaries and runs of equal values compress strongly

# Exceptions that pyarrow raises for damaged or forged files; some stem from Python's own conversions.
_DAMAGES = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError)


def read_parquet(path: Path, *, most_rows: int = _MOST_ROWS) -> pa.Table:
    """Read a whole table into memory.

    Raises
    ------
    UnreadableFileError
        If the path is not an ordinary file, or the file is not Parquet, is damaged, or is too large.
    """
    data = read_bounded(path, MOST_BYTES)
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        n_rows = file.metadata.num_rows
        n_bytes = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
    except _DAMAGES as error:
        raise UnreadableFileError(f"it is not a Parquet file ({_reason(error)})") from None
    if n_rows > most_rows or n_bytes > max(MOST_BYTES, _MOST_TIMES * len(data)):
        raise UnreadableFileError(
            f"its metadata states {n_rows} rows in {n_bytes} bytes, too many to be read"
        )
    try:
        table = file.read(use_threads=False)  # files are small, and a thread pool may outlive a short process
        table.validate(full=True)
    except _DAMAGES as error:
        raise UnreadableFileError(f"it is damaged ({_reason(error)})") from None
    return table


def _reason(error: BaseException) -> str:
    """First line of an exception's text, cut to 120 characters."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if len(text) <= 120 else f"{text[:117]}..."
