"""The law of shares: hand computations, the same law call by call, and what it must not do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgesim.model.architecture import Component
from edgesim.model.efficiency.effects import ERROR, Use
from edgesim.model.efficiency.law import PARTS, Peaks, Shares, Terms, seconds
from edgesim.model.efficiency.posterior import Posterior
from edgesim.model.efficiency.stored import shipped_posterior
from edgesim.model.efficiency.timing import RuntimeTiming
from edgesim.scenario import catalogue

GPU = Peaks(
    board="a-gpu",
    is_cpu=False,
    bytes_per_s=100e9,
    vector_flop_per_s=1e12,
    matrix_flop_per_s=8e12,
    eager_call_s=1e-3,
)
REACHED = {"memory_share": 0.8, "vector_share": 0.25, "matrix_share": 0.5, "overhead_s": 2e-4}
LLAMA = catalogue.model("llama-2-7b").architecture("float16")


def shares(*, is_enqueued: bool = False, **changed: float) -> Shares:
    given = {name: np.array(value) for name, value in (REACHED | changed).items()}
    return Shares(**given, is_enqueued=is_enqueued)


def timing(**changed: object) -> RuntimeTiming:
    return RuntimeTiming(**{"architecture": LLAMA, "peaks": GPU, **REACHED, **changed})  # type: ignore[arg-type]


def whole(charged: RuntimeTiming, *, n_new: int, n_context: int, batch: int = 1) -> float:
    """A pass as the simulator adds it up: every block, and each other part once."""
    times = {
        part: float(charged.component_seconds(part, batch=batch, n_new=n_new, n_context=n_context))
        for part in PARTS
    }
    return times.pop(Component.BLOCK) * LLAMA.n_blocks + sum(times.values())


def test_a_step_by_hand() -> None:
    # Weights but for the embedding's table, 6.6076e9 of 2 bytes, dominate; the rest is well below 1 %.
    n_read = LLAMA.n_parameters - LLAMA.vocab_size * LLAMA.hidden_size
    by_hand_s = 2 * n_read / 80e9 + 2 * n_read / 0.25e12 + 35 * 2e-4
    terms = Terms.of(LLAMA, GPU, n_prompt=0, n_context=1, n_decoded=1)
    assert float(seconds(terms, shares())) == pytest.approx(by_hand_s, rel=0.002)


def test_terms_are_those_of_the_passes_added_up() -> None:
    prefill = Terms.of(LLAMA, GPU, n_prompt=64, n_context=0, n_decoded=0)
    step = Terms.of(LLAMA, GPU, n_prompt=0, n_context=70, n_decoded=1)
    both = Terms.of(LLAMA, GPU, n_prompt=64, n_context=70, n_decoded=10)
    for name in ("stream_s", "touch_s", "matrix_s", "n_calls", "head_stream_s", "head_touch_s"):
        assert getattr(both, name) == pytest.approx(
            getattr(prefill, name) + 10 * getattr(step, name), rel=1e-12
        )
    assert prefill.touch_s == step.touch_s  # every weight once in a pass, however many tokens


@pytest.mark.parametrize(("n_new", "n_context"), [(1, 0), (1, 300), (128, 0)])
def test_what_a_device_is_charged_is_what_rates_are_fitted_with(n_new: int, n_context: int) -> None:
    if n_new == 1:
        terms = Terms.of(LLAMA, GPU, n_prompt=0, n_context=n_context, n_decoded=1)
    else:
        terms = Terms.of(LLAMA, GPU, n_prompt=n_new, n_context=0, n_decoded=0)
    charged = whole(timing(), n_new=n_new, n_context=n_context)
    assert charged == pytest.approx(float(seconds(terms, shares())), rel=1e-12)


def test_a_costly_head_by_hand() -> None:
    # 32,000 x 4,096 weights of 2 bytes, streamed and touched three times instead of once.
    n_head = LLAMA.vocab_size * LLAMA.hidden_size
    further_s = 2 * (2 * n_head / 80e9 + 2 * n_head / 0.25e12)
    once, thrice = (whole(timing(head_cost=cost), n_new=1, n_context=7) for cost in (1.0, 3.0))
    assert thrice - once == pytest.approx(further_s, rel=0.01)  # its activations are streamed, too
    terms = Terms.of(LLAMA, GPU, n_prompt=0, n_context=7, n_decoded=1)
    assert thrice == pytest.approx(float(seconds(terms, shares(head_cost=3.0))), rel=1e-12)


def test_enqueued_calls_hide_behind_longer_work_and_show_behind_shorter() -> None:
    terms = Terms.of(LLAMA, GPU, n_prompt=0, n_context=0, n_decoded=1)
    work_s = float(seconds(terms, shares(overhead_s=0.0)))
    assert float(seconds(terms, shares(is_enqueued=True, overhead_s=1e-4))) == work_s
    assert float(seconds(terms, shares(is_enqueued=True, overhead_s=1.0))) == terms.n_calls
    # Call by call at most the three calls beside the blocks differ.
    charged = whole(timing(is_enqueued=True, overhead_s=1e-4), n_new=1, n_context=0)
    assert work_s <= charged <= work_s + 3e-4


def test_times_rise_with_tokens_batch_and_context() -> None:
    charged = timing()
    lengths = [whole(charged, n_new=n, n_context=0) for n in (1, 2, 16, 300)]
    contexts = [whole(charged, n_new=1, n_context=n) for n in (0, 1, 100, 3000)]
    batches = [whole(charged, n_new=1, n_context=50, batch=n) for n in (1, 2, 8)]
    for rising in (lengths, contexts, batches):
        assert np.all(np.diff(rising) > 0)
    one, two = (
        float(charged.component_seconds(Component.BLOCK, batch=1, n_new=1, n_context=9, n_shards=n))
        for n in (1, 2)
    )
    assert one / 2 < two < one  # a shard saves work and no overhead


def test_a_draw_slows_everything_alike() -> None:
    assert whole(timing(slowdown=1.1), n_new=1, n_context=5) == pytest.approx(
        1.1 * whole(timing(), n_new=1, n_context=5)
    )


def test_a_board_that_no_row_names_has_wider_shares_than_one_that_rows_name() -> None:
    fitted, rng = shipped_posterior(), np.random.default_rng(3)
    known = Use(catalogue.device_kind("rtx-3090").peak_values("rtx-3090"), "llama.cpp", is_quantised=True)
    unknown = replace(known, peaks=replace(known.peaks, board="another"), engine="another")
    spread = [np.log(fitted.shares(use, rng).vector_share).std() for use in (known, unknown)]
    assert spread[0] < 0.7 * spread[1]
    centre = fitted.centre.shares(unknown, None)
    assert centre.vector_share.shape == (1,)
    assert 0 < centre.memory_share[0] < 1


def test_a_set_from_before_heads_had_a_cost_of_their_own_charges_none() -> None:
    fitted = shipped_posterior()
    pi = Use(
        catalogue.device_kind("raspberry-pi-5").peak_values("raspberry-pi-5"), "another", is_quantised=True
    )
    kept = [at for at, name in enumerate(fitted.names) if not name.startswith("head ")]
    before = Posterior(tuple(fitted.names[at] for at in kept), fitted.draws[:, kept])
    of_gpus = Posterior((ERROR,), np.zeros((1, 1)))

    assert before.centre.shares(pi, None).head_cost == 1.0
    assert float(np.asarray(fitted.centre.shares(pi, None).head_cost)[0]) == pytest.approx(1.5)  # the prior
    assert float(np.asarray(of_gpus.shares(pi, None).head_cost)[0]) == pytest.approx(1.5)
