"""Checks of output file names, made before any work is done."""

from __future__ import annotations

from pathlib import Path

from edgesim.errors import InputError

__all__ = ["check_output"]


def check_output(file: Path, option: str, *, replace: bool = True) -> None:
    """Check that a file of this name can be written.

    Parameters
    ----------
    option
        The option that gave the name, for the error message.
    replace
        Whether an existing file may be overwritten.

    Raises
    ------
    InputError
        If the name is that of a folder or of an existing file that must not be replaced, or the system does
        not accept the name, for example because it is too long.
    """
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return  # a file in place of a parent folder is detected when the folders are created
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{option}: {file} cannot be written ({reason}); name another file") from None
    if file.is_dir():
        raise InputError(f"{option}: {file} is a folder; name a file in it")
    if not replace:
        raise InputError(f"{option}: {file} exists already; name another file, or add --replace")
