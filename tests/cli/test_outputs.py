"""Files that commands write: none over its input, none over others unasked, and bad names in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostile import TINY


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edgesim: Any) -> Path:
    monkeypatch.chdir(tmp_path)
    assert edgesim("init", "study").status == 0
    return tmp_path


@pytest.mark.parametrize("command", ["show-config", "cite"])
def test_a_file_is_overwritten_only_where_asked_and_never_the_scenario(
    edgesim: Any, here: Path, command: str
) -> None:
    there = here / "there.txt"
    there.write_text("mine")
    said = edgesim(command, "study.yaml", "-o", there)
    assert said.status == 2
    assert "exists already; name another file, or add --replace" in " ".join(said.err.split())
    assert there.read_text() == "mine"
    assert edgesim(command, "study.yaml", "-o", there, "--replace").status == 0
    assert there.read_text() != "mine"

    before = (here / "study.yaml").read_text()
    (here / "link.yaml").symlink_to("study.yaml")
    for name in ("study.yaml", "link.yaml"):
        said = edgesim(command, "study.yaml", "-o", name, "--replace")
        assert said.status == 2
        assert "is the scenario itself" in " ".join(said.err.split())
    assert (here / "study.yaml").read_text() == before


@pytest.mark.parametrize(
    ("words", "suffix"),
    [
        (("plot", TINY, "-o"), ".pdf"),
        (("report", TINY, "-o"), ".html"),
        (("export", TINY, "--perfetto"), ".json"),
        (("show-config", "first_steps", "-o"), ".yaml"),
        (("cite", "first_steps", "-o"), ".bib"),
    ],
)
def test_a_name_that_is_too_long_is_said(
    edgesim: Any, here: Path, words: tuple[object, ...], suffix: str
) -> None:
    said = edgesim(*words, here / ("n" * 300 + suffix))
    assert said.status == 2
    assert "cannot be written (File name too long)" in " ".join(said.err.split())
    assert "Traceback" not in said.err
