"""Plug-ins that are broken, or in one another's way: told by name, and nobody else suffers."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from edgesim import plugins
from edgesim.errors import InputError, PlacementError, StrategyError
from edgesim.planning.cutting import PARTITIONS, Task, cut_by
from edgesim.plugins import EntryPointGroup
from edgesim.scenario.catalogue.sources import CATALOGUES, Catalogue, Entries
from edgesim.scenario.schema.arrival_process import ARRIVALS
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.link_rate import LINK_RATES
from edgesim.statistics.metric import METRIC_GROUP, METRICS, MetricTable
from edgesim.strategies.local import Local
from edgesim.strategy import STRATEGIES, discover, discover_all, strategy_class
from edgesim.workload.readers.detect import READERS

LOCAL = "edgesim.strategies.local:Local"

METRIC = (
    "from edgesim.statistics.metric import Metric\n"
    "given = dict(name='odd_p', title='t', meaning='m', unit='1', is_better_low=None, of=lambda run: 1.0)\n"
    "X = Metric(**(given | dict({})))"
)

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
    sentence = f"two installed packages name a strategy 'local'.*{LOCAL}.*another_package:Local"
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


def of_group(group: EntryPointGroup, monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    found = [EntryPoint(name, value, group.name) for name, value in points]
    monkeypatch.setattr("edgesim.plugins.entry_points", lambda group: [p for p in found if p.group == group])


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.listing)
def test_every_door_takes_edgesims_own_by_the_same_way(group: EntryPointGroup) -> None:
    own = plugins.own_names(group)
    assert own
    assert set(own) <= set(plugins.names(group))
    assert set(own) <= set(plugins.discover(group))


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.listing)
def test_at_every_door_a_broken_one_leaves_the_others_alone(
    group: EntryPointGroup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    assert "it ends the program when imported: no licence found" in told["leaving"]
    for name in ("module", "other"):
        assert told[name].startswith(f"{group.noun} {name!r} (edgesim.errors")
        assert told[name].endswith(f" of {group.known_as}")
    taken = f"an installed package names a {group.noun} {own[0]!r} (another_package:Thing), which is the name"
    assert told[own[0]].startswith(taken)
    with pytest.raises(group.error, match="rename it in that package, or uninstall the package"):
        plugins.load(group, own[0])
    monkeypatch.undo()
    assert plugins.load(group, own[0]) is first


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.listing)
def test_at_every_door_an_unknown_name_is_told_with_the_nearest(group: EntryPointGroup) -> None:
    name = plugins.own_names(group)[0]
    with pytest.raises(group.error) as told:
        plugins.load(group, name + "x")
    assert issubclass(group.error, InputError)
    assert str(told.value) == (
        f"no {group.noun} {name + 'x'!r}; did you mean {name!r}? (edgesim list {group.listing})"
    )


ODD = {
    "no module": "not a module!!",
    "exports what it lacks": "__all__ = ['missing']",
    "name of a number": METRIC.format("name=3"),
    "least of nothing": METRIC.format("least=None"),
    "place of a text": METRIC.format("place='first'"),
    "nowhere": METRIC.format("place=float('nan')"),
    "unit of a number": METRIC.format("unit=5"),
    "a built-in that has no signature": METRIC.format("of=max"),
    "family of numbers": "from edgesim.statistics.metric import Family\nX = Family((1, 2))",
    "family of nothing": "from edgesim.statistics.metric import Family\nX = Family(None)",
    "twins": METRIC.format("") + "\nfrom edgesim.statistics.metric import Family\nX = Family((X, X))",
}


@pytest.mark.parametrize("what", ODD)
def test_a_metric_of_whatever_kind_is_refused_and_the_others_stay(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "odd_" + re.sub(r"\W", "_", what)
    (tmp_path / f"{module}.py").write_text(ODD[what])
    monkeypatch.syspath_prepend(tmp_path)
    value = {"no module": ODD[what], "exports what it lacks": module}.get(what, f"{module}:X")
    points = [EntryPoint("odd", value, METRIC_GROUP.name)]
    monkeypatch.setattr(
        "edgesim.plugins.entry_points", lambda group: points if group == METRIC_GROUP.name else []
    )
    table = MetricTable()
    assert set(table) == set(METRICS)
    assert "metric 'odd'" in table.broken["odd"]


def test_a_check_that_ends_the_program_is_the_entrys_mistake(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaves.py").write_text(
        "import sys\nfrom edgesim.planning.cutting import Partition\n\n\nclass Leaves(Partition):\n"
        "    def __init__(self):\n        sys.exit(4)\n\n    def cut(self, task):\n        return None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    points = [EntryPoint("leaves", "leaves:Leaves", PARTITIONS.name)]
    monkeypatch.setattr(
        "edgesim.plugins.entry_points", lambda group: points if group == PARTITIONS.name else []
    )
    with pytest.raises(InputError, match=r"partition 'leaves'.*cannot be checked: SystemExit: 4"):
        plugins.load(PARTITIONS, "leaves")


@pytest.mark.parametrize("kept", ["raise RuntimeError('boom')", "import sys\nsys.exit(0)"])
def test_a_catalogue_whose_package_falls_over_is_left_out(
    kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = f"cat{len(kept)}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(kept)
    with monkeypatch.context() as patched:
        patched.syspath_prepend(tmp_path)
        with pytest.raises(InputError, match=f"no package '{package}'"):
            CATALOGUES.check(Catalogue(package, devices="devices.yaml"))  # type: ignore[misc]


def test_a_catalogue_that_is_no_text_is_named_where_an_entry_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bytes_of_mine").mkdir()
    (tmp_path / "bytes_of_mine" / "__init__.py").touch()
    (tmp_path / "bytes_of_mine" / "devices.yaml").write_bytes(b"lab: \xff\xfe\n")
    monkeypatch.syspath_prepend(tmp_path)
    entries = Entries("devices", DeviceKind, {"mine": Catalogue("bytes_of_mine", devices="devices.yaml")})
    with pytest.raises(InputError, match="catalogue 'mine' cannot be read: UnicodeDecodeError"):
        entries.named("lab")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('z')", "fails: KeyError"),
        ("raise SystemExit(3)", "fails: SystemExit"),
        ("return None", "returned None"),
        ("return Cut((1, 2))", "returned Cut"),
        ("return Cut.along([6.0, 6.0])", "returned Cut"),
        ("return Cut.along([True, 11])", "returned Cut"),
        ("return Cut(())", "0 together"),
        ("return Cut(((0, 6), (0, 6)))", "at most once"),
        ("return Cut.along([13, -1])", "none of them negative"),
    ],
)
def test_a_partition_that_gives_no_cut_is_refused(
    body: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"cuts_{abs(hash(body))}"
    (tmp_path / f"{module}.py").write_text(
        f"from edgesim.planning.cutting import Cut, Partition\n\n\nclass Mine(Partition):\n"
        f"    def cut(self, task):\n        {body}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    points = [EntryPoint("mine", f"{module}:Mine", PARTITIONS.name)]
    monkeypatch.setattr(
        "edgesim.plugins.entry_points", lambda group: points if group == PARTITIONS.name else []
    )
    task = cast("Task", SimpleNamespace(devices=("a", "b"), n_blocks=12))
    with pytest.raises(PlacementError, match=f"partition 'mine'.*{said}"):
        cut_by("mine", task)
