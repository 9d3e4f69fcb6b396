"""A scenario's workload: laws, users, sessions and traces in YAML, and what does not go together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from edgesim.errors import ScenarioError
from edgesim.rng import Streams
from edgesim.scenario.build import extent, workload
from edgesim.scenario.load import parse
from edgesim.scenario.schema.json_schema import json_schema
from edgesim.scenario.schema.scenario import Scenario
from edgesim.workload.closed import ClosedLoop
from edgesim.workload.diurnal import Diurnal, Hourly
from edgesim.workload.lengths import Fixed, Uniform
from edgesim.workload.replay import Replay
from edgesim.workload.selection import Selection
from edgesim.workload.sessions import Sessions
from edgesim.workload.think import ExponentialThink, FixedThink

Parse = Callable[..., Scenario]

AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,1900,109
"""
SHAREGPT = json.dumps(
    [{"conversations": [{"from": "human", "value": "x" * 40}, {"from": "gpt", "value": "y" * 8}] * 2}] * 5
)


@pytest.fixture
def written(minimal: str, tmp_path: Path) -> Parse:
    """Read the small scenario with another workload, beside two traces."""
    (tmp_path / "azure.csv").write_text(AZURE)
    (tmp_path / "chats.json").write_text(SHAREGPT)
    head, tail = minimal.split("workload:")[0], "strategies:" + minimal.split("strategies:")[1]

    def read(text: str, *overrides: str) -> Scenario:
        return parse(f"{head}workload: {text}\n{tail}", name="w.yaml", folder=tmp_path, overrides=overrides)

    return read


LENGTHS = "prompt_tokens: 16, output_tokens: {uniform: {min: 2, max: 8}}"


def test_rates_by_the_hour(changed: Parse) -> None:
    text = "{diurnal: {mean: 0.5 Hz, swing: 0.8, peak: 14 h, start: 8 h}}"
    assert workload(changed("{poisson: 1 Hz}", text)).arrivals == Diurnal(
        mean_hz=0.5, swing=0.8, peak_at_s=6 * 3600.0
    )
    text = "{hourly: {rates: [0 Hz, 30 /min, 1 Hz], start: 90 min}}"
    assert workload(changed("{poisson: 1 Hz}", text)).arrivals == Hourly(
        rates_hz=(0.0, 0.5, 1.0), start_s=5400.0
    )


def test_users(written: Parse) -> None:
    scenario = written(f"{{users: {{count: 4, think: {{exponential: 20 s}}, stagger: 1 s}}, {LENGTHS}}}")
    assert workload(scenario) == ClosedLoop(
        n_users=4,
        think=ExponentialThink(20.0),
        stagger_s=1.0,
        prompt_tokens=Fixed(16),
        output_tokens=Uniform(2, 8),
        sources=("phone-0", "phone-1"),
        horizon_s=20.0,  # the horizon of 10 s, and a cooldown as long
    )


@pytest.mark.parametrize(
    ("cooldown", "limit_s"), [((), 20.0), (("cooldown=0 s",), 10.0), (("cooldown=1 min",), 70.0)]
)
def test_arrivals_go_on_through_the_cooldown(
    written: Parse, cooldown: tuple[str, ...], limit_s: float
) -> None:
    """And are the same up to the horizon, however long it is."""
    scenario = written(f"{{arrivals: {{poisson: 5 Hz}}, {LENGTHS}}}", *cooldown)
    law = workload(scenario)
    assert scenario.limit_s == limit_s
    arrivals_s = [request.arrived_at_s for request in law.requests(Streams(1))]
    assert limit_s - 2.0 < arrivals_s[-1] < limit_s
    cut = workload(written(f"{{arrivals: {{poisson: 5 Hz}}, {LENGTHS}}}", "cooldown=0 s"))
    assert list(cut.requests(Streams(1))) == [r for r in law.requests(Streams(1)) if r.arrived_at_s < 10.0]
    for text, law in {
        "": FixedThink(),
        ", think: 5 s": FixedThink(5),
        ", think: {fixed: 0 s}": FixedThink(),
    }.items():
        told = workload(written(f"{{users: {{count: 4{text}}}, {LENGTHS}}}"))
        assert isinstance(told, ClosedLoop)
        assert told.think == law
    assert extent(scenario).n_tokens == 24


def test_sessions(written: Parse) -> None:
    turns = "{uniform: {min: 1, max: 3}}"
    text = f"arrivals: {{poisson: 1 Hz}}, sessions: {{turns: {turns}, think: 5 s, max_history: 99}}"
    told = workload(written(f"{{{text}, {LENGTHS}, requests: 12}}"))
    assert isinstance(told, Sessions)
    assert (told.turns, told.think, told.max_history_tokens, told.n_requests) == (
        Uniform(1, 3),
        FixedThink(5.0),
        99,
        12,
    )
    assert told.extent(Streams(0)).n_requests == 12


def test_a_trace(written: Parse) -> None:
    window = "window: {from: 1 s, length: 1 min}"
    told = workload(
        written(f"{{trace: {{file: azure.csv, {window}, rate_scale: 4, max_prompt: 500, clip: clip}}}}")
    )
    assert isinstance(told, Replay)
    assert told.selection == Selection(
        from_s=1.0, length_s=60.0, time_scale=0.25, max_prompt_tokens=500, too_long="clip"
    )
    assert told.format.name == "Azure (2023, 2024)"
    (request,) = told.requests(Streams(0))
    assert (request.arrived_at_s, request.n_prompt_tokens) == (pytest.approx(3.314579 / 4), 500)
    assert request.source in ("phone-0", "phone-1")


def test_a_trace_may_be_named_by_its_path_alone_and_ends_by_itself(written: Parse) -> None:
    scenario = written("{trace: azure.csv}", "horizon=null", "model.architecture=tinyllama-1.1b")
    assert scenario.horizon_s is None
    assert extent(scenario).n_requests == 2
    assert workload(scenario).notes(Streams(0))["file"] == "azure.csv"


def test_a_trace_of_text_takes_its_instants_from_a_law(written: Parse) -> None:
    told = workload(
        written("{trace: {file: chats.json, chars_per_token: 8}, arrivals: {deterministic: {every: 1 s}}}")
    )
    assert [(r.arrived_at_s, r.n_prompt_tokens) for r in told.requests(Streams(0))] == [
        (float(n), 5) for n in range(5)
    ]
    assert not told.is_closed
    text = "{trace: {file: chats.json, think: 5 s}, arrivals: {poisson: 1 Hz}, requests: 7}"
    assert workload(written(text)).is_closed


MISTAKES = {
    f"{{{LENGTHS}}}": "'arrivals' is missing (the arrival process); give it, or 'users', or a 'trace'",
    "{arrivals: {poisson: 1 Hz}, output_tokens: 3}": "'prompt_tokens' is missing (lengths of prompts)",
    f"{{users: {{count: 2}}, arrivals: {{poisson: 1 Hz}}, {LENGTHS}}}": (
        "$.workload: expected one of arrivals, users and trace, got arrivals and users"
    ),
    f"{{users: {{count: 2}}, sessions: {{turns: 2, think: 1 s}}, {LENGTHS}}}": (
        "$.workload: 'sessions' need an arrival process in 'arrivals', got users"
    ),
    "{trace: azure.csv, prompt_tokens: 3}": "lengths are taken from the trace; leave out 'prompt_tokens'",
    "{users: {count: 2}, prompt_tokens: {lognormal: {median: 9, sigma: 1}}, output_tokens: 3}": (
        "$.workload: workload users: lengths without a 'max' and without a number of requests"
    ),
    f"{{users: {{count: 2, think: 3}}, {LENGTHS}}}": (
        "$.workload.users.think: expected a duration such as '5 ms', got 3; write the unit"
    ),
    "{trace: {file: azure.csv, rate_scale: 2, time_scale: 2}}": (
        "$.workload.trace: expected either 'time_scale' or 'rate_scale', not both"
    ),
    "{trace: {file: azure.csv, clip: cut}}": ".clip: expected 'clip', 'drop' or 'error', got 'cut'",
    "{trace: azur.csv}": "azur.csv: cannot be read: No such file or directory",
    "{trace: {file: azure.csv}, arrivals: {poisson: 1 Hz}}": "has its own instants (date and time",
    "{trace: {file: chats.json}}": "lengths and no instants; give an 'arrivals' law beside 'trace'",
    "{arrivals: {diurnal: {mean: 1 Hz, swing: 2, peak: 1 h}}, prompt_tokens: 1, output_tokens: 1}": (
        "$.workload.arrivals.diurnal.swing: this should be less than or equal to 1, got 2"
    ),
    "{arrivals: {hourly: {rates: [0 Hz]}}, prompt_tokens: 1, output_tokens: 1}": "one of them above 0",
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES)
def test_what_does_not_go_together_is_one_clear_line(written: Parse, text: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        written(text)
    said = str(caught.value)
    assert said.startswith("w.yaml:12:")
    assert MISTAKES[text] in said
    assert "\n" not in said


def test_a_padded_answer_beyond_the_context_is_refused(written: Parse, tmp_path: Path) -> None:
    """No request is longer than 1,000 tokens; in one static batch, the second starts at 1,001."""
    (tmp_path / "pair.csv").write_text(
        "arrived_at,num_prefill_tokens,num_decode_tokens\n0,999,1\n0,1,999\n", encoding="utf-8"
    )
    scenario = written("{trace: pair.csv}")
    assert extent(scenario).n_tokens == 1000
    device = scenario.topology.devices[0].id
    padded = written("{trace: pair.csv}", f"topology.devices.{device}.serving=static")
    with pytest.raises(
        ScenarioError, match=r"'static' serving a prompt padded to 999 tokens .* 'max_prompt'"
    ):
        extent(padded)
    alone = written("{trace: pair.csv}", f"topology.devices.{device}.serving={{static: {{max_batch: 1}}}}")
    assert extent(alone).n_tokens == 1000


def test_requests_beyond_the_context_are_refused_with_what_to_do(written: Parse) -> None:
    with pytest.raises(
        ScenarioError, match=r"a request of 2009 tokens is drawn.*give the trace 'max_prompt'"
    ):
        extent(written("{trace: azure.csv}"))
    text = "arrivals: {poisson: 1 Hz}, sessions: {turns: 90, think: 5 s}"
    with pytest.raises(ScenarioError, match=r"give the lengths a 'max', or the sessions 'max_history'"):
        extent(written(f"{{{text}, {LENGTHS}}}"))


@pytest.mark.parametrize(
    "entry",
    [
        {"users": {"count": 2, "think": "5 s"}, "prompt_tokens": 3, "output_tokens": 4},
        {"users": {"count": 2, "think": {"exponential": "5 s"}}, "prompt_tokens": 3, "output_tokens": 4},
        {"trace": "azure.csv"},
        {"trace": {"file": "azure.csv", "window": {"from": "1 h"}, "clip": "drop"}},
    ],
)
def test_the_exported_schema_accepts_what_the_loader_does(minimal: str, entry: object) -> None:
    from ruamel.yaml import YAML

    scenario = {**YAML(typ="safe", pure=True).load(minimal), "workload": entry}
    assert not [error.message for error in Draft202012Validator(json_schema()).iter_errors(scenario)]
    scenario["topology"] = {"file": "net.graphml"}
    assert Draft202012Validator(json_schema()).is_valid(scenario)
    scenario["topology"] = {"file": {"path": "net.gml", "kind": "raspberry-pi-5"}}
    assert Draft202012Validator(json_schema()).is_valid(scenario)
