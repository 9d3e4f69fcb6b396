"""How long a process of a ring is busy, against instants written by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from edgesim.measure.real.generation_loops import Visit, busy_s


def visit(due_s: float, arrived_s: float, sent_s: float) -> Visit:
    return Visit(1, 0, due_s, arrived_s, arrived_s, arrived_s, sent_s, sent_s)


def test_waiting_is_not_work_but_reading_what_is_already_there_is() -> None:
    waited_for = visit(0.0, 1.0, 3.0)
    was_there = visit(2.0, 3.5, 4.0)  # its header took half a second to read
    came_later = visit(4.2, 4.5, 5.0)

    assert busy_s([waited_for, was_there, came_later]) == pytest.approx((3.0 - 1.0) + (4.0 - 3.0) + 0.5)
    assert busy_s([]) == 0.0
