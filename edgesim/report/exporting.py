"""Export of a run to the file formats of other programs."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, cast

from edgesim.errors import InputError
from edgesim.report.perfetto.chrome import ChromeWriter
from edgesim.report.perfetto.proto import ProtoWriter
from edgesim.report.perfetto.timeline import Timeline
from edgesim.report.perfetto.writer import TimelineWriter
from edgesim.trace.reader import Trace

__all__ = ["EXPORTS", "Export", "write_perfetto"]

_LEVEL = 3  # gzip level: files a fifth larger than at the default level, in half the time


_WRITERS: Mapping[str, type[TimelineWriter]] = MappingProxyType(
    {".pftrace": ProtoWriter, ".perfetto-trace": ProtoWriter, ".pb": ProtoWriter, ".json": ChromeWriter}
)


def write_perfetto(trace: Trace, strategy: str, replication: int, file: Path) -> None:
    """Write one run as a file for Perfetto (https://ui.perfetto.dev); the suffix determines the format.

    Parameters
    ----------
    file
        ``.pftrace`` (also ``.perfetto-trace``, ``.pb``): Perfetto's own packets. ``.json``: Chrome's trace
        events. A further ``.gz``: compressed.

    Raises
    ------
    InputError
        If the suffix is unknown, the file cannot be written, or the run is not in the trace.
    """
    name = file.name.lower()
    is_packed = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in _WRITERS:
        raise InputError(
            f"--perfetto: expected a name that ends in .pftrace or .json, optionally followed by .gz, "
            f"got {file}"
        )
    timeline = Timeline(trace, strategy, replication)
    with _whole(file) as out:
        packed = gzip.GzipFile("", "wb", _LEVEL, out, mtime=0) if is_packed else None
        target = cast("BinaryIO", packed) if packed is not None else out
        writer = _WRITERS[suffix](target, timeline.title, timeline.names, timeline.details)
        for part in timeline.parts():
            writer.write(part)
        writer.close()
        if packed is not None:
            packed.close()


Export = Callable[[Trace, str, int, Path], None]
"""Function that writes one replication of one strategy to a file."""

EXPORTS: Mapping[str, Export] = MappingProxyType({"perfetto": write_perfetto})
"""Export functions by the name of the command's option."""


@contextmanager
def _whole(file: Path) -> Iterator[BinaryIO]:
    """Open a temporary file, and rename it to `file` once it is complete."""
    temporary = file.with_name(f".{file.name}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as out:
            yield out
        temporary.replace(file)
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
