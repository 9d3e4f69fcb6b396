"""Recorded channels: a rate as it was measured over time, and when a transfer over it ends, exactly.

A recording is kept as the bits delivered up to each instant. A transfer of so many bits, begun at a point of
that curve, ends where the curve has risen by so much: no steps of time, whatever the rate does on the way.
First come, first served is then one addition too, on the axis of bits::

    first = max(recorded.delivered_bits(now_s), free_bits)
    free_bits = first + size_bits
    ends_at_s = recorded.instant_s(free_bits)

Two formats. Mahimahi's lists delivery opportunities (Netravali et al. 2015, USENIX ATC): a line is a whole
number of milliseconds at which one packet of 1500 bytes can be delivered; the list repeats from its last
instant on. CSV has the columns ``t`` [s] and ``rate`` [bit/s], each rate from its instant to the next.

Not modelled: queues and losses within the recorded network beyond what its deliveries show.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgesim.errors import RecordingError
from edgesim.radio.recording_file import number_in, opened, refuse, rows_of
from edgesim.units import bits

__all__ = ["PACKET_BYTES", "RecordedRate", "read_mahimahi", "read_rate_csv", "read_rates"]

PACKET_BYTES = 1500
"""Bytes of one of Mahimahi's delivery opportunities."""


class RecordedRate:
    """Bits delivered over time, as recorded; after its end it begins anew.

    Parameters
    ----------
    times_s
        Instants [s], from 0 on, in order; the last one is the length of the recording.
    total_bits
        Bits delivered up to each instant, that instant included; they start at 0 or, where something is
        delivered at once, above, and never fall.
    is_stepwise
        Whether all of a difference is delivered at its instant (packets), or evenly on the way to it (rates).
    """

    def __init__(self, times_s: Sequence[float], total_bits: Sequence[float], *, is_stepwise: bool) -> None:
        self._times_s = list(times_s)
        self._bits = list(total_bits)
        self._is_stepwise = is_stepwise
        self.length_s = self._times_s[-1]
        self.length_bits = self._bits[-1]
        if self.length_s <= 0 or self.length_bits <= 0:
            raise RecordingError(
                f"recorded rate: {self.length_bits:g} bits in {self.length_s:g} s; expected some in some time"
            )

    @classmethod
    def of_rates(cls, times_s: Sequence[float], rates_bps: Sequence[float]) -> RecordedRate:
        """Make one from rates, each of which holds from its instant to the next; the last is the end."""
        lasts_s = np.diff(np.asarray(times_s, dtype=float))
        total_bits = np.concatenate([[0.0], np.cumsum(lasts_s * np.asarray(rates_bps[:-1], dtype=float))])
        return cls([t - times_s[0] for t in times_s], total_bits.tolist(), is_stepwise=False)

    @classmethod
    def of_packets(cls, times_s: Sequence[float], packet_bytes: int = PACKET_BYTES) -> RecordedRate:
        """Make one from the instants of deliveries of one packet each."""
        instants, counts = np.unique(np.asarray(times_s, dtype=float), return_counts=True)
        return cls(instants.tolist(), (np.cumsum(counts) * bits(packet_bytes)).tolist(), is_stepwise=True)

    @property
    def mean_bps(self) -> float:
        """Mean rate over the recording [bit/s]."""
        return self.length_bits / self.length_s

    def rate_bps(self, at_s: float) -> float:
        """Rate at an instant [bit/s]; of packets, that of the second to come."""
        if self._is_stepwise:
            return self.delivered_bits(at_s + 1.0) - self.delivered_bits(at_s)
        number = bisect_right(self._times_s, at_s % self.length_s)
        rise = self._bits[number] - self._bits[number - 1]
        return rise / (self._times_s[number] - self._times_s[number - 1])

    def delivered_bits(self, at_s: float) -> float:
        """Bits delivered from time zero up to an instant, what is delivered just then included."""
        n_rounds = math.floor(at_s / self.length_s)
        into_s = at_s - n_rounds * self.length_s
        number = bisect_right(self._times_s, into_s)
        before = self._bits[number - 1] if number else 0.0
        if not self._is_stepwise and number < len(self._times_s):
            from_s, to_s = self._times_s[number - 1], self._times_s[number]
            before += (into_s - from_s) / (to_s - from_s) * (self._bits[number] - before)
        # The list repeats from its last instant on, so that instant's packets belong to the round that ends.
        return n_rounds * self.length_bits + before

    def instant_s(self, total_bits: float) -> float:
        """First instant at which so many bits have been delivered since time zero [s]."""
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
        """When a transfer ends that begins at an instant on an idle link [s]."""
        if size_bits <= 0.0:
            return start_s
        return max(start_s, self.instant_s(self.delivered_bits(start_s) + size_bits))


def read_rates(path: Path) -> RecordedRate:
    """Read a recorded rate: CSV where the file is called ``.csv``, else Mahimahi's list."""
    return read_rate_csv(path) if path.suffix.lower() == ".csv" else read_mahimahi(path)


def read_mahimahi(path: Path) -> RecordedRate:
    """Read a list of delivery opportunities, one millisecond a line, in order.

    Raises
    ------
    RecordingError
        With the line that is wrong.
    """
    last_ms = 0
    times_s = []
    with opened(path) as lines:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text:
                continue
            if not (text.isascii() and text.isdigit() and len(text) <= 15):
                refuse(path, number, f"found {text[:40]!r}, expected whole milliseconds, such as 17")
            if int(text) < last_ms:
                refuse(path, number, f"found {text} ms after {last_ms} ms; expected instants in order")
            last_ms = int(text)
            times_s.append(last_ms / 1e3)
    if last_ms == 0:
        raise RecordingError(
            f"{path}: no delivery after 0 ms; expected a line for each packet, in milliseconds"
        )
    return RecordedRate.of_packets(times_s)


def read_rate_csv(path: Path) -> RecordedRate:
    """Read rates over time: a header ``t,rate``, then instants [s] and rates [bit/s].

    The last line's instant is the end of the recording, and its rate is not used; the first line's is time
    zero.

    Raises
    ------
    RecordingError
        With the line that is wrong.
    """
    times_s: list[float] = []
    rates_bps: list[float] = []
    for line, row in rows_of(path, ("t", "rate")):
        at_s, rate_bps = number_in(path, line, row, "t"), number_in(path, line, row, "rate")
        if rate_bps < 0:
            refuse(path, line, f"found a rate of {rate_bps:g} bit/s; expected 0 or more")
        if times_s and at_s <= times_s[-1]:
            refuse(path, line, f"found t = {at_s:g} after {times_s[-1]:g}; expected rising instants")
        times_s.append(at_s)
        rates_bps.append(rate_bps)
    if len(times_s) < 2 or not any(rates_bps[:-1]):
        raise RecordingError(f"{path}: expected two lines or more, and a rate above 0 before the last")
    return RecordedRate.of_rates(times_s, rates_bps)
