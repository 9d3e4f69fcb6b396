"""Every command that the documentation shows runs; what is not run is listed as skipped, with its reason."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from effort import long_only
from quick_commands import quick_edgesim
from shell_blocks import ROOT, Block, blocks, pages

from edgesim.cli import app

PAGES = {str(page.relative_to(ROOT)): list(blocks(page)) for page in pages()}
NOT_RUN = [block for page in PAGES.values() for block in page if block.not_run]
LONG = [block for page in PAGES.values() for block in page if block.long and not block.not_run]
LENT = ("scenarios", "analysis", "benchmarks", "scripts")  # what a reader in a checkout has beside traces
LIMIT_S = 600.0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What commands run in: with ``edgesim`` and ``python`` of this very checkout on the path."""
    commands = tmp_path_factory.mktemp("bin")
    (commands / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    (commands / "python").chmod(0o755)
    (commands / "python3").symlink_to("python")
    variables = {
        **os.environ,
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "MPLBACKEND": "agg",
        "COLUMNS": "110",
    }
    with quick_edgesim(commands / "edgesim", variables):
        yield variables


def run(todo: Sequence[Block], folder: Path, environment: dict[str, str]) -> None:
    """Run blocks one after the other, in a folder that looks like a checkout."""
    for name in LENT:
        (folder / name).symlink_to(ROOT / name)
    for block in todo:
        for name, text in block.files:
            if not (folder / name).exists():  # a command may have changed it since
                (folder / name).write_text(text, encoding="utf-8")
        script = "\n".join(("set -euo pipefail", *block.given, block.script))
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block.name}\n{script}\n{done.stdout}\n{done.stderr}"


def runnable(page: str) -> list[Block]:
    return [block for block in PAGES[page] if not block.not_run and not block.long]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)])
def test_commands_of_a_page_run(page: str, tmp_path: Path, environment: dict[str, str]) -> None:
    run(runnable(page), tmp_path, environment)


@pytest.mark.slow
@long_only("each takes minutes")
@pytest.mark.parametrize("block", LONG, ids=lambda block: block.name)
def test_long_commands_run(block: Block, tmp_path: Path, environment: dict[str, str]) -> None:
    run([block], tmp_path, environment)


@pytest.mark.parametrize("block", NOT_RUN, ids=lambda block: block.name)
def test_commands_that_are_not_run(block: Block) -> None:
    assert len(block.not_run.split()) > 2, "a reason is a phrase"
    pytest.skip(f"{block.name}: {block.not_run}")


def test_most_commands_run() -> None:
    n_run = sum(len(runnable(page)) for page in PAGES)
    assert n_run > len(NOT_RUN)


def test_every_command_of_edgesim_is_shown_somewhere() -> None:
    from typer.main import get_command

    shown = "\n".join(block.script for page in PAGES.values() for block in page)
    names = get_command(app).commands  # type: ignore[attr-defined]
    assert [name for name in names if f"edgesim {name}" not in shown] == []
