"""``--set path=value``: reaches every value of a document, and says so when it does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesim.errors import ScenarioError
from edgesim.scenario.load import load
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.strategy_labels import strategies_by_label

Parse = Callable[..., Scenario]


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("horizon=5 min", lambda s: s.horizon_s, 300.0),
        ("horizon = 5 min", lambda s: s.horizon_s, 300.0),
        ("topology.devices.phone.count=4", lambda s: s.topology.devices[0].count, 4),
        ("topology.devices[0].count=4", lambda s: s.topology.devices[0].count, 4),
        ("topology.devices.0.count=4", lambda s: s.topology.devices[0].count, 4),
        ("topology.links[0].wired.rate='1 Gbit/s'", lambda s: s.topology.links[0].wired.rate_bps, 1e9),
        (
            "strategies.pipeline.partition=latency",
            lambda s: s.strategies[1].options,
            {"partition": "latency"},
        ),
        ("strategies[1].over=[box, phone]", lambda s: s.strategies[1].options["over"], ["box", "phone"]),
        ("memory.admission=reject", lambda s: s.memory.admission, "reject"),
        (
            "workload.arrivals={bursts: {requests: 3, every: 1 s}}",
            lambda s: s.workload.arrivals.bursts.requests,
            3,
        ),
        ("strategies=[{use: local}]", lambda s: len(s.strategies), 1),
    ],
)
def test_an_override_sets_a_value(
    changed: Parse, override: str, read: Callable[[Scenario], object], value: object
) -> None:
    assert read(changed("", "", override)) == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "topology.devices.phone.cout=4",
            "--set topology.devices.phone.cout=4: $.topology.devices[0].cout: unknown key 'cout'; "
            "did you mean 'count'?",
        ),
        ("horizn=5 min", "--set horizn=5 min: $.horizn: unknown key 'horizn'; did you mean 'horizon'?"),
        (
            "topology.devices.phnoe.count=4",
            "--set topology.devices.phnoe.count=4: $.topology.devices has no entry 'phnoe'; did you "
            "mean 'phone'?",
        ),
        (
            "topology.devices[7].count=4",
            "--set topology.devices[7].count=4: $.topology.devices has 2 entries, counted from 0; "
            "there is no [7]",
        ),
        (
            "topology.links[0].wired.rate=20",
            "--set topology.links[0].wired.rate=20: $.topology.links[0].wired.rate: expected a data rate",
        ),
        (
            "workload.prompt_tokens.fixed=3",
            "--set workload.prompt_tokens.fixed=3: $.workload.prompt_tokens is 16 and has no 'fixed'; "
            "set workload.prompt_tokens as a whole",
        ),
        (
            "strategies[1].partition=evn",
            "--set strategies[1].partition=evn: $.strategies[1].partition: expected 'even' or "
            "'latency' or a list",
        ),
        ("horizon", "--set horizon: expected path=value"),
        ("horizon=", "--set horizon=: expected path=value"),
        ("a..b=1", "--set a..b=1: 'a..b' is not a path"),
        ("horizon=[1", "--set horizon=[1:1:3: not YAML"),
        ("name=!!python/name:os.system x", "tags (!...) are not allowed in a scenario"),
    ],
)
def test_an_override_that_fails_says_that_it_is_the_override(
    changed: Parse, override: str, message: str
) -> None:
    with pytest.raises(ScenarioError, match=re.escape(message)) as caught:
        changed("", "", override)
    assert "\n" not in str(caught.value)


def test_a_name_that_several_entries_share_is_refused(changed: Parse) -> None:
    with pytest.raises(ScenarioError, match=re.escape("has several entries 'local'; write [0] or [1]")):
        changed("{use: pipeline, partition: even}", "{use: local, label: again}", "strategies.local.label=x")


def test_later_overrides_win_and_the_kept_text_contains_them_with_comments(changed: Parse) -> None:
    scenario = changed("horizon: 10 s", "horizon: 10 s # short", "seed=1", "seed=2")
    assert scenario.seed == 2
    assert "horizon: 10 s # short" in scenario.origin.text
    again = changed("name: small\n", "name: small\nseed: 2\n")
    assert again.digest == scenario.digest
    assert list(strategies_by_label(scenario)) == ["local", "pipeline"]


def test_what_an_anchor_shares_is_changed_in_one_place_only(tmp_path: Path) -> None:
    file = tmp_path / "shared.yaml"
    file.write_text(
        "name: shared\n"
        "model: {architecture: tinyllama-1.1b}\n"
        "profile: analytic\n"
        "topology:\n"
        "  devices:\n"
        "    - &one {id: a, kind: raspberry-pi-5, power: {idle: 3 W}}\n"
        "    - {<<: *one, id: b}\n"
        "    - {<<: *one, id: c}\n"
        "  links: [{between: [a, b], wired: {rate: 1 Gbit/s}}, {between: [b, c], wired: {rate: 1 Gbit/s}}]\n"
        "workload: {sources: a, arrivals: {poisson: 1 Hz}, requests: 3, prompt_tokens: 4, output_tokens: 4}\n"
        "strategies: [{use: local}]\n"
    )
    for changed, expected in (("a", [1.0, 3.0, 3.0]), ("b", [3.0, 1.0, 3.0]), ("c", [3.0, 3.0, 1.0])):
        scenario = load(file, [f"topology.devices.{changed}.power.idle=1 W"])
        assert [device.power.idle_w for device in scenario.topology.devices] == expected
