"""A device's serving discipline in YAML, and the limits of its queue."""

from __future__ import annotations

from collections.abc import Callable

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
