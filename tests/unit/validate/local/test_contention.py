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
from edgesim.validate.local.passes import weighed, with_loop_steps
from edgesim.validate.local.prediction import predicted
from edgesim.validate.local.settings import Extent, LinkShape, Setting

NOTHING_LOST = RestLosses(stages_s=((0.0,) * 3,) * 2, prompts_s=(0.0, 0.0), head_s=0.0)
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


def slower(other: Profile, factor: float) -> Profile:
    return replace(
        other, points=tuple(replace(each, median_s=factor * each.median_s) for each in other.points)
    )


def looped(n_samples: int, latency_s: float, slowed: float) -> tuple[float, float]:
    """Time to the first token and time per further one, of a ring of two blocks and one block.

    What is left of either stage's job [s alone] shrinks by one second per second while the other stage has
    nothing to do, and more slowly otherwise.
    """

    def job_s(stage: int, token: int) -> float:
        prompt = token == 0
        own = MS[Component.EMBEDDING][not prompt] + (2, 1)[stage] * MS[Component.BLOCK][not prompt]
        return own * 1e-3

    head_s = [MS[Component.HEAD][token > 0] * 1e-3 for token in range(EXTENT.n_out)]
    queues: list[list[tuple[int, int, float]]] = [[(i, 0, job_s(0, 0)) for i in range(n_samples)], []]
    on_the_way: list[tuple[float, int, int, int, float]] = []  # arrives at, stage, sample, token, job
    emitted: list[list[float]] = [[] for _ in range(n_samples)]
    heads: dict[tuple[int, int], float] = {}
    now_s = 0.0
    while any(len(each) < EXTENT.n_out for each in emitted):
        both = all(queues)
        left_s = [queue[0][2] * (slowed if both else 1.0) if queue else inf for queue in queues]
        step_s = min(*left_s, min((each[0] for each in on_the_way), default=inf) - now_s)
        now_s += step_s
        for queue in queues:
            if queue:
                sample, token, job = queue[0]
                queue[0] = sample, token, job - step_s / (slowed if both else 1.0)
        for stage, queue in enumerate(queues):
            if not queue or queue[0][2] > 1e-12:
                continue
            sample, token, _ = queue.pop(0)
            if stage == 0 and (sample, token) in heads:  # the head of the token before is done
                del heads[sample, token]
                emitted[sample].append(now_s)
                if token < EXTENT.n_out:
                    queue.insert(0, (sample, token, job_s(0, token)))
            elif stage == 0:
                on_the_way.append((now_s + latency_s, 1, sample, token, job_s(1, token)))
            else:
                on_the_way.append((now_s + latency_s, 0, sample, token + 1, head_s[token]))
        for each in sorted(each for each in on_the_way if each[0] <= now_s + 1e-12):
            on_the_way.remove(each)
            _, stage, sample, token, job = each
            if stage == 0:
                heads[sample, token] = job
            queues[stage].append((sample, token, job))
    times = np.array(emitted)
    return float(times[:, 0].mean()), float(np.diff(times, axis=1).mean())


@pytest.mark.parametrize("latency_s", [0.0, 2e-3, 20e-3])
def test_passes_take_as_long_as_the_other_stage_s_work_implies(latency_s: float, tmp_path: Path) -> None:
    slowed = 1.25
    measured = profile(SHAPE, EXTENT.n_prompt + EXTENT.n_out)
    alone, beside = (with_loop_steps(slower(measured, factor), FREE) for factor in (1.0, slowed))
    setting = Setting(
        kind="pipeline",
        n_devices=2,
        n_samples=2,
        link=LinkShape("", None if not latency_s else 1e14, latency_s),
    )

    def found(charged: Profile, alone: Profile | None, name: str) -> tuple[float, float]:
        figures = predicted(
            SHAPE, setting, EXTENT, [charged] * 2, FREE, NOTHING_LOST, tmp_path / name, alone=alone
        )
        return figures.ttft_s, figures.tpot_s

    # The loop itself, where the other stage changes nothing.
    assert found(alone, None, "alone") == pytest.approx(looped(2, latency_s, 1.0), rel=1e-5)
    expected = looped(2, latency_s, slowed)
    assert found(beside, alone, "weighed") == pytest.approx(expected, rel=0.01)
    assert found(beside, None, "beside")[1] > 1.02 * expected[1]


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
    alone, beside = profile(SHAPE), slower(profile(SHAPE), 2.0)

    found = weighed(alone, beside, {Phase.PREFILL: 0.5, Phase.DECODE: 0.25})

    for before, after in zip(beside.points, found.points, strict=True):
        share = {Phase.PREFILL: 0.5, Phase.DECODE: 0.25}[before.phase]
        # What is done in these shares of the time, at either speed, is the whole.
        done = after.median_s * ((1.0 - share) / (before.median_s / 2) + share / before.median_s)
        assert done == pytest.approx(1.0)
        assert (after.of, after.at) == (before.of, before.at)
