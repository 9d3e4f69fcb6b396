"""Safe output to the terminal: text is shown literally, without control characters or rich markup.

Names, labels, file headers, docstrings of plug-ins and messages of libraries are untrusted. Escape sequences
in them could recolour, hide or retitle the contents of a terminal, and brackets are markup for rich.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from edgesim.errors import InputError

__all__ = [
    "PAGE_WIDTH",
    "Console",
    "console",
    "plain_table",
    "printable",
    "refuse_controls",
    "tolerate_encodings",
]

PAGE_WIDTH = 110  # columns needed by the tables, used if the output is not a terminal

# Control characters except tab and line feed (ECMA-48: C0, DEL, C1), and those that change the direction of
# text (Unicode Annex 9), which can make a name read differently.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Escape control characters, such as ``\x1b``, with which terminal sequences begin."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def refuse_controls(words: Sequence[str]) -> None:
    """Refuse a command line with control characters, which messages would repeat.

    Raises
    ------
    InputError
        Naming the word.
    """
    for word in words:
        if not word.isprintable() and any("\ud800" <= character <= "\udfff" for character in word):
            raise InputError(
                "edgesim: a word of the command line is not UTF-8, "
                f"{word.encode('utf-8', 'backslashreplace')!r:.80}; expected text: rename the file"
            )
        if _UNPRINTABLE.search(word):
            raise InputError(
                f"edgesim: a word of the command line has control characters, {printable(word)[:80]!r}; "
                "expected text: leave them out"
            )


def tolerate_encodings() -> None:
    """Escape characters that a terminal's encoding lacks, instead of failing to print."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


class Console(RichConsole):
    """rich's console without markup, emoji codes and control characters in texts."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape control characters of a text, also in table cells, before its width is measured."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does; keep its own colours and cursor movements, but escape those within texts."""
        if isinstance(renderable, Text) and _UNPRINTABLE.search(renderable.plain):
            renderable = Text(printable(renderable.plain), style=renderable.style, end=renderable.end)
        return super().render(renderable, options)


def console() -> Console:
    """Return a console on standard output; it is 110 columns wide if that is not a terminal."""
    own = Console(highlight=False)
    return own if own.is_terminal else Console(highlight=False, width=PAGE_WIDTH)


def plain_table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    return table
