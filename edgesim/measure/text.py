"""Text for measuring answers: files of several formats, or the held-out part of Python's own text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesim.errors import InputError
from edgesim.files import is_there, user_path
from edgesim.measure.corpus import digest, python_corpus

__all__ = ["Text", "parted", "parts_to_learn", "read_text", "spread", "tokens_of", "windows"]

BUNDLED = "bundled"

_PASSAGE = 4000  # least number of characters of a passage when a text is divided

Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Text:
    """Documents to be predicted.

    Attributes
    ----------
    name
        Name in tables.
    digest
        SHA-256 over the documents' names and texts.
    documents
        Texts by name, in their order.
    """

    name: str
    digest: str
    documents: Mapping[str, str]

    @property
    def n_bytes(self) -> int:
        """Size of the documents in UTF-8, the base of bits per byte."""
        return sum(len(text.encode()) for text in self.documents.values())


def read_text(source: str | Path = BUNDLED) -> Text:
    """Read the documents of a file.

    Parameters
    ----------
    source
        ``bundled``: the held-out documents of the running Python (:func:`python_corpus`'s test part). Else
        a file: Parquet or JSON lines with a column ``text``, one document per row. Rows of WikiText, where an
        article is spread over many rows and its title reads ``= Title =``, are joined. Any other file
        is one document of plain text in UTF-8.

    Raises
    ------
    InputError
        If there is no such file, or it has no column ``text``, is not UTF-8, or has no text at all.
    """
    if str(source) == BUNDLED:
        return _text("python-held-out", python_corpus().test)
    file = user_path(Path(), str(source))
    if not (is_there(file) and file.is_file()):
        raise InputError(
            f"text '{source}': no such file; give '{BUNDLED}', plain text, or Parquet or JSON lines with a "
            "column 'text'"
        )
    kind = file.suffix.casefold()
    if kind == ".parquet":
        documents = _numbered(_articles(_parquet_rows(file)))
    elif kind == ".jsonl":
        documents = _numbered(_articles(_json_rows(file)))
    else:
        documents = {file.name: _decoded(file)}
    kept = {name: text for name, text in documents.items() if text.strip()}
    if not kept:
        raise InputError(f"{file}: contains no text; expected at least one document")
    return _text(file.name, kept)


def parted(text: Text, shares: Sequence[int]) -> tuple[Text, ...]:
    """Divide a text into disjoint parts, each spread over the whole text.

    Documents are cut at blank lines into passages of some thousand characters. Passages are assigned to the
    parts cyclically: as many to the first part as its share, then to the second, and so on.

    Raises
    ------
    InputError
        If there are too few passages for every part to get one.
    """
    passages: list[str] = []
    for document in text.documents.values():
        lately = ""
        for paragraph in document.split("\n\n"):
            lately += paragraph + "\n\n"
            if len(lately) >= _PASSAGE:
                passages.append(lately)
                lately = ""
        if lately.strip():
            passages.append(lately)
    order = [part for part, share in enumerate(shares) for _ in range(share)]
    if len(passages) < len(order):
        raise InputError(
            f"text '{text.name}': it has {len(passages)} passages of {_PASSAGE} characters; expected "
            f"at least {len(order)}, for training, calibration and evaluation; give a longer text"
        )
    parts: list[list[str]] = [[] for _ in shares]
    for number, passage in enumerate(passages):
        parts[order[number % len(order)]].append(passage)
    return tuple(_text(f"{text.name}, part {i}", _numbered(part)) for i, part in enumerate(parts, start=1))


def parts_to_learn(source: str | Path) -> tuple[Text, Text, Text]:
    """Return disjoint texts for training, calibration and evaluation.

    Of a file, eight tenths, a tenth and a tenth (:func:`parted`). Of ``bundled``, the parts of
    :func:`python_corpus`, so that the text that :func:`read_text` returns for evaluation is never trained on.
    """
    if str(source) != BUNDLED:
        learn, calibrate, judge = parted(read_text(source), (8, 1, 1))
        return learn, calibrate, judge
    corpus = python_corpus()
    return (
        _text("python-training", corpus.train),
        _text("python-calibration", corpus.calibration),
        _text("python-held-out", corpus.test),
    )


def tokens_of(text: Text, tokenizer: Any) -> Tokens:
    """Return the token ids of all documents in one row, each document preceded by a separator token.

    The separator is the tokenizer's end-of-text token, else its beginning-of-text token; a tokenizer with
    neither gives none.

    Not modelled: windows that begin with the beginning-of-text token, as some families (Gemma) were trained.
    """
    mark = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.bos_token_id
    row: list[int] = []
    for document in text.documents.values():
        row += [] if mark is None else [mark]
        # verbose=False: a document may exceed the context length, since windows are cut from it.
        row += tokenizer.encode(document, add_special_tokens=False, verbose=False)
    return np.asarray(row, dtype=np.int64)


def windows(tokens: Tokens, length: int) -> Tokens:
    """Cut a row of tokens into windows, [n_windows, length + 1], that predict each token at most once.

    The last token of a window is the first of the next, where it is not predicted; a remainder too short for
    a window is left out.

    Raises
    ------
    InputError
        If the row is too short for one window.
    """
    n_windows = (len(tokens) - 1) // length
    if n_windows < 1:
        raise InputError(
            f"the text has {len(tokens)} tokens, too few for a window of {length} and the token after it; "
            "give a longer text"
        )
    starts = np.arange(n_windows) * length
    cut: Tokens = tokens[starts[:, None] + np.arange(length + 1)]
    return cut


def spread(n_windows: int, n_wanted: int) -> list[int]:
    """Return the indices of `n_wanted` windows, or of all if there are fewer, spread evenly over the text."""
    n_chosen = min(n_windows, n_wanted)
    return [n_windows * i // n_chosen for i in range(n_chosen)]


def _text(name: str, documents: Mapping[str, str]) -> Text:
    return Text(name, digest(documents), MappingProxyType(dict(documents)))


def _numbered(texts: list[str]) -> dict[str, str]:
    return {f"document {number}": text for number, text in enumerate(texts, start=1)}


def _articles(rows: list[str]) -> list[str]:
    """Join rows of WikiText to articles; return rows of another text unchanged."""
    if not any(_is_title(row) for row in rows):
        return rows
    articles: list[str] = [""]
    for row in rows:
        if _is_title(row):
            articles.append("")
        articles[-1] += row
    return articles


def _is_title(row: str) -> bool:
    """Return whether a row is a first-level title: `` = Title = ``, and not `` = = Section = = ``."""
    line = row.strip()
    return (
        line.startswith("= ")
        and line.endswith(" =")
        and not line.startswith("= =")
        and len(line) > 4
        and "\n" not in line
    )


def _parquet_rows(file: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(file).names
        if "text" not in names:
            raise InputError(f"{file}: no column 'text'; it has {', '.join(names)}")
        rows = pq.read_table(file, columns=["text"])["text"].to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as Parquet ({error})") from error
    return [row if isinstance(row, str) else "" for row in rows]


def _json_rows(file: Path) -> list[str]:
    rows: list[str] = []
    for number, line in enumerate(_decoded(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file}, line {number}: not valid JSON ({error})") from error
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise InputError(f"{file}, line {number}: expected an object with a string called 'text'")
        try:
            row["text"].encode()
        except UnicodeEncodeError as error:  # JSON may contain half a surrogate pair, which cannot be encoded
            raise InputError(f"{file}, line {number}: 'text' is no valid Unicode ({error.reason})") from error
        rows.append(row["text"])
    return rows


def _decoded(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start})") from error
