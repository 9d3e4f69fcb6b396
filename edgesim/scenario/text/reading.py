"""The text of a file that a user wrote, read within a bound."""

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
        If it cannot be read, is larger than any scenario, or is no UTF-8.
    """
    try:
        # One byte more than allowed shows a file that is too large without reading all of it.
        with file.open("rb") as stream:
            data = stream.read(MAX_SIZE_BYTES + 1)
        if len(data) > MAX_SIZE_BYTES:
            raise ScenarioError(f"{name}: larger than {MAX_SIZE_BYTES // 1000} kB, which no scenario is")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ScenarioError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{name}: not YAML: byte {error.start} is no UTF-8 text") from None
