"""Devices under a runtime: what they are charged, what they refuse, and what a set of parameters does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesim import runner
from edgesim.errors import InputError
from edgesim.model.architecture import Component
from edgesim.model.efficiency.posterior import fit
from edgesim.model.efficiency.stored import load_posterior, save_posterior, shipped_posterior
from edgesim.model.efficiency.timing import RuntimeTiming
from edgesim.report.comparison import comparison
from edgesim.report.uncertainty.spread import parameter_spread
from edgesim.scenario.build import resolve
from edgesim.scenario.catalogue import device_kinds, runtimes
from edgesim.scenario.load import parse
from edgesim.scenario.rates import published_rates, read_rates
from edgesim.scenario.runtimes import use_of
from edgesim.scenario.timings import Profiles, timings

SCENARIO = """
name: two-orins
replications: 2
model: {architecture: llama-2-7b, dtype: float16, weights: q40}
topology:
  devices:
    - {id: one, kind: jetson-agx-orin, runtime: llama.cpp}
    - {id: two, kind: jetson-agx-orin, runtime: {fitted_as: mlc, memory: 0.8, overhead_per_call: 1 ms}}
    - {id: nano, kind: jetson-orin-nano, runtime: mlc, power_mode: super}
  links:
    - {between: [one, two], wired: {rate: 1 Gbit/s}}
    - {between: [one, nano], wired: {rate: 1 Gbit/s}}
workload: {sources: [one], requests: 2, arrivals: {poisson: 0.1 Hz}, prompt_tokens: 4, output_tokens: 3}
strategies: [{use: local}]
"""

PLAIN = """
name: plain
profile: analytic
model: {architecture: llama-2-7b, dtype: float16, weights: q40}
topology: {devices: [{id: one, kind: jetson-agx-orin}]}
workload: {requests: 1, arrivals: {poisson: 1 Hz}, prompt_tokens: 4, output_tokens: 3}
strategies: [{use: local}]
"""


def charged(text: str = SCENARIO, **draw: tuple[int, int]) -> dict[str, RuntimeTiming]:
    found = timings(resolve(parse(text)), Profiles(), **draw)
    assert all(isinstance(one, RuntimeTiming) for one in found.values())
    return found  # type: ignore[return-value]


def test_a_runtime_is_charged_by_its_fitted_shares_and_given_ones_replace_them() -> None:
    found = charged()
    one, two, nano = (
        found[name] for name in ("jetson-agx-orin (one)", "jetson-agx-orin (two)", "jetson-orin-nano (nano)")
    )
    assert (two.memory_share, two.overhead_s) == (0.8, 1e-3)
    assert two.vector_share > one.vector_share  # MLC's kernels against llama.cpp's
    assert (one.head_cost, nano.head_cost) == (1.0, 1.0)  # GPUs
    assert nano.peaks.bytes_per_s == pytest.approx(1.5 * 68e9)
    assert nano.peaks.board == "jetson-orin-nano"


def test_a_head_costs_what_is_given_and_otherwise_what_is_fitted() -> None:
    pi = PLAIN.replace("kind: jetson-agx-orin", "kind: raspberry-pi-5, runtime: %s")
    fitted = charged(pi % "distributed-llama")["raspberry-pi-5 (one)"]
    given = charged(pi % "{fitted_as: distributed-llama, head_cost: 2.5}")["raspberry-pi-5 (one)"]
    assert 1.0 < fitted.head_cost < 2.5 == given.head_cost

    def head_s(timing: RuntimeTiming) -> float:
        part_s = timing.component_seconds(Component.HEAD, batch=1, n_new=1, n_context=9)
        return float(part_s) - timing.overhead_s

    assert head_s(given) / head_s(fitted) == pytest.approx(2.5 / fitted.head_cost)


def test_no_profile_is_measured_where_every_device_has_a_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr("edgesim.scenario.timings.ensure_profile", refuse)
    prepared = runner.prepare(parse(SCENARIO))
    assert prepared.profile is None


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("runtime: llama.cpp", "runtime: llama.cp", "no runtime 'llama.cp'; did you mean 'llama.cpp'"),
        ("power_mode: super", "power_mode: supper", "no power mode 'supper'; did you mean 'super'"),
        ("runtime: mlc, power_mode: super", "power_mode: super", "which are used only with a 'runtime'"),
        (
            "kind: jetson-orin-nano, runtime: mlc, power_mode: super",
            "kind: profiled-host, runtime: mlc",
            "has no 'peaks'",
        ),
        ("memory: 0.8", "memory: 1.2", "memory"),
    ],
)
def test_mistakes_are_told(before: str, after: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(SCENARIO.replace(before, after))


def test_what_a_message_costs_under_an_engine_goes_before_the_kinds() -> None:
    text = SCENARIO.replace("runtime: llama.cpp", "runtime: {message_overhead: 7 ms, on_compute: true}")
    world = runner.prepare(parse(text)).planning_world()
    assert (world.devices["one"].endpoint.overhead_s, world.devices["one"].endpoint.on_compute) == (
        7e-3,
        True,
    )
    assert (
        world.devices["two"].endpoint.overhead_s
        == device_kinds()["jetson-agx-orin"].endpoint.overhead_s.value
    )
    assert world.devices["nano"].power.active_w == 16.0


def test_draws_spread_about_the_centre_and_are_the_same_each_time() -> None:
    def step_s(timing: RuntimeTiming) -> float:
        return float(timing.component_seconds(Component.BLOCK, batch=1, n_new=1, n_context=8))

    name = "jetson-agx-orin (one)"
    drawn = np.array([step_s(charged(draw=(index, 40))[name]) for index in range(40)])
    assert step_s(charged(draw=(3, 40))[name]) == drawn[3]
    centre = step_s(charged()[name])
    assert drawn.min() < centre < drawn.max()
    # Fitted rows and the error of one, 5 %: between 3 and 15 % of spread.
    assert 0.03 < np.log(drawn).std() < 0.15


def test_a_run_tells_what_parameters_leave_open_beside_sampling(tmp_path: Path) -> None:
    prepared = runner.prepare(parse(SCENARIO))
    compared = comparison(runner.run(prepared, tmp_path / "trace"))
    spreads = {one.metric: one for one in parameter_spread(prepared, compared, 3)}
    tpot = spreads["tpot_p50_s"]
    by_hand = []
    for index in range(3):
        trace = runner.run(prepared.with_parameters(index, 3), tmp_path / f"trace-{index}")
        by_hand.append(comparison(trace).rows[0].estimates["tpot_p50_s"].mean)  # type: ignore[union-attr]
    assert tpot.parameters == (min(by_hand), max(by_hand))  # 90 % of three is all of them
    assert tpot.centre == compared.rows[0].estimates["tpot_p50_s"].mean  # type: ignore[union-attr]
    with pytest.raises(InputError, match="no device has a 'runtime'"):
        parameter_spread(runner.prepare(parse(PLAIN)), compared, 3)


def test_a_set_is_stored_and_read_back(tmp_path: Path) -> None:
    entries = published_rates()[:3]
    fitted = fit([entry.rate() for entry in entries], np.random.default_rng(1), n_chains=3, n_kept=2)
    save_posterior(fitted, tmp_path / "set")
    read = load_posterior(tmp_path / "set")
    assert read.names == fitted.names
    assert read.draws == pytest.approx(fitted.draws, rel=1e-6)
    (tmp_path / "text").write_text("no set")
    with pytest.raises(InputError, match="not a parameter file"):
        load_posterior(tmp_path / "text")


def test_own_rates_are_read_and_mistakes_have_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "rates.yaml"
    row = (
        "{device: l4, model: llama-2-7b, label: L2, runtime: vllm, value: 17, unit: tokens/s, source: me, %s}"
    )
    file.write_text("rates:\n  - " + row % "lengths: assumed" + "\n")
    assert read_rates(file)[0].rate().seconds == pytest.approx(1 / 17)
    for wrong, message in (
        ("n_prompt: 3", "lengths: assumed"),
        ("lengths: assumed, power_mode: slow", "no power mode 'slow'"),
    ):
        file.write_text("rates:\n  - " + row % wrong + "\n")
        with pytest.raises(InputError, match=message) as told:
            read_rates(file)
        assert "rates.yaml:2" in str(told.value)


def test_every_engine_of_the_catalogue_can_run_on_every_kind_with_peaks() -> None:
    centre = shipped_posterior().centre
    for board, kind in device_kinds().items():
        if kind.peaks is None:
            continue
        for name, engine in runtimes().items():
            reached = centre.shares(use_of(name, engine, kind.peak_values(board), 2.0), None)
            assert 0 < reached.memory_share[0] < 1
            assert 0 < reached.vector_share[0] < 4
            assert 0 < reached.overhead_s[0] < 5e-3
