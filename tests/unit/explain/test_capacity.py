"""The bound for any placement, against closed forms and networkx's maximum flow."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from edgesim.explain.capacity import Pipe, capacity


def both_ways(a: str, b: str, rate_bps: float, band: str = "") -> list[Pipe]:
    return [Pipe(a, b, rate_bps, band and f"{band} up"), Pipe(b, a, rate_bps, band and f"{band} down")]


def test_devices_that_reach_one_another_add_up() -> None:
    found = capacity({"a": 2.0, "b": 0.5}, both_ways("a", "b", 1e9), ["a"], prompt_bits=1.0, answer_bits=1.0)
    assert found.per_s == pytest.approx(2.5)
    assert found.computed_per_s == pytest.approx({"a": 0.5, "b": 2.0})


def test_a_slow_link_caps_what_is_computed_beyond_it() -> None:
    """Half a request's prompt passes per second; the answers, 40 times as large, let a tenth come back."""
    pipes = both_ways("a", "b", 4.0)
    assert capacity({"a": 2.0, "b": 0.1}, pipes, ["a"], prompt_bits=8.0, answer_bits=0.0).per_s == (
        pytest.approx(0.5 + 0.5)
    )
    assert capacity({"a": 2.0, "b": 0.1}, pipes, ["a"], prompt_bits=8.0, answer_bits=40.0).per_s == (
        pytest.approx(0.5 + 0.1)
    )


def test_links_of_a_band_share_its_time() -> None:
    pipes = [*both_ways("a", "s", 8.0, "cell"), *both_ways("b", "s", 8.0, "cell")]
    found = capacity({"a": 1e9, "b": 1e9, "s": 1e-3}, pipes, ["a", "b"], prompt_bits=8.0, answer_bits=0.0)
    assert found.per_s == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(10))
def test_without_answers_it_is_a_maximum_flow(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = nx.gnp_random_graph(8, 0.4, seed=seed, directed=True)
    seconds = {str(node): float(rng.integers(1, 5)) for node in (5, 6, 7)}
    pipes = [Pipe(str(a), str(b), float(rng.integers(1, 9))) for a, b in graph.edges]
    flow = nx.DiGraph()
    flow.add_node("sink")
    flow.add_node("0")
    for pipe in pipes:
        flow.add_edge(pipe.sender, pipe.receiver, capacity=pipe.rate_bps / 3.0)
    for device, each_s in seconds.items():
        flow.add_edge(device, "sink", capacity=1.0 / each_s)
    expected = nx.maximum_flow_value(flow, "0", "sink")
    found = capacity(seconds, pipes, ["0"], prompt_bits=3.0, answer_bits=0.0)
    assert found.per_s == pytest.approx(expected, abs=1e-9)


def test_a_slow_source_does_not_hold_the_others_back() -> None:
    """Alone, `a` answers one request a second, `b` ten of its own: the answers add up, whoever asks more."""
    found = capacity({"a": 1.0, "b": 0.1}, [], ["a", "b"], prompt_bits=8.0, answer_bits=8.0)
    assert found.per_s == pytest.approx(1.0 + 10.0)
    # A third source reaches `b` over half a request a second; it takes from b's own, and adds nothing.
    pipes = both_ways("c", "b", 4.0)
    found = capacity({"a": 1.0, "b": 0.1}, pipes, ["a", "b", "c"], prompt_bits=8.0, answer_bits=8.0)
    assert found.per_s == pytest.approx(1.0 + 10.0)
    found = capacity({"a": 1.0, "b": 0.1}, pipes, ["a", "c"], prompt_bits=8.0, answer_bits=8.0)
    assert found.per_s == pytest.approx(1.0 + 0.5)
