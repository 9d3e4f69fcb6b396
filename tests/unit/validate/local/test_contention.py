"""Passes beside another process, against a loop in which a stage slows down while the other one works."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from timed_parts import MS, SHAPE, profile

from edgesim.measure.real.rests import RestLosses
from edgesim.model.architecture import Component
from edgesim.model.communication import Communication, MessageCost, SumCost
from edgesim.model.profile import Phase, Profile
from edgesim.validate.local.contention import shares_beside
from edgesim.validate.local.prediction import predicted
from edgesim.validate.local.profiles_in_use import weighed, with_loop_steps
from edgesim.validate.local.settings import Extent, LinkShape, Setting

NOTHING_LOST = RestLosses(
    stages_s=((0.0,) * 5,) * 2, prompts_s=(0.0, 0.0), next_prompts_s=(0.0, 0.0), heads_s=(0.0, 0.0)
)
FREE = Communication(
    messages=(MessageCost(256, 0.0, 0.0, 0.0, 0.0),),
    sums=(SumCost(256, 0.0),),
    n_members=2,
    context="none",
    step_before_s=1e-9,
    step_s=1e-9,
    measured_at="2026-01-01T00:00:00+00:00",
)
EXTENT = Extent(n_prompt=16, n_out=30)


# How many times as long a pass takes beside the other stage: by stage, in a prompt and in a decoding step.
FACTORS = ((1.3, 1.15), (1.1, 1.4))


def slower(other: Profile, in_prompt: float, in_step: float) -> Profile:
    factors = {Phase.PREFILL: in_prompt, Phase.DECODE: in_step}
    points = tuple(replace(each, median_s=factors[each.phase] * each.median_s) for each in other.points)
    return replace(other, points=points)


def looped(latency_s: float, factors: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    """Time to the first token and per further one of a ring of two blocks and one block, with two samples.

    What is left of a stage's job [s alone] shrinks by one second per second while the other stage has
    nothing to do, and by one in so many seconds as its factor says otherwise.
    """

    def job_s(stage: int, token: int) -> float:
        of_step = int(token > 0)
        ms: float = MS[Component.EMBEDDING][of_step] + (2, 1)[stage] * MS[Component.BLOCK][of_step]
        return ms * 1e-3

    def head_s(token: int) -> float:
        ms: float = MS[Component.HEAD][int(token > 0)]
        return ms * 1e-3

    # Jobs waiting at a stage, the first of them begun: sample, token, whether it is the head, seconds left.
    queues: list[list[tuple[int, int, bool, float]]] = [[(n, 0, False, job_s(0, 0)) for n in (0, 1)], []]
    on_the_way: list[tuple[float, int, tuple[int, int, bool, float]]] = []  # until, to which stage, the job
    emitted: list[list[float]] = [[], []]
    now_s = 0.0
    while any(len(each) < EXTENT.n_out for each in emitted):
        slowed = [
            factors[stage][int(queue[0][1] > 0)] if queue and all(queues) else 1.0
            for stage, queue in enumerate(queues)
        ]
        ends_s = [queue[0][3] * by if queue else inf for queue, by in zip(queues, slowed, strict=True)]
        passed_s = min(*ends_s, min((each[0] for each in on_the_way), default=inf) - now_s)
        now_s += passed_s
        for stage, (queue, by) in enumerate(zip(queues, slowed, strict=True)):
            if not queue:
                continue
            sample, token, is_head, left_s = queue.pop(0)
            if left_s - passed_s / by > 1e-12:
                queue.insert(0, (sample, token, is_head, left_s - passed_s / by))
            elif is_head:
                emitted[sample].append(now_s)
                if token + 1 < EXTENT.n_out:  # the next token's first blocks follow at once
                    queue.insert(0, (sample, token + 1, False, job_s(0, token + 1)))
            elif stage == 0:
                on_the_way.append((now_s + latency_s, 1, (sample, token, False, job_s(1, token))))
            else:
                on_the_way.append((now_s + latency_s, 0, (sample, token, True, head_s(token))))
        for each in sorted(each for each in on_the_way if each[0] <= now_s + 1e-12):
            on_the_way.remove(each)
            queues[each[1]].append(each[2])
    times = np.array(emitted)
    return float(times[:, 0].mean()), float(np.diff(times, axis=1).mean())


@pytest.mark.parametrize("latency_s", [0.0, 2e-3, 20e-3])
def test_passes_take_as_long_as_the_other_stage_s_work_implies(latency_s: float, tmp_path: Path) -> None:
    alone = with_loop_steps(profile(SHAPE, EXTENT.n_prompt + EXTENT.n_out), FREE)
    beside = [slower(alone, *factors) for factors in FACTORS]
    setting = Setting(kind="pipeline", n_devices=2, n_samples=2, link=LinkShape("", 1e14, latency_s))

    def found(charged: list[Profile], alone: list[Profile] | None, name: str) -> tuple[float, float]:
        figures = predicted(SHAPE, setting, EXTENT, charged, FREE, NOTHING_LOST, tmp_path / name, alone=alone)
        return figures.ttft_s, figures.tpot_s

    # The loop itself, where the other stage changes nothing.
    assert found([alone] * 2, None, "alone") == pytest.approx(looped(latency_s, ((1.0, 1.0),) * 2), rel=1e-5)
    ttft_s, tpot_s = looped(latency_s, FACTORS)
    # One share for the prompts of both samples, of which the first begins alone, is a bit off.
    assert found(beside, [alone] * 2, "weighed") == (
        pytest.approx(ttft_s, rel=0.02),
        pytest.approx(tpot_s, rel=0.01),
    )
    # Either end by itself is farther off, the second one unless the links are slow.
    assert found(beside, None, "beside")[1] > 1.02 * tpot_s
    assert found([alone] * 2, None, "alone again")[1] < (0.98 if latency_s < 10e-3 else 1.0) * tpot_s


def test_shares_are_of_the_time_in_which_any_other_stage_computes() -> None:
    rows = [
        # token, kind, device, from, to
        (0, "compute", "a", 0.0, 4.0),
        (0, "compute", "b", 3.0, 5.0),  # half of it beside a
        (0, "compute", "c", 3.5, 4.5),  # b and c at once count once
        (1, "compute", "a", 10.0, 12.0),
        (1, "send", "b", 10.0, 12.0),
        (1, "compute", "b", 20.0, 21.0),
    ]
    spans = pd.DataFrame(rows, columns=["token", "kind", "device", "started_at_s", "ended_at_s"])

    found = shares_beside(spans, ["a", "b", "c"])

    assert found[0] == {Phase.PREFILL: pytest.approx(0.25), Phase.DECODE: 0.0}
    assert found[1] == {Phase.PREFILL: pytest.approx(0.75), Phase.DECODE: 0.0}
    assert found[2] == {Phase.PREFILL: pytest.approx(1.0), Phase.DECODE: 0.0}


def test_a_profile_is_weighed_point_by_point() -> None:
    alone, beside = profile(SHAPE), slower(profile(SHAPE), 2.0, 2.0)

    found = weighed(alone, beside, {Phase.PREFILL: 0.5, Phase.DECODE: 0.25})

    for before, after in zip(beside.points, found.points, strict=True):
        share = {Phase.PREFILL: 0.5, Phase.DECODE: 0.25}[before.phase]
        # What is done in these shares of the time, at either speed, is the whole.
        done = after.median_s * ((1.0 - share) / (before.median_s / 2) + share / before.median_s)
        assert done == pytest.approx(1.0)
        assert (after.of, after.at) == (before.of, before.at)
