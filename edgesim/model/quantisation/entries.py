"""Typed access to the entries of a `quantization_config`, and matching of its module patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Entries", "Modules", "UnreadError"]

_NUMBER = re.compile(r"\d+")
_REGEX = re.compile(r"[*+?^$()\[\]{}|\\]")


class UnreadError(Exception):
    """Unsupported or invalid entry; the message states what was found and what is supported."""


class Entries:
    """Entries of a JSON object, with a method per expected type; invalid values raise `UnreadError`."""

    __slots__ = ("_content", "_where")

    def __init__(self, content: object, where: str = "") -> None:
        if not isinstance(content, Mapping):
            raise UnreadError(f"{where or 'it'} is {content!r}; expected an object")
        self._content, self._where = content, f"{where}." if where else ""

    def value(self, *keys: str) -> object:
        """Return the first of these entries that is present and not null; None if there is none."""
        return next((self._content[key] for key in keys if self._content.get(key) is not None), None)

    def text(self, key: str, default: str = "") -> str:
        """Return a word, in lower case."""
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.unread(key, "a word")
        return value.lower()

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return a boolean entry."""
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.unread(key, "true or false")
        return value

    def bits(self, *keys: str, among: tuple[int, ...]) -> int:
        """Return the number of bits of a weight, which must be one of `among`."""
        value = self.value(*keys)
        if isinstance(value, bool) or not isinstance(value, int) or value not in among:
            raise self.unread(keys[0], f"one of {', '.join(map(str, among))}, a whole number", value)
        return value

    def group(self, *keys: str) -> int | None:
        """Return the number of weights that share a scale; None (written -1) if all of an output do."""
        value = self.value(*keys)
        if isinstance(value, bool) or not isinstance(value, int) or not (value == -1 or value > 0):
            raise self.unread(keys[0], "-1 or a whole number >= 1", value)
        return None if value == -1 else value

    def block(self, key: str) -> tuple[int, int] | None:
        """Return outputs and inputs of a block; None if the entry is missing."""
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
        """Return a list of names or patterns; None if the entry is missing."""
        value = self.value(*keys)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
            raise self.unread(keys[0], "a list of names", value)
        return tuple(value)

    def section(self, key: str) -> Entries:
        """Return a nested object."""
        return Entries(self.value(key), f"{self._where}{key}")

    def sections(self, key: str) -> list[Entries]:
        """Return the objects nested in an object, in order."""
        within = self.section(key)
        return [Entries(value, f"{within._where}{name}") for name, value in within._content.items()]

    def empty(self, *keys: str) -> None:
        """Raise UnreadError unless these entries are missing or empty."""
        for key in keys:
            if self.value(key):
                raise UnreadError(
                    f"{self._where}{key} is {self.value(key)!r}; separate rules for some modules or blocks "
                    "are not supported"
                )

    def unread(self, key: str, expected: str, found: object = None) -> UnreadError:
        """Return an error that states what was found and what was expected."""
        found = self.value(key) if found is None else found
        shown = "missing" if found is None else f"{found!r}"
        return UnreadError(f"{self._where}{key} is {shown}; expected {expected}")


@dataclass(frozen=True, slots=True)
class Modules:
    """Full names of a model's linear maps, for matching against patterns.

    Attributes
    ----------
    blocks, head
        Names of the list of blocks and of the vocabulary matrix.
    n_blocks
        Number of blocks.
    """

    blocks: str
    head: str
    n_blocks: int

    def named(self, name: str, patterns: Iterable[str]) -> bool:
        """Whether patterns match a linear map, in every block that has it.

        Patterns are interpreted as in transformers and vLLM: the name of a module or of one that contains it,
        the end of its name, a regular expression matched from the start (with or without the prefix
        ``re:``), or ``Linear``, which matches all.

        Raises
        ------
        UnreadError
            If the patterns match the map in some blocks only, or one is not a valid regular expression.
        """
        by_block = self._full_names(name)
        matches = [each for each in map(_Matcher, patterns) if any(map(each.may_match, by_block[0]))]
        found = [any(each(full) for each in matches for full in names) for names in by_block]
        if any(found) and not all(found):
            raise UnreadError(
                f"{name} is packed differently in {min(sum(found), len(found) - sum(found))} of "
                f"{self.n_blocks} blocks; blocks that differ are not supported"
            )
        return found[0]

    def _full_names(self, name: str) -> list[tuple[str, ...]]:
        """Possible full names of a map in each block, including those within multimodal models."""
        if name == self.head:
            return [(name, f"language_model.{name}")]
        stem, _, rest = self.blocks.partition(".")
        paths = (self.blocks, f"language_model.{self.blocks}", f"{stem}.language_model.{rest}")
        return [tuple(f"{path}.{block}.{name}" for path in paths) for block in range(self.n_blocks)]


class _Matcher:
    """Test whether one pattern matches a module name."""

    __slots__ = ("_inner", "_numberless", "_regex", "_text")

    def __init__(self, pattern: str) -> None:
        self._numberless = _NUMBER.sub("#", pattern)
        self._text, self._inner, self._regex = pattern, f".{pattern}.", None
        source = pattern.removeprefix("re:")
        if source != pattern or _REGEX.search(pattern):
            # As in transformers, a pattern without `re:` must end at the end of a module's name.
            end = "" if source != pattern else r"(?:(?<=\.)|(?=\.|$))"
            try:
                self._regex = re.compile(f"(?:{source}){end}")
            except re.error as error:
                raise UnreadError(f"{pattern!r} is not a regular expression ({error})") from None

    def __call__(self, name: str) -> bool:
        if self._regex is not None:
            return self._regex.match(name) is not None
        return self._text == "Linear" or self._inner in f".{name}." or name.endswith(self._text)

    def may_match(self, name: str) -> bool:
        """Whether the pattern could match this module in some block: a fast filter for long lists."""
        numberless = _NUMBER.sub("#", name)
        return (
            self._regex is not None
            or self._text == "Linear"
            or f".{self._numberless}." in f".{numberless}."
            or numberless.endswith(self._numberless)
        )
