"""Calibration: known ceilings come back, intervals hold as often as they say, too few rows are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from edgesim.errors import InputError
from edgesim.model.architecture import Architecture
from edgesim.model.calibration import FittedParameter, Measurement, calibrate, predicted_s
from edgesim.model.ceilings import Ceilings
from edgesim.model.scaling import AnalyticTiming
from edgesim.scenario import catalogue

TRUE = {"bytes_per_s": 20e9, "flop_per_s": 0.4e12, "overhead_s": 0.5e-3}
MODELS = ("gpt2", "gpt2-large", "nanollama-304m", "tinyllama-1.1b", "gpt2-xl")


def architecture(name: str) -> Architecture:
    return catalogue.model(name).architecture("float32")


def row(
    name: str, phase: Literal["decode", "prefill"] = "decode", seconds: float = 1.0, **facts: float
) -> Measurement:
    facts = {"n_prompt_tokens": 256 if phase == "prefill" else 16, "n_output_tokens": 64} | facts
    return Measurement(model=architecture(name), phase=phase, seconds=seconds, **facts)


def synthetic(noise: float = 0.0, seed: int = 0, prefills: tuple[str, ...] = MODELS) -> list[Measurement]:
    rng = np.random.default_rng(seed)
    rows = [row(name) for name in MODELS] + [row(name, "prefill") for name in prefills]
    return [as_if_true(asked, float(np.exp(noise * rng.standard_normal()))) for asked in rows]


def as_if_true(asked: Measurement, times: float = 1.0) -> Measurement:
    return replace(asked, seconds=times * predicted_s(asked, **TRUE))


@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_what_is_fitted_is_what_analytic_times_charge(phase: Literal["decode", "prefill"]) -> None:
    asked = row("tinyllama-1.1b", phase, n_output_tokens=65)
    timing = AnalyticTiming(asked.model, Ceilings(**TRUE))
    whole = asked.model.whole
    if phase == "prefill":
        told_s = timing.seconds(whole, batch=1, n_new=256, n_context=0)
    else:  # the mean over the 64 decode steps of a 65-token answer, whose contexts are 16 to 79
        told_s = np.mean([timing.seconds(whole, batch=1, n_new=1, n_context=16 + i) for i in range(64)])
    assert predicted_s(asked, **TRUE) == pytest.approx(float(told_s), rel=1e-4)


def test_ceilings_come_back_from_measurements_without_noise() -> None:
    fit = calibrate(synthetic())
    assert fit.bytes_per_s.value == pytest.approx(TRUE["bytes_per_s"], rel=1e-5)
    assert fit.flop_per_s is not None
    assert fit.flop_per_s.value == pytest.approx(TRUE["flop_per_s"], rel=1e-5)
    assert fit.overhead_s.value == pytest.approx(TRUE["overhead_s"], rel=1e-4)
    assert fit.n_spare == 7


@pytest.mark.parametrize("known_error", [None, 0.02])
def test_the_stated_intervals_hold_as_often_as_they_say(known_error: float | None) -> None:
    n = 120
    hits = dict.fromkeys(TRUE, 0)
    for seed in range(n):
        fit = calibrate(synthetic(0.02, seed), error=known_error)
        for name, true in TRUE.items():
            estimate = getattr(fit, name)
            hits[name] += estimate.low <= true <= estimate.high
    # 95 % of 120, less four standard deviations of a binomial count.
    least = n * 0.95 - 4 * (n * 0.95 * 0.05) ** 0.5
    assert all(count >= least for count in hits.values()), hits


def test_without_prefills_the_compute_rate_is_what_decoding_needs_at_least() -> None:
    fit = calibrate(synthetic(prefills=()))
    assert fit.flop_per_s is None
    assert 0 < fit.flop_per_s_at_least < TRUE["flop_per_s"]
    assert fit.bytes_per_s.value == pytest.approx(TRUE["bytes_per_s"], rel=1e-5)


def test_what_is_given_is_not_fitted() -> None:
    fit = calibrate(synthetic()[:1], overhead_s=TRUE["overhead_s"])
    assert fit.overhead_s == FittedParameter.given(TRUE["overhead_s"])
    assert fit.bytes_per_s.value == pytest.approx(TRUE["bytes_per_s"], rel=1e-6)
    assert fit.n_spare == 0
    assert fit.error == 0.05
    assert fit.bytes_per_s.low < TRUE["bytes_per_s"] < fit.bytes_per_s.high


def test_a_quantised_weight_is_charged_its_own_bytes() -> None:
    """A 4-byte weight in 0.5625 bytes: with nothing else to pay, times shrink by the weights' share."""
    facts = {"bytes_per_s": 1e9, "flop_per_s": 1e15, "overhead_s": 0.0}
    plain, quantised = row("llama-2-7b"), row("llama-2-7b", bytes_per_weight=0.5625)
    model = plain.model
    read = model.n_parameters - model.vocab_size * model.hidden_size
    saved_s = predicted_s(plain, **facts) - predicted_s(quantised, **facts)
    assert saved_s == pytest.approx(read * (4 - 0.5625) / 1e9, rel=1e-9)


def test_the_raspberry_pis_one_node_rows_are_fitted() -> None:
    """distributed-llama, one node, Q40: computing 435 and 557 ms on a Pi 5, 1308 ms on a Pi 4B."""
    q40 = {"bytes_per_weight": 0.5625}
    pi_5 = calibrate([row("llama-2-7b", seconds=0.435, **q40), row("llama-3-8b", seconds=0.557, **q40)])
    assert all(abs(fitted.difference) < 0.07 for fitted in pi_5.rows)
    assert 7.5e9 < pi_5.bytes_per_s.value < 9e9  # half of the memory's peak, 17.1 GB/s
    # The larger model takes longer than its bytes say: no overhead helps, and the fit says so.
    assert pi_5.overhead_s.value == 0.0
    assert pi_5.overhead_s.high > 0.0
    pi_4b = calibrate([row("llama-2-7b", seconds=1.308, **q40)], overhead_s=1.2e-3)
    assert pi_4b.rows[0].difference == pytest.approx(0.0, abs=1e-6)
    assert pi_4b.bytes_per_s.value == pytest.approx(2.98e9, rel=0.01)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([], "no measurements"),
        ([row("gpt2")], "1 row cannot determine 2 parameters"),
        ([row("gpt2"), row("gpt2")], "cannot distinguish memory_bandwidth and overhead_per_call"),
        ([*synthetic(prefills=()), as_if_true(row("gpt2", "prefill", n_prompt_tokens=1))],
         "the rows do not determine compute; none of them is compute-bound: add a longer prompt"),
        ([row("gpt2", "prefill"), row("gpt2", "prefill")], "2 rows cannot determine 3 parameters"),
    ],
)  # fmt: skip
def test_what_the_rows_do_not_tell_is_said(rows: list[Measurement], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        calibrate(rows)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="expected more than zero"):
        row("gpt2", seconds=seconds)
