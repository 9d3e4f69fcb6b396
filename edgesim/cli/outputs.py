"""Text of a command into a file: never over what a command was given, and over others only where asked."""

from __future__ import annotations

from pathlib import Path

from edgesim.cli.commands import writing
from edgesim.errors import InputError

__all__ = ["write_text"]


def write_text(text: str, output: Path, scenario: str, *, replace: bool) -> None:
    """Write what a command made of a scenario.

    Raises
    ------
    InputError
        If the file is the scenario's own, is there and not to be replaced, or cannot be written.
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
