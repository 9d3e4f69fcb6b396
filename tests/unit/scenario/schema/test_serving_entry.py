"""A device's serving discipline in YAML, and the limits of its queue."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from edgesim.errors import ScenarioError
from edgesim.scenario.load import parse
from edgesim.scenario.schema.scenario import Scenario
from edgesim.world.discipline import ServingDiscipline
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.fifo import FirstComeFirstServed
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.disciplines.static import StaticBatching

Parse = Callable[..., Scenario]
BOX = "kind: jetson-orin-nano"


@pytest.fixture
def served(minimal: str) -> Parse:
    """Read the small scenario with a box that serves in some way."""
    return lambda serving: parse(minimal.replace(BOX, f"{BOX}\n      serving: {serving}"))


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("fifo", None),
        ("{fifo: {}}", None),
        ("{fifo: {queue_limit: 8}}", FirstComeFirstServed(queue_limit=8)),
        ("{fifo: {patience: 500 ms}}", FirstComeFirstServed(patience_s=0.5)),
        ("processor-sharing", ProcessorSharing()),
        ("{processor-sharing: {}}", ProcessorSharing()),
        ("{static: {max_batch: 4, queue_limit: 2}}", StaticBatching(4, queue_limit=2)),
        (
            "{continuous: {max_batch: 4, queue_limit: 2, patience: 1 min}}",
            ContinuousBatching(4, queue_limit=2, patience_s=60.0),
        ),
    ],
)
def test_a_discipline_and_its_limits(word: str, value: ServingDiscipline | None, served: Parse) -> None:
    entry = served(word).topology.devices[-1].serving
    assert entry is not None
    assert entry.value() == value


@pytest.mark.parametrize(
    "word",
    [
        "nope",
        "{continuous: }",
        "{fifo: {}, static: {}}",
        "{fifo: {queue_limit: 0}}",
        "{fifo: {patience: 0 s}}",
        "{processor-sharing: {queue_limit: 3}}",
    ],
)
def test_limits_that_make_no_sense_are_refused(word: str, served: Parse) -> None:
    with pytest.raises(ScenarioError, match=r"serving"):
        served(word)


NOT_CHOSEN = dict.fromkeys(("fifo", "processor-sharing", "static", "continuous"))


@pytest.mark.parametrize(
    ("word", "dumped"),
    [
        ("fifo", {"fifo": {"queue_limit": None, "patience": None}}),
        ("processor-sharing", {"processor-sharing": {}}),
        ("{static: {max_batch: 4}}", {"static": {"max_batch": 4, "max_wait": 0.0}}),
        ("{batched: {max_batch: 4}}", {"batched": {"max_batch": 4, "max_wait": 0.0}}),
    ],
)
def test_a_dump_lists_the_same_names_as_ever(word: str, dumped: dict[str, Any], served: Parse) -> None:
    """Digests of scenarios, by which trained policies and unfinished runs are found, depend on it."""
    entry = served(word).topology.devices[-1].serving
    assert entry is not None
    found = entry.model_dump(by_alias=True, mode="json")
    assert set(found) == {*NOT_CHOSEN, *dumped}
    assert [name for name, value in found.items() if value is not None] == list(dumped)
    (name,) = dumped
    assert dumped[name].items() <= found[name].items()


@pytest.mark.parametrize("word", ["fifo", "{continuous: {max_batch: 4}}", "{batched: {max_wait: 1 s}}"])
def test_a_scenario_with_a_discipline_travels_to_other_processes(word: str, served: Parse) -> None:
    scenario = served(word)
    again = pickle.loads(pickle.dumps(scenario))
    assert again == scenario
    assert again.digest == scenario.digest
    assert again.topology.devices[-1].serving.value() == scenario.topology.devices[-1].serving.value()
