"""Folder of a sweep: a data set of files written whole, and ``sweep.json``, which describes the sweep."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from edgesim.errors import TraceError
from edgesim.sweep.schema import SCHEMA_VERSION, further_in, results_schema
from edgesim.sweep.unit import Failed, Outcome, Unit, results_file
from edgesim.trace.whole_files import LOCK_FILE, FolderLock, write_whole, writing_into

__all__ = ["SWEEP_FILE", "SweepFolder", "failure_file", "read_results", "units_of", "unreadable"]

SWEEP_FILE = "sweep.json"
_DATA = ("results", "requests", "devices", "spans")
_UNIT = re.compile(r"cell=(\d+)/replication-(\d+)\.(?:parquet|json)")


def failure_file(unit: Unit) -> str:
    """Return the path of the file that records why a unit failed."""
    return f"failures/cell={unit.cell}/replication-{unit.replication:05d}.json"


def units_of(folder: Path, kind: str) -> list[Unit]:
    """Return the units with a file of the given kind (``results`` or ``failures``), in order."""
    found = (
        _UNIT.fullmatch(f"{file.parent.name}/{file.name}")
        for file in folder.glob(f"{kind}/cell=*/replication-*")
    )
    return sorted(Unit(int(each[1]), int(each[2])) for each in found if each)


class SweepFolder:
    """Folder that a sweep writes: by one process at a time, and in whole files only.

    The results file of a unit is written last. A unit without one is incomplete and is run again.

    Parameters
    ----------
    path
        Must not exist or be empty; to resume, it must contain a sweep.
    resume
        Whether to continue the sweep in `path`.

    Raises
    ------
    TraceError
        If `path` has other contents, or another process is writing it.
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            raise TraceError(f"{path}: is a file; name another folder for the sweep with --out")
        if resume and not (path / SWEEP_FILE).is_file():
            raise TraceError(f"{path}: no sweep to resume ({SWEEP_FILE} is missing); leave 'resume' out")
        self._was_there = path.exists()
        if not resume:
            self._require_empty()
        with writing_into(path):
            path.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(path, "sweep")

    @contextmanager
    def locked(self, *, resume: bool = False) -> Iterator[None]:
        """Lock the folder against other writers within the context; a killed process leaves no lock."""
        self._lock.take()
        try:
            if not resume:
                self._require_empty()
            yield
        finally:
            self._lock.release()
            if not self._was_there:
                with suppress(OSError):  # fails if the folder is not empty
                    self.path.rmdir()

    def _require_empty(self) -> None:
        if self.path.is_dir() and any(entry.name != LOCK_FILE for entry in self.path.iterdir()):
            raise TraceError(
                f"{self.path}: the folder is not empty; name another with --out, or add --resume"
            )

    def write_record(self, facts: Mapping[str, object]) -> None:
        """Write ``sweep.json`` atomically."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **facts}, indent=2, ensure_ascii=False) + "\n"
        write_whole(self.path / SWEEP_FILE, text.encode())

    def keep(self, outcome: Outcome) -> None:
        """Write the files of a unit, or its failure."""
        if isinstance(outcome, Failed):
            stated = {
                "cell": outcome.unit.cell,
                "replication": outcome.unit.replication,
                "reason": outcome.reason,
            }
            text = json.dumps(stated, indent=2, ensure_ascii=False) + "\n"
            write_whole(self.path / failure_file(outcome.unit), text.encode())
            return
        if not self.path.is_dir():
            raise TraceError(f"{self.path}: the sweep's folder was removed during the sweep; run it again")
        for name, data in outcome.files.items():
            write_whole(self.path / name, data)

    def abandon(self) -> None:
        """Remove the record and profiles of a sweep that could not begin, unless files of a unit exist."""
        if units_of(self.path, "results") or units_of(self.path, "failures") or self._begun():
            return
        with suppress(OSError):
            (self.path / SWEEP_FILE).unlink(missing_ok=True)
            for profile in self.path.glob("profiles/profile-*.parquet"):
                profile.unlink()
            if (self.path / "profiles").is_dir():
                (self.path / "profiles").rmdir()

    def whole(self) -> list[Unit]:
        """Return the complete units, after removing the unfinished files of an earlier sweep."""
        with writing_into(self.path):
            for temporary in self.path.glob("**/.*.tmp"):
                temporary.unlink()
        found = []
        for unit in units_of(self.path, "results"):
            try:
                pq.read_metadata(self.path / results_file(unit))
            except (pa.ArrowInvalid, OSError):
                self.drop(unit)
                continue
            found.append(unit)
        whole = set(found)
        for unit in self._begun() - whole:
            self.drop(unit)
        return found

    def failed(self) -> dict[Unit, Failed]:
        """Return the failed units with their reasons."""
        found = {}
        for unit in units_of(self.path, "failures"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                stated = json.loads((self.path / failure_file(unit)).read_text(encoding="utf-8"))
                found[unit] = Failed(unit, str(stated["reason"]))
        return found

    def drop(self, unit: Unit) -> None:
        """Remove all files of a unit."""
        files = [self.path / results_file(unit), self.path / failure_file(unit)]
        files += self.path.glob(f"*/cell={unit.cell}/strategy=*/replication={unit.replication}/*.parquet")
        with writing_into(self.path):
            for file in files:
                file.unlink(missing_ok=True)
                for home in list(file.parents)[: len(file.relative_to(self.path).parts) - 1]:
                    if home.is_dir() and not any(home.iterdir()):
                        home.rmdir()

    def results(self, unit: Unit) -> pa.Table:
        """Read the results of a complete unit, without the columns of the axes.

        Raises
        ------
        TraceError
            If the file cannot be read, or is not a results file.
        """
        file = self.path / results_file(unit)
        try:
            found = read_results(file.read_bytes())
            schema = results_schema((), (), further_in(found.schema))
            return found.select(schema.names).cast(schema)
        except (pa.ArrowException, KeyError, OSError, ValueError) as error:
            raise unreadable(file, error) from None

    def _begun(self) -> set[Unit]:
        """Return the units of which a part of any trace table exists."""
        homes = (
            home for table in _DATA[1:] for home in self.path.glob(f"{table}/cell=*/strategy=*/replication=*")
        )
        numbers = (
            (home.parts[-3].removeprefix("cell="), home.name.removeprefix("replication=")) for home in homes
        )
        return {Unit(int(cell), int(one)) for cell, one in numbers if cell.isdecimal() and one.isdecimal()}


def unreadable(file: Path, error: Exception) -> TraceError:
    """Return an error that says why a results file cannot be read, and how to have it made again."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return TraceError(
        f"{file}: cannot be read as results of this sweep ({reason}); remove it and continue the sweep "
        "with --resume, which runs its unit again"
    )


def read_results(data: bytes) -> pa.Table:
    """Parse the bytes of a results file."""
    return pq.read_table(io.BytesIO(data))
