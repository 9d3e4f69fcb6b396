"""From scenario to world: figures, overrides, workload, and what does not matter."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO

from edgesim.errors import ScenarioError
from edgesim.model.architecture import Slice
from edgesim.rng import Streams
from edgesim.scenario import catalogue
from edgesim.scenario.build import build_world, extent, kinds_used, workload
from edgesim.scenario.load import load, parse
from edgesim.scenario.schema.scenario import Scenario
from edgesim.workload.arrivals import Bursts, Deterministic, Gamma, Poisson
from edgesim.workload.lengths import Fixed, Lognormal, Uniform
from edgesim.world.device import Endpoint, Power
from edgesim.world.objectives import Objectives
from edgesim.world.world import World

Parse = Callable[..., Scenario]


class Instant:
    """A timing that charges nothing; which object it is tells the kinds apart."""

    origin = "analytic"

    def seconds(self, part: Slice, **_: Any) -> float:
        return 0.0

    def check(self, **_: Any) -> None:
        pass


def world_of(scenario: Scenario, replication: int = 0) -> World:
    timings: dict[str, Any] = {name: Instant() for name in kinds_used(scenario)}
    return build_world(scenario, replication, timings)


def test_devices_carry_their_kinds_figures_and_timings(changed: Parse) -> None:
    scenario = changed()
    timings: dict[str, Any] = {name: Instant() for name in kinds_used(scenario)}
    world = build_world(scenario, 3, timings)
    assert list(timings) == ["raspberry-pi-5", "jetson-orin-nano"]
    assert list(world.devices) == ["phone-0", "phone-1", "box"]
    phone, kind = world.devices["phone-1"], catalogue.device_kind("raspberry-pi-5")
    assert (phone.group, phone.kind) == ("phone", "raspberry-pi-5")
    assert phone.timing is timings["raspberry-pi-5"]
    assert phone.memory_bytes == kind.memory_bytes.value == 8 * 2**30
    assert phone.power == Power(idle_w=3, active_w=4, tx_w=0.5, rx_w=0.3)
    assert phone.endpoint == Endpoint(overhead_s=0.307e-3, staging_bytes_per_s=math.inf)
    assert [(link.between, link.rate_bps, link.latency_s) for link in world.links] == [
        (("phone-0", "box"), 1e8, 2e-3),
        (("phone-1", "box"), 1e8, 2e-3),
    ]
    assert (world.replication, world.horizon_s, world.memory_policy) == (3, 10.0, "queue")
    assert world.model.name == "gpt2"
    assert world.model.dtype == "float32"


def test_an_entrys_own_figures_replace_its_kinds(changed: Parse) -> None:
    scenario = changed(
        "kind: raspberry-pi-5, ",
        "kind: raspberry-pi-5, memory: 4 GiB, process_memory: 1 GB, power: {active: 9 W}, "
        "endpoint: {overhead: 1 ms, on_compute: true}, ",
    )
    phone = world_of(scenario).devices["phone-0"]
    assert (phone.memory_bytes, phone.process_bytes) == (4 * 2**30, 10**9)
    assert phone.power == Power(idle_w=3, active_w=9, tx_w=0.5, rx_w=0.3)
    assert phone.endpoint == Endpoint(overhead_s=1e-3, on_compute=True)


def test_a_kind_of_the_scenarios_own_may_be_written_without_sources(changed: Parse) -> None:
    own = """\
kinds:
  watch:
    memory: 1 GB
    process_memory: {value: 100 MB, source: top}
    memory_bandwidth: 2 GB/s
    compute: {float32: 3 GFLOP/s}
    overhead_per_call: 1 ms
    power: {idle: 0.1 W, active: 0.4 W, tx: 0 W, rx: 0 W}
    endpoint: {overhead: 2 ms}
model:"""
    scenario = parse(changed("model:", own).origin.text.replace("jetson-orin-nano", "watch"))
    assert world_of(scenario).devices["box"].endpoint.overhead_s == 2e-3
    ceilings = kinds_used(scenario)["watch"].ceilings("float32")
    assert ceilings is not None
    assert (ceilings.flop_per_s, ceilings.bytes_per_s, ceilings.overhead_s) == (3e9, 2e9, 1e-3)
    with pytest.raises(ScenarioError, match="kind 'watch' has no compute rate for float16"):
        parse(scenario.origin.text, overrides=["model.dtype=float16"])


def test_a_switch_forwards_and_does_not_compute(changed: Parse) -> None:
    scenario = changed(
        "  links:\n",
        "  switches: [{id: hub}]\n  links:\n    - {between: [box, hub], wired: {rate: 1 Gbit/s}}\n",
    )
    world = world_of(scenario)
    assert world.devices["hub"].timing is None
    assert "hub" not in [request.source for request in islice(world.workload.requests(Streams(0)), 50)]


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("{poisson: 0.5 Hz}", Poisson(0.5)),
        ("{gamma: {rate: 0.5 Hz, burstiness: 0.5}}", Gamma(0.5, 0.5)),
        ("{gamma: {rate: 30 /min, cv: 2}}", Gamma.from_cv(0.5, 2)),
        ("{deterministic: {rate: 4 Hz}}", Deterministic(4)),
        ("{deterministic: {every: 250 ms}}", Deterministic(4)),
        ("{bursts: {requests: 3, every: 1 s, spacing: 10 ms}}", Bursts(3, 1.0, 0.01)),
    ],
)
def test_arrivals(changed: Parse, text: str, law: object) -> None:
    assert workload(changed("{poisson: 1 Hz}", text)).arrivals == law


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("12", Fixed(12)),
        ("{fixed: 12}", Fixed(12)),
        ("{uniform: {min: 2, max: 9}}", Uniform(2, 9)),
        ("{lognormal: {median: 64, sigma: 0.6}}", Lognormal(64, 0.6)),
        ("{lognormal: {median: 64, sigma: 0.6, min: 8, max: 256}}", Lognormal(64, 0.6, 8, 256)),
    ],
)
def test_lengths(changed: Parse, text: str, law: object) -> None:
    assert workload(changed("prompt_tokens: 16", f"prompt_tokens: {text}")).prompt_tokens == law


@pytest.mark.parametrize(
    ("named", "sources"),
    [
        ("", ("phone-0", "phone-1")),
        ("sources: box", ("box",)),
        ("sources: [box, phone-1]", ("box", "phone-1")),
        ("sources: [phone, phone-1]", ("phone-0", "phone-1")),
    ],
)
def test_sources_are_the_first_group_unless_named(
    changed: Parse, named: str, sources: tuple[str, ...]
) -> None:
    assert workload(changed("workload:\n", f"workload:\n  {named}\n")).sources == sources


def test_objectives_are_seconds(changed: Parse) -> None:
    scenario = changed("model:", "objectives: {ttft: 2 s, tpot: 200 ms}\nmodel:")
    assert scenario.objectives.values() == Objectives(ttft_s=2.0, tpot_s=0.2)


def test_the_extent_covers_every_replication(changed: Parse) -> None:
    scenario = changed("prompt_tokens: 16", "prompt_tokens: {uniform: {min: 1, max: 500}}", "replications=7")
    law = workload(scenario)
    drawn = [r.n_prompt_tokens for i in range(7) for r in law.requests(Streams(scenario.seed, i))]
    assert extent(scenario).n_prompt_tokens == max(drawn)


def test_a_tail_that_outgrows_the_context_is_found_before_the_run(changed: Parse) -> None:
    scenario = changed(
        "prompt_tokens: 16", "prompt_tokens: {lognormal: {median: 900, sigma: 2}}", "horizon=100 s"
    )
    with pytest.raises(ScenarioError, match="more than the context of gpt2, 1024; give the lengths a 'max'"):
        extent(scenario)


def test_a_count_of_requests_can_end_a_replication(changed: Parse) -> None:
    scenario = changed("horizon: 10 s\n", "", "workload.requests=5")
    world = world_of(scenario)
    assert world.horizon_s is None
    assert len(list(world.workload.requests(Streams(0)))) == 5


def test_the_order_of_keys_and_the_spelling_of_units_do_not_matter(minimal: str) -> None:
    def reversed_keys(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: reversed_keys(node[key]) for key in reversed(node)}
        return [reversed_keys(child) for child in node] if isinstance(node, list) else node

    yaml = YAML(typ="safe", pure=True)
    stream = StringIO()
    yaml.dump(reversed_keys(yaml.load(minimal)), stream)
    first, second = parse(minimal), parse(stream.getvalue().replace("100 Mbit/s", "0.1 Gbit/s"))
    assert stream.getvalue() != minimal
    assert first.digest == second.digest
    assert world_of(first).links == world_of(second).links
    assert list(world_of(first).devices) == list(world_of(second).devices)
    assert parse(minimal, overrides=["seed=1"]).digest != first.digest


def test_paths_start_at_the_scenarios_folder(tmp_path: Path, minimal: str) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    config = {
        "model_type": "gpt2",
        "n_embd": 8,
        "n_layer": 2,
        "n_head": 2,
        "n_positions": 64,
        "vocab_size": 10,
    }
    (tmp_path / "models" / "mine" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "mine.parquet").write_bytes(b"")
    file = tmp_path / "mine.yaml"
    file.write_text(minimal.replace("gpt2", "models/mine") + "profile: mine.parquet\n", encoding="utf-8")
    scenario = load(file)  # which misses no profile
    assert world_of(scenario).model.n_blocks == 2
    (tmp_path / "mine.parquet").unlink()
    with pytest.raises(ScenarioError, match=r"\$.profile: no profile file 'mine.parquet'"):
        load(file)


def test_anchors_and_merges_are_read(minimal: str) -> None:
    text = minimal.replace(
        "{rate: 100 Mbit/s, latency: 2 ms}", "&cable {rate: 100 Mbit/s, latency: 2 ms}"
    ).replace("workload:", "    - {between: [phone, phone], wired: {<<: *cable, latency: 1 ms}}\nworkload:")
    within = world_of(parse(text)).links[-1]
    assert (within.between, within.rate_bps, within.latency_s) == (("phone-0", "phone-1"), 1e8, 1e-3)


def test_a_scenario_travels_between_processes(changed: Parse) -> None:
    scenario = changed()
    again = pickle.loads(pickle.dumps(scenario))
    assert again == scenario
    assert again.origin == scenario.origin


def test_thresholds_are_tuned_on_one_half_and_answers_replayed_from_the_other(changed: Parse) -> None:
    model = "model: {architecture: tinyllama-1.1b, dtype: float16}"
    quality = "quality: {model: bundled, tune_on: first-half}"
    world = world_of(changed("model: {architecture: gpt2, dtype: float32}", f"{model}\n{quality}"))
    assert world.exits is not None
    assert world.tuning_exits is not None
    assert world.paths is not None
    world.paths.check_fits(world.exits)
    first, second = (records.provenance["rows"] for records in (world.tuning_exits, world.exits))
    assert first[1] == second[0]
