"""Topologies spelled out: names, places, connection rules, generated graphs."""

from __future__ import annotations

import re

import networkx as nx
import pytest
from pydantic import ValidationError

from edgesim.scenario.schema.topology import Topology
from edgesim.scenario.topology.generated import generators
from edgesim.scenario.topology.topology import Layout, lay_out

WIRED = {"rate": "1 Gbit/s", "latency": "1 ms"}
PI = "raspberry-pi-5"


def laid_out(seed: int = 0, **topology: object) -> Layout:
    layout = lay_out(Topology.model_validate(topology), seed=seed)
    assert not layout.problems
    return layout


def problems(**topology: object) -> list[str]:
    return [problem.message for problem in lay_out(Topology.model_validate(topology), seed=0).problems]


def links(connect: str, n_a: int, n_b: int | None) -> list[tuple[str, str]]:
    """Link a group of `n_a` with one of `n_b`, or within itself, everybody on a line."""
    devices = [{"id": "a", "kind": PI, "count": n_a, "place": {"grid": "10 m", "columns": 9}}]
    if n_b is not None:
        devices.append(
            {
                "id": "b",
                "kind": PI,
                "count": n_b,
                "place": {"grid": "20 m", "columns": 9, "corner": ["1 m", "0 m"]},
            }
        )
    between = ["a", "a" if n_b is None else "b"]
    layout = laid_out(devices=devices, links=[{"between": between, "wired": WIRED, "connect": connect}])
    return [link.between for link in layout.links]


def test_a_count_numbers_the_devices_and_its_absence_does_not() -> None:
    layout = laid_out(
        devices=[
            {"id": "a", "kind": PI, "count": 2},
            {"id": "b", "kind": PI, "count": 1},
            {"id": "c", "kind": PI},
        ]
    )
    assert list(layout.nodes) == ["a-0", "a-1", "b-0", "c"]
    assert layout.members("a") == ("a-0", "a-1")
    assert layout.members("a-1") == ("a-1",)


def test_a_grid_is_filled_row_by_row_from_its_corner() -> None:
    place = {"grid": "10 m", "columns": 2, "corner": ["5 m", "-1 m"]}
    layout = laid_out(devices=[{"id": "a", "kind": PI, "count": 3, "place": place}])
    assert [node.place_m for node in layout.nodes.values()] == [(5.0, -1.0), (15.0, -1.0), (5.0, 9.0)]


def test_a_grid_is_as_square_as_can_be_by_default() -> None:
    layout = laid_out(devices=[{"id": "a", "kind": PI, "count": 5, "place": {"grid": "1 m"}}])
    assert layout.nodes["a-2"].place_m == (2.0, 0.0)
    assert layout.nodes["a-3"].place_m == (0.0, 1.0)


@pytest.mark.parametrize(
    ("connect", "n_a", "n_b", "expected"),
    [
        ("all", 2, 2, [("a-0", "b-0"), ("a-0", "b-1"), ("a-1", "b-0"), ("a-1", "b-1")]),
        ("all", 3, None, [("a-0", "a-1"), ("a-0", "a-2"), ("a-1", "a-2")]),
        # a stands at 0, 10, 20, 30 m; b at 1, 21 m
        ("nearest", 4, 2, [("a-0", "b-0"), ("a-1", "b-0"), ("a-2", "b-1"), ("a-3", "b-1")]),
        ("round-robin", 3, 2, [("a-0", "b-0"), ("a-1", "b-1"), ("a-2", "b-0")]),
        ("one-to-one", 2, 2, [("a-0", "b-0"), ("a-1", "b-1")]),
        ("ring", 3, None, [("a-0", "a-1"), ("a-1", "a-2"), ("a-2", "a-0")]),
        ("ring", 2, None, [("a-0", "a-1")]),
    ],
)
def test_connection_rules(connect: str, n_a: int, n_b: int | None, expected: list[tuple[str, str]]) -> None:
    assert links(connect, n_a, n_b) == expected


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"between": ["a", "b"], "connect": "ring"}, "'connect: ring' connects one group"),
        ({"between": ["a", "a"], "connect": "nearest"}, "'connect: nearest' needs two groups"),
        ({"between": ["a", "b"], "connect": "nearest"}, "needs a 'place' for every device; 'a-0' has none"),
        ({"between": ["a", "b"], "connect": "one-to-one"}, "needs groups of equal size, got 2 and 1"),
        ({"between": ["b", "b"]}, "'b' is a single device; a link needs two ends"),
        ({"between": ["a", "a-0"]}, "'a-0' would be linked to itself"),
    ],
)
def test_rules_that_do_not_apply_are_refused(entry: dict[str, object], message: str) -> None:
    devices = [{"id": "a", "kind": PI, "count": 2}, {"id": "b", "kind": PI}]
    found = problems(devices=devices, links=[{"wired": WIRED, **entry}])
    assert len(found) == 1
    assert message in found[0]


def test_one_point_is_no_place_for_several_devices() -> None:
    place = {"at": ["1 m", "2 m"]}
    assert (
        "cannot share one position"
        in problems(devices=[{"id": "a", "kind": PI, "count": 2, "place": place}])[0]
    )


def test_a_place_is_a_point_or_a_grid() -> None:
    for place in ({}, {"at": ["0 m", "0 m"], "grid": "1 m"}, {"at": ["0 m", "0 m"], "columns": 2}):
        with pytest.raises(ValidationError):
            Topology.model_validate({"devices": [{"id": "a", "kind": PI, "place": place}]})


def generate(graph: str, **options: object) -> dict[str, object]:
    return {"graph": graph, "id": "n", "kinds": [PI, "jetson-tx2"], "wired": WIRED, **options}


def test_a_generated_grid_has_the_grids_nodes_and_edges() -> None:
    layout = laid_out(generate=generate("grid_2d_graph", m=2, n=3))
    assert list(layout.nodes) == [f"n-{number}" for number in range(6)]
    assert len(layout.links) == 2 * 3 * 2 - 2 - 3
    assert {node.kind for node in layout.nodes.values()} == {PI, "jetson-tx2"}
    assert layout.links[0].rate_bps == 1e9


def test_generators_that_draw_follow_the_scenarios_seed_unless_given_one() -> None:
    options = generate("watts_strogatz_graph", n=20, k=4, p=0.5)
    edges = [[link.between for link in laid_out(seed, generate=options).links] for seed in (1, 1, 2)]
    assert edges[0] == edges[1] != edges[2]
    fixed = [laid_out(seed, generate={**options, "seed": 5}).links for seed in (1, 2)]
    assert fixed[0] == fixed[1]
    expected = nx.watts_strogatz_graph(20, 4, 0.5, seed=1)
    assert edges[0] == [(f"n-{a}", f"n-{b}") for a, b in expected.edges]


def test_generated_nodes_without_kinds_are_switches_that_devices_attach_to() -> None:
    layout = laid_out(
        devices=[{"id": "a", "kind": PI, "count": 4}],
        generate={"graph": "path_graph", "n": 2, "id": "s", "wired": WIRED},
        links=[{"between": ["a", "s"], "wired": WIRED, "connect": "round-robin"}],
    )
    assert layout.device_ids == ("a-0", "a-1", "a-2", "a-3")
    assert layout.cut_off(["a-0"]) is None
    assert layout.first_group() == ("a-0", "a-1", "a-2", "a-3")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (generate("watts_strogatz_grap", n=4), "no undirected generator 'watts_strogatz_grap'; did you mean"),
        (generate("path_graph", m=4), "unknown key 'm'; path_graph takes n"),
        (generate("path_graph"), "path_graph needs n beside 'graph'"),
        (generate("path_graph", n=0), "path_graph makes no node"),
        (generate("path_graph", n="abc"), "path_graph: n is 'abc'; expected a number"),
        (generate("complete_graph", n=10**9), "complete_graph: n is 1000000000; expected at most 100000"),
        (generate("watts_strogatz_graph", n=2, k=4, p=0.1), "watts_strogatz_graph refuses these options"),
        (generate("gn_graph", n=4), "gn_graph does not make a simple undirected graph"),
        (generate("read_graphml", path="/etc/passwd"), "no undirected generator 'read_graphml'"),
        (generate("ego_graph", n=2), "no undirected generator 'ego_graph'"),
    ],
)
def test_generators_that_cannot_be_used_are_refused(options: dict[str, object], message: str) -> None:
    found = problems(generate=options)
    assert len(found) == 1
    assert message in found[0]


def test_only_functions_of_networkx_generators_can_be_called() -> None:
    assert {"grid_2d_graph", "barabasi_albert_graph", "random_geometric_graph"} <= generators().keys()
    assert all(re.match(r"networkx\.generators\.", f.__module__) for f in generators().values())


def test_a_device_that_no_path_reaches_is_named_with_the_source() -> None:
    devices = [{"id": "a", "kind": PI}, {"id": "b", "kind": PI}, {"id": "c", "kind": PI}]
    layout = laid_out(devices=devices, links=[{"between": ["a", "b"], "wired": WIRED}])
    assert layout.cut_off(["b"]) == ("b", "c")
    assert layout.cut_off(["c"]) == ("c", "a")
