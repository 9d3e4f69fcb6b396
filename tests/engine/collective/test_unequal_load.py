"""Groups whose members are not free at one time: who is ready first waits, and does nothing meanwhile."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from boards import MODEL, POWER, meeting
from miniature import Tables, run

from edgesim.model.architecture import Slice
from edgesim.strategies.tensor_parallel import GroupPlacement, TensorParallel
from edgesim.strategy import Stage
from edgesim.workload.arrivals import Bursts
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint
from edgesim.world.fleet import Fleet
from edgesim.world.world import World

N_PROMPT = 8
RATE_BPS = 2e7  # of the boards' wires
SPENT = ["energy_compute_j", "energy_tx_j", "energy_rx_j"]


def there(horizon_s: float | None = None) -> World:
    """Three boards alike, and two requests at 0 s, each of one pass."""
    world = meeting((1.0, 1.0, 1.0), Endpoint())
    workload = replace(
        world.workload,
        arrivals=Bursts(n_requests=2, period_s=1e6),
        prompt_tokens=Fixed(N_PROMPT),
        output_tokens=Fixed(1),
        n_requests=2,
        horizon_s=horizon_s,
    )
    return replace(world, workload=workload, horizon_s=horizon_s)


class TwoGroups:
    """The root serves request 0 together with node-1, and request 1 together with node-2."""

    makes_state = False

    def place(self, world: World) -> GroupPlacement:
        pair = TensorParallel(over=("node",), size=2).place(MODEL, Fleet.of(world))
        half = pair.shards["node-1"]
        stages = (*pair.stages, Stage("node-2", Slice(0, MODEL.n_blocks)))
        return GroupPlacement(stages, {**pair.shards, "node-2": half}, pair.summing)

    def control(self, cluster: Any, placement: Any) -> None:
        return None

    def serve(self, request: Any, cluster: Any, placement: GroupPlacement) -> Any:
        members = ("node-0", f"node-{request.id + 1}")
        for token in request.tokens():
            yield from cluster.compute_together(request, members, token, placement.summing)
            yield from cluster.emit(request, "node-0", token)


def ran_until(horizon_s: float | None) -> Tables:
    world, strategy = there(horizon_s), TwoGroups()
    return run(world, strategy, strategy.place(world))


class Pass(NamedTuple):
    seconds: float
    computed_s: float


@cache
def one_pass() -> Pass:
    """How long a pass takes, and how much of that its second member computes, from the run without end."""
    ran = ran_until(None)
    first = ran.requests.set_index("request_id").loc[0, "ended_at_s"]
    return Pass(first, ran.devices.set_index("device").loc["node-1", "busy_s"])


def spent(ran: Tables, device: str) -> np.ndarray:
    return ran.devices.set_index("device").loc[device, SPENT].to_numpy(float)


def sent_s() -> float:
    """Time for which each member of a pair sends, and receives, in a pass.

    Two sums in each of three blocks over the ring of two: twice half of a tensor of 8 x 96 values of 4 bytes.
    """
    return 2 * MODEL.n_blocks * N_PROMPT * MODEL.hidden_size * 4 * 8 / RATE_BPS


def test_the_second_group_begins_when_the_root_is_free_and_takes_as_long() -> None:
    ran = ran_until(None)
    pass_s = one_pass().seconds
    assert ran.requests.sort_values("request_id")["ended_at_s"].tolist() == [
        pass_s,
        pytest.approx(2 * pass_s),
    ]
    assert one_pass().computed_s + sent_s() < pass_s  # the rest is a switch on the way, and waits


@pytest.mark.parametrize("device", ["node-1", "node-2"])
def test_a_member_that_waits_for_the_root_draws_nothing_for_it(device: str) -> None:
    """Whether it has waited for a whole pass, or not at all: computing, sending and receiving of one pass."""
    by_hand = [one_pass().computed_s * POWER.active_w, sent_s() * POWER.tx_w, sent_s() * POWER.rx_w]
    np.testing.assert_allclose(spent(ran_until(None), device), by_hand, rtol=1e-9)
    root = spent(ran_until(None), "node-0")
    np.testing.assert_allclose(root[1:], 2 * np.array(by_hand[1:]), rtol=1e-9)


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_run_that_ends_while_a_member_waits_has_nothing_of_it_in_the_books(share: float) -> None:
    """The second pass is booked then, and so is the wait before it; neither has anything to show yet."""
    ran = ran_until(share * one_pass().seconds)
    np.testing.assert_allclose(spent(ran, "node-2"), 0.0, atol=1e-15)
    assert ran.devices.set_index("device").loc["node-2", "busy_s"] == pytest.approx(0.0, abs=1e-15)
    # What the other member does is spread evenly over the pass that it is in.
    np.testing.assert_allclose(spent(ran, "node-1"), share * spent(ran_until(None), "node-1"), rtol=1e-9)


def test_a_run_that_ends_in_the_second_pass_has_as_much_of_it_as_an_equal_share_of_the_first() -> None:
    pass_s = one_pass().seconds
    late, early = ran_until(1.25 * pass_s), ran_until(0.25 * pass_s)
    np.testing.assert_allclose(spent(late, "node-2"), spent(early, "node-1"), rtol=1e-9)
    busy_s = late.devices.set_index("device")["busy_s"]
    assert busy_s["node-2"] == pytest.approx(0.25 * one_pass().computed_s, rel=1e-9)


def test_sums_over_wires_have_no_error_to_tell() -> None:
    """Values arrive as they were sent: not an error of zero but none, and no answer counts as impaired."""
    ran = ran_until(None)
    assert (ran.spans["kind"] == "all_reduce").sum() == 4
    assert ran.spans["error_variance"].isna().all()
    assert ran.requests["error_variance"].isna().all()
