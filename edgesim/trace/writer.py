"""Writer of trace folders; files are written atomically, so that a killed run leaves a readable trace."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq

from edgesim.errors import TraceError
from edgesim.trace.schema import ALL_TABLES, SCHEMA_VERSION
from edgesim.trace.whole_files import LOCK_FILE, FolderLock, writing_into

__all__ = [
    "EXITS_FILE",
    "OWN_PROFILE_FILE",
    "PATHS_FILE",
    "PROFILE_FILE",
    "QUALITY_FILE",
    "PartWriter",
    "TraceFolder",
    "write_parquet",
]

RUN_FILE = "run.json"
PART_FILE = "part-{:05d}.parquet"
PROFILE_FILE = "profile.parquet"
OWN_PROFILE_FILE = "profile-{}.parquet"  # of a device kind, named by its digest
QUALITY_FILE = "quality.parquet"  # answers under impairments
EXITS_FILE = "exits.parquet"  # answers of every exit
PATHS_FILE = "exit_paths.parquet"  # answers of tokens that leave early, with propagated caches


class TraceFolder:
    """A trace folder being written: tables by strategy and replication, and ``run.json``.

    Parameters
    ----------
    path
        Folder of the trace. It must not exist or be empty or, with `replace`, contain an earlier trace.
    replace
        Whether to remove an earlier trace in the folder.

    Raises
    ------
    TraceError
        If the folder contains anything else, which is then left unchanged.
    """

    def __init__(self, path: Path, *, replace: bool = False) -> None:
        self.path = path
        self._lock = FolderLock(path, "trace")
        self._made = [folder for folder in (path, *path.parents) if not folder.exists()]
        if path.exists() and not path.is_dir():
            raise TraceError(f"{path}: a file, expected a folder; choose another path with --out")
        if not replace:
            self._require_empty()
        with writing_into(path):
            path.mkdir(parents=True, exist_ok=True)
        self._lock.take()
        try:
            if replace and self._entries():
                self._remove_earlier()
            self._require_empty()
        except TraceError:
            self._lock.release()
            raise

    def _entries(self) -> list[Path]:
        return (
            [entry for entry in self.path.iterdir() if entry.name != LOCK_FILE] if self.path.is_dir() else []
        )

    def _require_empty(self) -> None:
        if self._entries():
            raise TraceError(
                f"{self.path}: the folder is not empty; choose another with --out, or add --replace"
            )

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Open a folder that another process of the same run has created, without acquiring its lock."""
        folder = cls.__new__(cls)
        folder.path, folder._made, folder._lock = path, [], FolderLock(path, "trace")
        return folder

    @classmethod
    def resumed(cls, path: Path) -> Self:
        """Open and lock the folder of a run that has ended, completed or not.

        Raises
        ------
        TraceError
            If the folder contains no trace, or another process is writing it.
        """
        if not (path / RUN_FILE).is_file():
            raise TraceError(f"{path}: no trace to resume; leave 'resume' out")
        folder = cls.reopen(path)
        folder._lock.take()
        return folder

    def abandon(self) -> None:
        """Remove the folder of a run that could not start, unless it contains a part of a table."""
        if any(self.path.glob("*/strategy=*/replication=*/part-*.parquet")):
            return
        with suppress(OSError, TraceError):
            (self.path / f".{RUN_FILE}.tmp").unlink(missing_ok=True)
            if (self.path / RUN_FILE).is_file():
                self._remove_earlier()
            self._lock.release()
            for folder in self._made:  # the innermost first
                folder.rmdir()

    def _remove_earlier(self) -> None:
        """Remove the files of an earlier trace, and no others."""
        if not (self.path / RUN_FILE).is_file():
            raise TraceError(f"{self.path}: not a trace (no {RUN_FILE}), so it is not replaced")
        for part in sorted(self.path.glob("*/strategy=*/replication=*/part-*.parquet*")):
            part.unlink()
        for level in ("*/strategy=*/replication=*", "*/strategy=*", *ALL_TABLES):
            for home in sorted(self.path.glob(level)):
                if not any(home.iterdir()):
                    home.rmdir()
        measured = [self.path / name for name in (PROFILE_FILE, QUALITY_FILE, EXITS_FILE, PATHS_FILE)]
        for file in (*measured, *self.path.glob(OWN_PROFILE_FILE.format("*"))):
            file.unlink(missing_ok=True)
        (self.path / RUN_FILE).unlink()

    def write_run(self, facts: Mapping[str, object]) -> None:
        """Write ``run.json`` atomically."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **facts}, indent=2, ensure_ascii=False) + "\n"
        temporary = self.path / f".{RUN_FILE}.tmp"
        with writing_into(self.path):
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.path / RUN_FILE)

    def end(self, facts: Mapping[str, object]) -> None:
        """Write ``run.json`` of a run that was stopped or failed, ignoring errors of writing."""
        with suppress(TraceError):
            self.write_run(facts)
        with suppress(OSError):
            (self.path / f".{RUN_FILE}.tmp").unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Context manager that releases the folder's lock at its end."""
        try:
            yield
        finally:
            self._lock.release()

    def keep_whole(self, asked: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
        """Remove the tables of incomplete runs and of runs not in `asked`; return the complete runs.

        A run is complete if its requests and devices tables exist (devices is written last), its parts are
        numbered without gaps, and all parts can be read.

        Parameters
        ----------
        asked
            Strategy and replication of each requested run.

        Returns
        -------
        set
            Strategy and replication of each requested run that is complete.
        """
        whole: set[tuple[str, int]] = set()
        names = {(strategy, str(replication)): (strategy, replication) for strategy, replication in asked}
        homes = {
            (home.parent.name.removeprefix("strategy="), home.name.removeprefix("replication="))
            for home in self.path.glob("*/strategy=*/replication=*")
        }
        for home in sorted(homes):
            partition = "strategy={}/replication={}".format(*home)
            files = {table: sorted((self.path / table / partition).glob("part-*")) for table in ALL_TABLES}
            if (
                home in names
                and files["devices"]
                and files["requests"]
                and all(map(_are_whole, files.values()))
            ):
                whole.add(names[home])
                continue
            with writing_into(self.path / partition):
                for file in (file for some in files.values() for file in some):
                    file.unlink()
        return whole

    def parts(self, strategy: str, replication: int) -> PartWriter:
        """Return a writer for one replication of one strategy."""
        return PartWriter(self.path, strategy, replication)


class PartWriter:
    """Writes the tables of one strategy and replication as numbered parts, each file atomically.

    The files depend only on the tables: the same seed and profile give the same bytes.
    """

    def __init__(self, folder: Path, strategy: str, replication: int) -> None:
        self._folder = folder
        self._partition = f"strategy={strategy}/replication={replication}"
        self._n_parts: dict[str, int] = {}

    def write(self, table_name: str, table: pa.Table) -> None:
        """Write the next part of a table."""
        number = self._n_parts.get(table_name, 0)
        self._n_parts[table_name] = number + 1
        home = self._folder / table_name / self._partition
        part = home / PART_FILE.format(number)
        temporary = part.with_suffix(".parquet.tmp")
        if not self._folder.is_dir():
            raise TraceError(
                f"{self._folder}: the trace folder was removed during the run, and with it all finished "
                "results; run again"
            )
        with writing_into(part):
            home.mkdir(parents=True, exist_ok=True)
            write_parquet(table, temporary)
            temporary.replace(part)


def write_parquet(table: pa.Table, file: Path | BinaryIO) -> None:
    """Write a trace table as Parquet; the bytes depend only on the table.

    Columns of names, counts and sizes have repeated values and are dictionary-encoded. Neighbouring instants
    share their leading bytes, so their columns use byte stream splitting, which groups these bytes for the
    compressor.
    """
    instants = [name for name in table.schema.names if name.endswith("at_s")]
    pq.write_table(
        table,
        file,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in table.schema.names if name not in instants],
        use_byte_stream_split=instants,
        write_statistics=[field.name for field in table.schema if field.name == "request_id"],
    )


def _are_whole(parts: Sequence[Path]) -> bool:
    """Whether the parts of a table are numbered without gaps, and all can be read."""
    if [part.name for part in parts] != [PART_FILE.format(number) for number in range(len(parts))]:
        return False
    try:
        for part in parts:
            pq.read_metadata(part)
    except (pa.ArrowInvalid, OSError):
        return False
    return True
