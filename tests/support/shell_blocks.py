"""Commands that the documentation shows, with what its pages say of running them.

A block of ``bash`` or ``console`` is run as it stands, in the order of its page and in the page's own folder.
A block of any language with a title (```yaml title="lab.yaml") is a file of that name, which is there for the
commands after it. HTML comments directly before a block, which no reader sees, say otherwise:

``<!-- not run: REASON -->``
    It is not run, and the suite lists it as skipped with this reason.
``<!-- long: REASON -->``
    It is run with EDGESIM_LONG_TESTS=1 alone; what comes after it on the page must not need it.
``<!-- run with: OLD => NEW -->``
    OLD, which must occur, is replaced first, as by settings under which it takes seconds; repeatable.
``<!-- given: COMMAND -->``
    A command that makes what the reader has, such as a file, is run before it; repeatable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "blocks", "pages"]

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(
    r"^(?P<indent> *)(?P<fence>```+)(?P<language>bash|console|sh|shell)\b[^\n]*\n(?P<body>.*?)^ *(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(
    r"^(?P<fence>```+)\w+ title=\"(?P<name>[\w.-]+)\"[^\n]*\n(?P<body>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"\s*<!-- (?P<word>[a-z ]+): (?P<rest>(?:(?!-->).)*) -->\s*\Z", re.DOTALL)
_WORDS = ("not run", "long", "run with", "given")


@dataclass(frozen=True, slots=True)
class Block:
    """One block: where it stands, the script that is run, files and commands before it, why it may not be."""

    page: Path
    line: int
    script: str
    files: tuple[tuple[str, str], ...] = ()
    given: tuple[str, ...] = ()
    not_run: str = ""
    long: str = ""

    @property
    def name(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return all pages that show commands: README, CONTRIBUTING and the documentation."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if _BLOCK.search(page.read_text(encoding="utf-8"))]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page in their order.

    Raises
    ------
    ValueError
        If a comment before a block says something unknown, or replaces what does not occur.
    """
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        indent = found["indent"]
        lines = [each.removeprefix(indent) for each in found["body"].splitlines()]
        if found["language"] == "console":  # a session: what is typed stands after a prompt
            lines = [each[2:] for each in lines if each.startswith("$ ")]
        script = "\n".join(lines)
        said: list[tuple[str, str]] = []
        before = text[: found.start()]
        while comment := _COMMENT.search(before[-2000:]):
            before = before[-2000:][: comment.start()]
            if comment["word"] not in _WORDS:
                if comment["word"] == "generated":
                    break
                raise ValueError(f"{page}:{line}: <!-- {comment['word']}: ... -->; known are {_WORDS}")
            said.insert(0, (comment["word"], " ".join(comment["rest"].split())))
        for word, rest in said:
            if word == "run with":
                old, _, new = rest.partition(" => ")
                if old not in script:
                    raise ValueError(f"{page}:{line}: <!-- run with -->: {old!r} does not occur in the block")
                script = script.replace(old, new)
        only = dict(said)
        given = tuple(rest for word, rest in said if word == "given")
        files = tuple((each["name"], each["body"]) for each in _FILE.finditer(text[: found.start()]))
        yield Block(page, line, script, files, given, only.get("not run", ""), only.get("long", ""))
