"""Links with two ways in YAML: what comes out, one clear line for each mistake, and the schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from edgesim.errors import ScenarioError
from edgesim.scenario.schema.json_schema import json_schema
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.schema.topology import Topology
from edgesim.scenario.topology.topology import lay_out
from edgesim.world.link import Link

Parse = Callable[..., Scenario]
OLD = "wired: {rate: 100 Mbit/s, latency: 2 ms}"


def ways(link: Link) -> dict[str, tuple[Any, float]]:
    """Rate and latency by sender."""
    return {sender: (link.way(sender).rate_bps, link.way(sender).latency_s) for sender in link.between}


def links(**topology: object) -> list[Link]:
    layout = lay_out(Topology.model_validate(topology), seed=0)
    assert not layout.problems
    return list(layout.links)


@pytest.mark.parametrize(
    ("wired", "up", "down"),
    [
        ("{rate: 8 Mbit/s}", (8e6, 0.0), (8e6, 0.0)),
        ("{rate: {up: 5 Mbit/s, down: 50 Mbit/s}, latency: 5 ms}", (5e6, 5e-3), (50e6, 5e-3)),
        ("{rate: 1 Gbit/s, latency: {down: 9 ms, up: 0 ms}}", (1e9, 0.0), (1e9, 9e-3)),
    ],
)
def test_up_is_from_the_first_end_to_the_second(
    changed: Parse, wired: str, up: tuple[float, float], down: tuple[float, float]
) -> None:
    made_of = changed(OLD, f"wired: {wired}")
    made = lay_out(made_of.topology, seed=0).links
    assert {link.between for link in made} == {("phone-0", "box"), ("phone-1", "box")}
    for link in made:
        assert ways(link) == {link.between[0]: up, "box": down}
        assert (link.down is None) == (up == down)


def test_a_spelling_of_one_rate_for_both_ways_is_the_same_scenario(changed: Parse) -> None:
    assert changed(OLD, OLD).digest == changed(OLD, OLD.replace("100 Mbit/s", "0.1 Gbit/s")).digest
    uneven = changed(OLD, OLD.replace("100 Mbit/s", "{up: 100 Mbit/s, down: 10 Mbit/s}"))
    other = changed(OLD, OLD.replace("100 Mbit/s", "{up: 10 Mbit/s, down: 100 Mbit/s}"))
    assert len({changed(OLD, OLD).digest, uneven.digest, other.digest}) == 3


def test_within_a_group_up_is_onward() -> None:
    group = {"id": "n", "kind": "raspberry-pi-5", "count": 3}
    wired = {"rate": {"up": "1 Mbit/s", "down": "2 Mbit/s"}}
    for connect, pairs in (
        ("all", {("n-0", "n-1"), ("n-0", "n-2"), ("n-1", "n-2")}),
        ("ring", {("n-0", "n-1"), ("n-1", "n-2"), ("n-2", "n-0")}),
    ):
        made = links(devices=[group], links=[{"between": ["n", "n"], "wired": wired, "connect": connect}])
        assert {link.between for link in made} == pairs
        assert all(ways(link)[link.between[0]][0] == 1e6 for link in made)


def test_generated_edges_go_up_from_their_first_node() -> None:
    wired = {"rate": {"up": "1 Mbit/s", "down": "2 Mbit/s"}}
    made = links(generate={"graph": "path_graph", "n": 3, "id": "n", "kinds": "phone", "wired": wired})
    made_of = {ends: ways(link) for link in made for ends in [link.between]}
    assert made_of == {
        ("n-0", "n-1"): {"n-0": (1e6, 0.0), "n-1": (2e6, 0.0)},
        ("n-1", "n-2"): {"n-1": (1e6, 0.0), "n-2": (2e6, 0.0)},
    }


AT = r"^small\.yaml:11:15: \$\.topology\.links\[0\]\.wired\.rate: "


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("{up: 5 Mbit/s}", "'down' is missing; give both \\(up is from the first end"),
        ("{}", "'up' is missing; give both"),
        ("{up: 5 Mbit/s, donw: 1 Mbit/s}", "unknown key 'donw'; did you mean 'down'\\?"),
        (
            "{up: 5, down: 1 Mbit/s}",
            "in 'up': expected a data rate such as '100 Mbit/s', got 5; write the unit",
        ),
        ("{up: 5 Mbit/s, down: 0 bit/s}", "in 'down': expected a data rate of more than zero"),
        ("{up: 5 Mbit/s, down: {up: 1 Mbit/s}}", "in 'down': expected a data rate"),
        ("[5 Mbit/s, 6 Mbit/s]", "expected a data rate such as"),
    ],
)
def test_a_mistake_gives_one_line(changed: Parse, rate: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=AT + message) as caught:
        changed(OLD, f"wired: {{rate: {rate}}}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (
            "wired: {up: {rate: 5 Mbit/s}, down: {rate: 50 Mbit/s}}",
            "wired: 'up' belongs inside a value, such as 'rate:",
        ),
        (
            "wired: {rate: 5 Mbit/s, down: 50 Mbit/s}",
            "wired: 'down' belongs inside a value, such as 'rate: {up: 5",
        ),
        (
            "recorded: {up: a.csv, down: b.csv}",
            "recorded: 'up' belongs inside a value, such as 'file: {up: lte.up",
        ),
    ],
)
def test_ways_beside_the_values_are_refused_with_the_form(changed: Parse, link: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(message)) as caught:
        changed(OLD, link)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("unit", ["Mbit/s", "kbps"])
def test_recordings_take_a_unit(changed: Parse, unit: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,rate\n0,5\n1,5\n")
    made_of = changed(OLD, f"recorded: {{file: {tmp_path}/a.csv, unit: {unit}}}")
    link = lay_out(made_of.topology, seed=0).links[0]
    assert link.rate_bps.mean_bps == {"Mbit/s": 5e6, "kbps": 5e3}[unit]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("recorded", "message"),
    [
        (
            "{file: a.csv, unit: MB/s}",
            r"recorded: expected the unit of a data rate in 'unit', such as Mbit/s, got",
        ),
        ("{file: a.csv, unit: fast}", "expected the unit of a data rate in 'unit'"),
        ("{file: 5}", "expected the path of a file, got 5"),
        ("{file: {up: a.csv, down: 5}}", "in 'down': expected the path of a file, got 5"),
        ("{file: {up: a.csv, down: both.csv}}", "both.csv: has rates for both directions; name it alone"),
    ],
)
def test_a_mistaken_recording_gives_one_line(
    changed: Parse, recorded: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("t,rate_bps\n0,5\n1,5\n")
    (tmp_path / "both.csv").write_text("t,up_bps,down_bps\n0,5,5\n1,5,5\n")
    for name in ("a.csv", "both.csv"):
        recorded = recorded.replace(name, str(tmp_path / name))
    with pytest.raises(ScenarioError, match=message) as caught:
        changed(OLD, f"recorded: {recorded}")
    assert "\n" not in str(caught.value)


def test_an_editor_accepts_both_forms_and_no_other(minimal: str) -> None:
    validator = Draft202012Validator(json_schema({}))

    def errors(link: str) -> list[str]:
        document = YAML(typ="safe").load(minimal.replace(OLD, link))
        return [error.message for error in validator.iter_errors(document) if "strategies" not in error.path]

    assert errors(OLD) == []
    assert errors("wired: {rate: {up: 5 Mbit/s, down: 50 Mbit/s}, latency: {up: 1 ms, down: 2 ms}}") == []
    assert errors("recorded: {file: {up: a.csv, down: b.csv}, unit: Mbit/s}") == []
    assert errors("wired: {rate: {up: 5 Mbit/s}}")
    assert errors("wired: {rate: 5}")
