"""The frames of a message that wait for the air: those never sent, and those to be sent again."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["Frames", "Run"]


class Run(NamedTuple):
    """Identical frames of a message."""

    n_failures: int
    """Number of failed transmissions of each."""
    payload_bytes: int
    n_frames: int


class Frames:
    """The frames of a message; failed ones are sent first.

    Parameters
    ----------
    size_bytes
        Size of the message; a message of 0 bytes is one empty frame.
    frame_bytes
        Greatest payload of a frame.
    """

    __slots__ = ("_frame_bytes", "_n_full", "_repeats", "_tail_bytes", "n_dropped", "n_under_way", "worst")

    def __init__(self, size_bytes: float, frame_bytes: int) -> None:
        n_full, tail_bytes = divmod(math.ceil(size_bytes), frame_bytes)
        self._frame_bytes, self._n_full = frame_bytes, n_full
        self._tail_bytes: int | None = tail_bytes if tail_bytes or not n_full else None
        self._repeats: list[Run] = []
        self.n_under_way = 0  # in the current exchange
        self.n_dropped = 0
        self.worst = 1  # greatest number of attempts of any frame

    @property
    def waits(self) -> bool:
        """Whether any frame waits for the air."""
        return bool(self._repeats) or self._n_full > 0 or self._tail_bytes is not None

    @property
    def is_done(self) -> bool:
        """Whether all frames have been delivered or dropped."""
        return not self.waits and not self.n_under_way

    @classmethod
    def empty(cls, n_frames: int) -> Frames:
        """Create a number of frames that consist of headers alone."""
        frames = cls(0.0, 1)
        frames._frame_bytes, frames._n_full, frames._tail_bytes = 0, n_frames, None
        return frames

    def next_run(self) -> Run:
        """Return the next identical frames."""
        if self._repeats:
            return self._repeats[0]
        if self._n_full:
            return Run(0, self._frame_bytes, self._n_full)
        assert self._tail_bytes is not None
        return Run(0, self._tail_bytes, 1)

    def take(self, n_frames: int) -> Run:
        """Take a number of the next identical frames for transmission."""
        run = self.next_run()
        taken = run._replace(n_frames=n_frames)
        left = run.n_frames - n_frames
        if self._repeats:
            self._repeats[:1] = [run._replace(n_frames=left)] if left else []
        elif self._n_full:
            self._n_full = left
        else:
            self._tail_bytes = None
        self.n_under_way += n_frames
        return taken

    def settle(self, run: Run, n_failed: int, most_attempts: int) -> int:
        """Queue failed frames again, or drop them at the limit of attempts; return the number dropped."""
        self.n_under_way -= run.n_frames
        n_attempts = run.n_failures + 1
        self.worst = max(self.worst, n_attempts)
        if not n_failed:
            return 0
        if n_attempts >= most_attempts:
            self.n_dropped += n_failed
            return n_failed
        self._repeats.append(Run(n_attempts, run.payload_bytes, n_failed))
        self._repeats.sort(key=lambda one: -one.n_failures)
        return 0
