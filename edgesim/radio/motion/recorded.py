"""Recorded channels: a rate measured over time, and the exact end of a transfer over it.

A recording is stored as the bits delivered up to each instant. A transfer that begins at a point of that
curve ends where the curve has risen by its size, without time steps, however the rate varies in between.
First come, first served is then one addition on the axis of bits::

    first = max(recorded.delivered_bits(now_s), free_bits)
    free_bits = first + size_bits
    ends_at_s = recorded.instant_s(free_bits)

Files are read by :mod:`edgesim.radio.motion.rate_files`.

Not modelled: queues and losses within the recorded network beyond what its deliveries show.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from edgesim.errors import RecordingError
from edgesim.units import bits

__all__ = ["PACKET_BYTES", "RecordedRate"]

PACKET_BYTES = 1500
"""Bytes of one Mahimahi delivery opportunity."""


class RecordedRate:
    """Recorded bits delivered over time; the recording repeats after its end.

    Parameters
    ----------
    times_s
        Instants [s], from 0 on, in order; the last one is the length of the recording.
    total_bits
        Bits delivered up to and including each instant; non-decreasing. They start at 0, or above if bits are
        delivered at time zero.
    is_stepwise
        Whether each difference is delivered at its instant (packets), or evenly on the way to it (rates).
    is_guessed
        Whether bit/s was assumed because no unit was given.
    """

    def __init__(
        self,
        times_s: Sequence[float],
        total_bits: Sequence[float],
        *,
        is_stepwise: bool,
        is_guessed: bool = False,
    ) -> None:
        self.is_guessed = is_guessed
        self._times_s = list(times_s)
        self._bits = list(total_bits)
        self._is_stepwise = is_stepwise
        self.length_s = self._times_s[-1]
        self.length_bits = self._bits[-1]
        if self.length_s <= 0 or self.length_bits <= 0:
            raise RecordingError(
                f"recorded rate: {self.length_bits:g} bits in {self.length_s:g} s; expected both above 0"
            )

    @classmethod
    def of_rates(
        cls, times_s: Sequence[float], rates_bps: Sequence[float], *, is_guessed: bool = False
    ) -> RecordedRate:
        """Create a recording from rates, each valid from its instant to the next; the last one is the end."""
        lasts_s = np.diff(np.asarray(times_s, dtype=float))
        total_bits = np.concatenate([[0.0], np.cumsum(lasts_s * np.asarray(rates_bps[:-1], dtype=float))])
        instants_s = [t - times_s[0] for t in times_s]
        return cls(instants_s, total_bits.tolist(), is_stepwise=False, is_guessed=is_guessed)

    @classmethod
    def of_packets(cls, times_s: Sequence[float], packet_bytes: int = PACKET_BYTES) -> RecordedRate:
        """Create a recording from the delivery instants of single packets."""
        instants, counts = np.unique(np.asarray(times_s, dtype=float), return_counts=True)
        return cls(instants.tolist(), (np.cumsum(counts) * bits(packet_bytes)).tolist(), is_stepwise=True)

    @property
    def mean_bps(self) -> float:
        """Mean rate over the recording [bit/s]."""
        return self.length_bits / self.length_s

    def rate_bps(self, at_s: float) -> float:
        """Return the rate at an instant [bit/s]; for packets, the mean over the following second."""
        if self._is_stepwise:
            return self.delivered_bits(at_s + 1.0) - self.delivered_bits(at_s)
        number = bisect_right(self._times_s, at_s % self.length_s)
        rise = self._bits[number] - self._bits[number - 1]
        return rise / (self._times_s[number] - self._times_s[number - 1])

    def delivered_bits(self, at_s: float) -> float:
        """Return the bits delivered from time zero up to and including an instant."""
        n_rounds = math.floor(at_s / self.length_s)
        into_s = at_s - n_rounds * self.length_s
        number = bisect_right(self._times_s, into_s)
        before = self._bits[number - 1] if number else 0.0
        if not self._is_stepwise and number < len(self._times_s):
            from_s, to_s = self._times_s[number - 1], self._times_s[number]
            before += (into_s - from_s) / (to_s - from_s) * (self._bits[number] - before)
        # The list repeats from its last instant on, so that instant's packets belong to the round before it.
        return n_rounds * self.length_bits + before

    def instant_s(self, total_bits: float) -> float:
        """Return the first instant at which ``total_bits`` have been delivered since time zero [s]."""
        if total_bits <= 0.0:
            return 0.0
        n_rounds = math.ceil(total_bits / self.length_bits) - 1
        into_bits = min(total_bits - n_rounds * self.length_bits, self.length_bits)
        number = bisect_left(self._bits, into_bits)
        since_s = n_rounds * self.length_s
        if self._is_stepwise or number == 0:
            return since_s + self._times_s[number]
        done = (into_bits - self._bits[number - 1]) / (self._bits[number] - self._bits[number - 1])
        from_s, to_s = self._times_s[number - 1], self._times_s[number]
        return since_s + from_s + done * (to_s - from_s)

    def finish_s(self, start_s: float, size_bits: float) -> float:
        """Return when a transfer ends that begins at an instant on an idle link [s]."""
        if size_bits <= 0.0:
            return start_s
        return max(start_s, self.instant_s(self.delivered_bits(start_s) + size_bits))
