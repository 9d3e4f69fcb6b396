"""What a turn of messages and sums comes to, against instants written by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from edgesim.measure.real.generation_loops import Visit
from edgesim.measure.real.in_context import _Found


def visit(n_new: int, arrived_s: float, read_s: float, computed_s: float, sent_s: float) -> Visit:
    """One visit: when a message arrived, and how long reading, computing and sending took from then on."""
    read_at_s = arrived_s + read_s
    done_at_s = read_at_s + computed_s
    return Visit(n_new, 0, arrived_s, arrived_s, read_at_s, read_at_s, done_at_s, done_at_s + sent_s)


def test_messages_between_sleeping_ends_are_both_directions() -> None:
    found = _Found(n_blocks=2)
    led = [visit(8, 0.0, 0.0, 1.0, 0.1), visit(8, 3.0, 0.2, 1.0, 0.3), visit(1, 6.0, 0.4, 1.0, 0.0)]
    followed = [visit(8, 1.5, 0.5, 0.5, 0.2), visit(1, 5.0, 0.3, 0.2, 0.3)]

    found.note_messages(led, followed)

    # There 0.1 to send, 0.4 on the way, 0.5 to read; back 0.2, 0.3, 0.2.
    assert found.messages(8) == pytest.approx([0.15, 0.35, 0.35])
    assert found.messages(1) == pytest.approx([0.3, (0.5 + 0.2) / 2, (0.3 + 0.4) / 2])


def test_messages_to_a_receiver_that_is_awake_are_those_sent_while_it_still_computes() -> None:
    found = _Found(n_blocks=2)
    # The first member's visits: two prompts begun, one that waited, then two whose messages were there.
    started = [visit(8, 0.0, 0.0, 1.0, 0.0), visit(8, 1.0, 0.0, 1.0, 0.0)]  # until 2.0
    waited = visit(8, 3.0, 0.5, 1.0, 0.5)  # until 5.0
    led = [*started, waited, visit(8, 5.1, 0.1, 1.0, 0.8), visit(1, 7.0, 0.4, 0.6, 0.0)]
    followed = [visit(8, 1.0, 0.0, 1.5, 0.3), visit(8, 3.0, 0.0, 1.0, 0.6), visit(1, 5.0, 0.0, 0.5, 0.7)]

    found.note_awake(led, followed)

    assert found.awake(8) == pytest.approx((0.6, 5.2 - 5.0))
    assert found.awake(1) == pytest.approx((0.7, 7.4 - 7.0))
    assert found.awake(32) == (None, None)


def test_a_sum_lasts_from_its_last_member_until_all_have_left() -> None:
    found = _Found(n_blocks=1)  # two sums in a pass

    found.note_sums(8, [(0.0, 1.0), (2.0, 3.0), (4.0, 5.0)], [(0.5, 1.2), (1.0, 2.8), (4.5, 5.5)])

    assert found.sums(8) == pytest.approx((0.7 + 1.0) / 2)
    assert found.sums(1) == pytest.approx(1.0)
