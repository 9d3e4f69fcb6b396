"""Files by which others cite the project, build it and carry it on: whole, and pointing at what is there."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def yaml(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((ROOT / name).read_text(encoding="utf-8"))


def test_the_citation_file_is_complete() -> None:
    cff = yaml("CITATION.cff")
    # Citation File Format 1.2.0: required keys, and the others that GitHub and Zenodo read.
    assert {"cff-version", "message", "title", "authors"} <= set(cff)
    assert {"abstract", "type", "version", "license", "keywords", "preferred-citation"} <= set(cff)
    assert cff["cff-version"] == "1.2.0"
    assert cff["type"] in ("software", "dataset")
    assert str(cff["version"]) == PROJECT["version"]
    assert cff["license"] == PROJECT["license"]
    assert set(cff["keywords"]) <= set(PROJECT["keywords"]) | {"wireless networks"}
    reference = cff["preferred-citation"]
    assert {"type", "title", "authors"} <= set(reference)
    assert str(reference["version"]) == PROJECT["version"]
    for author in (*cff["authors"], *reference["authors"]):
        assert author == {"name": PROJECT["authors"][0]["name"]}


def test_the_bibtex_entry_says_the_same() -> None:
    text = (ROOT / "edgesim" / "data" / "references.bib").read_text(encoding="utf-8")
    entry = text[text.index("@software{edgesim,") :].partition("\n}")[0]
    assert f"version = {{{PROJECT['version']}}}" in entry
    title = re.sub(r"[{}]", "", entry.partition("title = {")[2].partition("},\n")[0])
    assert title == yaml("CITATION.cff")["title"]


def steps() -> list[str]:
    workflow = yaml(".github/workflows/ci.yml")
    assert {"name", "on", "jobs"} <= set(workflow)
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


def test_the_workflow_calls_the_scripts_of_the_project() -> None:
    called = {name for step in steps() for name in re.findall(r"(?:^|\s)(scripts/\w+|\.ci/run)\b", step)}
    assert called == {"scripts/check", "scripts/docs", "scripts/test", "scripts/wheel"}
    for name in called:
        assert os.access(ROOT / name, os.X_OK), name


def test_the_workflow_pins_what_it_uses_and_ends() -> None:
    workflow = yaml(".github/workflows/ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 40
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])


def test_the_container_file_copies_what_is_there_and_runs_as_no_root() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    stages = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert all(re.search(r":\d", stage) for stage in stages), "pin the base image"
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            *sources, _ = line.split()[1:]
            assert [source for source in sources if not (ROOT / source).exists()] == []
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("root", "0")
    assert 'ENTRYPOINT ["edgesim"]' in lines


@pytest.mark.parametrize("name", ["Containerfile", ".github/workflows/ci.yml", ".containerignore"])
def test_no_file_names_a_machine(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert re.findall(r"/(?:root|home|work|tmp)/\S+", text) == []
