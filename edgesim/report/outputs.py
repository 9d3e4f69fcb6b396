"""Where results are written: names are checked before any work is done."""

from __future__ import annotations

from pathlib import Path

from edgesim.errors import InputError

__all__ = ["check_output"]


def check_output(file: Path, option: str, *, replace: bool = True) -> None:
    """Check that a file of this name can be written.

    Parameters
    ----------
    option
        Where the name was given, for the message.
    replace
        Whether one that is there may be overwritten.

    Raises
    ------
    InputError
        If a folder has that name, a file has it that is not to be replaced, or the system takes no such
        name, as one that is too long.
    """
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return  # a part of the path that is a file is found when the folders are made
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{option}: {file} cannot be written ({reason}); name another file") from None
    if file.is_dir():
        raise InputError(f"{option}: {file} is a folder; name a file in it")
    if not replace:
        raise InputError(f"{option}: {file} is there already; name another file, or say --replace")
