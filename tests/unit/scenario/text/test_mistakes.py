"""Every mistake gives one line that says where, what was found, what was expected and what to do."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesim.errors import InputError, ScenarioError
from edgesim.scenario.load import load, parse
from edgesim.scenario.schema.scenario import Scenario

Parse = Callable[..., Scenario]

MISTAKES = {
    "bad unit": (
        "rate: 100 Mbit/s",
        "rate: 100 MHz",
        "small.yaml:11:15: $.topology.links[0].wired.rate: expected a data rate such as '100 Mbit/s', "
        "got '100 MHz', which is a frequency",
    ),
    "bytes for bits": (
        "rate: 100 Mbit/s",
        "rate: 8 GB",
        "small.yaml:11:15: $.topology.links[0].wired.rate: expected a data rate such as '100 Mbit/s', "
        "got '8 GB', which is a data size",
    ),
    "bare number": (
        "rate: 100 Mbit/s",
        "rate: 20",
        "small.yaml:11:15: $.topology.links[0].wired.rate: expected a data rate such as '100 "
        "Mbit/s', got 20; "
        "write the unit, for instance '20 bit/s'",
    ),
    "bare number in exponent notation": (
        "latency: 2 ms",
        "latency: 1e-3",
        "small.yaml:11:33: $.topology.links[0].wired.latency: expected a duration such as '5 ms', got 0.001; "
        "write the unit, for instance '0.001 s'",
    ),
    "unknown key": (
        "horizon:",
        "horizn:",
        "small.yaml:2:1: $.horizn: unknown key 'horizn'; did you mean 'horizon'?",
    ),
    "unknown key deep down": (
        "latency: 2 ms",
        "latncy: 2 ms",
        "small.yaml:11:33: $.topology.links[0].wired.latncy: unknown key 'latncy'; did you mean 'latency'?",
    ),
    "missing key": (
        "wired: {rate: 100 Mbit/s, latency: 2 ms}",
        "wired: {latency: 2 ms}",
        "small.yaml:11:7: $.topology.links[0].wired: 'rate' is missing (rate per direction)",
    ),
    "unknown strategy": (
        "use: pipeline",
        "use: pipline",
        "small.yaml:18:6: $.strategies[1].use: no strategy 'pipline'; did you mean 'pipeline'? "
        "(edgesim list strategies)",
    ),
    "unknown option of a strategy": (
        "partition: even",
        "partiton: even",
        "small.yaml:18:21: $.strategies[1].partiton: unknown key 'partiton'; did you mean 'partition'?",
    ),
    "bad option of a strategy": (
        "partition: even",
        "partition: evn",
        "small.yaml:18:21: $.strategies[1].partition: expected 'even' or 'latency' or a list, got 'evn'",
    ),
    "missing option of a strategy": (
        "{use: local}",
        "{use: offload}",
        "small.yaml:17:5: $.strategies[0]: 'to' is missing",
    ),
    "unknown device kind": (
        "kind: jetson-orin-nano",
        "kind: jetson-orin-nanu",
        "small.yaml:8:7: $.topology.devices[1].kind: no device kind 'jetson-orin-nanu'; "
        "did you mean 'jetson-orin-nano'? (edgesim list devices)",
    ),
    "unknown model": (
        "architecture: gpt2",
        "architecture: gpt3",
        "small.yaml:3:9: $.model.architecture: no model 'gpt3' in the catalogue, and no such folder or file; "
        "did you mean 'gpt2'?",
    ),
    "unreachable device": (
        "    - id: box",
        "    - {id: island, kind: raspberry-pi-5}\n    - id: box",
        "small.yaml:10:3: $.topology.links: no path of links leads from source 'phone-0' to 'island'; "
        "add a link, or remove the device",
    ),
    "link to an unknown device": (
        "between: [phone, box]",
        "between: [phone, bix]",
        "small.yaml:10:24: $.topology.links[0].between[1]: no device, group or switch 'bix'; did "
        "you mean 'box'?",
    ),
    "negative rate": (
        "rate: 100 Mbit/s",
        "rate: -5 Mbit/s",
        "small.yaml:11:15: $.topology.links[0].wired.rate: expected a data rate of more than zero, such as "
        "'100 Mbit/s', got '-5 Mbit/s'",
    ),
    "negative latency": (
        "latency: 2 ms",
        "latency: -2 ms",
        "small.yaml:11:33: $.topology.links[0].wired.latency: expected a duration of zero or more, such as "
        "'5 ms', got '-2 ms'",
    ),
    "missing profile": (
        "model:",
        "profile: measured.parquet\nmodel:",
        "small.yaml:3:1: $.profile: no profile file 'measured.parquet'; measure one (edgesim "
        "profile MODEL -o "
        "FILE), name a shipped one (edgesim list profiles), or write 'auto', 'reference' or 'analytic'",
    ),
    "two laws of arrivals": (
        "{poisson: 1 Hz}",
        "{poisson: 1 Hz, bursts: {requests: 2, every: 1 s}}",
        "small.yaml:13:3: $.workload.arrivals: expected exactly one of poisson, gamma, "
        "deterministic, bursts, diurnal, hourly, steps, "
        "such as {poisson: 0.4 Hz}, got poisson and bursts",
    ),
    "a law of arrivals that cannot be": (
        "{poisson: 1 Hz}",
        "{bursts: {requests: 20, every: 1 s, spacing: 1 s}}",
        "small.yaml:13:14: $.workload.arrivals.bursts: arrivals bursts: spacing_s is 1",
    ),
    "no tokens": (
        "prompt_tokens: 16",
        "prompt_tokens: 0",
        "small.yaml:14:3: $.workload.prompt_tokens: this should be greater than or equal to 1, got 0",
    ),
    "fractional count": (
        "count: 2",
        "count: 2.5",
        "small.yaml:6:41: $.topology.devices[0].count: expected a whole number, got 2.5",
    ),
    "longer than the context": (
        "output_tokens: 8",
        "output_tokens: 2000",
        "small.yaml:12:1: $.workload: a prompt of 16 and an answer of 2000 tokens exceed the "
        "context of gpt2, "
        "1024 tokens; shorten them",
    ),
    "no end": (
        "horizon: 10 s\n",
        "",
        "small.yaml:1:1: $: a replication would never end; give 'horizon', such as '10 min', "
        "or 'workload.requests'",
    ),
    "only warm-up": (
        "horizon: 10 s",
        "horizon: 10 s\nwarmup: 1 min",
        "small.yaml:1:1: $: 'warmup' is 60 s; expected less than 'horizon', 10 s: no request would count",
    ),
    "the same strategy twice": (
        "{use: pipeline, partition: even}",
        "{use: local}",
        "small.yaml:18:5: $.strategies[1]: an earlier strategy already has the label 'local'; "
        "give this one another 'label'",
    ),
    "a label that is no folder name": (
        "{use: local}",
        "{use: local, label: ../../etc}",
        "small.yaml:17:18: $.strategies[0].label: expected a label of at most 80 letters, digits",
    ),
    "two devices of one name": (
        "    - id: box",
        "    - {id: phone-1, kind: raspberry-pi-5}\n    - id: box",
        "small.yaml:7:8: $.topology.devices[1].id: the name 'phone-1' is already used; choose another",
    ),
    "a pair linked twice": (
        "workload:",
        "    - {between: [box, phone-0], wired: {rate: 1 Gbit/s}}\nworkload:",
        "small.yaml:12:7: $.topology.links[1]: 'box' and 'phone-0' are already linked; a pair of "
        "devices can have one link",
    ),
    "a source that is a switch": (
        "workload:",
        "  switches: [{id: hub}]\nworkload:\n  sources: hub",
        "small.yaml:14:3: $.workload.sources: 'hub' is a switch, which generates no requests; name a device",
    ),
    "an unknown source": (
        "workload:",
        "workload:\n  sources: [phone, phone-7]",
        "small.yaml:13:20: $.workload.sources[1]: no device, group or switch 'phone-7'; did you mean",
    ),
    "how to measure where nothing is measured": (
        "model:",
        "profile: {use: analytic, threads: 2}\nmodel:",
        "small.yaml:3:1: $.profile: 'threads' and 'budget' are options of measuring, "
        "but 'use: analytic' measures nothing",
    ),
    "half of the ceilings": (
        "model:",
        "kinds: {x: {memory: 1 GB, process_memory: 0 B, memory_bandwidth: 1 GB/s, "
        "power: {idle: 0 W, active: 0 W, tx: 0 W, rx: 0 W}, endpoint: {overhead: 0 s}}}\nmodel:",
        "small.yaml:3:9: $.kinds.x: memory_bandwidth, compute and overhead_per_call belong together",
    ),
    "NO is text": (
        "count: 2",
        "count: NO",
        "small.yaml:6:41: $.topology.devices[0].count: expected a whole number, got 'NO'",
    ),
    "duplicate key": (
        "horizon: 10 s",
        "horizon: 10 s\nhorizon: 1 s",
        "small.yaml:3:1: not YAML: found duplicate key",
    ),
    "tag": (
        "name: small",
        "name: !!python/name:os.system x",
        "small.yaml:1:7: tags (!...) are not allowed in a scenario; write the plain value",
    ),
    "number as key": (
        "horizon: 10 s",
        "horizon: 10 s\n3: x",
        "small.yaml:3:1: $[3]: expected text as a key, got 3",
    ),
    "endless alias": (
        "name: small",
        "name: small\ndescription: &a [*a]",
        "small.yaml:2:1: $.description",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gives_one_clear_line(changed: Parse, old: str, new: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        changed(old, new)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [small", "x.yaml:1:13: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: b: c", "x.yaml:1:5: not YAML: mapping values are not allowed here"),
        ("\tname: small", "x.yaml:1:1: not YAML: found character '\\t' that cannot start any token"),
        ("name: a\n---\nname: b", "x.yaml:2:1: not YAML: but found another document"),
        ("\x00\x01\x02", "x.yaml: not YAML: unacceptable character"),
        (
            "just text",
            "x.yaml:1:1: expected a scenario, a mapping with keys such as name, model and topology; got",
        ),
        ("- a\n- b", "x.yaml:1:1: expected a scenario"),
        (
            "",
            "x.yaml:1:1: expected a scenario, a mapping with keys such as name, model and topology; "
            "got nothing",
        ),
        ("[" * 1000, "x.yaml:1:41: nested more than 40 levels deep"),
        ("name: " + "x" * 1_000_001, "x.yaml: larger than 1000 kB, the limit; shorten it"),
    ],
)
def test_what_is_no_scenario_at_all_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(message)):
        parse(text, name="x.yaml")


def test_aliases_of_aliases_do_not_explode() -> None:
    levels = "".join(f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    with pytest.raises(ScenarioError, match="aliases make this document endless or far too large"):
        parse("k0: &a0 [x]\n" + levels, name="x.yaml")


def test_an_empty_topology_is_refused(minimal: str) -> None:
    head, tail = minimal.split("topology:")[0], "workload:" + minimal.split("workload:")[1]
    with pytest.raises(ScenarioError) as caught:
        parse(f"{head}topology: {{}}\n{tail}", name="small.yaml")
    assert str(caught.value) == (
        "small.yaml:4:1: $.topology: no devices; name at least one, such as {id: edge, kind: jetson-agx-orin}"
    )


def test_a_cooldown_needs_a_horizon(minimal: str) -> None:
    text = minimal.replace("horizon:", "cooldown:").replace("workload:", "workload:\n  requests: 5")
    with pytest.raises(ScenarioError, match="'cooldown' without 'horizon'"):
        parse(text, name="s.yaml")


def test_the_profiled_host_needs_a_profile(changed: Parse) -> None:
    scenario = changed("jetson-orin-nano", "profiled-host")
    with pytest.raises(
        ScenarioError, match="'profiled-host' takes its times from a measured host, and 'profile: analytic"
    ):
        parse(scenario.origin.text, overrides=["profile=analytic"])


def test_mistakes_travel_between_processes(minimal: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(minimal.replace("horizon", "horizn"), name="small.yaml")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_all_mistakes_are_listed_in_the_order_of_the_file(minimal: str) -> None:
    text = minimal.replace("horizon", "horizn").replace("count: 2", "count: two").replace("1 Hz", "1 GB")
    with pytest.raises(ScenarioError) as caught:
        parse(text, name="small.yaml")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "6", "13"]


def test_at_most_ten_mistakes_are_listed(minimal: str) -> None:
    text = "".join(f"wrong{n}: 1\n" for n in range(25)) + minimal
    with pytest.raises(ScenarioError) as caught:
        parse(text, name="small.yaml")
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 15 more"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    picture = tmp_path / "picture.yaml"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    for path, message in {
        picture: "not YAML: byte 0 is not UTF-8 text",
        tmp_path: "a folder; expected a scenario file",
        tmp_path
        / "smart_cty.yaml": "no such file, and no shipped scenario of that name; did you mean 'smart_city'?",
    }.items():
        with pytest.raises(InputError, match=re.escape(message)):
            load(path)
