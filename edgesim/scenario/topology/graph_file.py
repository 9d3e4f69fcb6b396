"""Reading of graph files in networkx's formats, GraphML, GML and node-link JSON, detected by contents.

Files are untrusted: a GraphML file with a document type or an entity declaration is refused before networkx
reads it, sizes are limited, and nothing in a file is evaluated.
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

MAX_SIZE_BYTES = 32_000_000  # about a hundred thousand nodes
_GML_TOKEN = re.compile(r'"[^"]*"|#[^\n]*|\bgraph\s*\[|\bdirected\s+[01]\b|[\[\]]')
EXPECTED = "expected a graph as networkx writes it: GraphML, GML or node-link JSON"


@dataclass(frozen=True)
class Graph:
    """A graph as read from its file: names, attributes, order.

    Attributes
    ----------
    nodes
        Name and attributes of each node.
    edges
        Source, target and attributes of each edge, in the file's order and direction, including parallel
        edges.
    is_directed
        Whether edges have one direction only.
    """

    nodes: tuple[tuple[str, Mapping[str, Any]], ...]
    edges: tuple[tuple[str, str, Mapping[str, Any]], ...]
    is_directed: bool = False


def read_graph(path: Path) -> Graph:
    """Read a graph file.

    Raises
    ------
    ValueError
        With a message for the user, if the file cannot be read or has none of the formats, or if the graph
        has no nodes, or an edge from a node to itself or to an unknown node.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}; {EXPECTED}") from None
    if len(data) > MAX_SIZE_BYTES:
        raise ValueError(
            f"{path} is larger than {MAX_SIZE_BYTES // 1_000_000} MB, the limit; use a smaller graph"
        )
    graph = _parsed(path, data)
    if not graph.nodes:
        raise ValueError(f"{path} has no nodes; {EXPECTED}")
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
        raise ValueError(f"{path}: byte {error.start} is not UTF-8 text; {EXPECTED}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: not JSON: {error.msg}; {EXPECTED}") from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply; {EXPECTED}") from None
    except LookupError as error:
        raise ValueError(f"{path}: {error}; save it as UTF-8") from None


def _graphml(path: Path, data: bytes) -> Graph:
    written = _look_over(path, data)
    try:
        found = nx.read_graphml(io.BytesIO(data), force_multigraph=True)
    except (nx.NetworkXException, ParseError, ValueError, KeyError, TypeError, AttributeError) as error:
        # networkx hardly validates its input, so these errors are due to the file.
        raise ValueError(f"{path}: not GraphML: {error}; {EXPECTED}") from None
    # networkx loses the direction of undirected edges in the file, but keeps the order of parallel ones.
    waiting: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for a, b in dict.fromkeys(written):
        parallel = found.get_edge_data(a, b) or {}
        waiting[a, b] = list(parallel.values())
        if not found.is_directed() and (b, a) in waiting:
            waiting[a, b] = waiting[b, a]
    n_kept = found.number_of_edges()
    if n_kept != len(written):
        raise ValueError(
            f"{path}: {len(written) - n_kept} of {len(written)} edges have the id of another edge; give "
            "each its own"
        )
    return Graph(_nodes(found), tuple((a, b, waiting[a, b].pop(0)) for a, b in written), found.is_directed())


def _nodes(found: Any) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    return tuple((str(name), attributes) for name, attributes in found.nodes(data=True))


def _look_over(path: Path, data: bytes) -> list[tuple[str, str]]:
    """Refuse invalid GraphML that networkx accepts; return the edges in the file, from source to target.

    Refused are a document type, since its entities can grow without limit or name other files; nodes without
    an id or with a repeated one; and edges to an unknown node, which networkx would create.
    """
    parser = expat.ParserCreate()
    nodes: set[str] = set()
    ends: dict[str, int] = {}
    edges: list[tuple[str, str]] = []
    n_graphs = 0

    def here(sentence: str) -> ValueError:
        return ValueError(f"{path}:{parser.CurrentLineNumber}: {sentence}")

    def declared(*_: object) -> None:
        raise here("a document type or entity declaration is not allowed; remove it")

    def begun(tag: str, attributes: dict[str, str]) -> None:
        match tag.rpartition(":")[2]:
            case "node":
                if "id" not in attributes:
                    raise here("a node without an 'id'; give it one")
                if attributes["id"] in nodes:
                    raise here(f"node '{attributes['id']}' is defined twice; give each its own name")
                nodes.add(attributes["id"])
            case "graph":
                nonlocal n_graphs
                n_graphs += 1
                if n_graphs > 1:
                    raise here("a second or nested graph, which would be ignored; keep one")
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
            f"{path}:{error.lineno}: not XML: {expat.ErrorString(error.code)}; {EXPECTED}"
        ) from None
    for end, line in ends.items():
        if end not in nodes:
            raise ValueError(f"{path}:{line}: an edge ends at '{end}', which is not a node; add it")
    return edges


def _gml(path: Path, text: str) -> Graph:
    if "graph" not in text:
        raise ValueError(f"{path} is not a graph; {EXPECTED}")
    begins_at, is_directed = _gml_header(text)
    # Any graph is read as a directed multigraph, so that networkx keeps parallel edges and their directions.
    whole = f"{text[:begins_at]} directed 1 multigraph 1 {text[begins_at:]}"
    try:
        found = nx.parse_gml(whole.splitlines())
    except (nx.NetworkXException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not GML: {error}; {EXPECTED}") from None
    edges = tuple((str(a), str(b), attributes) for a, b, attributes in found.edges(data=True))
    return Graph(_nodes(found), edges, is_directed)


def _gml_header(text: str) -> tuple[int, bool]:
    """Return the offset at which the graph's contents begin, and whether it is marked as directed."""
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
    """Read the output of ``networkx.node_link_data``; older versions call edges links."""
    content = data if isinstance(data, dict) else {}
    nodes, edges = content.get("nodes"), content.get("edges", content.get("links"))
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
            raise ValueError(f"{path}: node '{name}' is defined twice; give each its own name")
        known.add(name)
    for a, b, _ in graph.edges:
        for end in (a, b):
            if end not in known:
                raise ValueError(
                    f"{path}: the edge between '{a}' and '{b}' ends at '{end}', which is not a node; add it"
                )
        if a == b:
            raise ValueError(f"{path}: node '{a}' has an edge to itself; remove it")
