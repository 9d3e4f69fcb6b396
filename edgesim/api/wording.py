"""Messages for users of Python: names of arguments instead of options of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from edgesim.errors import InputError

__all__ = ["in_python"]

_WORDS = (
    (r"add --replace\b", "say replace=True"),
    (r"--(replace|refresh|force|resume)\b", r"\1=True"),
    (r"--set ", "override "),
    (r"--strategy\b", "only"),
    (r"\s*\(edgesim list \w+\)", ""),
    (r"'edgesim run' trains it on first use, 'edgesim train' into a file; in Python, ", ""),
    (r"(?<![\w-])--([a-z][a-z-]*)", lambda match: match[1].replace("-", "_")),
)


@contextmanager
def in_python() -> Iterator[None]:
    """Context manager that replaces options of the command line by arguments in messages of InputError."""
    try:
        yield
    except InputError as error:
        text = str(error)
        for pattern, word in _WORDS:
            text = re.sub(pattern, word, text)
        error.args = (text, *error.args[1:])
        raise
