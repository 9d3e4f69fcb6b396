"""What the first pass on a device takes besides: by hand, under every discipline."""

from __future__ import annotations

from typing import Any

import pytest
from miniature import Serve, device, model, run, world

from edgesim.errors import InputError
from edgesim.model.architecture import Slice
from edgesim.scenario.check import examine
from edgesim.scenario.load import parse
from edgesim.strategies.tensor_parallel import TensorParallel
from edgesim.workload.arrivals import Bursts
from edgesim.workload.lengths import Fixed
from edgesim.world.disciplines.batched import DynamicBatching
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.fifo import FirstComeFirstServed
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.disciplines.static import StaticBatching
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.service import Exponential

WHOLE = Slice(0, 4, embedding=True, head=True)
PASS_S, START_UP_S = 4.0, 2.5


def local(request: Any, cluster: Any) -> Any:
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from cluster.emit(request, "a-0", token)


@pytest.mark.parametrize(
    "serving",
    [
        None,
        FirstComeFirstServed(queue_limit=5),
        ProcessorSharing(),
        StaticBatching(),
        ContinuousBatching(max_tokens=3),
        DynamicBatching(),
    ],
)
def test_the_first_pass_on_a_device_takes_so_much_more(serving: Any) -> None:
    """A prompt of five tokens, cut into 3 and 2 where prompts are, and two steps, of a second a block."""
    made = {"prompt": Fixed(5), "output": Fixed(3)}
    cold = run(world([device("a-0", serving=serving, start_up_s=START_UP_S)], **made), Serve(local))
    warm = run(world([device("a-0", serving=serving)], **made), Serve(local))
    for column in ("first_token_at_s", "ended_at_s"):
        assert cold.requests[column].item() == pytest.approx(warm.requests[column].item() + START_UP_S)
    assert cold.devices["busy_s"].item() == pytest.approx(warm.devices["busy_s"].item() + START_UP_S)
    assert (cold.spans["started_at_s"].iloc[0], cold.spans["asked_at_s"].iloc[0]) == (0.0, 0.0)


def test_it_is_charged_once_whoever_comes_later() -> None:
    arrivals = Bursts(n_requests=2, period_s=1e6)
    ran = run(world([device("a-0", start_up_s=START_UP_S)], arrivals=arrivals, n_requests=2), Serve(local))
    assert ran.requests["ended_at_s"].tolist() == [START_UP_S + PASS_S, START_UP_S + 2 * PASS_S]


def test_every_replication_starts_anew() -> None:
    made = world([device("a-0", start_up_s=START_UP_S)])
    ends = [run(made, Serve(local)).requests["ended_at_s"].item() for _ in range(2)]
    assert ends == [START_UP_S + PASS_S] * 2


def test_drawn_times_leave_it_as_it_is() -> None:
    """The factor of a pass is that of its own time alone."""
    facts = {"service": Exponential()}
    cold = run(world([device("a-0", start_up_s=START_UP_S, **facts)]), Serve(local))
    warm = run(world([device("a-0", **facts)]), Serve(local))
    assert cold.requests["ended_at_s"].item() == pytest.approx(
        warm.requests["ended_at_s"].item() + START_UP_S
    )


def test_every_stage_has_its_own() -> None:
    """Stages of two blocks start when their first pass comes: 2 + 1, then 2 + 3, and the second token 4."""

    def ring(request: Any, cluster: Any) -> Any:
        first, last = Slice(0, 2, embedding=True), Slice(2, 4, head=True)
        for token in request.tokens():
            yield from cluster.compute(request, "a-0", first, token)
            yield from cluster.send(request, "a-0", "b-0", token.activation_bytes)
            yield from cluster.compute(request, "b-0", last, token)
            yield from cluster.send(request, "b-0", "a-0", request.token_bytes)
            yield from cluster.emit(request, "a-0", token)

    ends = [device("a-0", start_up_s=1.0), device("b-0", start_up_s=3.0)]
    made = world(ends, [Link(between=("a-0", "b-0"), rate_bps=8e15)], output=Fixed(2))
    ran = run(made, Serve(ring))
    assert ran.requests["first_token_at_s"].item() == pytest.approx(8.0)
    assert ran.requests["ended_at_s"].item() == pytest.approx(12.0)


def test_a_group_refuses_it() -> None:
    made = world(
        [device("a-0", start_up_s=1.0), device("b-0")],
        [Link(between=("a-0", "b-0"), rate_bps=8e6)],
        architecture=model(num_attention_heads=4, hidden_size=512, intermediate_size=1024),
    )
    strategy = TensorParallel(over=("a-0", "b-0"), all_reduce="star")
    placement = strategy.place(made.model, Fleet.of(made))
    with pytest.raises(InputError, match="'a-0' has a 'start_up'"):
        run(made, strategy, placement)


SCENARIO = """\
name: start
model: {architecture: gpt2, dtype: float32}
topology:
  devices:
    - {id: a, kind: jetson-agx-orin}
    - {id: b, kind: jetson-agx-orin, start_up: 2.5 s}
  links: [{between: [a, b], wired: {rate: 1 Gbit/s}}]
workload: {sources: a, arrivals: {poisson: 1 Hz}, requests: 1, prompt_tokens: 4, output_tokens: 2}
strategies: [{use: local}]
"""


def test_a_scenario_says_it_of_a_device() -> None:
    entries = parse(SCENARIO).topology.devices
    assert [entry.start_up_s for entry in entries] == [None, 2.5]
    with pytest.raises(InputError, match=r"devices\[1\]\.start_up: expected .* zero or more"):
        parse(SCENARIO.replace("2.5 s", "-1 s"))
    assert not examine(parse(SCENARIO)).problems
