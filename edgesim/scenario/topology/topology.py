"""Layout of a scenario's topology: groups expanded to nodes, references resolved, links and paths made."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from types import MappingProxyType

from edgesim.errors import InputError
from edgesim.files import user_path
from edgesim.nearest import suggest
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.scenario.catalogue import radio_kind
from edgesim.scenario.schema.by_way import ByDirection, ways
from edgesim.scenario.schema.topology import (
    DeviceEntry,
    Generate,
    GraphFile,
    LinkEntry,
    PathEntry,
    Place,
    RecordedEntry,
    Topology,
    Wired,
)
from edgesim.scenario.text.problems import Path, Problem
from edgesim.scenario.topology.connections import Point, pairs
from edgesim.scenario.topology.graph_parts import SWITCH, node_of
from edgesim.scenario.topology.islands import connected_components
from edgesim.scenario.topology.recordings import recorded_rates
from edgesim.steps import Steps
from edgesim.world.link import Link, Way

__all__ = ["AirLink", "Layout", "Node", "lay_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of the topology, without its device kind's figures.

    Attributes
    ----------
    id, group
        Name of the node, and of the entry that defines it.
    kind
        Name of its device kind; empty for a switch.
    entry
        Entry that defines the node, whose figures replace the kind's; None for switches and generated nodes.
    place_m
        Coordinates, if given.
    path
        Path of its definition in the scenario.
    forwards
        Whether it forwards messages between others; None means only if it is a station of radio links.
    """

    id: str
    group: str
    kind: str
    entry: DeviceEntry | None = None
    forwards: bool | None = None
    place_m: Point | None = None
    path: Path = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AirLink:
    """A radio link without its channel, which is drawn per replication.

    Attributes
    ----------
    terminal, station
        Ids of its ends.
    entry
        Link entry of the scenario.
    path
        Path of its definition in the scenario.
    """

    terminal: str
    station: str
    entry: LinkEntry
    path: Path


@dataclass(frozen=True, kw_only=True)
class Layout:
    """All valid nodes and links of a scenario, and the problems of the others."""

    nodes: Mapping[str, Node]
    links: tuple[Link, ...]
    air: tuple[AirLink, ...] = ()
    problems: tuple[Problem, ...] = ()
    _groups: Mapping[str, tuple[str, ...]] = field(repr=False)

    def members(self, reference: str) -> tuple[str, ...]:
        """Return the node ids of a group or of a single node; empty if there is no such name."""
        return self._groups.get(reference) or ((reference,) if reference in self.nodes else ())

    def unknown(self, reference: str) -> str:
        """Return a message that a name is unknown, with the nearest known name."""
        return (
            f"no device, group or switch '{reference}'; {suggest(reference, {**self._groups, **self.nodes})}"
        )

    def first_group(self) -> tuple[str, ...]:
        """Return the devices of the first device entry of the topology."""
        return next((ids for ids in self._groups.values() if self.nodes[ids[0]].kind), ())

    @property
    def device_ids(self) -> tuple[str, ...]:
        """Ids of the nodes that compute."""
        return tuple(node.id for node in self.nodes.values() if node.kind)

    @property
    def forwarding(self) -> frozenset[str]:
        """Ids of the nodes that forward messages between others."""
        stations = {leg.station for leg in self.air}
        return frozenset(
            id_
            for id_, node in self.nodes.items()
            if node.forwards or not node.kind or (node.forwards is None and id_ in stations)
        )

    def cut_off(self, sources: Sequence[str]) -> tuple[str, str] | None:
        """Return a source and a device that no links connect, even if all nodes forward, or None."""
        edges = (*(link.between for link in self.links), *((leg.terminal, leg.station) for leg in self.air))
        island = connected_components(self.nodes, edges)
        for source in sources[:1]:  # the other sources are devices, which the first must reach anyway
            apart = (device for device in self.device_ids if island[device] != island[source])
            return next(((source, device) for device in apart), None)
        return None


def lay_out(topology: Topology, *, seed: int, folder: FilePath | None = None) -> Layout:
    """Expand a topology to nodes and links.

    The seed is used by random graph generators; all replications share the result. If the topology names a
    graph file, its contents are included; a relative path starts at `folder`.
    """
    return _Draft(seed, folder or FilePath()).finish(topology)


class _Draft:
    """Builder of a layout."""

    def __init__(self, seed: int, folder: FilePath) -> None:
        self._seed = seed
        self._folder = folder
        self._nodes: dict[str, Node] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._links: dict[frozenset[str], Link] = {}
        self._air: dict[frozenset[str], AirLink] = {}
        self._own_paths: dict[frozenset[str], Link] = {}
        self._problems: list[Problem] = []

    def finish(self, topology: Topology) -> Layout:
        root: Path = ("topology",)
        for index, entry in enumerate(topology.devices):
            self._add_devices(entry, (*root, "devices", index))
        edges = self._add_generated(topology.generate, (*root, "generate"))
        read = self._add_file(topology.file, (*root, "file"))
        for index, switch in enumerate(topology.switches):
            place_m = _places(switch.place, 1)[0]
            path: Path = (*root, "switches", index)
            self._add_group(
                switch.id, [Node(id=switch.id, group=switch.id, kind="", place_m=place_m, path=path)]
            )
        for a, b, wired in edges:
            self._add_link(a, b, _cable(wired), (*root, "generate"))
        for a, b, wired in read:
            self._add_link(a, b, _cable(wired), (*root, "file"))
        for index, link in enumerate(topology.links):
            self._add_links(link, (*root, "links", index))
        for index, own_path in enumerate(topology.paths):
            self._add_paths(own_path, (*root, "paths", index))
        return self._layout()

    def _layout(self) -> Layout:
        return Layout(
            nodes=MappingProxyType(self._nodes),
            links=(*self._links.values(), *self._own_paths.values()),
            air=tuple(self._air.values()),
            problems=tuple(self._problems),
            _groups=MappingProxyType(self._groups),
        )

    def _add_devices(self, entry: DeviceEntry, path: Path) -> None:
        if entry.place is not None and entry.place.at_m is not None and (entry.count or 1) > 1:
            self._refuse(
                (*path, "place", "at"), f"{entry.count} devices cannot share one position; use 'grid'"
            )
        ids = [entry.id] if entry.count is None else [f"{entry.id}-{index}" for index in range(entry.count)]
        nodes = [
            Node(
                id=id_,
                group=entry.id,
                kind=entry.kind,
                entry=entry,
                place_m=place_m,
                path=path,
                forwards=entry.forwards,
            )
            for id_, place_m in zip(ids, _places(entry.place, len(ids)), strict=True)
        ]
        self._add_group(entry.id, nodes)

    def _add_generated(self, generate: Generate | None, path: Path) -> list[tuple[str, str, Wired]]:
        if generate is None:
            return []
        # networkx takes a third of a second to import, and most topologies are neither generated nor files.
        from edgesim.scenario.topology.generated import generate_edges

        try:
            n_nodes, edges = generate_edges(generate.graph, generate.options, self._seed)
        except ValueError as error:
            self._refuse(path, str(error))
            return []
        if n_nodes == 0:
            self._refuse(path, f"{generate.graph} makes no nodes with these options; change them")
            return []
        kinds = generate.kinds or ("",)
        nodes = [
            Node(
                id=f"{generate.id}-{n}",
                group=generate.id,
                kind=kinds[n % len(kinds)],
                path=path,
                forwards=generate.forwards,
            )
            for n in range(n_nodes)
        ]
        self._add_group(generate.id, nodes)
        return [(nodes[a].id, nodes[b].id, generate.wired) for a, b in edges]

    def _add_file(self, file: GraphFile | None, path: Path) -> list[tuple[str, str, Wired]]:
        if file is None:
            return []
        from edgesim.scenario.topology.graph_edges import edges_of
        from edgesim.scenario.topology.graph_file import read_graph

        try:
            graph = read_graph(user_path(self._folder, file.path))
            parts = [node_of(name, attributes, file) for name, attributes in graph.nodes]
            ids = {name: part.id for (name, _), part in zip(graph.nodes, parts, strict=True)}
            edges = [(ids[a], ids[b], wired) for a, b, wired in edges_of(graph, file)]
        except ValueError as error:
            self._refuse(path, str(error))
            return []
        groups: dict[str, list[Node]] = {}
        for part in parts:
            kind = "" if part.kind == SWITCH else part.kind
            node = Node(
                id=part.id,
                group=part.group,
                kind=kind,
                place_m=part.place_m,
                path=path,
                forwards=file.forwards,
            )
            groups.setdefault(part.group, []).append(node)
        for group, nodes in groups.items():
            if len({bool(node.kind) for node in nodes}) > 1:
                self._refuse(
                    path, f"group '{group}' contains devices and switches; give the switches another"
                )
            self._add_group(group, nodes)
        return [(a, b, wired) for a, b, wired in edges if a in self._nodes and b in self._nodes]

    def _add_group(self, name: str, nodes: Sequence[Node]) -> None:
        others = {**self._nodes, **{group: None for group in self._groups if group != name}}
        taken = [node.id for node in nodes if node.id in others] or [name] * (name in self._groups)
        if taken or name in self._nodes:
            path: Path = nodes[0].path
            self._refuse(
                path if path[-1] == "file" else (*path, "id"),
                f"the name '{(taken or [name])[0]}' is already used; choose another",
            )
            return
        self._nodes.update({node.id: node for node in nodes})
        self._groups[name] = tuple(node.id for node in nodes)

    def _add_links(self, entry: LinkEntry, path: Path) -> None:
        layout = self._layout()
        groups = [layout.members(reference) for reference in entry.between]
        for index, reference in enumerate(entry.between):
            if not groups[index]:
                self._refuse((*path, "between", index), layout.unknown(reference))
        if not all(groups):
            return
        places_m = {node.id: node.place_m for node in self._nodes.values() if node.place_m is not None}
        try:
            joined = pairs(entry.connect, groups[0], groups[1], places_m)
        except ValueError as error:
            self._refuse(path, str(error))
            return
        if not joined:
            self._refuse(
                (*path, "between"), f"'{entry.between[0]}' is a single device; a link needs two ends"
            )
        if entry.radio is not None:
            for a, b in joined:
                self._add_air(a, b, entry, path)
            return
        made_of = self._recorded(entry.recorded, path) if entry.wired is None else _cable(entry.wired)
        if made_of is not None:
            for a, b in joined:
                self._add_link(a, b, made_of, path)

    def _add_paths(self, entry: PathEntry, path: Path) -> None:
        """Add a path between every pair of two groups, replacing paths of earlier entries."""
        sides = []
        for index, reference in enumerate(entry.between):
            ids = self._ends_of_paths(reference, (*path, "between", index))
            if ids is None:
                return
            sides.append(ids)
        up, down = _cable(entry)
        joined = {frozenset((a, b)): (a, b) for a in sides[0] for b in sides[1] if a != b}
        if not joined:
            self._refuse(
                (*path, "between"), f"'{entry.between[0]}' is a single device; a path needs two ends"
            )
        roaming = Counter(leg.terminal for leg in self._air.values())
        for ends, (a, b) in joined.items():
            moves = next((end for end in (a, b) if roaming[end] > 1), None)
            if ends in self._links or ends in self._air:
                self._refuse(
                    path,
                    f"'{a}' and '{b}' are already linked, and their messages take that link; give the link "
                    "this rate, or leave the path out",
                )
            elif moves is not None:
                self._refuse(
                    path,
                    f"'{moves}' changes cells, and its messages take its serving cell; leave its path out",
                )
            self._own_paths[ends] = Link(
                between=(a, b),
                rate_bps=up.rate_bps,
                latency_s=up.latency_s,
                down=None if down == up else down,
                is_path=True,
            )

    def _ends_of_paths(self, reference: str, path: Path) -> tuple[str, ...] | None:
        """Return the devices of a group, a kind, or 'all', or a single one; None if the name is invalid."""
        layout = self._layout()
        ids = layout.members(reference)
        if not ids:
            ids = tuple(id_ for id_ in layout.device_ids if reference in ("all", self._nodes[id_].kind))
        if not ids:
            self._refuse(path, f"{layout.unknown(reference)}; or name a device kind, or 'all'")
        elif not self._nodes[ids[0]].kind:
            self._refuse(path, f"'{reference}' is a switch; a path connects two devices")
            return None
        return ids or None

    def _recorded(self, entry: RecordedEntry | None, path: Path) -> tuple[Way, Way] | None:
        """Return the directions of a recorded link; an invalid file becomes a problem."""
        assert entry is not None
        try:
            rates = recorded_rates(entry, self._folder)
        except InputError as error:
            self._refuse((*path, "recorded", "file"), str(error))
            return None
        return _both_ways(rates, entry.latency_s)

    def _add_air(self, terminal: str, station: str, entry: LinkEntry, path: Path) -> None:
        """Add a radio link; both ends need a position."""
        assert entry.radio is not None
        for id_ in (terminal, station):
            node = self._nodes[id_]
            if node.place_m is None and (node.entry is None or node.entry.mobility is None):
                self._refuse(
                    (*path, "between"),
                    f"a radio link needs the positions of its ends, and '{id_}' has no 'place' and no "
                    "'mobility'; give it a place, such as {at: [20 m, 5 m]}",
                )
                return
        try:
            radio_kind(entry.radio.use)
        except InputError as error:
            self._refuse((*path, "radio"), str(error))
            return
        if self._is_new(terminal, station, path):
            ends = frozenset((terminal, station))
            self._air[ends] = AirLink(terminal=terminal, station=station, entry=entry, path=path)

    def _add_link(self, a: str, b: str, made_of: tuple[Way, Way], path: Path) -> None:
        if self._is_new(a, b, path):
            up, down = made_of
            self._links[frozenset((a, b))] = Link(
                between=(a, b),
                rate_bps=up.rate_bps,
                latency_s=up.latency_s,
                down=None if down == up else down,
            )

    def _is_new(self, a: str, b: str, path: Path) -> bool:
        ends = frozenset((a, b))
        if len(ends) == 2 and ends not in self._links and ends not in self._air:
            return True
        if len(ends) == 1:
            self._refuse(path, f"'{a}' would be linked to itself; a link needs two ends")
            return False
        known = self._links.get(ends)
        hint = ""
        if known is not None:
            hint = (
                ": if the directions differ, give both in one entry, such as 'wired: {rate: {up: 5 Mbit/s, "
                f"down: 50 Mbit/s}}}}' (up is from '{known.between[0]}' to '{known.between[1]}')"
            )
        self._refuse(path, f"'{a}' and '{b}' are already linked; a pair of devices can have one link{hint}")
        return False

    def _refuse(self, path: Path, sentence: str) -> None:
        problem = Problem(path, sentence)
        if problem.path not in [known.path for known in self._problems]:
            self._problems.append(problem)


def _cable(wired: Wired) -> tuple[Way, Way]:
    return _both_ways(wired.rates_bps(), wired.latency_s)


def _both_ways(
    rates: Iterable[float | Steps | RecordedRate], latency_s: float | ByDirection[float]
) -> tuple[Way, Way]:
    """Return the up and down directions with these rates."""
    waits: ByDirection[float] = ways(latency_s)
    up, down = (Way(rate_bps=rate, latency_s=own_s) for rate, own_s in zip(rates, waits, strict=True))
    return up, down


def _places(place: Place | None, n_devices: int) -> list[Point | None]:
    """Return the coordinates of `n_devices` devices; a grid is filled row by row."""
    if place is None:
        return [None] * n_devices
    if place.at_m is not None or place.grid_m is None:
        return [place.at_m] * n_devices
    columns = place.columns or math.ceil(math.sqrt(n_devices))
    (x_m, y_m), step_m = place.corner_m, place.grid_m
    return [(x_m + n % columns * step_m, y_m + n // columns * step_m) for n in range(n_devices)]
