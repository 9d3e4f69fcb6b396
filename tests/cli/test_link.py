"""`edgesim link` and `edgesim list radios`: what is printed, and one clear message for what cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgesim.scenario.catalogue import radio_kinds

TEXT = """\
name: air
seed: 3
model: {architecture: gpt2, dtype: float32}
profile: analytic
topology:
  devices:
    - {id: user, kind: raspberry-pi-5, count: 2, place: {grid: 30 m}}
    - {id: cell, kind: rtx-3090, place: {at: [40 m, 25 m]}}
  links:
    - {between: [user, cell], radio: nr-n78}
workload: {sources: user, arrivals: {poisson: 1 Hz}, prompt_tokens: 8, output_tokens: 4, requests: 5}
strategies: [{use: local}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "air.yaml"
    path.write_text(TEXT)
    return path


def test_all_links_at_a_glance(edgesim, file: Path) -> None:
    said = edgesim("link", file, "--until", "1 s")
    assert said.status == 0
    for direction in ("user-0 → cell", "cell → user-0", "user-1 → cell", "cell → user-1"):
        assert direction in said.out
    assert said.err == ""


def test_one_link_over_time_begins_with_its_budget(edgesim, file: Path) -> None:
    said = edgesim("link", file, "--between", "cell", "user-1", "--until", "1 s", "--every", "0.25 s")
    assert said.status == 0
    assert "user-0" not in said.out
    distance_m = ((40 - 30) ** 2 + 25**2) ** 0.5  # user-1 is the second of the grid
    assert re.search(rf"distance, heights +{distance_m:.1f} m, 1.5 m to 10 m", said.out)
    rows = re.findall(r"^[0-9.]+ +26\.9 ", said.out, re.MULTILINE)
    assert len(rows) == 2 * 5  # up and down, at 0, 0.25, … 1 s


def test_a_replication_has_its_own_channel_and_keeps_it(edgesim, file: Path) -> None:
    asked = ("link", file, "--until", "1 s", "--replication")
    first, again, other = (edgesim(*asked, number).out for number in (0, 0, 1))
    assert first == again != other


def test_the_scenario_may_be_changed_from_the_command_line(edgesim, file: Path) -> None:
    power = "topology.links.0.radio={use: nr-n78, terminal: {power: 13 dBm}}"
    said = edgesim("link", file, "--between", "user-0", "cell", "--set", power)
    assert re.search(r"transmit power +13\.0 dBm +33\.0 dBm", said.out)


def test_a_figure_is_drawn_where_it_was_asked_for(edgesim, file: Path, tmp_path: Path) -> None:
    assert edgesim("link", file, "--until", "1 s", "--plot", tmp_path / "l.png").status == 0
    assert (tmp_path / "l.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--between", "usr-0", "cell"), "did you mean 'user-0'"),
        (
            ("--between", "user-0", "user-1"),
            "no radio link between 'user-0' and 'user-1'; there are user-0 cell",
        ),
        (("--until", "5"), "--until: expected a duration"),
        (("--from", "2 s", "--until", "1 s"), "got 2 s, 1 s"),
        (("--every", "0 s"), "a time above 0 in --every"),
        (("--until", "100 h", "--every", "1 ms"), "more than a million samples"),
        (("--until", "1 s", "--plot", "none/l.png"), "cannot be written"),
    ],
)
def test_what_cannot_be_shown_is_explained(
    edgesim, file: Path, words: tuple[str, ...], expected: str
) -> None:
    said = edgesim("link", file, *words)
    assert said.status == 2
    assert expected in said.err
    assert "Traceback" not in said.err


def test_a_scenario_without_radio_links_is_told_how_to_have_some(edgesim) -> None:
    said = edgesim("link", "first_steps")
    assert said.status == 2
    assert "no radio links" in said.err
    assert "radio: nr-n78" in said.err


def test_the_catalogue_is_listed(edgesim) -> None:
    said = edgesim("list", "radios")
    assert said.status == 0
    for name in radio_kinds():
        assert name in said.out
    assert "lora" not in said.out.lower()


def test_a_radio_that_was_left_out_says_why(edgesim, file: Path) -> None:
    file.write_text(TEXT.replace("nr-n78", "lora-eu868"))
    said = edgesim("check", file)
    assert said.status == 2
    assert "air.yaml:10:" in said.err
    assert "1 % duty cycle" in said.err
