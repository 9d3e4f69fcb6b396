"""The paper's set-up of over-the-air tensor parallelism: calibrated on two published times."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgesim import runner
from edgesim.scenario.load import load
from edgesim.statistics.activities import Activity, activities
from edgesim.trace.reader import Trace

Simulate = Callable[..., Trace]

PUBLISHED_MS = {"alone": 114.2, "aircomp-2": 69.7}


def per_token_ms(trace: Trace, label: str) -> float:
    request = trace.requests(label, 0).iloc[0]
    return 1e3 * (request.ended_at_s - request.first_token_at_s) / (request.n_emitted_tokens - 1)


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    asked = load("aircomp_llama2", ["workload.output_tokens=20"])
    return runner.run(runner.prepare(asked), tmp_path_factory.mktemp("aircomp") / "trace")


def test_the_calibrated_rows_are_the_published_ones(trace: Trace) -> None:
    for label, published in PUBLISHED_MS.items():
        assert per_token_ms(trace, label) == pytest.approx(published, rel=0.01)


def test_sums_on_the_air_are_quicker_than_digital_ones_the_more_devices_the_more(trace: Trace) -> None:
    factors = [per_token_ms(trace, f"digital-{n}") / per_token_ms(trace, f"aircomp-{n}") for n in (2, 4, 8)]
    assert factors[0] > 1
    assert factors == sorted(factors)


def test_answers_over_the_air_stay_within_a_few_per_cent_of_digital_ones(trace: Trace) -> None:
    for n in (2, 4, 8):
        air, digital = (trace.requests(f"{scheme}-{n}", 0).iloc[0] for scheme in ("aircomp", "digital"))
        assert 0 < air["error_variance"] < 0.1
        assert 1 < 2.718281828 ** (air["nll"] - digital["nll"]) < 1.05


def test_a_lone_device_sums_nothing(trace: Trace) -> None:
    spans = trace.spans("alone", 0)
    assert spans["error_variance"].isna().all()
    assert (spans[spans["kind"] == "all_reduce"]["energy_j"] == 0).all()


def test_the_second_published_model_follows_from_the_first(simulate: Simulate) -> None:
    """LLaMA2-13B on one device: published 217.3 ms."""
    lone = simulate(
        "aircomp_llama2", "model.architecture=llama-2-13b", "workload.output_tokens=5", only=("alone",)
    )
    assert per_token_ms(lone, "alone") == pytest.approx(217.3, rel=0.05)


def test_eight_devices_that_sum_digitally_are_on_the_air_for_four_fifths_of_a_pass(trace: Trace) -> None:
    """Schemes differ in their sums alone: what digital ones take longer, passes are longer on the air."""
    parts = {}
    for label in ("digital-8", "aircomp-8"):
        spans = trace.spans(label, 0)
        passes = spans[(spans["kind"] == "compute") & (spans["token"] > 0)]
        parts[label] = passes[["straggler_s", "air_s", "wire_s", "handling_s"]].mean()
        length_s = (passes["ended_at_s"] - passes["started_at_s"]).mean()
        assert length_s == pytest.approx(per_token_ms(trace, label) / 1e3, rel=0.01)
        parts[label]["length_s"] = length_s
    digital, analog = parts["digital-8"], parts["aircomp-8"]
    assert digital["air_s"] - analog["air_s"] == pytest.approx(
        digital["length_s"] - analog["length_s"], rel=1e-9
    )
    assert digital[["straggler_s", "handling_s"]].tolist() == pytest.approx(
        analog[["straggler_s", "handling_s"]].tolist()
    )
    shares = activities(trace.requests("digital-8", 0), trace.spans("digital-8", 0)).mean()
    assert shares[Activity.AIR] / shares.sum() == pytest.approx(0.81, abs=0.01)
