"""Writing of commands' output files, with protection against overwriting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesim.errors import InputError

__all__ = ["make_folder", "write_text", "writing"]


def write_text(text: str, output: Path, scenario: str, *, replace: bool) -> None:
    """Write text that a command derived from a scenario.

    Raises
    ------
    InputError
        If the output file is the scenario's own, exists and `replace` is false, or cannot be written.
    """
    from edgesim.report.outputs import check_output

    check_output(output, "--output")
    given = Path(scenario)
    if output.exists() and given.exists() and output.samefile(given):
        raise InputError(f"--output: {output} is the scenario itself; name another file")
    check_output(output, "--output", replace=replace)
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Context manager that converts an OSError to an InputError naming the path."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def make_folder(folder: Path) -> None:
    """Create a folder before a long computation; InputError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output: {folder} cannot be written ({error}); choose another folder") from None
