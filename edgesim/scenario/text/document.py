"""YAML documents that keep line and column of every value, for error messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.compat import StringIO
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.tokens import (
    BlockEndToken,
    BlockMappingStartToken,
    BlockSequenceStartToken,
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    TagToken,
)

from edgesim.errors import ScenarioError
from edgesim.scenario.text.problems import Path, Problem, ProblemsError, path_text, shown

__all__ = ["MAX_SIZE_BYTES", "Document", "commented", "read_value"]

MAX_SIZE_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_TOKENS = 150_000  # about five for a key and its value
MAX_NODES = 50_000  # far above any scenario; nested aliases grow exponentially and reach it at once

_OPENING = (
    BlockMappingStartToken,
    BlockSequenceStartToken,
    FlowMappingStartToken,
    FlowSequenceStartToken,
)
_NO_BREAKS = {0x85: " ", 0x2028: " ", 0x2029: " "}
"""Characters that are line breaks in YAML 1.1, as in ruamel, but not in YAML 1.2."""
_PARSER_FAILURES = (AttributeError, TypeError, ValueError, LookupError, AssertionError, RecursionError)
"""Exceptions other than its own that ruamel raises for unusual documents."""
_CLOSING = (BlockEndToken, FlowMappingEndToken, FlowSequenceEndToken)


class Document:
    """The YAML document of a scenario, with comments and positions; overrides can change it.

    The format is YAML 1.2, so `NO` is text and `1e-3` a number. Tags, duplicate keys, several documents in
    one file, and excessive nesting or aliasing are refused.

    Parameters
    ----------
    name
        Name of the file in messages.
    root
        Mapping at the root of the document.
    """

    def __init__(self, name: str, root: CommentedMap) -> None:
        self.name = name
        self.root = root
        self._overrides: dict[Path, str] = {}
        self._imported: dict[Path, tuple[Document, Path]] = {}

    @classmethod
    def parse(
        cls,
        text: str,
        name: str,
        expected: str = "a scenario, a mapping with keys such as name, model and topology",
    ) -> Self:
        """Read a document.

        Raises
        ------
        ScenarioError
            If it is not YAML, or not a mapping.
        """
        root = _read(text, name)
        if not isinstance(root, CommentedMap):
            found = "nothing" if root is None else shown(root)
            raise ScenarioError(f"{name}:1:1: expected {expected}; got {found}")
        return cls(name, root)

    @property
    def text(self) -> str:
        """The document as YAML text, overrides included."""
        stream = StringIO()
        _yaml().dump(self.root, stream)
        return stream.getvalue()

    def plain(self) -> dict[str, Any]:
        """Return the contents as ordinary mappings, lists, text and numbers."""
        return _Plain(self).mapping(self.root, ())

    def replaced(self, path: Path, override: str) -> None:
        """Record that the value at a path comes from an override, not from the file."""
        self._overrides[path] = override
        self._imported = {at: origin for at, origin in self._imported.items() if at[: len(path)] != path}

    def grafted(self, path: Path, source: Document, at: Path) -> None:
        """Record that the value at a path comes from the path `at` of another document."""
        self._imported[path] = (source, at)

    def place(self, path: Path) -> str:
        """Return the position of a path, ``street.yaml:12:7: $.links[0]``, or the override that set it."""
        path = path[: len(self._nodes(path))]
        for length in range(len(path), 0, -1):
            if path[:length] in self._overrides:
                return f"--set {self._overrides[path[:length]]}: {path_text(path)}"
            if path[:length] in self._imported:
                source, at = self._imported[path[:length]]
                return source.place((*at, *path[length:]))
        line, column = self.position(path)
        return f"{self.name}:{line}:{column}: {path_text(path)}"

    def position(self, path: Path) -> tuple[int, int]:
        """Return line and column, from 1, of the deepest part of a path that the file contains."""
        line, column = 0, 0
        for step, container in zip(path, self._nodes(path), strict=False):
            # Keys merged with << have no position of their own; the mapping that merges them is used.
            if step in (container.lc.data or {}):
                line, column = container.lc.data[step][:2]
        return line + 1, column + 1

    def error(self, problems: Iterable[Problem]) -> ProblemsError:
        """Return an error that lists the problems in the order of the file."""
        ordered = sorted(problems, key=lambda problem: self.position(problem.path))
        return ProblemsError(ordered, [self.place(problem.path) for problem in ordered])

    def _nodes(self, path: Path) -> list[CommentedMap | CommentedSeq]:
        """Return the mappings and lists along a path, one per step, as far as the document contains them.

        Validated paths can be longer than the document because of shorthands and missing keys.
        """
        node: Any = self.root
        nodes = []
        for step in path:
            if not isinstance(node, CommentedMap | CommentedSeq) or not _has(node, step):
                break
            nodes.append(node)
            node = node[step]
        return nodes


def read_value(text: str, name: str) -> Any:
    """Parse the YAML of one value, such as the right-hand side of an override."""
    return _read(text, name)


def commented(value: Any) -> Any:
    """Convert plain mappings and lists to document nodes."""
    if isinstance(value, dict):
        return CommentedMap((key, commented(each)) for key, each in value.items())
    if isinstance(value, list):
        return CommentedSeq(commented(each) for each in value)
    return value


class _Plain:
    """Converter from round-trip nodes to plain values, with a node limit against nested aliases."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._n_nodes = 0

    def mapping(self, node: CommentedMap, path: Path) -> dict[str, Any]:
        for key in node:
            if not isinstance(key, str):
                message = f"expected text as a key, got {shown(key)}; put it in quotes"
                raise self._document.error([Problem((*path, key), message)])
        return {str(key): self.value(child, (*path, str(key))) for key, child in node.items()}

    def value(self, node: Any, path: Path) -> Any:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise self._document.error(
                [
                    Problem(
                        path[:MAX_DEPTH], "aliases make this document endless or far too large; remove them"
                    )
                ]
            )
        if isinstance(node, CommentedMap):
            return self.mapping(node, path)
        if isinstance(node, CommentedSeq):
            return [self.value(child, (*path, index)) for index, child in enumerate(node)]
        # ruamel returns subclasses of numbers and text that keep their spelling.
        for plain in (bool, int, float, str):
            if isinstance(node, plain):
                return plain(node)
        return node


def _has(node: CommentedMap | CommentedSeq, step: str | int) -> bool:
    if isinstance(node, CommentedMap):
        return step in node
    return isinstance(step, int) and step < len(node)


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.width = MAX_SIZE_BYTES  # never wrap a line
    return yaml


def _read(text: str, name: str) -> Any:
    if len(text) > MAX_SIZE_BYTES:
        raise ScenarioError(f"{name}: larger than {MAX_SIZE_BYTES // 1000} kB, the limit; shorten it")
    text = text.translate(_NO_BREAKS)
    try:
        _refuse_tags_and_depth(text, name)
        return _yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        sentence = " ".join(str(error.problem or error.context).split())
        raise ScenarioError(f"{where}: not YAML: {sentence}") from None
    except YAMLError as error:
        raise ScenarioError(f"{name}: not YAML: {' '.join(str(error).split())}") from None
    except _PARSER_FAILURES as error:  # such as a merge of a mapping into itself
        raise ScenarioError(
            f"{name}: this YAML cannot be read ({type(error).__name__}); look for aliases (*name) and "
            "merges (<<) that refer to themselves"
        ) from None


def _refuse_tags_and_depth(text: str, name: str) -> None:
    depth = 0
    for number, token in enumerate(_yaml().scan(text)):
        if number > MAX_TOKENS:
            raise ScenarioError(
                f"{name}:{token.start_mark.line + 1}: too many keys and values for a scenario; keep long "
                "lists in separate files (graphs, tracks, traces)"
            )
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if isinstance(token, TagToken) or depth > MAX_DEPTH:
            mark = token.start_mark
            sentence = "tags (!...) are not allowed in a scenario; write the plain value"
            if depth > MAX_DEPTH:
                sentence = f"nested more than {MAX_DEPTH} levels deep; expected at most {MAX_DEPTH}"
            raise ScenarioError(f"{name}:{mark.line + 1}:{mark.column + 1}: {sentence}")
