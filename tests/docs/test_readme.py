"""What README shows works as shown."""

from __future__ import annotations

import re
from pathlib import Path

from edgesim.strategy import Strategy
from edgesim.testing import check_strategy

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_two_commands_are_there() -> None:
    assert [line for block in blocks("bash") for line in block.splitlines()][:2] == [
        "pip install -c constraints.txt -e . && edgesim run scenarios/smart_city.yaml",
        "pip install -c constraints.txt -e '.[test]' && scripts/test",
    ]


def test_the_strategy_keeps_the_contract_and_takes_25_lines() -> None:
    (code,) = blocks("python")
    assert len(code.splitlines()) <= 25
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    (strategy,) = (
        value
        for value in names.values()
        if isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy
    )
    check_strategy(strategy(to="server"))


def test_links_lead_somewhere() -> None:
    root = Path(__file__).resolve().parents[2]
    targets = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert [target for target in targets if not (root / target).exists()] == []
