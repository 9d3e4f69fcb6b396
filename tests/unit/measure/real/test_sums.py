"""Sleeps in the place of sums, in a real model."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from edgesim.measure.real.sums import Sums
from edgesim.measure.real.weights import untrained_model
from edgesim.validate.local.shapes import shape_named


def test_a_member_sleeps_as_long_as_it_is_asked_to_in_turn() -> None:
    architecture = shape_named("tiny-gpt2").architecture
    model = untrained_model(architecture, seed=1)
    sums = Sums(model, architecture.family)
    sums.is_on, sums.rests_s = False, (2e-3, 5e-3, 1e-3, 4e-3)

    with torch.inference_mode():
        model(torch.tensor([[1, 2, 3]]))

    slept_s = [left_at_s - entered_at_s for entered_at_s, left_at_s in sums.instants_s]
    assert len(slept_s) == 2 * architecture.n_blocks
    expected_s = [2e-3, 5e-3, 1e-3, 4e-3, 2e-3, 5e-3]
    assert all(slept >= asked for slept, asked in zip(slept_s, expected_s, strict=True))


def test_a_member_that_neither_sums_nor_sleeps_notes_nothing() -> None:
    architecture = shape_named("tiny-gpt2").architecture
    model = untrained_model(architecture, seed=1)
    sums = Sums(model, architecture.family)
    sums.is_on = False

    with torch.inference_mode():
        model(torch.tensor([[1, 2, 3]]))

    assert sums.instants_s == []
