"""One set of parameters against MDI-LLM's published rates, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgesim.errors import PlacementError
from edgesim.trace.reader import Trace

Simulate = Callable[..., Trace]

TINYLLAMA = "model.architecture=tinyllama-1.1b"
THREE = "topology.devices.node.count=3"
PUBLISHED = {"one-board": 18.29, "ring": 26.83}  # tokens/s, from the 500th to the 2000th token


def steady_tokens_per_s(trace: Trace, strategy: str) -> float:
    """As it was read off the published curves: 1500 tokens over the time from the 500th to the 2000th."""
    spans = trace.spans(strategy, 0)
    made_at_s = np.sort(spans.loc[spans["kind"] == "emit", "ended_at_s"].to_numpy())
    assert len(made_at_s) == 3 * 800
    return float(1500 / (made_at_s[1999] - made_at_s[499]))


def test_one_set_of_parameters_gives_both_published_rates_within_3_percent(simulate: Simulate) -> None:
    trace = simulate("mdi_nanollama")
    for strategy, tokens_per_s in PUBLISHED.items():
        assert steady_tokens_per_s(trace, strategy) == pytest.approx(tokens_per_s, rel=0.03)
        # The comparison's column, over the whole run, says the same: nothing here has to warm up.
        requests = trace.requests(strategy, 0)
        whole = requests["n_emitted_tokens"].sum() / requests["ended_at_s"].max()
        assert whole == pytest.approx(steady_tokens_per_s(trace, strategy), rel=0.01)


def test_three_boards_and_tinyllama_run_with_nothing_else_touched(simulate: Simulate) -> None:
    nanollama = steady_tokens_per_s(simulate("mdi_nanollama", THREE, only=("ring",)), "ring")
    two = steady_tokens_per_s(simulate("mdi_nanollama", TINYLLAMA, only=("ring",)), "ring")
    three = steady_tokens_per_s(simulate("mdi_nanollama", TINYLLAMA, THREE, only=("ring",)), "ring")
    # What the timing model of the paper's data says of any such run: the slowest board sets the pace, more
    # boards are faster, and the larger model gains more from the third, for messages weigh less in it.
    assert PUBLISHED["ring"] < nanollama < 1.5 * PUBLISHED["ring"]
    assert two < three < 1.5 * two
    assert three / two > nanollama / PUBLISHED["ring"]


def test_one_board_refuses_tinyllama_in_float32_before_time_zero(simulate: Simulate) -> None:
    with pytest.raises(PlacementError, match=r"4.40 GB of weights.*2 copies.*8.80 GB, and 6.99 GB are free"):
        simulate("mdi_nanollama", TINYLLAMA)


def test_in_half_precision_one_board_has_room(simulate: Simulate) -> None:
    """The refusal is about 4 bytes a weight, not about the model."""
    trace = simulate(
        "mdi_nanollama",
        TINYLLAMA,
        "model.dtype=float16",
        "kinds.mdi-tx2.compute.float16=0.8 TFLOP/s",
        "workload.output_tokens=8",
        only=("one-board",),
    )
    assert trace.is_complete
