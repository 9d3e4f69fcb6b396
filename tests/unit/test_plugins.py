"""Plug-ins that are broken, or in one another's way: told by name, and nobody else suffers."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from edgesim import plugins
from edgesim.errors import InputError, StrategyError
from edgesim.planning.cutting import PARTITIONS
from edgesim.plugins import Group
from edgesim.scenario.catalogue.sources import CATALOGUES
from edgesim.scenario.schema.arrival_process import ARRIVALS
from edgesim.scenario.schema.link_rate import LINK_RATES
from edgesim.statistics.metric import METRIC_GROUP
from edgesim.strategies.local import Local
from edgesim.strategy import STRATEGIES, discover, discover_all, strategy_class
from edgesim.workload.readers.detect import READERS

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


GROUPS = (PARTITIONS, READERS, METRIC_GROUP, ARRIVALS, CATALOGUES, LINK_RATES)


def of_group(group: Group, monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    found = [EntryPoint(name, value, group.name) for name, value in points]
    monkeypatch.setattr("edgesim.plugins.entry_points", lambda group: [p for p in found if p.group == group])


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.listing)
def test_every_door_takes_edgesims_own_by_the_same_way(group: Group) -> None:
    own = plugins.own_names(group)
    assert own
    assert set(own) <= set(plugins.names(group))
    assert set(own) <= set(plugins.discover(group))


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.listing)
def test_at_every_door_a_broken_one_leaves_the_others_alone(
    group: Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaves_at_once.py").write_text("import sys; sys.exit('no licence found')")
    monkeypatch.syspath_prepend(tmp_path)
    own = plugins.own_names(group)
    first = plugins.load(group, own[0])
    of_group(
        group,
        monkeypatch,
        ("gone", "no_such_package_of_anybody:Thing"),
        ("leaving", "leaves_at_once:Thing"),
        ("module", "edgesim.errors"),
        ("other", "edgesim.errors:InputError"),
        (own[0], "another_package:Thing"),
    )
    found = plugins.discover_all(group)
    told = {name: str(error) for name, error in found.items() if isinstance(error, group.error)}
    assert set(told) == {"gone", "leaving", "module", "other", own[0]}
    assert set(found) == set(own) | set(told)
    assert (
        f"{group.noun} 'gone' (no_such_package_of_anybody:Thing) cannot be loaded: No module" in told["gone"]
    )
    assert "it ends the program as it is imported: no licence found" in told["leaving"]
    for name in ("module", "other"):
        assert told[name].startswith(f"{group.noun} {name!r} (edgesim.errors")
        assert told[name].endswith(f" of {group.known_as}")
    taken = f"an installed package calls a {group.noun} {own[0]!r} (another_package:Thing), which is the name"
    assert told[own[0]].startswith(taken)
    with pytest.raises(group.error, match="rename it in that package, or uninstall it"):
        plugins.load(group, own[0])
    monkeypatch.undo()
    assert plugins.load(group, own[0]) is first


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.listing)
def test_at_every_door_an_unknown_name_is_told_with_the_nearest(group: Group) -> None:
    name = plugins.own_names(group)[0]
    with pytest.raises(group.error) as told:
        plugins.load(group, name + "x")
    assert issubclass(group.error, InputError)
    assert str(told.value) == (
        f"no {group.noun} {name + 'x'!r}; did you mean {name!r}? (edgesim list {group.listing})"
    )
