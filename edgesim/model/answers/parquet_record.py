"""edgesim's own Parquet files, with a description stored as JSON in their metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from edgesim.errors import InputError
from edgesim.files import UnreadableFileError, json_value, require_regular
from edgesim.model.parquet_file import read_parquet

__all__ = ["DAMAGES", "damage_reported", "read_record", "write_record", "wrote_record"]

DAMAGES = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, pa.ArrowException)
"""Exceptions raised when reading a foreign, damaged or incomplete file."""


def wrote_record(path: Path, key: bytes) -> bool:
    """Whether the Parquet file has this key in its metadata."""
    try:
        require_regular(path)
        return key in (pq.read_schema(path).metadata or {})
    except (OSError, ValueError, pa.ArrowException):
        return False


def write_record(table: pa.Table, path: Path, key: bytes, about: Mapping[str, Any], **how: Any) -> None:
    """Write a table as one Parquet file, with a description under a key of its metadata.

    Parameters
    ----------
    about
        The description; must contain ``version`` and ``provenance``, which :func:`read_record` requires.
    **how
        Further arguments of :func:`pyarrow.parquet.write_table`.
    """
    pq.write_table(table.replace_schema_metadata({key: json.dumps(about)}), path, **how)


def read_record(
    path: Path, key: bytes, version: int, *, what: str, remedy: str
) -> tuple[pa.Table, dict[str, Any]]:
    """Read a table and the description under a key of its metadata.

    Parameters
    ----------
    what
        Expected content of the file for error messages, such as ``a quality table``.
    remedy
        Advice for error messages if the file is not what was expected.

    Raises
    ------
    InputError
        If the file is missing, is not of this kind or version, or is damaged.
    """
    try:
        table = read_parquet(path)
    except UnreadableFileError as error:
        raise InputError(f"{path}: cannot read {what}: {error}; {remedy}") from None
    text = (table.schema.metadata or {}).get(key)
    if text is None:
        raise InputError(f"{path} is a Parquet file, but not {what}; {remedy}")
    with damage_reported(path, remedy):
        about = json_value(text)
        if not isinstance(about, dict):
            raise TypeError("metadata is not an object")
        if about["version"] != version:
            raise InputError(
                f"{path}: {what} of version {about['version']}; this edgesim reads {version}; measure it "
                "again"
            )
        if not isinstance(about["provenance"], dict):
            raise TypeError("provenance is not an object")
    return table, about


@contextmanager
def damage_reported(path: Path, remedy: str) -> Iterator[None]:
    """Convert exceptions caused by a damaged file (:data:`DAMAGES`) to InputError."""
    try:
        yield
    except InputError:
        raise
    except DAMAGES as error:
        raise InputError(f"{path}: damaged ({type(error).__name__}: {error}); {remedy}") from error
