"""JSON lists of conversations, as text and without instants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from edgesim.workload.readers.record import LaterTurn, Record, TextLength, refuse

__all__ = ["dialogue_records", "first_item"]

CHUNK_CHARS = 1 << 16
MAX_ITEM_CHARS = 1 << 24  # the longest conversation of the public files has about a million characters

_ASKING = frozenset({"human", "user", "system"})
_ANSWERING = frozenset({"gpt", "chatgpt", "assistant", "bing", "bard", "model"})


def _items(path: Path, text: TextIO) -> Iterator[tuple[int, Any]]:
    """Read a JSON list item by item, in constant memory, each with the number of its first line."""
    decoder, window = json.JSONDecoder(), _Window(path, text)
    window.skip_blank()
    if not window.take("["):
        refuse(path, window.line, "expected a JSON list, which begins with '['")
    window.skip_blank()
    if window.take("]"):
        return
    while True:
        window.skip_blank()
        yield window.line, window.decode(decoder)
        window.skip_blank()
        if window.take("]"):
            return
        if not window.take(","):
            refuse(path, window.line, "not JSON: expected ',' or ']' after an item; is the file complete?")


def first_item(path: Path, text: TextIO) -> Any:
    """Return the first item of a JSON list; None if there is none."""
    return next((item for _, item in _items(path, text)), None)


class _Window:
    """The buffered part of a file, with the parser's position."""

    def __init__(self, path: Path, text: TextIO) -> None:
        self._path, self._file = path, text
        self._text, self._at = "", 0
        self.line = 1

    def skip_blank(self) -> None:
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._step(1)
            if self._at < len(self._text) or not self._more(CHUNK_CHARS):
                return

    def take(self, sign: str) -> bool:
        if self._text[self._at : self._at + 1] != sign:
            return False
        self._step(1)
        return True

    def decode(self, decoder: json.JSONDecoder) -> Any:
        size = CHUNK_CHARS
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._at)
            except RecursionError:
                refuse(self._path, self.line, "not JSON: nested too deeply")
            except json.JSONDecodeError as error:
                # The item may be incomplete. Reading doubles each time, so that the total stays linear.
                too_long = len(self._text) - self._at > MAX_ITEM_CHARS
                if too_long or not self._more(size):
                    line = self.line + self._text.count("\n", self._at, error.pos)
                    refuse(self._path, line, f"not JSON: {error.msg}; is the file complete?")
                size *= 2
            else:
                self._step(end - self._at)
                return value

    def _step(self, n_chars: int) -> None:
        self.line += self._text.count("\n", self._at, self._at + n_chars)
        self._at += n_chars

    def _more(self, n_chars: int) -> bool:
        chunk = self._file.read(n_chars)
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)


def dialogue_records(path: Path, text: TextIO, length: TextLength) -> Iterator[Record]:
    """Yield a record for every conversation, which is a list of ``from`` and ``value``."""
    for line, item in _items(path, text):
        said = item.get("conversations") if isinstance(item, dict) else None
        if not isinstance(said, list):
            refuse(
                path, line, "an item without 'conversations', a list of {from, value}; correct or remove it"
            )
        rounds = list(_rounds(path, line, said, length)) or [(0, 0)]
        (n_prompt, n_output), *others = rounds
        yield Record(line, None, n_prompt, n_output, tuple(LaterTurn(None, *other) for other in others))


def _rounds(path: Path, line: int, said: list[Any], length: TextLength) -> Iterator[tuple[int, int]]:
    """Yield the lengths of each question, including other messages before its answer, and of the answer."""
    asked: list[str] = []
    for one in said:
        match one:
            case {"from": str(speaker), "value": str(value)} if speaker in _ASKING:
                asked.append(value)
            case {"from": str(speaker), "value": str(value)} if speaker in _ANSWERING:
                if asked:  # otherwise the beginning of the conversation is missing
                    yield sum(map(length, asked)), length(value)
                asked = []
            case _:
                found = repr(one)[:60]
                refuse(path, line, f"found {found}, expected {{from: human or gpt, value: text}}; correct it")
