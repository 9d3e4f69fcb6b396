"""Sleeps in the place of sums, in a real model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from edgesim.measure.real import sums as sums_module
from edgesim.measure.real.sums import Sums, join, leave
from edgesim.measure.real.weights import untrained_model
from edgesim.validate.local.shapes import shape_named


def test_a_member_sleeps_as_long_as_it_is_asked_to_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesim.measure.real.sums.barrier", lambda: None)
    architecture = shape_named("tiny-gpt2").architecture
    model = untrained_model(architecture, seed=1)
    sums = Sums(model, architecture.family)
    sums.is_on, sums.rests_s = False, (2e-3, 5e-3, 1e-3, 4e-3)

    with torch.inference_mode():
        model(torch.tensor([[1, 2, 3]]))

    slept_s = [left_at_s - entered_at_s for entered_at_s, left_at_s in sums.instants_s]
    assert len(slept_s) == 2 * architecture.n_blocks
    expected_s = [0.0, 5e-3, 1e-3, 0.0, 2e-3, 5e-3]
    assert all(slept >= asked for slept, asked in zip(slept_s, expected_s, strict=True))


def test_members_of_a_group_meet_at_a_barrier_in_every_third_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    architecture = shape_named("tiny-gpt2").architecture
    model = untrained_model(architecture, seed=1)
    sums = Sums(model, architecture.family)
    sums.is_on, sums.rests_s = False, (1e-3,)
    did: list[object] = []
    monkeypatch.setattr("edgesim.measure.real.sums.barrier", lambda: did.append("barrier"))
    monkeypatch.setattr("edgesim.measure.real.sums.sleep", did.append)

    with torch.inference_mode():
        model(torch.tensor([[1, 2, 3]]))

    assert did == ["barrier", 1e-3, 1e-3, "barrier", 1e-3, 1e-3]
    assert len(sums.instants_s) == 2 * architecture.n_blocks


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="the scheduling policy is Linux's")
def test_the_event_loop_of_a_member_does_not_preempt_its_other_threads(tmp_path: Path) -> None:
    join(str(tmp_path / "meeting"), 0, 1)
    try:
        policies = {
            (task / "comm").read_text(encoding="ascii").strip(): os.sched_getscheduler(int(task.name))
            for task in Path("/proc/self/task").iterdir()
        }
    finally:
        leave()

    assert policies["gloo_tcp_loop"] == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="the scheduling policy is Linux's")
def test_an_event_loop_that_takes_its_name_late_is_waited_for_and_none_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = [[], [], [11, 12]]
    slept: list[float] = []
    changed: list[int] = []
    monkeypatch.setattr(sums_module, "_threads_named", lambda name: looks.pop(0) if looks else [])
    monkeypatch.setattr(sums_module, "sleep", slept.append)
    monkeypatch.setattr(os, "sched_setscheduler", lambda thread, *_: changed.append(thread))

    sums_module._let_event_loop_yield()
    assert (len(slept), changed) == (2, [11, 12])

    monkeypatch.setattr(sums_module, "perf_counter", lambda: sum(slept))
    sums_module._let_event_loop_yield()
    assert len(slept) - 2 == pytest.approx(1000, abs=1)  # a second, a millisecond each
    assert changed == [11, 12]


def test_a_member_that_neither_sums_nor_sleeps_notes_nothing() -> None:
    architecture = shape_named("tiny-gpt2").architecture
    model = untrained_model(architecture, seed=1)
    sums = Sums(model, architecture.family)
    sums.is_on = False

    with torch.inference_mode():
        model(torch.tensor([[1, 2, 3]]))

    assert sums.instants_s == []
