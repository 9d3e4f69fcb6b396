"""Reading of YAML text from a user's file, with a size limit."""

from __future__ import annotations

from importlib.resources.abc import Traversable

from edgesim.errors import ScenarioError
from edgesim.scenario.text.document import MAX_SIZE_BYTES

__all__ = ["read_text"]


def read_text(file: Traversable, name: str) -> str:
    """Read a file of YAML, called `name` in messages.

    Raises
    ------
    ScenarioError
        If the file cannot be read, is larger than the limit for scenarios, or is not UTF-8.
    """
    try:
        # Reading one byte more than allowed detects a file that is too large.
        with file.open("rb") as stream:
            data = stream.read(MAX_SIZE_BYTES + 1)
        if len(data) > MAX_SIZE_BYTES:
            raise ScenarioError(f"{name}: larger than {MAX_SIZE_BYTES // 1000} kB, the limit; shorten it")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ScenarioError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{name}: not YAML: byte {error.start} is not UTF-8 text") from None
