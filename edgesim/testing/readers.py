"""A conformance test for readers of recorded requests."""

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
    """Check a reader against its contract, on a file of its format.

    The file is recognised, and by this reader more particularly than by any other that is installed; read
    twice it says the same; lines count up from 1, lengths are whole numbers of 0 or more, instants are
    finite and there if, and only if, the format has a unit of them; and the reader can travel to
    another process.

    Parameters
    ----------
    sample
        A file with one request or more, as users have it.

    Raises
    ------
    AssertionError
        Saying in a sentence what is not as it should be.
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
            f"{where}it cannot travel to another process ({error}); let its functions stand in a module"
        ) from None
    length, line = Estimated(), 0
    records = list(read(path, format, length))
    assert records, f"{where}it yields no record; give a file of one or more"
    for record in records:
        assert isinstance(record, Record), f"{where}it yields {record!r}; expected a Record"
        assert record.line >= max(1, line), f"{where}line {record.line} follows line {line}"
        line = record.line
        _check_record(f"{where}line {line}: ", format, record)
    assert list(read(path, format, length)) == records, f"{where}read twice, it says two different things"


def _check_recognition(where: str, format: Format, path: Path) -> None:
    if format.recognises is None:
        return
    _, head = head_of(path)
    fit = format.recognises(head)
    assert fit > 0, f"{where}it does not recognise the file, which begins {head.line.strip()[:60]!r}"
    for name, other in plugins.discover_all(READERS).items():
        if isinstance(other, Format) and other.recognises is not None and other != format:
            assert other.recognises(head) < fit, (
                f"{where}reader {name!r} recognises the file as well; go by more than that one does"
            )


def _check_record(where: str, format: Format, record: Record) -> None:
    has_instants = format.time_unit is not None
    assert (record.at_s is not None) == has_instants, (
        f"{where}instant {record.at_s}, and the format's unit of instants is {format.time_unit!r}"
    )
    assert record.at_s is None or math.isfinite(record.at_s), f"{where}instant {record.at_s} is not finite"
    lengths = [record.n_prompt_tokens, record.n_output_tokens]
    for turn in record.further:
        lengths += [turn.n_prompt_tokens, turn.n_output_tokens]
    for count in lengths:
        assert type(count) is int, f"{where}length {count!r}; expected a whole number"
        assert count >= 0, f"{where}length {count!r}; expected 0 or more"
