"""The examples of the documentation do what the text says."""

from __future__ import annotations

import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from rich.console import Console
from ruamel.yaml import YAML

from edgesim.report.links.budget import budget_table
from edgesim.report.links.table import directions
from edgesim.scenario.load import load, parse
from edgesim.scenario.radio.inspection import radio_links

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(DOCS.glob("how-to/*.md"))

PLUGGED_IN = ("newest-first", "round_robin", "front-loaded", "on_off", "lab-board", "modem")

WORKLOAD = {"arrivals": {"poisson": "1 Hz"}, "prompt_tokens": 16, "output_tokens": 8, "requests": 5}
TOPOLOGY = {
    "devices": [{"id": "edge", "kind": "raspberry-pi-5", "count": 2}],
    "links": [{"between": ["edge", "edge"], "wired": {"rate": "1 Gbit/s"}}],
}


PROFILES = ("pi5-tinyllama", "board-tinyllama", "board-qwen")

# The files that examples name, as small as they can be.
FILES = {
    "AzureLLMInferenceTrace_conv.csv": (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n"
    ),
    "sharegpt.json": (
        '[{"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]}]'
    ),
    **dict.fromkeys(("uplink.mahimahi", "lte.up", "lte.down"), "1\n2\n2\n"),
    "requests.csv": "when,device,tokens_in,tokens_out\n1700000000000,edge,30,4\n",
    "flight.csv": "t,up_mbps,down_mbps\n0,2,9\n1,3,8\n2,0,0\n",
    "town.fcd": "<fcd-export>{}</fcd-export>".format(
        "".join(
            f'<timestep time="{t}"><vehicle id="a" x="{t}" y="0"/><vehicle id="b" x="{t}" y="9"/></timestep>'
            for t in range(300, 400)
        )
    ),
    # Profiles are opened when a scenario is prepared; here it is enough that they are there.
    **dict.fromkeys(("measured", *(f"{name}.parquet" for name in PROFILES)), ""),
    "network.graphml": "\n".join(nx.generate_graphml(nx.path_graph(2))),
    "zoo.graphml": "\n".join(nx.generate_graphml(nx.MultiGraph([(0, 1), (0, 1), (1, 2)]))),
}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def whole(fragment: Any) -> dict[str, Any]:
    """Complete a fragment of a scenario to one that can be checked."""
    if isinstance(fragment, list):
        fragment = {"topology": {"devices": fragment}}
    scenario = {
        "name": "example",
        "horizon": "10 min",
        "model": {"architecture": "edgesim-tiny", "dtype": "float32"},
        "topology": TOPOLOGY,
        "workload": WORKLOAD,
        "strategies": [{"use": "local"}],
        **fragment,
    }
    scenario["profile"] = "auto"  # the file that an example names is the reader's
    return scenario


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_scenario_fragments_are_sound(page: Path, tmp_path: Path) -> None:
    yaml = YAML(typ="safe", pure=True)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for block in blocks(page, "yaml"):
        if any(name in block for name in PLUGGED_IN):  # of the example plug-in, whose own test installs it
            continue
        file = tmp_path / "example.yaml"
        with file.open("w", encoding="utf-8") as stream:
            yaml.dump(whole(yaml.load(block)), stream)
        name = f"{page.name}: {block[:60]}"
        scenario = parse(file.read_text(encoding="utf-8"), name=name, folder=tmp_path)
        assert scenario.name == "example"


def test_the_link_budget_of_the_page_is_the_one_of_its_example() -> None:
    page = DOCS / "how-to" / "describe-radio-links.md"
    shown = next(block for block in blocks(page, "text") if block.startswith("link budget"))
    told = whole(YAML(typ="safe", pure=True).load(blocks(page, "yaml")[0]))
    stream = StringIO()
    YAML(typ="safe", pure=True).dump(told, stream)
    (link,) = radio_links(
        parse(stream.getvalue(), name="page"), replication=0, between=("camera-0", "roadside-0")
    )
    table = budget_table(list(directions([link])), 0.0)
    console = Console(file=(printed := StringIO()), width=110)
    console.print(table)
    lines = [line.rstrip() for line in printed.getvalue().splitlines()]
    assert shown.splitlines() == lines[: len(shown.splitlines())]


def python(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tutorial_can_be_followed(tmp_path: Path) -> None:
    page = DOCS / "tutorial" / "first-run.md"
    # Formulas instead of a measurement, which takes a minute and has tests of its own.
    python("-m", "edgesim", "run", "first_steps", "--set", "profile=analytic", "--quiet", cwd=tmp_path)
    script = "import matplotlib\nmatplotlib.use('agg')\n" + "\n".join(blocks(page, "python"))
    printed = python("-W", "error", "-c", script, cwd=tmp_path)
    assert (tmp_path / "ttft.png").stat().st_size > 10_000
    assert "waited_s" in printed
    changes = [line for block in blocks(page, "bash") for line in block.splitlines() if "--set" in line]
    assert changes
    for line in changes:
        path, value = re.search(r"--set (\S+)='([^']+)'", line).groups()  # type: ignore[union-attr]
        load("first_steps", [f"{path}={value}"])
