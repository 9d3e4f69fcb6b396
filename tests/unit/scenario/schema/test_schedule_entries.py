"""What changes on a schedule, in YAML: speeds, rates of wires and of arrivals, and the weights of sources."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from edgesim.errors import ScenarioError
from edgesim.model.architecture import Slice
from edgesim.scenario.build import build_world, kinds_used, workload
from edgesim.scenario.load import parse
from edgesim.scenario.schema.json_schema import json_schema
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.topology.topology import lay_out
from edgesim.steps import Steps
from edgesim.workload.replay import Replay
from edgesim.workload.sessions import Sessions
from edgesim.workload.stepwise import Stepwise

Parse = Callable[..., Scenario]
BOX = "kind: jetson-orin-nano"
RATE = "rate: 100 Mbit/s"
SCHEDULE = "{schedule: [{from: 0 s, rate: 20 Mbit/s}, {from: 1 min, rate: 5 Mbit/s}]}"
FASTER = Steps((0.0, 60.0), (20e6, 5e6))


class Instant:
    """A timing that charges nothing."""

    origin = "analytic"

    def seconds(self, part: Slice, **_: Any) -> float:
        return 0.0

    def check(self, **_: Any) -> None:
        pass


def speed(scenario: Scenario) -> Steps | None:
    timings: dict[str, Any] = {name: Instant() for name in kinds_used(scenario)}
    return build_world(scenario, 0, timings).devices["box"].speed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", Steps((0.0,), (0.5,))),
        ("{schedule: [{from: 0 s, factor: 2}]}", Steps((0.0,), (2.0,))),
        (
            "{schedule: [{from: 60 s, factor: 0.5}, {from: 2 min, factor: 1}]}",
            Steps((0.0, 60.0, 120.0), (1, 0.5, 1)),
        ),
    ],
)
def test_the_speed_of_a_device(minimal: str, text: str, expected: Steps) -> None:
    assert speed(parse(minimal.replace(BOX, f"{BOX}\n      speed: {text}"))) == expected
    assert speed(parse(minimal)) is None


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [
        (SCHEDULE, FASTER, FASTER),
        (f"{{up: {SCHEDULE}, down: 3 Mbit/s}}", FASTER, 3e6),
        (f"{{up: 3 Mbit/s, down: {SCHEDULE}}}", 3e6, FASTER),
    ],
)
def test_the_rate_of_a_wire(minimal: str, text: str, up: object, down: object) -> None:
    links = lay_out(parse(minimal.replace(RATE, f"rate: {text}")).topology, seed=0).links
    assert [tuple(link.way(end).rate_bps for end in link.between) for link in links] == [(up, down)] * 2


def test_the_rate_of_arrivals(changed: Parse) -> None:
    law = workload(
        changed("{poisson: 1 Hz}", "{steps: [{from: 0 s, rate: 2 Hz}, {from: 1 h, rate: 30 /min}]}")
    )
    assert law.arrivals == Stepwise(Steps((0.0, 3600.0), (2.0, 0.5)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            RATE,
            "rate: {schedule: [{from: 1 s, rate: 20 Mbit/s}]}",
            "small.yaml:11:15: $.topology.links[0].wired.rate: steps: the first begins at 1 s; expected "
            "0 s: add the value from the beginning",
        ),
        (
            RATE,
            "rate: {up: 1 Mbit/s, down: {schedule: [{from: 0 s, rate: 20}]}}",
            "small.yaml:11:15: $.topology.links[0].wired.rate: in 'down': schedule[0].rate: expected a data",
        ),
        (
            RATE,
            "rate: {schedule: [{from: 0 s, rate: 0 Mbit/s}]}",
            "small.yaml:11:15: $.topology.links[0].wired.rate: schedule[0].rate: expected a data rate",
        ),
        (
            RATE,
            "rate: {schedule: []}",
            "small.yaml:11:15: $.topology.links[0].wired.rate: expected at least one step, got none",
        ),
        (
            BOX,
            f"{BOX}\n      speed: 0",
            "small.yaml:9:7: $.topology.devices[1].speed: this should be greater than 0, got 0",
        ),
        (
            BOX,
            f"{BOX}\n      speed: {{schedule: [{{from: 2 s, factor: 1}}, {{from: 1 s, factor: 2}}]}}",
            "small.yaml:9:7: $.topology.devices[1].speed: steps: a step at 1 s follows one at 2 s; expected "
            "increasing instants: put the steps in order",
        ),
        (
            "{poisson: 1 Hz}",
            "{steps: [{from: 0 s, rate: 1 Hz}, {from: 5 s, rate: 0 Hz}]}",
            "small.yaml:13:14: $.workload.arrivals.steps: arrivals steps: rates [Hz] are 1 from 0 s, 0 from "
            "5 s; expected 0 or more, and the last, which has no end, above 0: correct it, or end the "
            "run before it with 'horizon'",
        ),
        (
            "  prompt_tokens: 16",
            "  weights: {phnoe-0: 2}\n  prompt_tokens: 16",
            "small.yaml:14:13: $.workload.weights.phnoe-0: no device, group or switch 'phnoe-0'; did",
        ),
        (
            "  prompt_tokens: 16",
            "  weights: {box: 2}\n  prompt_tokens: 16",
            "small.yaml:14:13: $.workload.weights.box: 'box' is not in 'sources'; add it there, or "
            "leave its weight out",
        ),
        (
            "  prompt_tokens: 16",
            "  weights: {phone-0: 0}\n  prompt_tokens: 16",
            "small.yaml:14:13: $.workload.weights.phone-0: ",
        ),
        (
            "{poisson: 1 Hz}",
            "{poisson: 1 Hz}\n  users: {count: 3}",
            "small.yaml:12:1: $.workload: expected one of arrivals, users and trace",
        ),
    ],
)
def test_a_mistake_gives_one_clear_line(changed: Parse, old: str, new: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        changed(old, new)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_users_are_dealt_out_and_not_weighed(changed: Parse) -> None:
    with pytest.raises(ScenarioError, match="assigned to the sources in turn, without 'weights'"):
        changed("arrivals: {poisson: 1 Hz}", "users: {count: 3}\n  weights: {phone-0: 2}")


def test_a_devices_own_weight_goes_before_its_groups(minimal: str) -> None:
    for text, expected in (
        ("{phone: 3}", (3.0, 3.0)),
        ("{phone-1: 4}", (1.0, 4.0)),
        ("{phone: 3, phone-1: 4}", (3.0, 4.0)),
    ):
        asked = workload(parse(minimal.replace("  prompt_tokens", f"  weights: {text}\n  prompt_tokens")))
        assert asked.weights == expected
    assert workload(parse(minimal)).weights == ()


def test_sessions_and_traces_have_weights_too(minimal: str, tmp_path) -> None:
    sessions = "sessions: {turns: 2, think: 1 s}\n  weights: {phone-1: 4}\n  prompt_tokens"
    law = workload(parse(minimal.replace("prompt_tokens", sessions)))
    assert (type(law), law.weights) == (Sessions, (1.0, 4.0))
    (tmp_path / "azure.csv").write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n"
    )
    head = minimal.split("  arrivals")[0]
    text = f"{head}  trace: azure.csv\n  weights: {{phone-1: 4}}\nstrategies: [{{use: local}}]"
    law = workload(parse(text, folder=tmp_path))
    assert (type(law), law.weights) == (Replay, (1.0, 4.0))


def test_rates_of_a_files_edges_are_constant(minimal: str) -> None:
    text = f"topology:\n  file: {{path: x.graphml, kind: phone, wired: {{rate: {SCHEDULE}}}}}"
    with pytest.raises(ScenarioError, match=r"file: rates of a graph file's edges must be constant"):
        parse(minimal.replace("topology:", text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Wired", f"{{rate: {SCHEDULE}}}"),
        ("Wired", f"{{rate: {{up: {SCHEDULE}, down: 3 Mbit/s}}}}"),
        ("Wired", "{rate: 3 Mbit/s}"),
        ("SpeedEntry", "0.5"),
        ("SpeedEntry", "{schedule: [{from: 1 s, factor: 0.5}]}"),
        ("ArrivalsChoice", "{steps: [{from: 0 s, rate: 2 Hz}]}"),
    ],
)
def test_editors_accept_what_is_read(name: str, text: str) -> None:
    schema = json_schema()
    value = YAML(typ="safe").load(StringIO(text))
    jsonschema.validate(value, {**schema["$defs"][name], "$defs": schema["$defs"]})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Wired", "{rate: {schedule: []}}"),
        ("Wired", "{rate: {schedule: [{from: 0 s}]}}"),
        ("SpeedEntry", "0"),
        ("SpeedEntry", "{schedule: [{from: 1 s, factor: 0}]}"),
        ("ArrivalsChoice", "{steps: []}"),
    ],
)
def test_editors_refuse_what_is_refused(name: str, text: str) -> None:
    schema = json_schema()
    value = YAML(typ="safe").load(StringIO(text))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, {**schema["$defs"][name], "$defs": schema["$defs"]})
