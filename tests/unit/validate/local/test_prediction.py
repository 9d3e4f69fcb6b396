"""What is predicted of a setting, against sums written out by hand."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from timed_parts import MS, SHAPE, profile

from edgesim.errors import InputError
from edgesim.measure.real.exchanges import ExchangePoint, Exchanges, GroupTimes, Slowdown
from edgesim.measure.real.members import Stretches
from edgesim.measure.real.rests import RestLosses
from edgesim.model.architecture import Component
from edgesim.model.communication import Communication, MessageCost, SumCost
from edgesim.model.profile import Phase, Profile
from edgesim.validate.local.figures import Figures
from edgesim.validate.local.prediction import predicted, stage_blocks
from edgesim.validate.local.profiles_in_use import with_loop_steps, with_messages
from edgesim.validate.local.ring_cycle import between_prompts_s, handling_s, idle_s, wait_for_prompt_s
from edgesim.validate.local.settings import LINKS, Extent, LinkShape, Setting, settings
from edgesim.validate.local.shapes import DEFAULT_SHAPES, SHAPES, shape_named

EXTENT = Extent(n_prompt=16, n_out=5)
STATE_BYTES = 64 * 4

SEND_S, TRANSIT_S, RECEIVE_S, SLOWED_S = 40e-6, 90e-6, 80e-6, 30e-6
LOSSES = RestLosses(
    stages_s=((SLOWED_S / 2, *[SLOWED_S] * 4),) * 2,
    prompts_s=(3 * SLOWED_S, 2 * SLOWED_S),
    next_prompts_s=(SLOWED_S, SLOWED_S),
    heads_s=(SLOWED_S / 3,) * 2,
)
GROUP = GroupTimes(
    prompt=Stretches(attention_s=5e-3, mlp_s=7e-3, late_s=150e-6),
    step=Stretches(attention_s=0.5e-3, mlp_s=2e-3, late_s=50e-6),
    # A prompt's exchange is the shorter one.
    exchanges=Exchanges(
        (ExchangePoint(1.275e-3, 900e-6), ExchangePoint(6e-3, 400e-6)),
        (Slowdown(1.25e-3, 1.02), Slowdown(6e-3, 0.9)),
    ),
    first_stretch_s=5e-3 + 0.7e-3 + 150e-6,
)
FIRST_STEP_S, STEP_S = 70e-6, 50e-6


def communication() -> Communication:
    sizes = (STATE_BYTES, 16 * STATE_BYTES)
    return Communication(
        messages=tuple(MessageCost(size, SEND_S, TRANSIT_S, RECEIVE_S, SLOWED_S) for size in sizes),
        sums=(SumCost(STATE_BYTES, 9.0),),  # of which no use is made
        n_members=2,
        context="none",
        step_before_s=FIRST_STEP_S,
        step_s=STEP_S,
        measured_at="2026-01-01T00:00:00+00:00",
    )


Foresee = Callable[[Setting], Figures]


@pytest.fixture
def foresee(tmp_path: Path) -> Foresee:
    def figures(setting: Setting) -> Figures:
        charged = profile(SHAPE)
        if setting.kind != "single":
            charged = with_loop_steps(charged, communication())
        folder = tmp_path / f"run of {setting.n_samples}"
        profiles = [charged] * setting.n_devices
        return predicted(SHAPE, setting, EXTENT, profiles, communication(), LOSSES, folder, group=GROUP)

    return figures


def test_a_single_device_takes_the_sum_of_its_parts(foresee: Foresee) -> None:
    found = foresee(Setting(kind="single"))

    assert found.ttft_s == pytest.approx((0.5 + 3 * 20.0 + 3.0 + 9.0) * 1e-3)
    assert found.tpot_s == pytest.approx((0.1 + 3 * 4.0 + 2.0 + 9.0) * 1e-3)
    assert found.tokens_per_s == pytest.approx(5 / (found.ttft_s + 4 * found.tpot_s))
    assert found.utilisation == ()


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.name)
def test_a_lone_request_walks_the_ring(foresee: Foresee, link: LinkShape) -> None:
    found = foresee(Setting(kind="pipeline", n_devices=2, link=link))

    def ring_s(n_new: int, *compute_ms: float) -> float:
        wire_s = 0.0 if link.rate_bps is None else n_new * STATE_BYTES * 8 / link.rate_bps + link.latency_s
        slowed_s = 2 * SLOWED_S if n_new == 1 else sum(LOSSES.prompts_s) + LOSSES.heads_s[0]
        message_s = SEND_S + TRANSIT_S + RECEIVE_S + wire_s
        return sum(compute_ms) * 1e-3 + 2 * message_s + slowed_s + STEP_S

    # What a pass does ahead of its first block both stages do; a profile has it with the embedding.
    assert found.ttft_s == pytest.approx(ring_s(16, 2 * 0.5, 3 * 20.0, 3.0) + FIRST_STEP_S - STEP_S, rel=1e-5)
    assert found.tpot_s == pytest.approx(ring_s(1, 2 * 0.1, 3 * 4.0, 2.0), rel=1e-5)
    # Of either stage's time, what it computes, handles of messages and loses for having slept.
    lasted_s = found.ttft_s + (EXTENT.n_out - 1) * found.tpot_s
    slowed_s = LOSSES.prompts_s[1] + 4 * SLOWED_S
    second_s = (20.5 + 4 * 4.1) * 1e-3 + EXTENT.n_out * (SEND_S + RECEIVE_S) + slowed_s
    assert found.utilisation[1] == pytest.approx(second_s / lasted_s, rel=1e-5)


def test_samples_in_flight_queue_at_both_stages_as_in_a_loop_over_their_jobs(foresee: Foresee) -> None:
    found = foresee(Setting(kind="pipeline", n_devices=2, n_samples=2))

    handled_s = SEND_S + RECEIVE_S  # by either stage in every pass
    emitted_at_s: dict[int, list[float]] = {0: [], 1: []}
    busy_s, free_at_s = [0.0, 0.0], [0.0, 0.0]

    def jobs(request: int) -> list[tuple[int, float, float, bool]]:
        """Every job of a request: at which stage, how long, the delay behind it, whether it ends a token."""
        listed = []
        for token in range(EXTENT.n_out):
            embedding_ms, block_ms, head_ms = (
                MS[each][token > 0] for each in (Component.EMBEDDING, Component.BLOCK, Component.HEAD)
            )
            # The second of two prompts finds the first stage at work, and the second one asleep again.
            firsts_s = LOSSES.next_prompts_s[0] if request else LOSSES.prompts_s[0]
            first_s = firsts_s if token == 0 else 0.0
            second_s = LOSSES.prompts_s[1] if token == 0 else SLOWED_S
            head_s = head_ms * 1e-3 + (FIRST_STEP_S if token == 0 else STEP_S)
            listed += [
                (0, (embedding_ms + 2 * block_ms) * 1e-3 + handled_s + first_s, TRANSIT_S, False),
                # The first stage has more to do, so that the second one waits for it, asleep.
                (1, (embedding_ms + block_ms) * 1e-3 + handled_s + second_s, TRANSIT_S, False),
                (0, head_s, 0.0, True),
            ]
        return listed

    left = {request: jobs(request) for request in (0, 1)}
    ready = [(0.0, request) for request in (0, 1)]
    while ready:
        at_s, request = heapq.heappop(ready)
        stage, seconds, delay_s, is_token = left[request].pop(0)
        starts_at_s = max(at_s, free_at_s[stage])
        free_at_s[stage] = starts_at_s + seconds
        busy_s[stage] += seconds
        if is_token:
            emitted_at_s[request].append(free_at_s[stage])
            if left[request]:  # the next token's first blocks follow at once
                _, more_s, delay_s, _ = left[request].pop(0)
                free_at_s[stage] += more_s
                busy_s[stage] += more_s
        if left[request]:
            heapq.heappush(ready, (free_at_s[stage] + delay_s, request))
    emitted = np.array([emitted_at_s[0], emitted_at_s[1]])
    assert found.ttft_s == pytest.approx(emitted[:, 0].mean(), rel=1e-5)
    assert found.tpot_s == pytest.approx(np.diff(emitted, axis=1).mean(), rel=1e-5)
    assert found.tokens_per_s == pytest.approx(emitted.size / emitted.max(), rel=1e-5)
    assert found.utilisation == pytest.approx(np.array(busy_s) / emitted.max(), rel=1e-5)


def test_only_a_stage_that_all_samples_keep_busy_does_not_sleep(foresee: Foresee) -> None:
    """On links so slow that samples are mostly on their way, both stages wake up for every message."""
    slow = Setting(kind="pipeline", n_devices=2, n_samples=2, link=LinkShape("slow", 1e9, 1.0))
    found, lone = foresee(slow), foresee(replace(slow, n_samples=1))

    # The samples never meet but at the beginning, when the second waits for the first one's first blocks.
    assert found.tpot_s == pytest.approx(lone.tpot_s, rel=1e-6)


AWAKE = replace(
    communication(),
    messages=tuple(
        replace(each, awake_send_s=10e-6, awake_receive_s=5e-6) for each in communication().messages
    ),
)


@pytest.mark.parametrize("n_samples", [1, 2])
@pytest.mark.parametrize(
    ("n_first", "step_ms", "steep_s"),
    [(2, 9.0, 2e-3), (2, 9.0, 12e-3), (1, 2.2, 5e-3)],  # the last stages are nearly alike: both hardly sleep
)
def test_the_cycle_of_a_ring_is_that_of_its_passes_with_all_that_sleeping_costs(
    n_samples: int, n_first: int, step_ms: float, steep_s: float
) -> None:
    """Sleeps, the losses after them and the handling of messages fit together, however steep the losses."""
    setting = Setting(kind="pipeline", n_devices=2, n_samples=n_samples)
    losses = replace(LOSSES, stages_s=((1e-3, 3e-3, 3.4e-3, 4e-3, 4e-3), (steep_s, 4e-3, 4.4e-3, 5e-3, 5e-3)))
    points = tuple(
        replace(point, median_s=step_ms * 1e-3) if point.component is Component.STEP else point
        for point in profile(SHAPE).points
    )
    profiles, cuts = [replace(profile(SHAPE), points=points)] * 2, [(0, n_first), (n_first, 3)]

    first_s, second_s = idle_s(profiles, cuts, setting, AWAKE, losses, EXTENT)

    handled_s = handling_s(AWAKE, STATE_BYTES, (first_s, second_s))
    passes_s = (
        (0.1 + n_first * 4.0 + 2.0 + step_ms) * 1e-3 + handled_s[0] + losses.after(0, first_s),
        (0.1 + (3 - n_first) * 4.0) * 1e-3 + handled_s[1] + losses.after(1, second_s),
    )
    round_s = sum(passes_s) + 2 * AWAKE.transit.seconds(STATE_BYTES)
    cycle_s = max(*passes_s, round_s / n_samples)
    assert (first_s, second_s) == pytest.approx((cycle_s - passes_s[0], cycle_s - passes_s[1]), abs=1e-8)
    assert (first_s < 1e-12) == (n_samples == 2 and n_first == 2)


def test_both_stages_handle_messages_as_long_as_their_own_sleeps_imply(tmp_path: Path) -> None:
    """The first stage, always busy, reads awake and wakes the second, which sends to one that is awake."""
    setting = Setting(kind="pipeline", n_devices=2, n_samples=2)
    charged = with_loop_steps(profile(SHAPE), AWAKE)

    found = predicted(SHAPE, setting, EXTENT, [charged] * 2, AWAKE, LOSSES, tmp_path / "run")

    rests_s = idle_s([charged] * 2, [(0, 2), (2, 3)], setting, AWAKE, LOSSES, EXTENT)
    handled_s = handling_s(AWAKE, STATE_BYTES, rests_s)
    assert handled_s == pytest.approx([SEND_S + 5e-6, 10e-6 + RECEIVE_S], rel=1e-6)
    first_s = (0.1 + 2 * 4.0 + 2.0) * 1e-3 + STEP_S + handled_s[0]
    assert found.tpot_s == pytest.approx(2 * first_s, rel=5e-2)  # but for the beginning
    lasted_s = 2 * EXTENT.n_out / found.tokens_per_s
    second_s = (0.1 + 4.0) * 1e-3 + handled_s[1] + LOSSES.after(1, rests_s[1])
    # Prompts arrive 40 ms apart, and take 20: the second one finds a stage that has slept, too.
    prompt_s = (0.5 + 20.0) * 1e-3 + SEND_S + RECEIVE_S + LOSSES.prompts_s[1]
    busy_s = 2 * prompt_s + 2 * (EXTENT.n_out - 1) * second_s
    assert found.utilisation[1] * lasted_s == pytest.approx(busy_s, rel=1e-5)


def test_a_head_that_has_slept_behind_prompts_is_slower_in_the_run(foresee: Foresee) -> None:
    """Both prompts are under way for most of a second, while the first stage sleeps."""
    slow = Setting(kind="pipeline", n_devices=2, n_samples=2, link=LinkShape("slow", 1e12, 0.5))

    handled_s, way_s = SEND_S + RECEIVE_S, TRANSIT_S + 0.5
    first_s = (0.5 + 2 * 20.0) * 1e-3 + handled_s + LOSSES.next_prompts_s[0]
    second_s = (0.5 + 20.0) * 1e-3 + handled_s + LOSSES.prompts_s[1]
    head_s = 3.0e-3 + FIRST_STEP_S + LOSSES.heads_s[0]
    # The second prompt waits for the first one's first blocks, which are slower by what sleeping costs, and
    # never again.
    firsts_s = LOSSES.prompts_s[0] - LOSSES.next_prompts_s[0] + 1.5 * first_s
    assert foresee(slow).ttft_s == pytest.approx(firsts_s + way_s + second_s + way_s + head_s, rel=1e-6)


def test_the_first_prompt_alone_finds_a_slow_second_stage_asleep(tmp_path: Path) -> None:
    first = with_loop_steps(profile(SHAPE), communication())
    points = tuple(
        replace(point, median_s=60e-3)
        if (point.component, point.phase) == (Component.BLOCK, Phase.PREFILL)
        else point
        for point in first.points
    )
    setting = Setting(kind="pipeline", n_devices=2, n_samples=2)
    stages = [first, replace(first, points=points)]

    found = predicted(SHAPE, setting, EXTENT, stages, communication(), LOSSES, tmp_path / "run")

    handled_s = SEND_S + RECEIVE_S
    firsts_s = (0.5 + 2 * 20.0) * 1e-3 + handled_s + LOSSES.prompts_s[0]
    second_s = (0.5 + 60.0) * 1e-3 + handled_s
    head_s = 3.0e-3 + FIRST_STEP_S + LOSSES.heads_s[0]
    way_s = firsts_s + second_s + LOSSES.prompts_s[1] + 2 * TRANSIT_S + head_s
    # The second prompt waits for the first one, and for no more than half of both samples' mean.
    assert found.ttft_s == pytest.approx(way_s + (second_s + LOSSES.next_prompts_s[1]) / 2, rel=1e-6)


def test_a_later_prompt_finds_a_stage_that_sleeps_as_long_as_prompts_arrive_apart() -> None:
    """On a link that a prompt occupies for 100 ms; and where the first of three stages takes longest."""
    charged, cuts = [profile(SHAPE)] * 2, [(0, 2), (2, 3)]
    wire_bps = EXTENT.n_prompt * STATE_BYTES * 8 / 0.1
    crowded = Setting(kind="pipeline", n_devices=2, n_samples=2)
    slow = replace(crowded, link=LinkShape("slow", wire_bps))

    losses = replace(
        LOSSES,
        stages_s=LOSSES.stages_s[:1] * 3,
        prompts_s=(*LOSSES.prompts_s, LOSSES.prompts_s[1]),
        next_prompts_s=LOSSES.next_prompts_s[:1] * 3,
    )

    def between_s(setting: Setting) -> list[float]:
        return between_prompts_s(charged, cuts, setting, communication(), losses, EXTENT)

    apart_s = 20e-3 + LOSSES.next_prompts_s[0] - LOSSES.prompts_s[1]
    assert between_s(crowded) == pytest.approx([0.0, apart_s], rel=1e-6)
    on_the_way_s = 79.5e-3 - SEND_S - RECEIVE_S - LOSSES.prompts_s[1]
    assert between_s(slow) == pytest.approx([0.0, on_the_way_s], rel=1e-6)
    charged, cuts = [profile(SHAPE)] * 3, [(0, 2), (2, 3), (2, 3)]
    assert between_s(crowded) == pytest.approx([0.0, apart_s, apart_s], rel=1e-6)
    # What the second prompt loses is in proportion to what a decoding step loses.
    losses = replace(LOSSES, stages_s=((0.0, 0.0, 0.0, 1e-3, 4e-3),) * 2, prompts_s=(8e-3, 8e-3))
    losses = replace(losses, next_prompts_s=(0.0, 1e-3))
    assert [losses.prompt_after(1, 1e-3 * ms) for ms in (0, 16, 48, 99)] == [1e-3, 2e-3, 8e-3, 8e-3]
    noisy = replace(losses, stages_s=((0.0, 2e-3, 1e-3, 4e-3, 1e-6),) * 2)
    assert [noisy.prompt_after(1, 1e-3 * ms) for ms in (4, 8, 16, 48)] == [4e-3, 4e-3, 8e-3, 8e-3]
    none = replace(losses, stages_s=((0.0,) * 5,) * 2)  # then to the sleep
    assert [none.prompt_after(1, 1e-3 * ms) for ms in (0, 24, 48, 99)] == [1e-3, 4e-3, 8e-3, 8e-3]


def test_sending_costs_more_to_a_stage_that_sleeps_and_receiving_in_proportion_to_the_sleep() -> None:
    def handled_s(*rests_s: float) -> list[float]:
        return handling_s(AWAKE, STATE_BYTES, rests_s)

    awake_s = 10e-6 + 5e-6
    assert handled_s(0.0, 0.0) == pytest.approx([awake_s] * 2)
    assert handled_s(1.0, 1.0) == pytest.approx([SEND_S + RECEIVE_S] * 2)
    assert handled_s(0.0, 1.0) == pytest.approx([SEND_S + 5e-6, 10e-6 + RECEIVE_S])
    assert handled_s(0.0, 1e-3) == pytest.approx([SEND_S + 5e-6, 10e-6 + 5e-6 + (RECEIVE_S - 5e-6) / 4])


def test_a_prompts_messages_cost_what_lies_between_the_measured_sizes() -> None:
    costs_s = {1: 1e-3, 8: 9e-3, 32: 10e-3}
    messages = tuple(
        MessageCost(
            n * STATE_BYTES, send_s=0.75 * both_s, transit_s=0.0, receive_s=0.25 * both_s, slowed_s=0.0
        )
        for n, both_s in costs_s.items()
    )
    costs = replace(communication(), messages=messages)
    nothing = dict.fromkeys(Phase, 0.0)

    charged = with_messages(profile(SHAPE), costs, 2, is_first=True, handled_s=0.0, slowed_s=nothing)

    def block_s(of: Profile) -> float:
        (found,) = (
            point.median_s for point in of.points if (point.component, point.n_new) == (Component.BLOCK, 16)
        )
        return found

    expected_s = (9e-3 + (10e-3 - 9e-3) * (16 - 8) / (32 - 8)) / 2
    assert block_s(charged) - block_s(profile(SHAPE)) == pytest.approx(expected_s)


@pytest.mark.parametrize(("n_samples", "waits_s"), [(1, 1.0205), (2, 0.98)])
def test_a_head_behind_a_prompt_has_slept_until_it_comes_back(n_samples: int, waits_s: float) -> None:
    """The second stage has half a millisecond and a block of 20 ms to do, the first two blocks of 20 ms."""
    setting = Setting(kind="pipeline", n_devices=2, n_samples=n_samples, link=LinkShape("slow", 1e12, 0.5))

    found_s = wait_for_prompt_s([profile(SHAPE)] * 2, [(0, 2), (2, 3)], setting, communication(), EXTENT)

    assert found_s == pytest.approx(waits_s, abs=1e-3)


def test_a_group_computes_shards_and_waits_for_its_slowest_and_sums_twice_in_every_block(
    foresee: Foresee,
) -> None:
    found = foresee(Setting(kind="tensor", n_devices=2))

    def pass_s(computed_s: float, sum_s: float, ends_ms: float) -> float:
        return 3 * computed_s + ends_ms * 1e-3 + 6 * sum_s + STEP_S

    # Embedding and first attention take 5.7 ms together before the wait for the slower, and further ones
    # 0.9 times 5 ms behind sums; a decoding step's are slower behind sums.
    prompt_s = 150e-6 + Exchanges(GROUP.exchanges.points, ()).after(0.9 * 6e-3)
    ttft_s = pass_s(0.9 * 12e-3, prompt_s, 1.2 + 3.0) + FIRST_STEP_S - STEP_S
    tpot_s = pass_s(1.02 * 2.5e-3, 50e-6 + 900e-6, 2.1)
    assert (found.ttft_s, found.tpot_s) == pytest.approx((ttft_s, tpot_s), rel=1e-5)
    lasted_s = ttft_s + 4 * tpot_s
    assert found.tokens_per_s == pytest.approx(5 / lasted_s, rel=1e-5)
    shards_s = 3 * (0.9 * 12e-3 + 4 * 1.02 * 2.5e-3)
    ends_s = (4.2 + 4 * 2.1) * 1e-3 + 4 * STEP_S + FIRST_STEP_S
    assert found.utilisation == pytest.approx(((shards_s + ends_s) / lasted_s, shards_s / lasted_s), rel=1e-5)


def test_blocks_are_cut_evenly_and_settings_are_those_that_the_host_has_cores_for() -> None:
    assert stage_blocks(7, 3) == [(0, 3), (3, 5), (5, 7)]
    assert [s.name for s in settings(1, 1, 4)] == ["single device"]
    two = list(settings(2, 2, 4))
    assert len(two) == 1 + 2 * len(LINKS) + 1
    assert {setting.n_samples for setting in two} == {1, 2}
    assert [s for s in settings(3, 4, 4) if s.n_samples == 3]
    with pytest.raises(InputError, match="--stages 3: each process needs its own core"):
        list(settings(3, 2, 4))
    with pytest.raises(InputError, match="a model of 2 blocks"):
        list(settings(3, 4, 2))


def test_the_models_are_as_large_as_they_are_called() -> None:
    for name, shape in SHAPES.items():
        millions = shape.architecture.n_parameters / 1e6
        if name.endswith("m"):
            assert millions == pytest.approx(float(name.rpartition("-")[2][:-1]), rel=0.03)
    large = [name for name in DEFAULT_SHAPES if SHAPES[name].architecture.n_parameters > 1e8]
    assert len(large) >= 3
    with pytest.raises(InputError, match="gpt2-124m"):
        shape_named("gpt2-125m")
