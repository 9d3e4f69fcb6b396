"""The project's words: CONTRIBUTING lists what is retired, and nothing here is called so but old changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEADING = "| retired | write |"
INNER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")  # between the words of a name in CamelCase
ALLOWED = re.compile(
    r"held[-_ ]?outs?|(?:\.|def )tell\(", re.IGNORECASE
)  # of statistics, and of Python's files
WITHOUT_RETIRED_WORDS = (
    "edgesim/**/*.py",
    "edgesim/**/*.yaml",
    "README.md",
    "CONTRIBUTING.md",
    "docs/**/*.md",
    "scenarios/*.yaml",
    "benchmarks/*.py",
    "analysis/*.py",
)


def retired() -> list[str]:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = text.partition(HEADING)[2].strip().splitlines()[1:]
    words: list[str] = []
    for row in rows:
        if not row.startswith("|"):
            break
        cell = re.sub(r"\(.*?\)", "", row.split("|")[1])
        words += [word.strip() for word in cell.split(",")]
    return words


def without_the_list(text: str) -> str:
    """A text without the table of retired words, if it has one; its other lines keep their numbers."""
    before, _, rest = text.partition(HEADING)
    table, gap, after = rest.partition("\n\n")
    return before + "\n" * table.count("\n") + gap + after


def found_in(text: str) -> list[tuple[int, str]]:
    """Retired words of a text, with their lines; a phrase may go over the end of a line."""
    any_of = "|".join(r"[\s#]+".join(map(re.escape, word.split())) for word in retired())
    pattern = re.compile(rf"(?<![A-Za-z])(?:{any_of})(?![A-Za-z])", re.IGNORECASE)
    plain = INNER.sub("_", ALLOWED.sub(lambda match: "." * len(match[0]), text))
    return [(plain.count("\n", 0, match.start()) + 1, match[0]) for match in pattern.finditer(plain)]


def test_the_list_is_read() -> None:
    assert {"told", "held", "let in", "whoever"} <= set(retired())
    assert len(retired()) > 20


def test_words_are_found_wherever_they_stand() -> None:
    text = "x = told_of(HeldBack)\n# they let\n# in all\nheld_out, HeldOut, at.tell()\nwithheld retold\n"
    assert found_in(text) == [(1, "told"), (1, "Held"), (2, "let\n# in")]


def test_only_the_list_is_left_out() -> None:
    assert found_in(without_the_list("nobody\nno word of it\n")) == [(1, "nobody")]
    text = f"told\n{HEADING}\n|---|---|\n| told, held | report, keep |\n\nheld\n"
    assert found_in(without_the_list(text)) == [(1, "told"), (6, "held")]


@pytest.mark.parametrize("pattern", WITHOUT_RETIRED_WORDS)
def test_nothing_has_a_retired_name(pattern: str) -> None:
    paths = sorted(ROOT.glob(pattern))
    assert paths
    offenders = [
        f"{path.relative_to(ROOT)}:{line}: {word!r}"
        for path in paths
        for line, word in found_in(without_the_list(path.read_text(encoding="utf-8")))
    ]
    assert not offenders, "\n".join(offenders)
