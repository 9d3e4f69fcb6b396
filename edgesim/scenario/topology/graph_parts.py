"""Attributes of a graph file's nodes and edges: device kinds, positions, rates and latencies."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from edgesim.scenario.schema.by_way import ByDirection, ways
from edgesim.scenario.schema.topology import NAME, GraphFile, Wired
from edgesim.scenario.topology.connections import Point
from edgesim.units import DATA_RATE, DISTANCE, TIME, Dimension, UnitError, parse

__all__ = ["SWITCH", "NodePart", "edge_of", "node_of"]

SWITCH = "switch"
"""The kind of a node that only forwards."""

_NODE_KEYS = ("kind", "group", "place", "x_m", "y_m")
_EDGE_KEYS = ("rate", "rate_bps", "latency", "latency_s")
_NEAR = (
    0.8  # similarity above which a key counts as mistyped; 'name', 'label', 'weight' and the like are below
)


@dataclass(frozen=True, slots=True)
class NodePart:
    """Attributes of a node, with defaults filled in."""

    id: str
    group: str
    kind: str
    place_m: Point | None


def node_of(name: str, attributes: Mapping[str, Any], file: GraphFile) -> NodePart:
    """Convert one node of a file.

    Attributes: ``kind``, a device kind or `switch`; ``group``, by default the file's (for a switch, its own
    name); and the position, as a ``place`` with units (``"20 m, 5 m"``, or a list of two) or as the numbers
    ``x_m`` and ``y_m``. Others are ignored.

    Raises
    ------
    ValueError
        With a message for the user that names the node.
    """
    where = f"node '{name}'"
    _refuse_mistyped(where, attributes, _NODE_KEYS)
    kind = _text(where, attributes, "kind") or file.kind
    if kind is None:
        raise ValueError(
            f"{where} has no 'kind'; give it one ('{SWITCH}' if it only forwards), or give 'kind' beside "
            "'path' for all"
        )
    named = _text(where, attributes, "group")
    id_ = f"{named or file.id}-{name}" if name.isascii() and name.isdigit() else name
    group = named or (id_ if kind == SWITCH else file.id)
    for what, text in (("name", id_), ("group", group)):
        if not re.fullmatch(NAME, text):
            raise ValueError(
                f"{where}: its {what} is {text!r}; expected letters, digits, '-' and '_', starting with a "
                "letter: rename it"
            )
    return NodePart(id_, group, kind, _place(where, attributes))


def edge_of(a: str, b: str, attributes: Mapping[str, Any], file: GraphFile) -> Wired:
    """Convert one edge of a file.

    Attributes: ``rate`` and ``latency`` with units (``"1 Gbit/s"``, ``"0.3 ms"``), or the numbers
    ``rate_bps`` and ``latency_s``; in an undirected graph they apply to both directions. Others are ignored.

    Raises
    ------
    ValueError
        With a message for the user that names the edge.
    """
    where = f"the edge between '{a}' and '{b}'"
    _refuse_mistyped(where, attributes, _EDGE_KEYS)
    default = file.wired
    own_rate_bps = _quantity(where, attributes, "rate", "rate_bps", DATA_RATE)
    own_latency_s = _quantity(where, attributes, "latency", "latency_s", TIME)
    if default is None and (own_rate_bps is None or own_latency_s is None):
        missing = "'rate'" if own_rate_bps is None else "'latency'"
        raise ValueError(f"{where} has no {missing}; give it one, or give 'wired' beside 'path' for all")
    rate_bps = default.constant_bps() if default is not None and own_rate_bps is None else own_rate_bps
    latency_s = default.latency_s if default is not None and own_latency_s is None else own_latency_s
    assert rate_bps is not None, "the schema lets a file's edges have constant rates only"
    assert latency_s is not None
    least_bps, least_s = min(ways(rate_bps)), min(ways(latency_s))
    if least_bps <= 0 or least_s < 0:
        raise ValueError(
            f"{where} has a rate of {least_bps:g} bit/s and a latency of {least_s:g} s; expected a rate "
            "above 0 and a latency of 0 or more"
        )
    # The numbers are in SI units already, while the schema's readers expect text.
    up_bps, down_bps = ways(rate_bps)
    return Wired.model_construct(rate_bps=ByDirection(up_bps, down_bps), latency_s=latency_s)


def _refuse_mistyped(where: str, attributes: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in attributes:
        near = get_close_matches(str(key).casefold(), known, n=1, cutoff=_NEAR)
        if key not in known and near:
            raise ValueError(f"{where}: unknown attribute '{key}'; did you mean '{near[0]}'?")


def _text(where: str, attributes: Mapping[str, Any], key: str) -> str | None:
    value = attributes.get(key)
    if value is not None and not (isinstance(value, str) and value):
        raise ValueError(f"{where}: its '{key}' is {value!r}; expected a name")
    return value


def _quantity(
    where: str, attributes: Mapping[str, Any], key: str, si_key: str, dimension: Dimension
) -> float | None:
    if key in attributes and si_key in attributes:
        raise ValueError(f"{where} has both '{key}' and '{si_key}'; leave one of them out")
    if si_key in attributes:
        return _number(where, si_key, attributes[si_key], dimension)
    if key not in attributes:
        return None
    try:
        return parse(attributes[key], dimension)
    except UnitError as error:
        raise ValueError(f"{where}: its '{key}': {error}, or give a number as '{si_key}'") from None


def _place(where: str, attributes: Mapping[str, Any]) -> Point | None:
    place = attributes.get("place")
    if place is None:
        found = [key for key in ("x_m", "y_m") if key in attributes]
        if not found:
            return None
        if len(found) == 1:
            raise ValueError(f"{where} has only '{found[0]}'; a position needs 'x_m' and 'y_m'")
        return (
            _number(where, "x_m", attributes["x_m"], DISTANCE, is_place=True),
            _number(where, "y_m", attributes["y_m"], DISTANCE, is_place=True),
        )
    if "x_m" in attributes or "y_m" in attributes:
        raise ValueError(f"{where} has both 'place' and 'x_m' or 'y_m'; leave one out")
    both = place.split(",") if isinstance(place, str) else place
    if not (isinstance(both, list | tuple) and len(both) == 2):
        raise ValueError(f"{where}: its 'place' is {place!r}; expected two distances such as '20 m, 5 m'")
    try:
        return parse(both[0], DISTANCE), parse(both[1], DISTANCE)
    except UnitError as error:
        raise ValueError(f"{where}: its 'place': {error}") from None


def _number(where: str, key: str, value: object, dimension: Dimension, *, is_place: bool = False) -> float:
    """Return a number within its dimension's range; a coordinate can also be arbitrarily close to 0."""
    # networkx writes whole numbers beyond 32 bits as text in GML.
    is_number = isinstance(value, int | float | str) and not isinstance(value, bool)
    try:
        number = float(value) if is_number else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        number = math.nan
    if not dimension.holds(number) and not (is_place and abs(number) < dimension.least):
        raise ValueError(
            f"{where}: its '{key}' is {value!r:.60}; expected a number of {dimension.range_text}, or 0"
        )
    return number
