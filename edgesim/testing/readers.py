"""Conformance test for readers of recorded requests."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

from edgesim import plugins
from edgesim.errors import InputError
from edgesim.workload.readers.detect import READERS, head_of, read
from edgesim.workload.readers.record import Format, Record
from edgesim.workload.readers.text import Estimated

__all__ = ["check_reader"]


def check_reader(format: Format, sample: Path | str) -> None:
    """Check that a reader satisfies its contract, on a file of its format.

    The reader must recognise the file with a better fit than any other installed reader, and give equal
    records when the file is read twice. Line numbers must be nondecreasing from 1, lengths whole numbers of 0
    or more, and instants finite, and present if and only if the format has a time unit. The reader must be
    picklable.

    Parameters
    ----------
    sample
        A typical user's file with at least one request.

    Raises
    ------
    AssertionError
        With a sentence that states the violation.
    InputError
        If the file cannot be read.
    """
    path = Path(sample)
    assert isinstance(format, Format), f"{format!r} is not an object of {READERS.known_as}"
    where = f"reader {format.name!r} on {path.name}: "
    try:
        if READERS.check is not None:
            READERS.check(format)
    except InputError as error:
        raise AssertionError(f"reader {format.name!r}: {error}") from None
    _check_recognition(where, format, path)
    try:
        pickle.loads(pickle.dumps(format))
    except Exception as error:
        raise AssertionError(
            f"{where}it cannot be pickled ({error}); define its functions at module level"
        ) from None
    length, line = Estimated(), 0
    records = list(read(path, format, length))
    assert records, f"{where}it yields no record; give a file with at least one"
    for record in records:
        assert isinstance(record, Record), f"{where}it yields {record!r}; expected a Record"
        assert record.line >= max(1, line), f"{where}line {record.line} follows line {line}"
        line = record.line
        _check_record(f"{where}line {line}: ", format, record)
    assert list(read(path, format, length)) == records, f"{where}two readings of the file differ"


def _check_recognition(where: str, format: Format, path: Path) -> None:
    if format.recognises is None:
        return
    _, head = head_of(path)
    fit = format.recognises(head)
    assert fit > 0, f"{where}it does not recognise the file, which begins {head.line.strip()[:60]!r}"
    for name, other in plugins.discover_all(READERS).items():
        if isinstance(other, Format) and other.recognises is not None and other != format:
            assert other.recognises(head) < fit, (
                f"{where}reader {name!r} recognises the file equally well; use more specific features"
            )


def _check_record(where: str, format: Format, record: Record) -> None:
    has_instants = format.time_unit is not None
    assert (record.at_s is not None) == has_instants, (
        f"{where}instant {record.at_s}, but the format's time unit is {format.time_unit!r}"
    )
    assert record.at_s is None or math.isfinite(record.at_s), f"{where}instant {record.at_s} is not finite"
    lengths = [record.n_prompt_tokens, record.n_output_tokens]
    for turn in record.further:
        lengths += [turn.n_prompt_tokens, turn.n_output_tokens]
    for count in lengths:
        assert type(count) is int, f"{where}length {count!r}; expected a whole number"
        assert count >= 0, f"{where}length {count!r}; expected 0 or more"
