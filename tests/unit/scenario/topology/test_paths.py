"""``paths`` and ``forwards`` in YAML: what comes out, and one clear line for each mistake."""

from __future__ import annotations

import pytest

from edgesim.errors import InputError
from edgesim.scenario.check import examine
from edgesim.scenario.load import parse
from edgesim.world.link import Link

TEXT = """\
name: bench
model: {architecture: gpt2, dtype: float32}
topology:
  devices:
    - {id: source, kind: jetson-agx-orin}
    - {id: board, kind: jetson-agx-orin, count: 2}
    - {id: cloud, kind: rtx-3090}
  switches: [{id: hub}]
  links:
    - {between: [source, hub], wired: {rate: 1 Gbit/s}}
    - {between: [board, hub], wired: {rate: 1 Gbit/s}}
    - {between: [cloud, hub], wired: {rate: 1 Gbit/s}}
  paths: PATHS
workload: {sources: source, arrivals: {poisson: 1 Hz}, requests: 1, prompt_tokens: 4, output_tokens: 2}
strategies: [{use: local}]
"""


def own(paths: str) -> dict[tuple[str, str], Link]:
    links = examine(parse(TEXT.replace("PATHS", paths))).layout.links
    return {link.between: link for link in links if link.is_path}


def test_pairs_of_groups_of_kinds_and_of_all() -> None:
    assert set(own("[{between: [source, board], rate: 50 Mbit/s}]")) == {
        ("source", "board-0"),
        ("source", "board-1"),
    }
    within = own("[{between: [jetson-agx-orin, jetson-agx-orin], rate: 50 Mbit/s, latency: 1 ms}]")
    assert {frozenset(ends) for ends in within} == {
        frozenset(ends) for ends in (("source", "board-0"), ("source", "board-1"), ("board-0", "board-1"))
    }
    assert {link.latency_s for link in within.values()} == {1e-3}
    assert len(own("[{between: [all, all], rate: 50 Mbit/s}]")) == 6


def test_of_several_entries_for_a_pair_the_last_counts() -> None:
    shaped = "{between: [cloud, source], rate: {up: 1 Mbit/s, down: 2 Mbit/s}}"
    entries = f"[{{between: [all, all], rate: 50 Mbit/s}}, {shaped}]"
    found = own(entries)
    assert len(found) == 6
    link = found["cloud", "source"]
    assert (link.way("cloud").rate_bps, link.way("source").rate_bps) == (1e6, 2e6)
    assert sorted(link.rate_bps for link in found.values()) == [1e6, *[5e7] * 5]


@pytest.mark.parametrize(
    ("paths", "where", "why"),
    [
        ("[{between: [source, hub], rate: 1 Mbit/s}]", "between[1]", "'hub' is a switch"),
        ("[{between: [source, borad], rate: 1 Mbit/s}]", "between[1]", "did you mean 'board'"),
        ("[{between: [source, source], rate: 1 Mbit/s}]", "between", "a path needs two ends"),
        ("[{between: [source, cloud], rate: 1 Mbit/s, wired: {rate: 1 Mbit/s}}]", "wired", "unknown key"),
        ("[{between: [source, cloud]}]", "", "'rate' is missing"),
        ("[{between: [source, cloud], rate: 0 Mbit/s}]", "rate", "more than zero"),
    ],
)
def test_mistakes(paths: str, where: str, why: str) -> None:
    with pytest.raises(InputError) as told:
        parse(TEXT.replace("PATHS", paths))
    assert f"$.topology.paths[0]{where and '.' + where}: " in str(told.value)
    assert why in str(told.value)


def test_a_pair_that_is_linked_already_is_refused() -> None:
    linked = TEXT.replace("- {between: [cloud, hub]", "- {between: [cloud, source]")
    with pytest.raises(InputError, match=r"paths\[0\].*'source' and 'cloud' are already linked"):
        parse(linked.replace("PATHS", "[{between: [source, cloud], rate: 1 Mbit/s}]"))


def test_who_forwards() -> None:
    text = TEXT.replace("PATHS", "[]")
    assert examine(parse(text)).layout.forwarding == {"hub"}
    told = text.replace("jetson-agx-orin, count: 2", "jetson-agx-orin, count: 2, forwards: true")
    assert examine(parse(told)).layout.forwarding == {"hub", "board-0", "board-1"}


def test_stations_and_meshes_forward_unless_they_say_otherwise() -> None:
    air = TEXT.replace("  paths: PATHS\n", "").replace(
        "    - {between: [cloud, hub], wired: {rate: 1 Gbit/s}}",
        "    - {between: [source, cloud], radio: wifi5}\n    - {between: [board, cloud], radio: wifi5}",
    )
    for group, at in (("source", "[0 m, 0 m]"), ("cloud", "[5 m, 0 m]")):
        air = air.replace(f"id: {group},", f"id: {group}, place: {{at: {at}}},")
    air = air.replace("id: board,", "id: board, place: {grid: 2 m},")
    assert "cloud" in examine(parse(air)).layout.forwarding
    shut = air.replace("id: cloud,", "id: cloud, forwards: false,")
    assert "cloud" not in examine(parse(shut)).layout.forwarding

    mesh = TEXT.replace(
        "  paths: PATHS\n",
        "  generate: {graph: path_graph, n: 3, id: n, kinds: [phone], wired: {rate: 1 Gbit/s}MORE}\n",
    )
    mesh = mesh.replace(
        "    - {between: [cloud, hub]",
        "    - {between: [n-0, hub], wired: {rate: 1 Gbit/s}}\n    - {between: [cloud, hub]",
    )
    assert {"n-0", "n-1", "n-2"} <= examine(parse(mesh.replace("MORE", ""))).layout.forwarding
    assert "n-1" not in examine(parse(mesh.replace("MORE", ", forwards: false"))).layout.forwarding
