"""The frames of a message against a list of every one of them."""

from __future__ import annotations

import pytest

from edgesim.engine.network.wifi.frames import Frames, Run


@pytest.mark.parametrize(
    ("size_bytes", "runs"),
    [
        (4.0, [Run(0, 4, 1)]),
        (0.0, [Run(0, 0, 1)]),
        (99.5, [Run(0, 100, 1)]),
        (100.0, [Run(0, 100, 1)]),
        (250.0, [Run(0, 100, 2), Run(0, 50, 1)]),
    ],
)
def test_a_message_is_cut_into_full_frames_and_a_rest(size_bytes: float, runs: list[Run]) -> None:
    frames, taken = Frames(size_bytes, 100), []
    while frames.waits:
        taken.append(frames.take(frames.next_run().n_frames))
    assert taken == runs
    assert not frames.is_done
    for run in taken:
        assert frames.settle(run, 0, 7) == 0
    assert (frames.is_done, frames.worst, frames.n_dropped) == (True, 1, 0)


def test_what_has_failed_goes_again_first_and_is_dropped_in_the_end() -> None:
    frames = Frames(300.0, 100)
    frames.settle(frames.take(2), 1, 2)
    assert frames.next_run() == Run(1, 100, 1)
    assert frames.settle(frames.take(1), 1, 2) == 1  # its second attempt was its last
    assert frames.next_run() == Run(0, 100, 1)
    frames.settle(frames.take(1), 0, 2)
    assert (frames.is_done, frames.worst, frames.n_dropped) == (True, 2, 1)


def test_frames_in_part() -> None:
    frames = Frames(300.0, 100)
    first = frames.take(2)
    assert (first, frames.next_run(), frames.waits) == (Run(0, 100, 2), Run(0, 100, 1), True)
    frames.settle(first, 2, 7)
    assert frames.take(1) == Run(1, 100, 1)
    assert frames.next_run() == Run(1, 100, 1)


def test_acknowledgements_are_frames_without_a_payload() -> None:
    frames = Frames.empty(3)
    assert frames.take(2) == Run(0, 0, 2)
    assert frames.take(1) == Run(0, 0, 1)
    assert not frames.waits
