"""One Wi-Fi transmission: its frames, and when sender and receiver are active for it."""

from __future__ import annotations

from typing import NamedTuple

from edgesim.engine.network.wifi.frames import Run
from edgesim.engine.network.wifi.wifi_hop import WifiHop, WifiMessage
from edgesim.radio.access.wifi_mac import Exchange
from edgesim.radio.access.wifi_phy import SIFS_S

__all__ = ["Burst", "Part"]

Interval = tuple[float, float]


class Part(NamedTuple):
    """Frames of one message in a burst."""

    message: WifiMessage
    run: Run
    n_failed: int
    """Number of these frames that the channel garbles."""
    share: float
    """Share of the burst's bytes."""


class Burst:
    """A frame or an aggregate on the air, with its RTS/CTS and its acknowledgement.

    Attributes
    ----------
    sends_s, receives_s, answers_s
        Intervals in which the sender sends; the receiver receives; the receiver answers.
    ends_s
        End of its last frame.
    is_garbled
        Whether the channel garbles all of its frames, so that there is no answer.
    """

    __slots__ = (
        "airtimes",
        "answers_s",
        "began_s",
        "ends_s",
        "hop",
        "is_garbled",
        "parts",
        "receives_s",
        "sends_s",
    )

    def __init__(self, hop: WifiHop, parts: list[Part], airtimes: Exchange, began_s: float) -> None:
        self.hop, self.parts, self.airtimes, self.began_s = hop, parts, airtimes, began_s
        self.sends_s: list[Interval] = []
        self.receives_s: list[Interval] = []
        self.answers_s: list[Interval] = []
        self.ends_s = began_s
        self.is_garbled = all(part.n_failed == part.run.n_frames for part in parts)

    def goes_through(self) -> None:
        """Set the intervals of a burst without a collision."""
        began_s, airtimes = self.began_s, self.airtimes
        if airtimes.rts_s:
            rts_ends_s = began_s + airtimes.rts_s
            self.sends_s.append((began_s, rts_ends_s))
            self.answers_s.append((rts_ends_s + SIFS_S, rts_ends_s + SIFS_S + airtimes.cts_s))
        data_s = began_s + airtimes.data_after_s
        self.ends_s = data_s + airtimes.data_s
        self.sends_s.append((data_s, self.ends_s))
        self.receives_s = self.sends_s
        if not self.is_garbled:
            self.ends_s += SIFS_S + airtimes.ack_s
            self.answers_s.append((self.ends_s - airtimes.ack_s, self.ends_s))

    def collides(self, occupied_until_s: float) -> None:
        """Set the intervals of a burst that collides: only its first frame is sent.

        Parameters
        ----------
        occupied_until_s
            Until when the receiver is active for other bursts of the collision; infinite while it sends.
        """
        self.ends_s = self.began_s + self.airtimes.first_s
        self.sends_s.append((self.began_s, self.ends_s))
        if occupied_until_s < self.ends_s:
            self.receives_s = [(max(self.began_s, occupied_until_s), self.ends_s)]

    def activity(self, share: float, at_s: float) -> tuple[float, float, float]:
        """A part's time of sending, receiving and answering, up to an instant [s]."""
        return (
            share * _up_to(self.sends_s, at_s),
            share * _up_to(self.receives_s, at_s),
            share * _up_to(self.answers_s, at_s),
        )


def _up_to(intervals: list[Interval], at_s: float) -> float:
    passed_s = 0.0
    for from_s, to_s in intervals:
        if at_s > from_s:
            passed_s += min(at_s, to_s) - from_s
    return passed_s
