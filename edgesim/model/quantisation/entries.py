"""Reading one entry of a `quantization_config`, and which modules its patterns name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Entries", "Modules", "UnreadError"]

_NUMBER = re.compile(r"\d+")
_REGEX = re.compile(r"[*+?^$()\[\]{}|\\]")


class UnreadError(Exception):
    """What is said is not understood; the message says what was found and what is read."""


class Entries:
    """The entries of a JSON object, each read as what it has to be."""

    __slots__ = ("_content", "_where")

    def __init__(self, content: object, where: str = "") -> None:
        if not isinstance(content, Mapping):
            raise UnreadError(f"{where or 'it'} is {content!r}; expected an object")
        self._content, self._where = content, f"{where}." if where else ""

    def value(self, *keys: str) -> object:
        """The first of these that is stated; None if none is."""
        return next((self._content[key] for key in keys if self._content.get(key) is not None), None)

    def text(self, key: str, default: str = "") -> str:
        """A word, in small letters."""
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.unread(key, "a word")
        return value.lower()

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Whether or not."""
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.unread(key, "true or false")
        return value

    def bits(self, *keys: str, among: tuple[int, ...]) -> int:
        """Bits of a weight."""
        value = self.value(*keys)
        if isinstance(value, bool) or not isinstance(value, int) or value not in among:
            raise self.unread(keys[0], f"one of {', '.join(map(str, among))}, a whole number", value)
        return value

    def group(self, *keys: str) -> int | None:
        """Weights that share a scale; None where all of an output do, which is written -1."""
        value = self.value(*keys)
        if isinstance(value, bool) or not isinstance(value, int) or not (value == -1 or value > 0):
            raise self.unread(keys[0], "-1 or a whole number >= 1", value)
        return None if value == -1 else value

    def block(self, key: str) -> tuple[int, int] | None:
        """Outputs and inputs of a block; None if none is stated."""
        value = self.value(key)
        if value is None:
            return None
        if isinstance(value, str):
            value = [int(side) for side in value.split("x") if side.isdecimal()]
        if isinstance(value, list | tuple) and len(value) == 2:
            rows, columns = value
            if isinstance(rows, int) and isinstance(columns, int) and rows > 0 and columns > 0:
                return rows, columns
        raise self.unread(key, "two whole numbers >= 1")

    def names(self, *keys: str) -> tuple[str, ...] | None:
        """A list of names or patterns; None if none is stated."""
        value = self.value(*keys)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
            raise self.unread(keys[0], "a list of names", value)
        return tuple(value)

    def section(self, key: str) -> Entries:
        """An object within."""
        return Entries(self.value(key), f"{self._where}{key}")

    def sections(self, key: str) -> list[Entries]:
        """The objects within an object, in its order."""
        within = self.section(key)
        return [Entries(value, f"{within._where}{name}") for name, value in within._content.items()]

    def empty(self, *keys: str) -> None:
        """Refuse rules that are stated and not empty."""
        for key in keys:
            if self.value(key):
                raise UnreadError(
                    f"{self._where}{key} is {self.value(key)!r}, and rules of their own for some modules or "
                    "blocks are not read"
                )

    def unread(self, key: str, expected: str, found: object = None) -> UnreadError:
        """Say what was found and what is read."""
        found = self.value(key) if found is None else found
        said = "missing" if found is None else f"{found!r}"
        return UnreadError(f"{self._where}{key} is {said}; expected {expected}")


@dataclass(frozen=True, slots=True)
class Modules:
    """The linear maps of a model by their full names, which patterns distinguish.

    Attributes
    ----------
    blocks, head
        Names of the list of blocks and of the vocabulary matrix.
    n_blocks
        How many blocks there are.
    """

    blocks: str
    head: str
    n_blocks: int

    def named(self, name: str, patterns: Iterable[str]) -> bool:
        """Whether patterns name a map, in every block that has it.

        Patterns as transformers and vLLM read them: the name of a module or of one that it lies in, its end,
        a regular expression from the beginning (``re:`` before it or not), or ``Linear``, which names all.

        Raises
        ------
        UnreadError
            If they name it in some blocks and not in others, or one is no regular expression.
        """
        by_block = self._full_names(name)
        matches = [each for each in map(_Matcher, patterns) if any(map(each.may_match, by_block[0]))]
        found = [any(each(full) for each in matches for full in names) for names in by_block]
        if any(found) and not all(found):
            raise UnreadError(
                f"{name} is packed in {min(sum(found), len(found) - sum(found))} of {self.n_blocks} blocks "
                "otherwise than in the rest, and blocks that differ are not read"
            )
        return found[0]

    def _full_names(self, name: str) -> list[tuple[str, ...]]:
        """What a map may be called, block by block: also as part of a model that sees or hears, too."""
        if name == self.head:
            return [(name, f"language_model.{name}")]
        stem, _, rest = self.blocks.partition(".")
        paths = (self.blocks, f"language_model.{self.blocks}", f"{stem}.language_model.{rest}")
        return [tuple(f"{path}.{block}.{name}" for path in paths) for block in range(self.n_blocks)]


class _Matcher:
    """Whether one pattern names a module."""

    __slots__ = ("_inner", "_numberless", "_regex", "_text")

    def __init__(self, pattern: str) -> None:
        self._numberless = _NUMBER.sub("#", pattern)
        self._text, self._inner, self._regex = pattern, f".{pattern}.", None
        source = pattern.removeprefix("re:")
        if source != pattern or _REGEX.search(pattern):
            # A pattern without `re:` ends where a module's name does, as in transformers.
            end = "" if source != pattern else r"(?:(?<=\.)|(?=\.|$))"
            try:
                self._regex = re.compile(f"(?:{source}){end}")
            except re.error as error:
                raise UnreadError(f"{pattern!r} is no regular expression ({error})") from None

    def __call__(self, name: str) -> bool:
        if self._regex is not None:
            return self._regex.match(name) is not None
        return self._text == "Linear" or self._inner in f".{name}." or name.endswith(self._text)

    def may_match(self, name: str) -> bool:
        """Whether it may name this module in some block: lists of hundreds of names are sorted out so."""
        numberless = _NUMBER.sub("#", name)
        return (
            self._regex is not None
            or self._text == "Linear"
            or f".{self._numberless}." in f".{numberless}."
            or numberless.endswith(self._numberless)
        )
