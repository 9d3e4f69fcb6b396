"""How a device's service times vary, in YAML: of a kind, of a device, and together with other keys."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from edgesim.errors import InputError, ScenarioError
from edgesim.model.architecture import Slice
from edgesim.scenario.build import build_world, kinds_used
from edgesim.scenario.load import parse
from edgesim.scenario.schema.json_schema import json_schema
from edgesim.scenario.schema.scenario import Scenario
from edgesim.world.device import Device
from edgesim.world.service import (
    ErlangService,
    Exponential,
    GammaService,
    Hyperexponential,
    Lognormal,
    ServiceLaw,
)

Parse = Callable[..., Scenario]
BOX = "kind: jetson-orin-nano"


@pytest.fixture
def varied(minimal: str) -> Parse:
    """Read the small scenario with a box whose service times vary."""
    return lambda service: parse(minimal.replace(BOX, f"{BOX}\n      service: {service}"))


WORDS: list[tuple[str, ServiceLaw | None]] = [
    ("constant", None),
    ("exponential", Exponential()),
    ("{exponential}", Exponential()),
    ("{exponential: {}}", Exponential()),
    ("{gamma: {cv: 0.5}}", GammaService(4.0)),
    ("{gamma: {shape: 4}}", GammaService(4.0)),
    ("{erlang: {stages: 3}}", ErlangService(3.0)),
    ("{lognormal: {cv: 0.7}}", Lognormal(0.7)),
    ("{hyperexponential: {cv: 2}}", Hyperexponential(2.0)),
]


@pytest.mark.parametrize(("word", "law"), WORDS)
def test_a_law(word: str, law: ServiceLaw | None, varied: Parse) -> None:
    entry = varied(word).topology.devices[-1].service
    assert entry is not None
    assert entry.value() == law


@pytest.mark.parametrize(("word", "_"), WORDS)
def test_editors_accept_what_is_read(word: str, _: object) -> None:
    schema = json_schema()
    law = YAML(typ="safe").load(StringIO(word))
    jsonschema.validate(law, {**schema["$defs"]["ServiceChoice"], "$defs": schema["$defs"]})


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("{gamma: {}}", "expected either 'cv' or 'shape'"),
        ("{gamma: {cv: 1, shape: 1}}", "expected either 'cv' or 'shape'"),
        ("{erlang: {stages: 0}}", "stages"),
        ("{lognormal: {cv: 0}}", "cv"),
        ("{hyperexponential: {cv: 1}}", "cv"),
        ("weibull", "weibull"),
        ("{exponential: {}, constant: {}}", "exactly one of constant, exponential, gamma"),
    ],
)
def test_what_makes_no_law_is_refused(word: str, why: str, varied: Parse) -> None:
    with pytest.raises(ScenarioError, match=why):
        varied(word)


class Instant:
    """A timing that charges nothing."""

    origin = "analytic"

    def seconds(self, part: Slice, **_: Any) -> float:
        return 0.0

    def check(self, **_: Any) -> None:
        pass


def box(scenario: Scenario) -> Device:
    timings: dict[str, Any] = {name: Instant() for name in kinds_used(scenario)}
    return build_world(scenario, 0, timings).devices["box"]


KIND = """
kinds:
  own:
    memory: 8 GB
    process_memory: 0 GB
    memory_bandwidth: 10 GB/s
    compute: {float32: 100 GFLOP/s}
    overhead_per_call: 0 ms
    power: {idle: 0 W, active: 0 W, tx: 0 W, rx: 0 W}
    endpoint: {overhead: 0 ms}
    service: {gamma: {cv: 2}}
"""


@pytest.mark.parametrize(
    ("own", "law"),
    [
        ("", GammaService(0.25)),
        ("\n      service: exponential", Exponential()),
        ("\n      service: constant", None),
        ("\n      service: constant\n      serving: static", None),
    ],
)
def test_a_kinds_law_holds_where_a_device_says_nothing_else(own: str, law: object, minimal: str) -> None:
    assert box(parse(minimal.replace(BOX, f"kind: own{own}") + KIND)).service == law


def test_a_device_without_a_law_has_none(minimal: str) -> None:
    assert box(parse(minimal)).service is None


@pytest.mark.parametrize("own", ["kind: own", f"{BOX}\n      service: exponential"])
def test_batches_and_drawn_times_exclude_each_other(own: str, minimal: str) -> None:
    text = minimal.replace(BOX, f"{own}\n      serving: {{continuous: {{max_batch: 4}}}}") + KIND
    with pytest.raises(InputError, match=r"device 'box': service times are drawn .* or use 'fifo'"):
        box(parse(text))
