"""English text from the CPython installation, for training, calibrating and evaluating a small model.

The repository contains no text: the language reference's topics (``pydoc_data.topics``) and the standard
library's docstrings and comments are read from the installed Python. The choice of held-out documents depends
on their names, sizes and shared lines, not on chance, so that machines with the same Python agree on every
byte.
"""

from __future__ import annotations

import ast
import hashlib
import io
import sysconfig
import tokenize
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Corpus", "digest", "python_corpus"]

_CALIBRATION_BYTES = 100_000
_TEST_BYTES = 60_000
_HELD_OUT_BYTES = range(1_000, 12_001)  # neither one-line boilerplate nor dominant documents
_LONG_LINE = 30  # characters
_MOST_SEEN = 0.2
_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)
_LEAVE_OUT = (
    "site-packages",
    "test",
    "tests",
    "idle_test",
    "idlelib",
    "__pycache__",
    "pydoc_data",
    "encodings",
)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents by name, in three disjoint parts.

    Attributes
    ----------
    train
        Topics, docstrings and comments for training.
    calibration
        Topics and docstrings for fitting temperatures.
    test
        Topics and docstrings used only for evaluation.
    """

    train: Mapping[str, str]
    calibration: Mapping[str, str]
    test: Mapping[str, str]


@cache  # parsing the library takes seconds, and its text does not change during a run
def python_corpus() -> Corpus:
    """Read the text of the running Python, and divide it by the names of its documents.

    Documents are ranked by the SHA-256 of their names, which acts as a random order: the first go to the test
    part until it has 60 kB, the next to the calibration part until it has 100 kB. The comments of a held-out
    module are in no part. Documents below 1 kB and above 12 kB serve only for training. A held-out document
    that also occurs in the training text under another name, as some topics and old modules do, is left out.
    """
    prose, comments = _documents()
    ranked = sorted(prose, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    eligible = [name for name in ranked if len(prose[name].encode()) in _HELD_OUT_BYTES]
    test, rest = _first(eligible, prose, _TEST_BYTES)
    calibration, _ = _first(rest, prose, _CALIBRATION_BYTES)
    held_out = {*test, *calibration}
    train = {
        name: "\n\n".join(part for part in (text, comments.get(name)) if part)
        for name, text in prose.items()
        if name not in held_out
    }
    learned = _lines(train.values())
    return Corpus(train, _unseen(calibration, prose, learned), _unseen(test, prose, learned))


def digest(documents: Mapping[str, str]) -> str:
    """Return the SHA-256 over the names and texts of documents, in their order."""
    sha = hashlib.sha256()
    for name, text in documents.items():
        for part in (name, text):
            encoded = part.encode()
            sha.update(len(encoded).to_bytes(8, "big") + encoded)
    return sha.hexdigest()


def _first(names: Iterable[str], texts: Mapping[str, str], size_bytes: int) -> tuple[list[str], list[str]]:
    taken: list[str] = []
    left: list[str] = []
    total = 0
    for name in names:
        if total < size_bytes:
            taken.append(name)
            total += len(texts[name].encode())
        else:
            left.append(name)
    return taken, left


def _unseen(names: Iterable[str], texts: Mapping[str, str], learned: Set[str]) -> dict[str, str]:
    """Return the documents of whose long lines less than a fifth occur in the training text."""
    kept = {}
    for name in names:
        lines = _lines([texts[name]])
        if len(lines & learned) < _MOST_SEEN * len(lines):
            kept[name] = texts[name]
    return kept


def _lines(texts: Iterable[str]) -> set[str]:
    """Return the lines long enough not to coincide by chance."""
    lines = (line.strip() for text in texts for line in text.splitlines())
    return {line for line in lines if len(line) > _LONG_LINE}


def _documents() -> tuple[dict[str, str], dict[str, str]]:
    """Read topics and docstrings by name, and the comments of the modules under the same names."""
    from pydoc_data.topics import topics  # half a megabyte of text

    prose = {f"topic/{name}": text for name, text in sorted(topics.items())}
    comments: dict[str, str] = {}
    library = Path(sysconfig.get_path("stdlib"))
    for file in sorted(library.rglob("*.py")):
        where = file.relative_to(library)
        if any(part in _LEAVE_OUT or part.startswith("config-") for part in where.parts):
            continue
        if where.name.startswith("_sysconfigdata"):  # differs between builds of Python
            continue
        try:
            source = file.read_text(encoding="utf-8")
            tree = ast.parse(source)
        except (SyntaxError, UnicodeDecodeError):
            continue
        name = f"library/{where.as_posix()}"
        docstrings = list(_docstrings(tree))
        if docstrings:
            prose[name] = "\n\n".join(docstrings)
            comments[name] = "\n".join(_comments(source))
    return prose, comments


def _docstrings(tree: ast.Module) -> Iterator[str]:
    """Yield docstrings in the order of ``ast.walk``, skipping expressions, which define none."""
    waiting: deque[ast.AST] = deque([tree])
    while waiting:
        node = waiting.popleft()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield docstring
        for name in node._fields:
            within = getattr(node, name, None)
            if isinstance(within, list) and within and isinstance(within[0], _STATEMENTS):
                waiting.extend(within)


def _comments(source: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string.lstrip("#! ").rstrip() if token.type == tokenize.COMMENT else ""
        if any(character.isalpha() for character in text):
            yield text
