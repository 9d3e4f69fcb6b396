"""Topologies from files: round trips through networkx's writers, attributes by hand, unsafe files refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.errors import ScenarioError
from edgesim.scenario.load import parse
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.schema.topology import Topology
from edgesim.scenario.topology.topology import Layout, lay_out

Parse = Callable[..., Scenario]
Write = Callable[["nx.Graph[Any]", Path], None]

PI, NANO = "raspberry-pi-5", "jetson-orin-nano"


def write_graphml(graph: nx.Graph[Any], path: Path) -> None:
    nx.write_graphml(graph, path)


def write_gml(graph: nx.Graph[Any], path: Path) -> None:
    nx.write_gml(graph, path)


def write_node_link(graph: nx.Graph[Any], path: Path) -> None:
    path.write_text(json.dumps(nx.node_link_data(graph, edges="edges")), encoding="utf-8")


def write_old_node_link(graph: nx.Graph[Any], path: Path) -> None:
    path.write_text(json.dumps(nx.node_link_data(graph, edges="links")), encoding="utf-8")


WRITERS: dict[str, Write] = {
    "GraphML": write_graphml,
    "GML": write_gml,
    "node-link": write_node_link,
    "node-link, links": write_old_node_link,
}


def small() -> nx.Graph[Any]:
    graph: nx.Graph[Any] = nx.Graph()
    graph.add_node("hub", kind="switch")
    graph.add_node("cam-a", kind=PI, group="camera", place="20 m, 5 m", label_of_mine="left")
    graph.add_node("cam-b", kind=PI, group="camera", x_m=1.5, y_m=-2)
    graph.add_node("box", kind=NANO)
    graph.add_edge("cam-a", "hub", rate="100 Mbit/s", latency="1 ms", weight=3)
    graph.add_edge("cam-b", "hub", rate_bps=2.5e6, latency_s=0)
    graph.add_edge("hub", "box", rate_bps=10_000_000_000, latency="0.3 ms")
    return graph


def laid_out(path: Path, **facts: Any) -> Layout:
    entry = str(path) if not facts else {"path": str(path), **facts}
    return lay_out(Topology.model_validate({"file": entry}), seed=0)


def refusal(path: Path, **facts: Any) -> str:
    (problem,) = laid_out(path, **facts).problems
    assert problem.path == ("topology", "file")
    return problem.message


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_attributes_of_nodes_and_edges_are_read(write: Write, tmp_path: Path) -> None:
    write(small(), tmp_path / "net")
    layout = laid_out(tmp_path / "net")
    assert not layout.problems
    told = [(n.id, n.group, n.kind, n.place_m) for n in layout.nodes.values()]
    assert sorted(told) == [
        ("box", "node", NANO, None),
        ("cam-a", "camera", PI, (20.0, 5.0)),
        ("cam-b", "camera", PI, (1.5, -2.0)),
        ("hub", "hub", "", None),
    ]
    links = {frozenset(link.between): (link.rate_bps, link.latency_s) for link in layout.links}
    assert links == {
        frozenset(("cam-a", "hub")): (1e8, 1e-3),
        frozenset(("cam-b", "hub")): (2.5e6, 0.0),
        frozenset(("hub", "box")): (1e10, 3e-4),
    }
    assert layout.members("camera") == ("cam-a", "cam-b")


@st.composite
def graphs(draw: st.DrawFn) -> nx.Graph[Any]:
    """A simple graph with attributes as edgesim reads them; names are words or numbers."""
    n_nodes = draw(st.integers(1, 8))
    seed = draw(st.integers(0, 999))
    graph: nx.Graph[Any] = nx.gnp_random_graph(n_nodes, draw(st.floats(0, 1)), seed=seed)
    for node in graph:
        graph.nodes[node].update(kind=draw(st.sampled_from([PI, NANO])))
        if draw(st.booleans()):
            graph.nodes[node].update(group=draw(st.sampled_from(["east", "west"])))
        if draw(st.booleans()):
            graph.nodes[node].update(x_m=draw(st.floats(-1e4, 1e4)), y_m=draw(st.integers(-9, 9)))
    for edge in graph.edges:
        graph.edges[edge].update(
            rate_bps=draw(st.floats(1, 1e12)), latency_s=draw(st.floats(1e-12, 10) | st.just(0.0))
        )
    if draw(st.booleans()):
        return nx.relabel_nodes(graph, {node: f"n{node}_x" for node in graph})
    return graph


@settings(max_examples=50, deadline=None)
@given(graph=graphs(), name=st.sampled_from(list(WRITERS)))
def test_what_networkx_writes_is_read_back(
    graph: nx.Graph[Any], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("graph") / "net"
    WRITERS[name](graph, path)
    layout = laid_out(path)
    assert not layout.problems

    def named(node: Any) -> str:
        group = graph.nodes[node].get("group", "node")
        return f"{group}-{node}" if isinstance(node, int) else node

    assert set(layout.nodes) == {named(node) for node in graph}
    for node, facts in graph.nodes(data=True):
        found = layout.nodes[named(node)]
        assert (found.kind, found.group) == (facts["kind"], facts.get("group", "node"))
        assert found.place_m == ((facts["x_m"], facts["y_m"]) if "x_m" in facts else None)
    expected = {
        frozenset((named(a), named(b))): (facts["rate_bps"], facts["latency_s"])
        for a, b, facts in graph.edges(data=True)
    }
    assert {frozenset(k.between): (k.rate_bps, k.latency_s) for k in layout.links} == expected


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_bare_graph_takes_its_facts_from_the_scenario(write: Write, tmp_path: Path) -> None:
    write(nx.path_graph(3), tmp_path / "net")
    wired = {"rate": "1 Gbit/s", "latency": "2 ms"}
    layout = laid_out(tmp_path / "net", id="pi", kind=PI, wired=wired)
    assert not layout.problems
    assert list(layout.nodes) == ["pi-0", "pi-1", "pi-2"]
    assert {(link.between, link.rate_bps, link.latency_s) for link in layout.links} == {
        (("pi-0", "pi-1"), 1e9, 2e-3),
        (("pi-1", "pi-2"), 1e9, 2e-3),
    }


def changed(node: dict[str, Any] | None = None, edge: dict[str, Any] | None = None) -> nx.Graph[Any]:
    graph: nx.Graph[Any] = nx.Graph()
    graph.add_node("a", **({"kind": PI} | (node or {})))
    graph.add_node("b", kind=PI)
    graph.add_edge("a", "b", **({"rate": "1 Gbit/s", "latency": "1 ms"} | (edge or {})))
    for facts in (*(f for _, f in graph.nodes(data=True)), *(f for *_, f in graph.edges(data=True))):
        for key in [key for key, value in facts.items() if value is None]:
            del facts[key]
    return graph


MISTAKES: dict[str, tuple[nx.Graph[Any], str]] = {
    "no kind": (changed({"kind": None}), "node 'a' has no 'kind'; give it one ('switch' if"),
    "a kind that is a number": (changed({"kind": 5}), "node 'a': its 'kind' is 5; expected a name"),
    "a name with a blank": (
        nx.relabel_nodes(changed(), {"a": "a b"}),
        "node 'a b': its name is 'a b'; expected letters",
    ),
    "a group with a dot": (changed({"group": "x.y"}), "node 'a': its group is 'x.y'; expected letters"),
    "a group called as a node": (changed({"group": "b"}), "the name 'b' is already used"),
    "a group of both": (
        nx.compose(changed({"group": "g"}), nx.Graph([("b", "c", {"rate": "1 bit/s", "latency": "1 s"})])),
        "node 'c' has no 'kind'",
    ),
    "mistyped on a node": (
        changed({"plase": "1 m, 2 m"}),
        "node 'a': unknown attribute 'plase'; did you mean",
    ),
    "mistyped on an edge": (
        changed(edge={"latncy": "1 ms"}),
        "the edge between 'a' and 'b': unknown attribute 'latncy'; did you mean 'latency'?",
    ),
    "a place of one": (changed({"place": "1 m"}), "node 'a': its 'place' is '1 m'; expected two distances"),
    "a place without units": (changed({"place": "1, 2"}), "node 'a': its 'place': expected a distance"),
    "half a place": (changed({"x_m": 1.0}), "node 'a' has only 'x_m'; a position needs"),
    "two places": (changed({"x_m": 1.0, "place": "1 m, 2 m"}), "node 'a' has both 'place' and"),
    "no rate": (changed(edge={"rate": None}), "the edge between 'a' and 'b' has no 'rate'; give it one"),
    "no latency": (changed(edge={"latency": None}), "the edge between 'a' and 'b' has no 'latency'"),
    "a rate without unit": (
        changed(edge={"rate": 100}),
        "the edge between 'a' and 'b': its 'rate': expected a data rate such as '100 Mbit/s', got 100; write "
        "the unit, for instance '100 bit/s', or give a number as 'rate_bps'",
    ),
    "bytes for bits": (
        changed(edge={"rate": "8 MB/s"}),
        "got '8 MB/s', a byte rate; in bits it is '64 Mbit/s'",
    ),
    "two rates": (changed(edge={"rate_bps": 1.0}), "has both 'rate' and 'rate_bps'; leave one of them out"),
    "no rate at all": (changed(edge={"rate": "0 bit/s"}), "has a rate of 0 bit/s and a latency of 0.001 s"),
    "a latency below zero": (changed(edge={"latency": "-1 s"}), "and a latency of -1 s; expected"),
    "a number that is text": (
        changed(edge={"rate": None, "rate_bps": "fast"}),
        "its 'rate_bps' is 'fast'; expected a number of 1",
    ),
    "a number that is none": (
        changed(edge={"latency": None, "latency_s": float("nan")}),
        "its 'latency_s' is nan; expected a number of 1",
    ),
    "an edge to itself": (nx.Graph([("a", "a")]), "node 'a' has an edge to itself"),
    "one way only": (
        changed().to_directed(as_view=True).edge_subgraph([("a", "b")]),
        "the directed edge from 'a' to 'b' has no opposite; links have two directions: add",
    ),
    "several edges": (
        nx.compose(
            nx.MultiGraph(changed()), nx.MultiGraph([("a", "b", 1, {"rate": "2 bit/s", "latency": "1 s"})])
        ),
        "'a' and 'b' have 2 edges; a pair of nodes can have one link: choose how to merge them",
    ),
    "empty": (nx.Graph(), "has no node"),
}


@pytest.mark.parametrize("write", [write_graphml, write_gml, write_node_link], ids=["GraphML", "GML", "JSON"])
@pytest.mark.parametrize(("graph", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_names_the_node_or_the_edge(
    graph: nx.Graph[Any], message: str, write: Write, tmp_path: Path
) -> None:
    write(graph, tmp_path / "net")
    assert message in refusal(tmp_path / "net")


@pytest.mark.parametrize("write", [write_graphml, write_node_link], ids=["GraphML", "JSON"])
def test_truth_is_no_number(write: Write, tmp_path: Path) -> None:
    write(changed(edge={"rate": None, "rate_bps": True}), tmp_path / "net")  # GML makes it a 1
    assert "its 'rate_bps' is True; expected a number of 1" in refusal(tmp_path / "net")


def test_a_group_holds_devices_or_switches(tmp_path: Path) -> None:
    graph = changed({"group": "g"})
    graph.add_node("s", kind="switch", group="g")
    write_node_link(graph, tmp_path / "net")
    assert refusal(tmp_path / "net") == "group 'g' contains devices and switches; give the switches another"


GRAPHML = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">{}</graphml>'
INSIDE = GRAPHML.format('<graph edgedefault="undirected">{}</graph>')
BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (f"<?xml version='1.0'?>\n{BOMB}{GRAPHML}".encode(), ":2: a document type or entity declaration"),
        (f"{BOMB}{GRAPHML}".encode("utf-16"), ":1: a document type or entity declaration"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', ":1: a document type or entity declaration"),
        (b"<graphml><graph>", ":1: not XML: no element found"),
        (GRAPHML.format("").encode(), "not GraphML: "),
        (INSIDE.format("<node/>").encode(), ":1: a node without an 'id'"),
        (
            INSIDE.format('<node id="a"/>\n<node id="a"/>').encode(),
            ":2: node 'a' is defined twice",
        ),
        (
            INSIDE.format('<node id="a"/>\n<edge target="a"/>').encode(),
            ":2: an edge without a 'source'",
        ),
        (
            INSIDE.format('<edge source="a" target="b"/>\n<node id="a"/>').encode(),
            ":1: an edge ends at 'b', which is not a node",
        ),
        (b"<html/>", "not GraphML: "),
        (b'{"nodes": [', ":1: not JSON: "),
        (b'{"nodes": []}', "no lists 'nodes' and 'edges' (or 'links') of objects"),
        (b'{"nodes": [1], "edges": []}', "no lists 'nodes' and 'edges' (or 'links') of objects"),
        (b'{"nodes": [{"name": "a"}], "edges": []}', "expected a name or a number as its 'id'"),
        (b'{"nodes": [{"id": true}], "edges": []}', "expected a name or a number as its 'id'"),
        (b'{"nodes": [{"id": "a"}, {"id": "a"}], "edges": []}', "node 'a' is defined twice"),
        (
            b'{"nodes": [{"id": "a"}], "edges": [{"source": "a", "target": "b"}]}',
            "the edge between 'a' and 'b' ends at 'b', which is not a node",
        ),
        (b"[" * 100_000, "is nested too deeply"),
        (b"graph [ node [ id 0 ] ]", "not GML: node #0 has no 'label' attribute"),
        (b"graph [ " * 100_000, "nested too deeply"),
        (b"graph [ node [ id zero", "not GML: "),
        (b"", "is not a graph"),
        (b"a picture", "is not a graph"),
        (b'<?xml version="1.0" encoding="foo"?><graphml/>', "foo"),
        (
            b'<graphml><graph><node id="a"/></graph><graph><node id="b"/></graph></graphml>',
            "a second or nested graph",
        ),
        (b"\x89PNG\r\n", "byte 0 is not UTF-8 text"),
    ],
    ids=str,
)
def test_what_is_no_safe_graph_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net"
    path.write_bytes(data)
    found = refusal(path)
    assert found.startswith(str(path))
    assert message in found


def test_a_missing_file_and_a_huge_one_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgesim.scenario.topology import graph_file

    assert "cannot be read: No such file" in refusal(tmp_path / "net")
    assert "cannot be read" in refusal(tmp_path)
    write_graphml(small(), tmp_path / "net")
    monkeypatch.setattr(graph_file, "MAX_SIZE_BYTES", 100)
    assert "is larger than" in refusal(tmp_path / "net")


def in_scenario(minimal: str, tmp_path: Path, file: str, *overrides: str) -> Scenario:
    head, tail = minimal.split("topology:")[0], "workload:" + minimal.split("workload:")[1]
    text = f"{head}topology:\n  file: {file}\n{tail}"
    return parse(text, name="small.yaml", folder=tmp_path, overrides=overrides)


def test_a_relative_path_begins_at_the_scenarios_folder(minimal: str, tmp_path: Path) -> None:
    write_graphml(small(), tmp_path / "net.graphml")
    scenario = in_scenario(minimal, tmp_path, "net.graphml")
    layout = lay_out(scenario.topology, seed=0, folder=tmp_path)
    assert set(layout.device_ids) == {"box", "cam-a", "cam-b"}


def test_devices_and_links_stand_beside_a_file(minimal: str, tmp_path: Path) -> None:
    write_graphml(small(), tmp_path / "net.graphml")
    more = [
        "topology.devices=[{id: phone, kind: raspberry-pi-5, count: 2}]",
        "topology.links=[{between: [phone, hub], wired: {rate: 1 Gbit/s}}]",
    ]
    scenario = in_scenario(minimal, tmp_path, "net.graphml", *more)
    layout = lay_out(scenario.topology, seed=0, folder=tmp_path)
    assert layout.first_group() == ("phone-0", "phone-1")
    assert len(layout.links) == 5
    with pytest.raises(ScenarioError, match=re.escape("the name 'cam-a' is already used")):
        in_scenario(minimal, tmp_path, "net.graphml", "topology.devices=[{id: cam-a, kind: raspberry-pi-5}]")
    with pytest.raises(ScenarioError, match=r"'hub' and 'box' are already|'box' and 'hub' are already"):
        in_scenario(
            minimal,
            tmp_path,
            "net.graphml",
            "topology.links=[{between: [box, hub], wired: {rate: 1 Gbit/s}}]",
        )


def test_a_mistake_in_a_file_stands_where_the_scenario_names_it(minimal: str, tmp_path: Path) -> None:
    graph = small()
    graph.nodes["box"]["kind"] = "jetson-orin-nanu"
    write_graphml(graph, tmp_path / "net.graphml")
    with pytest.raises(ScenarioError) as caught:
        in_scenario(minimal, tmp_path, "net.graphml")
    assert str(caught.value) == (
        "small.yaml:5:3: $.topology.file.kind: node 'box': no device kind 'jetson-orin-nanu'; "
        "did you mean 'jetson-orin-nano'? (edgesim list devices)"
    ).replace(".file.kind", ".file")
    graph = small()
    del graph.edges["hub", "box"]["latency"]
    write_graphml(graph, tmp_path / "net.graphml")
    with pytest.raises(
        ScenarioError, match=r"small\.yaml:5:3: \$\.topology\.file: the edge between 'hub' and"
    ):
        in_scenario(minimal, tmp_path, "net.graphml")
