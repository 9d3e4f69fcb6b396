"""What reaches the terminal: text as it is, and nothing in it that a terminal or rich would act upon.

Names, labels, headers of files, docstrings of plug-ins and messages of libraries come from anywhere. Escape
sequences in them could recolour, hide or retitle what a terminal shows, and brackets are rich's markup.
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

PAGE_WIDTH = 110  # columns: what the tables need, where no terminal says how many there are

# Control characters but tab and line feed (ECMA-48: C0, DEL, C1), and what turns the direction of text round
# (Unicode Annex 9), by which a name can read otherwise than it is.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Write what is no text as an escape: ``\x1b`` for the character that begins terminal sequences."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def refuse_controls(words: Sequence[str]) -> None:
    """Refuse a command line that has control characters in it, which its own messages would repeat.

    Raises
    ------
    InputError
        Naming the word.
    """
    for word in words:
        if not word.isprintable() and any("\ud800" <= character <= "\udfff" for character in word):
            raise InputError(
                "edgesim: a word of the command line is no UTF-8, "
                f"{word.encode('utf-8', 'backslashreplace')!r:.80}; expected text: rename the file"
            )
        if _UNPRINTABLE.search(word):
            raise InputError(
                f"edgesim: a word of the command line has control characters, {printable(word)[:80]!r}; "
                "expected text: leave them out"
            )


def tolerate_encodings() -> None:
    """Let what a terminal cannot show appear as an escape, so that no result is lost for a name."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


class Console(RichConsole):
    """rich's console, to which text is text: no markup, no emoji codes, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Take a text, of a table's cells too, as it can be shown; it is measured as such."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does; colours and cursor movements of its own stay, those within texts do not."""
        if isinstance(renderable, Text) and _UNPRINTABLE.search(renderable.plain):
            renderable = Text(printable(renderable.plain), style=renderable.style, end=renderable.end)
        return super().render(renderable, options)


def console() -> Console:
    """Standard output; as wide as a page where it is no terminal."""
    own = Console(highlight=False)
    return own if own.is_terminal else Console(highlight=False, width=PAGE_WIDTH)


def plain_table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    return table
