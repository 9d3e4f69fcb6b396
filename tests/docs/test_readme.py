"""What README shows works as shown."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from edgesim.testing import check_strategy

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_two_commands_are_there() -> None:
    assert [line for block in blocks("bash") for line in block.splitlines()][:2] == [
        "pip install -c constraints.txt -e . && edgesim run scenarios/smart_city.yaml",
        "pip install -c constraints.txt -e '.[test]' && scripts/test",
    ]


def test_the_strategy_keeps_the_contract_and_takes_25_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = blocks("python")
    assert len(code.splitlines()) <= 25
    # As a module, for a strategy must be able to travel to another process.
    (tmp_path / "strategy_of_readme.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("strategy_of_readme")
    check_strategy(module.RoundRobin(to="server"))


def test_links_lead_somewhere() -> None:
    root = Path(__file__).resolve().parents[2]
    targets = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert [target for target in targets if not (root / target).exists()] == []
