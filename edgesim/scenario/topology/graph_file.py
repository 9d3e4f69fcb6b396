"""Graphs from files as networkx writes them: GraphML, GML and node-link JSON, told apart by their contents.

Files are data from anywhere, so reading them must be safe: a GraphML file with a document type or an entity
declaration is refused before networkx sees it, sizes are bounded, and nothing in a file is evaluated.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard
from xml.etree.ElementTree import ParseError
from xml.parsers import expat

import networkx as nx

__all__ = ["Graph", "read_graph"]

MAX_SIZE_BYTES = 32_000_000  # some hundred thousand nodes
_GML_TOKEN = re.compile(r'"[^"]*"|#[^\n]*|\bgraph\s*\[|\bdirected\s+[01]\b|[\[\]]')
EXPECTED = "expected a graph as networkx writes it: GraphML, GML or node-link JSON"


@dataclass(frozen=True)
class Graph:
    """A graph as its file tells it: names, attributes, order.

    Attributes
    ----------
    nodes
        Name and attributes of each.
    edges
        Source, target and attributes of each, in the file's order and direction, parallel ones included.
    is_directed
        Whether an edge holds in its direction alone.
    """

    nodes: tuple[tuple[str, Mapping[str, Any]], ...]
    edges: tuple[tuple[str, str, Mapping[str, Any]], ...]
    is_directed: bool = False


def read_graph(path: Path) -> Graph:
    """Read a graph.

    Raises
    ------
    ValueError
        With a finished sentence, if the file cannot be read or is in none of the formats, or if the graph has
        an edge from a node to itself or to none, or no node at all.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}; {EXPECTED}") from None
    if len(data) > MAX_SIZE_BYTES:
        raise ValueError(f"{path} is larger than {MAX_SIZE_BYTES // 1_000_000} MB, which no topology is")
    graph = _parsed(path, data)
    if not graph.nodes:
        raise ValueError(f"{path} has no node; {EXPECTED}")
    _require_sound(path, graph)
    return graph


def _parsed(path: Path, data: bytes) -> Graph:
    head = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    try:
        if head == b"<" or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return _graphml(path, data)
        if head in (b"{", b"["):
            return _node_link(path, json.loads(data))
        return _gml(path, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is no UTF-8 text; {EXPECTED}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: no JSON: {error.msg}; {EXPECTED}") from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply; {EXPECTED}") from None
    except LookupError as error:
        raise ValueError(f"{path}: {error}; save it as UTF-8") from None


def _graphml(path: Path, data: bytes) -> Graph:
    written = _look_over(path, data)
    try:
        found = nx.read_graphml(io.BytesIO(data), force_multigraph=True)
    except (nx.NetworkXException, ParseError, ValueError, KeyError, TypeError, AttributeError) as error:
        # networkx checks little of what it reads, and everything here came from the file.
        raise ValueError(f"{path}: no GraphML: {error}; {EXPECTED}") from None
    # networkx forgets in which direction an undirected edge was written; of parallel ones it keeps the order.
    waiting: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for a, b in dict.fromkeys(written):
        parallel = found.get_edge_data(a, b) or {}
        waiting[a, b] = list(parallel.values())
        if not found.is_directed() and (b, a) in waiting:
            waiting[a, b] = waiting[b, a]
    n_kept = found.number_of_edges()
    if n_kept != len(written):
        raise ValueError(
            f"{path}: {len(written) - n_kept} of {len(written)} edges have another's id; give each its own"
        )
    return Graph(_nodes(found), tuple((a, b, waiting[a, b].pop(0)) for a, b in written), found.is_directed())


def _nodes(found: Any) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    return tuple((str(name), attributes) for name, attributes in found.nodes(data=True))


def _look_over(path: Path, data: bytes) -> list[tuple[str, str]]:
    """Refuse what networkx would let pass; return the edges as they are written, from source to target.

    A document type, since entities declared in it may grow without bound, or name other files; nodes without
    an id or told twice; edges that end at no node, for which networkx makes one.
    """
    parser = expat.ParserCreate()
    nodes: set[str] = set()
    ends: dict[str, int] = {}
    edges: list[tuple[str, str]] = []
    n_graphs = 0

    def here(sentence: str) -> ValueError:
        return ValueError(f"{path}:{parser.CurrentLineNumber}: {sentence}")

    def declared(*_: object) -> None:
        raise here("a document type or entity declaration, which no graph needs; remove it")

    def begun(tag: str, attributes: dict[str, str]) -> None:
        match tag.rpartition(":")[2]:
            case "node":
                if "id" not in attributes:
                    raise here("a node without an 'id'; give it one")
                if attributes["id"] in nodes:
                    raise here(f"node '{attributes['id']}' is told twice; give each a name of its own")
                nodes.add(attributes["id"])
            case "graph":
                nonlocal n_graphs
                n_graphs += 1
                if n_graphs > 1:
                    raise here("a second or nested graph, which would be left out; keep one")
            case "edge":
                for key in ("source", "target"):
                    if key not in attributes:
                        raise here(f"an edge without a '{key}'; give it one")
                    ends.setdefault(attributes[key], parser.CurrentLineNumber)
                edges.append((attributes["source"], attributes["target"]))

    parser.StartDoctypeDeclHandler = declared
    parser.EntityDeclHandler = declared
    parser.StartElementHandler = begun
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(
            f"{path}:{error.lineno}: no XML: {expat.ErrorString(error.code)}; {EXPECTED}"
        ) from None
    for end, line in ends.items():
        if end not in nodes:
            raise ValueError(f"{path}:{line}: an edge ends at no node '{end}'; add it")
    return edges


def _gml(path: Path, text: str) -> Graph:
    if "graph" not in text:
        raise ValueError(f"{path} is no graph; {EXPECTED}")
    begins_at, is_directed = _gml_header(text)
    # Read as a directed multigraph, whatever it is: so networkx keeps parallel edges and their directions.
    whole = f"{text[:begins_at]} directed 1 multigraph 1 {text[begins_at:]}"
    try:
        found = nx.parse_gml(whole.splitlines())
    except (nx.NetworkXException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: no GML: {error}; {EXPECTED}") from None
    edges = tuple((str(a), str(b), attributes) for a, b, attributes in found.edges(data=True))
    return Graph(_nodes(found), edges, is_directed)


def _gml_header(text: str) -> tuple[int, bool]:
    """Where the contents of the graph begin, and whether it says that it is directed."""
    depth, begins_at, is_directed = 0, 0, False
    for found in _GML_TOKEN.finditer(text):
        token = found[0]
        if token[0] == "g" and depth == 0 and not begins_at:
            begins_at, depth = found.end(), 1
        elif token[-1] == "[":
            depth += 1
        elif token == "]":
            depth -= 1
        elif token[0] == "d" and depth == 1 and begins_at:
            is_directed = token[-1] == "1"
    return begins_at, is_directed


def _node_link(path: Path, data: Any) -> Graph:
    """Read what ``networkx.node_link_data`` returns; older versions call edges links."""
    told = data if isinstance(data, dict) else {}
    nodes, edges = told.get("nodes"), told.get("edges", told.get("links"))
    if not (_is_list_of_objects(nodes) and _is_list_of_objects(edges)):
        raise ValueError(f"{path}: no lists 'nodes' and 'edges' (or 'links') of objects; {EXPECTED}")
    return Graph(
        tuple((_name(path, node, "id"), _without(node, "id")) for node in nodes),
        tuple(
            (_name(path, edge, "source"), _name(path, edge, "target"), _without(edge, "source", "target"))
            for edge in edges
        ),
        is_directed=bool(data.get("directed")),
    )


def _is_list_of_objects(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _name(path: Path, found: Mapping[str, Any], key: str) -> str:
    name = found.get(key)
    if isinstance(name, str | int) and not isinstance(name, bool):
        return str(name)
    raise ValueError(f"{path}: found {str(found)[:60]}, expected a name or a number as its '{key}'")


def _without(found: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in keys}


def _require_sound(path: Path, graph: Graph) -> None:
    known: set[str] = set()
    for name, _ in graph.nodes:
        if name in known:
            raise ValueError(f"{path}: node '{name}' is told twice; give each a name of its own")
        known.add(name)
    for a, b, _ in graph.edges:
        for end in (a, b):
            if end not in known:
                raise ValueError(f"{path}: the edge between '{a}' and '{b}' ends at no node '{end}'; add it")
        if a == b:
            raise ValueError(f"{path}: node '{a}' has an edge to itself; remove it")
