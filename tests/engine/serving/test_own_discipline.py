"""A discipline of one's own: the example plug-in's value and station, found by one name."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from miniature import PerBlock, Serve, device, run, world

from edgesim import plugins
from edgesim.engine.serving.station import STATIONS
from edgesim.errors import InputError, ScenarioError
from edgesim.model.architecture import Slice
from edgesim.testing import check_discipline
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint
from edgesim.world.discipline import DISCIPLINES, ServingDiscipline, options_of
from edgesim.world.disciplines.batched import DynamicBatching
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.disciplines.static import StaticBatching

MODULE = "newest_first_of_the_example"  # not by its package's name, which would stay imported for other tests
FILE = Path(__file__).resolve().parents[2] / "plugin_example/src/edgesim_example_plugin/newest_first.py"
_spec = importlib.util.spec_from_file_location(MODULE, FILE)
assert _spec is not None
assert _spec.loader is not None
example = sys.modules[MODULE] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(example)
NewestFirst, NewestFirstStation = example.NewestFirst, example.NewestFirstStation

WHOLE = Slice(0, 4, embedding=True, head=True)


def local(request: Any, cluster: Any) -> Any:
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from cluster.emit(request, "a-0", token)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both entry points, as the package has them."""
    classes = {DISCIPLINES.name: "NewestFirst", STATIONS.name: "NewestFirstStation"}

    def entry_points(group: str) -> list[EntryPoint]:
        found = classes.get(group)
        return [EntryPoint("newest-first", f"{MODULE}:{found}", group)] if found else []

    monkeypatch.setattr("edgesim.plugins.entry_points", entry_points)


@pytest.mark.usefixtures("installed")
def test_the_newest_is_served_first() -> None:
    one = device("a-0", PerBlock(1.0), serving=NewestFirst())
    there = world([one], arrivals=Deterministic(1.0), prompt=Fixed(1), output=Fixed(1), n_requests=4)
    ran = run(there, Serve(local))
    rows = ran.log("request_id", "kind", "asked_at_s", "started_at_s", "ended_at_s")
    computed = [(row[0], *row[2:]) for row in rows if row[1] == "compute"]
    # Four seconds each; three more have come when the first is done.
    assert sorted(computed) == [
        (0, 0.0, 0.0, 4.0),
        (1, 1.0, 12.0, 16.0),
        (2, 2.0, 8.0, 12.0),
        (3, 3.0, 4.0, 8.0),
    ]


def test_messages_on_the_compute_station_require_one_pass_after_the_other() -> None:
    with pytest.raises(InputError, match="require first come, first served"):
        device("a-0", serving=NewestFirst(), endpoint=Endpoint(overhead_s=1.0, on_compute=True))


def test_a_discipline_without_a_station_is_one_clear_mistake() -> None:
    there = world([device("a-0", PerBlock(1.0), serving=NewestFirst())], n_requests=1)
    with pytest.raises(ScenarioError, match="no station 'newest-first'; known are"):
        run(there, Serve(local))


@pytest.mark.usefixtures("installed")
def test_messages_are_booked_on_no_station_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NewestFirst, "is_in_turn", True)
    there = world([device("a-0", PerBlock(1.0), serving=NewestFirst())], n_requests=1)
    with pytest.raises(InputError, match="NewestFirstStation is not an edgesim"):
        run(there, Serve(local))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("pause_s", [0.0, 0.01])
def test_it_keeps_its_contract(pause_s: float) -> None:
    check_discipline(NewestFirst(pause_s))


@pytest.mark.parametrize(
    "discipline",
    [ProcessorSharing(), StaticBatching(3, 0.1), ContinuousBatching(4, 32), DynamicBatching(4, 0.05)],
    ids=lambda one: one.name,
)
def test_so_do_edgesims_own(discipline: ServingDiscipline) -> None:
    check_discipline(discipline)


def test_another_name_breaks_the_contract(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NewestFirst, "name", "static")
    with pytest.raises(AssertionError, match="under which StaticBatching is found"):
        check_discipline(NewestFirst())


def test_every_discipline_has_its_station() -> None:
    assert plugins.own_names(DISCIPLINES) == plugins.own_names(STATIONS)
    for name, discipline in plugins.discover(DISCIPLINES).items():
        assert discipline.name == name


def _discipline(**body: Any) -> type[ServingDiscipline]:
    return type("Broken", (ServingDiscipline,), {"name": "broken", "__module__": __name__, **body})


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (_discipline(), "is not a frozen dataclass"),
        (dataclass(_discipline()), "is not a frozen dataclass"),
        (dataclass(frozen=True)(_discipline(name=3)), "has no name"),
        (
            dataclass(frozen=True)(_discipline(value=1, __annotations__={"value": int})),
            "option 'value', a name",
        ),
    ],
)
def test_a_class_that_is_no_discipline_is_refused(kind: type[ServingDiscipline], sentence: str) -> None:
    assert DISCIPLINES.check is not None
    with pytest.raises(InputError, match=sentence):
        DISCIPLINES.check(kind)


def test_options_with_factories_and_without_init_are_read_as_dataclasses_have_them() -> None:
    body = {
        "weights": field(default_factory=lambda: (1, 2)),
        "n_seen": field(init=False, default=0),
        "__annotations__": {"weights": tuple[int, ...], "n_seen": int},
    }
    kind = dataclass(frozen=True)(_discipline(**body))
    (option,) = options_of(kind).items()
    assert option[0] == "weights"
    assert option[1][1].get_default(call_default_factory=True) == (1, 2)
