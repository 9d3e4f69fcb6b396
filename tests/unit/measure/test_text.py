"""Texts are read as they are written, cut without loss or overlap, and refused with the way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgesim.errors import InputError
from edgesim.measure.corpus import Corpus, digest
from edgesim.measure.text import Text, parts_to_learn, read_text, tokens_of, windows


def parquet(file: Path, **columns: list[str]) -> Path:
    pq.write_table(pa.table(columns), file)
    return file


def test_the_bundled_text_is_what_nobody_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = Corpus(train={"a": "learned"}, calibration={"b": "fitted"}, test={"c": "judged", "d": "too"})
    monkeypatch.setattr("edgesim.measure.text.python_corpus", lambda: corpus)
    text = read_text()

    assert dict(text.documents) == corpus.test
    assert text.digest == digest(corpus.test)


def test_a_plain_file_is_one_document(tmp_path: Path) -> None:
    file = tmp_path / "novel.txt"
    file.write_text("Grüße\n\n= no title =\n", encoding="utf-8")
    text = read_text(file)

    assert list(text.documents.values()) == ["Grüße\n\n= no title =\n"]
    assert text.n_bytes == len(file.read_bytes())


def test_a_text_is_dealt_out_in_passages_that_no_part_shares(tmp_path: Path) -> None:
    paragraphs = [f"paragraph {number} " * 60 for number in range(400)]
    (tmp_path / "long.txt").write_text("\n\n".join(paragraphs))
    parts = parts_to_learn(tmp_path / "long.txt")
    found = [
        [line.strip() for document in part.documents.values() for line in document.split("\n\n") if line]
        for part in parts
    ]

    assert sorted(line for each in found for line in each) == sorted(
        paragraph.strip() for paragraph in paragraphs
    )
    assert [len(each) / 400 for each in found] == pytest.approx([0.8, 0.1, 0.1], abs=0.05)
    for each in found:  # from all over the text
        numbers = [int(paragraph.split()[1]) for paragraph in each]
        assert min(numbers) < 100
        assert max(numbers) > 300
    assert len({part.digest for part in parts}) == 3


def test_nobody_learns_from_the_bundled_text_that_is_judged_on(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = Corpus(train={"a": "learned"}, calibration={"b": "fitted"}, test={"c": "judged"})
    monkeypatch.setattr("edgesim.measure.text.python_corpus", lambda: corpus)
    parts = [dict(part.documents) for part in parts_to_learn("bundled")]
    assert parts == [corpus.train, corpus.calibration, corpus.test]
    assert parts[-1] == dict(read_text("bundled").documents)


def test_rows_of_wikitext_are_put_together_to_articles(tmp_path: Path) -> None:
    rows = ["", " = Valkyria = \n", "", " It is a game . \n", " = = Plot = = \n", " It has one . \n"]
    rows += [" = Tower = \n", " It is old . \n"]
    text = read_text(parquet(tmp_path / "test.parquet", text=rows))

    assert list(text.documents.values()) == ["".join(rows[1:6]), "".join(rows[6:])]


def test_rows_of_other_files_are_documents(tmp_path: Path) -> None:
    rows = ["one\nline", "\u2028 two", ""]
    lines = tmp_path / "rows.jsonl"
    lines.write_text("".join(json.dumps({"text": row}, ensure_ascii=False) + "\n" for row in rows))
    for file in (lines, parquet(tmp_path / "rows.parquet", text=rows)):
        assert list(read_text(file).documents.values()) == rows[:2]


def test_the_digest_is_that_of_the_text_and_not_of_its_file(tmp_path: Path) -> None:
    one = parquet(tmp_path / "one.parquet", text=["a text"])
    same = parquet(tmp_path / "same.parquet", number=["1"], text=["a text"])
    other = parquet(tmp_path / "other.parquet", text=["another"])

    assert read_text(one).digest == read_text(same).digest != read_text(other).digest


@pytest.mark.parametrize(
    ("name", "write", "says"),
    [
        ("missing.txt", lambda file: None, "no such file"),
        ("empty.txt", lambda file: file.write_text(" \n"), "contains no text"),
        ("latin.txt", lambda file: file.write_bytes(b"caf\xe9 au lait"), "UTF-8"),
        ("other.parquet", lambda file: parquet(file, words=["a"]), "no column 'text'; it has words"),
        ("broken.parquet", lambda file: file.write_bytes(b"PAR1 and no more"), "cannot be read as Parquet"),
        ("broken.jsonl", lambda file: file.write_text('{"text": "a"}\n{"text"'), "line 2: not valid JSON"),
        ("deep.jsonl", lambda file: file.write_text("[" * 100_000), "line 1: not valid JSON"),
        (
            "half.jsonl",
            lambda file: file.write_text('{"text": "a\\ud800b"}'),
            "'text' is no valid Unicode",
        ),
        ("other.jsonl", lambda file: file.write_text('{"words": "a"}'), "line 1: expected an object"),
    ],
)
def test_a_file_that_is_no_text_is_refused(
    tmp_path: Path, name: str, write: Callable[[Path], object], says: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(InputError, match=says):
        read_text(tmp_path / name)


class Letters:
    """A tokenizer of one token a letter."""

    eos_token_id: int | None = None
    bos_token_id: int | None = None

    def encode(self, text: str, **_: object) -> list[int]:
        return [ord(letter) for letter in text]


def test_a_mark_stands_before_every_document() -> None:
    text = Text("two", "", {"one": "ab", "other": "c"})
    letters = Letters()
    assert tokens_of(text, letters).tolist() == [97, 98, 99]
    letters.bos_token_id = 1
    assert tokens_of(text, letters).tolist() == [1, 97, 98, 1, 99]
    letters.eos_token_id = 0
    assert tokens_of(text, letters).tolist() == [0, 97, 98, 0, 99]


@pytest.mark.parametrize("n_tokens", [5, 8, 9, 10, 13])
def test_windows_predict_every_token_once_but_a_remainder(n_tokens: int) -> None:
    tokens = np.arange(n_tokens)
    cut = windows(tokens, 4)

    n_predicted = (n_tokens - 1) // 4 * 4
    assert cut[:, 1:].ravel().tolist() == list(range(1, n_predicted + 1))
    assert (cut[:, :-1] == cut[:, 1:] - 1).all()


def test_a_text_too_short_for_a_window_is_refused() -> None:
    with pytest.raises(InputError, match="4 tokens, too few for a window of 4"):
        windows(np.arange(4), 4)
