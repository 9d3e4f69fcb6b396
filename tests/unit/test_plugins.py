"""Plug-ins that are broken, or in one another's way: told by name, and nobody else suffers."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from edgesim.errors import StrategyError
from edgesim.strategies.local import Local
from edgesim.strategy import STRATEGIES, discover, discover_all, strategy_class

LOCAL = "edgesim.strategies.local:Local"

Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Let just these entry points be installed, given as (name, value)."""

    def pretend(*points: tuple[str, str]) -> None:
        found = [EntryPoint(name, value, STRATEGIES.name) for name, value in points]
        monkeypatch.setattr(
            "edgesim.plugins.entry_points", lambda group: found if group == STRATEGIES.name else []
        )

    return pretend


def test_a_plug_in_that_cannot_be_imported_leaves_the_others_alone(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "falls_over.py").write_text("raise RuntimeError('no licence found')")
    monkeypatch.syspath_prepend(tmp_path)
    install(
        ("there", LOCAL),
        ("gone", "no_such_package_of_anybody:Strategy"),
        ("falling", "falls_over:Strategy"),
        ("nameless", "edgesim.strategies.local:Missing"),
        ("other", "edgesim.errors:InputError"),
    )
    found = discover_all()
    assert list(found) == ["falling", "gone", "nameless", "other", "there"]
    assert found["there"] is Local
    told = {name: str(error) for name, error in found.items() if isinstance(error, StrategyError)}
    assert set(told) == {"falling", "gone", "nameless", "other"}
    assert "'gone' (no_such_package_of_anybody:Strategy) cannot be loaded: No module named" in told["gone"]
    assert "cannot be loaded: no licence found; repair or uninstall its package" in told["falling"]
    assert "has no attribute 'Missing'" in told["nameless"]
    assert (
        told["other"] == "strategy 'other' (edgesim.errors:InputError) is not a subclass of edgesim.Strategy"
    )
    assert strategy_class("there") is Local
    with pytest.raises(StrategyError, match=r"'falling'.*no licence found"):
        discover()


def test_two_plug_ins_of_one_name_are_refused_by_name(install: Install) -> None:
    install(("local", LOCAL), ("local", "another_package:Local"), ("there", LOCAL))
    sentence = f"two installed packages call a strategy 'local'.*{LOCAL}.*another_package:Local"
    for look in (discover, lambda: strategy_class("local")):
        with pytest.raises(StrategyError, match=sentence):
            look()
    found = discover_all()
    assert re.match(sentence, str(found["local"]))
    assert found["there"] is strategy_class("there") is Local  # nobody else suffers


def test_one_plug_in_found_twice_is_one(install: Install) -> None:
    """A checkout that is installed and on the path, too."""
    install(("local", LOCAL), ("local", LOCAL))
    assert discover() == {"local": Local}


def test_an_unknown_name_is_told_with_the_nearest(install: Install) -> None:
    install(("local", LOCAL), ("pipeline", "edgesim.strategies.pipeline:Pipeline"))
    with pytest.raises(StrategyError, match=r"no strategy 'pipelin'.*'pipeline'"):
        strategy_class("pipelin")
