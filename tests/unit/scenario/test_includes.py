"""What a scenario includes counts as if it stood in the scenario, and mistakes are found where they stand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from edgesim.errors import ScenarioError
from edgesim.scenario.includes import sets_includes
from edgesim.scenario.load import load, parse
from edgesim.scenario.named_files import named_files
from edgesim.scenario.schema.scenario import Scenario

MAIN = """
name: main
include: lab/lab.yaml
horizon: 1 min
model: {architecture: edgesim-tiny}
profile: analytic
topology:
  devices:
    - {id: asker, kind: raspberry-pi-5}
  links:
    - {between: [asker, board], wired: {rate: 1 Mbit/s}}
workload: {arrivals: {poisson: 1 Hz}, prompt_tokens: 8, output_tokens: 4}
strategies: [{use: local}]
"""
KIND = """
kinds:
  slow-board:
    memory: 4 GB
    process_memory: 100 MB
    memory_bandwidth: 2 GB/s
    compute: {bfloat16: 10 GFLOP/s}
    overhead_per_call: 1 ms
    power: {idle: 2 W, active: 3 W, tx: 1 W, rx: 1 W}
    endpoint: {overhead: 1 ms}
"""
LAB = (
    KIND.lstrip()
    + """
devices:
  - {id: board, kind: slow-board, count: 2}
include: more/links.yaml
"""
)
LINKS = """
links:
  - {between: [board, board], wired: {rate: 3 Mbit/s}}
  - {between: [asker, asker2], recorded: {file: {up: up.csv, down: ../down.csv}}}
devices: [{id: asker2, kind: raspberry-pi-5}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    more = tmp_path / "lab" / "more"
    more.mkdir(parents=True)
    (tmp_path / "main.yaml").write_text(MAIN, encoding="utf-8")
    (tmp_path / "lab" / "lab.yaml").write_text(LAB, encoding="utf-8")
    (more / "links.yaml").write_text(LINKS, encoding="utf-8")
    for file in (more / "up.csv", more.parent / "down.csv"):
        file.write_text("t,rate_mbps\n0,2\n1,3\n", encoding="utf-8")
    return tmp_path


def refusal(folder: Path, *overrides: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(folder / "main.yaml", overrides)
    return str(caught.value)


def test_it_counts_as_if_it_stood_in_the_scenario(folder: Path) -> None:
    whole = (
        MAIN.replace("include: lab/lab.yaml\n", "")
        .replace(
            "    - {id: asker, kind: raspberry-pi-5}\n",
            "    - {id: asker, kind: raspberry-pi-5}\n"
            "    - {id: board, kind: slow-board, count: 2}\n"
            "    - {id: asker2, kind: raspberry-pi-5}\n",
        )
        .replace(
            "wired: {rate: 1 Mbit/s}}\n",
            "wired: {rate: 1 Mbit/s}}\n"
            "    - {between: [board, board], wired: {rate: 3 Mbit/s}}\n"
            "    - {between: [asker, asker2], "
            "recorded: {file: {up: lab/more/up.csv, down: lab/more/../down.csv}}}\n",
        )
    )
    by_hand = parse(whole + KIND, folder=folder)
    included = load(folder / "main.yaml")
    assert included.digest == by_hand.digest


def test_the_kept_text_needs_no_other_file(folder: Path) -> None:
    scenario = load(folder / "main.yaml")
    again = parse(scenario.origin.text, folder=folder)
    assert again.digest == scenario.digest
    assert "include" not in scenario.origin.text


def test_files_and_their_contents_are_noted_with_the_run(folder: Path) -> None:
    found = named_files(load(folder / "main.yaml"))
    expected = ["lab/lab.yaml", "lab/more/links.yaml", "lab/more/up.csv", "lab/more/../down.csv"]
    assert list(found) == expected
    for name, digest in found.items():
        assert digest == hashlib.sha256((folder / name).read_bytes()).hexdigest()


def test_a_changed_file_is_another_study(folder: Path) -> None:
    before = load(folder / "main.yaml").digest
    file = folder / "lab" / "more" / "links.yaml"
    file.write_text(LINKS.replace("3 Mbit/s", "4 Mbit/s"), encoding="utf-8")
    assert load(folder / "main.yaml").digest != before


def test_overrides_reach_what_is_included(folder: Path) -> None:
    scenario = load(
        folder / "main.yaml", ["topology.devices.board.count=5", "topology.links[1].wired.rate='9 Mbit/s'"]
    )
    assert scenario.topology.devices[1].count == 5
    wired = scenario.topology.links[1].wired
    assert wired is not None
    assert wired.rate_bps == 9e6


def test_an_override_can_include(folder: Path) -> None:
    other = folder / "lab" / "other.yaml"
    other.write_text(LAB.replace("count: 2", "count: 7"), encoding="utf-8")
    scenario = load(folder / "main.yaml", ["seed=3", "include=lab/other.yaml"])
    assert scenario.topology.devices[1].count == 7
    assert scenario.seed == 3
    assert sets_includes("include[0]=a")
    assert not sets_includes("includes=a")


def test_a_file_reached_by_two_ways_counts_once(folder: Path) -> None:
    text = MAIN.replace("include: lab/lab.yaml", "include: [lab/lab.yaml, lab/more/../more/links.yaml]")
    (folder / "main.yaml").write_text(text, encoding="utf-8")
    assert len(load(folder / "main.yaml").topology.links) == 3


def test_mistakes_are_found_in_the_file_in_which_they_stand(folder: Path) -> None:
    file = folder / "lab" / "more" / "links.yaml"
    file.write_text(LINKS.replace("3 Mbit/s", "3 MHz"), encoding="utf-8")
    assert f"{file}:3:39: $.links[0].wired.rate: expected a data rate" in refusal(folder)
    said = refusal(folder, "topology.links[1].wired.rate=fast")
    assert said.startswith(
        "--set topology.links[1].wired.rate=fast: $.topology.links[1].wired.rate: expected"
    )


def test_of_an_override_in_the_place_of_all_links_no_included_file_is_blamed(folder: Path) -> None:
    said = refusal(folder, "topology.links=[{between: [asker, board]}, {between: [board, board]}]")
    assert all(line.startswith("--set topology.links=") for line in said.splitlines())


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("main.yaml", MAIN.replace("lab/lab.yaml", "lab/none.yaml"), "$.include: no file 'lab/none"),
        ("main.yaml", MAIN.replace("lab/lab.yaml", "lab"), "$.include: no file 'lab' to include"),
        ("main.yaml", MAIN.replace("lab/lab.yaml", "[lab/lab.yaml, 7]"), "yaml:3:25: $.include[1]: expected"),
        ("main.yaml", MAIN + KIND, "lab.yaml:2:3: $.kinds.slow-board: kind 'slow-board' is already"),
        ("lab/lab.yaml", LAB.replace("devices:", "device:"), "lab.yaml:11:1: $.device: unknown key 'device'"),
        ("lab/lab.yaml", "kinds: [a]", "lab.yaml:1:1: $.kinds: expected a mapping, got ['a']"),
        ("lab/lab.yaml", "- a", "lab.yaml:1:1: expected a mapping with some of kinds, devices"),
        ("lab/lab.yaml", "kinds: !!python/object {}", "lab.yaml:1:8: tags (!...) are not allowed"),
        ("lab/lab.yaml", "kinds: {", "lab.yaml:1:9: not YAML"),
        ("lab/lab.yaml", "include: lab.yaml", "'lab.yaml' includes 'lab.yaml': a file cannot include itself"),
        ("lab/lab.yaml", "include: ../main.yaml", "'main.yaml' includes 'lab.yaml' includes 'main.yaml'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(folder: Path, file: str, text: str, expected: str) -> None:
    (folder / file).write_text(text, encoding="utf-8")
    said = refusal(folder)
    assert expected in said
    assert "\n" not in said


def test_a_dict_cannot_include() -> None:
    with pytest.raises(ValueError, match="'include' is resolved only when"):
        Scenario.model_validate({**_plain(), "include": "lab.yaml"})


def _plain() -> dict[str, object]:
    return {key: value for key, value in YAML(typ="safe", pure=True).load(MAIN).items() if key != "include"}
