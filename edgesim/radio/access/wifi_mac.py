"""Contents and duration of an 802.11 frame exchange: frames, aggregates, acknowledgements.

A message is split into frames of ``frame_bytes``; each gets IP and UDP (or TCP) headers, LLC/SNAP, MAC header
and checksum. An exchange carries one frame or one aggregate (A-MPDU): [RTS, SIFS, CTS, SIFS,] data, SIFS,
acknowledgement. Sources: IEEE 802.11-2020 clauses 9.2.4 and 9.3 (frame formats), 9.7.1 (A-MPDU), 10.23.2.9
(TXOP limits).

Not modelled: encryption (8 to 16 bytes per frame), A-MSDU, several PPDUs in one TXOP, the block
acknowledgement window as a limit on sequence numbers, control responses below 24 Mb/s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edgesim.errors import InputError
from edgesim.radio.access.edca import Edca
from edgesim.radio.access.wifi_phy import (
    ACK_BYTES,
    BLOCK_ACK_BYTES,
    CTS_BYTES,
    RTS_BYTES,
    SIFS_S,
    SLOT_S,
    PpduFormat,
    control_s,
)
from edgesim.units import bits

__all__ = ["LONGEST_FRAME_BYTES", "LONGEST_PPDU_S", "Aggregation", "Exchange", "WifiMac"]

LONGEST_PPDU_S = 5.484e-3
"""aPPDUMaxTime of HT-mixed, VHT and HE PPDUs (802.11-2020 tables 19-25, 21-28; 802.11ax-2021 table 27-54)."""

LONGEST_FRAME_BYTES = 11_454
"""Longest MPDU of VHT and HE (802.11-2020 table 9-25)."""

_MAC_BYTES = 26 + 4  # QoS data header without HT control, and FCS
_LLC_BYTES, _IP_BYTES, _UDP_BYTES, _TCP_BYTES = 8, 20, 8, 20
_DELIMITER_BYTES, _WORD_BYTES = 4, 4
_ACK_S, _RTS_S, _CTS_S = control_s(ACK_BYTES), control_s(RTS_BYTES), control_s(CTS_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """Limits of an aggregate, in addition to the generation's own.

    Parameters
    ----------
    most_frames
        1 disables aggregation; 64 frames fit a block acknowledgement's bitmap, 256 the longest one of ax.
    longest_s
        Longest airtime of the PPDU.
    most_bytes
        Longest PSDU; None: the generation's limit.
    """

    most_frames: int = 64
    longest_s: float = LONGEST_PPDU_S
    most_bytes: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.most_frames <= max(BLOCK_ACK_BYTES) or not 0 < self.longest_s <= LONGEST_PPDU_S:
            raise InputError(
                f"Wi-Fi: aggregates of {self.most_frames} frames and {1e3 * self.longest_s:g} ms; expected 1 "
                f"to {max(BLOCK_ACK_BYTES)} frames and at most {1e3 * LONGEST_PPDU_S:g} ms"
            )
        if self.most_bytes is not None and self.most_bytes < 1:
            raise InputError(f"Wi-Fi: aggregates of {self.most_bytes} bytes; expected 1 or more")


@dataclass(frozen=True, slots=True)
class Exchange:
    """Airtimes of one exchange [s]."""

    data_s: float
    ack_s: float
    rts_s: float = 0.0
    cts_s: float = 0.0

    @property
    def first_s(self) -> float:
        """Airtime of the first transmission (RTS or data), which is all that a collision loses [s]."""
        return self.rts_s or self.data_s

    @property
    def data_after_s(self) -> float:
        """Time from the beginning of the exchange to that of its data [s]."""
        return self.rts_s + self.cts_s + 2.0 * SIFS_S if self.rts_s else 0.0

    @property
    def whole_s(self) -> float:
        """Time from the first bit of the exchange to the end of the acknowledgement [s]."""
        return self.data_after_s + self.data_s + SIFS_S + self.ack_s


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiMac:
    """MAC of a link: framing, aggregation, access category and RTS/CTS.

    Parameters
    ----------
    ppdu
        Format of the data frames.
    edca
        Access category.
    aggregation
        Limits of an aggregate.
    frame_bytes
        Bytes of a message in one frame, headers not included.
    rts_from_bytes
        RTS and CTS precede PSDUs of at least this many bytes; None: no PSDU.
    acknowledges_segments
        Whether the transport acknowledges like TCP: headers of 20 + 20 bytes, and for every two segments
        the receiver sends an acknowledgement of 40 bytes as an ordinary frame. False: UDP, with headers of
        28 bytes and no acknowledgements.
    """

    ppdu: PpduFormat = field(default_factory=PpduFormat)
    edca: Edca = field(default_factory=Edca)
    aggregation: Aggregation = field(default_factory=Aggregation)
    frame_bytes: int = 1500
    rts_from_bytes: int | None = None
    acknowledges_segments: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.frame_bytes <= LONGEST_FRAME_BYTES - self.header_bytes:
            raise InputError(
                f"Wi-Fi: frames of {self.frame_bytes} bytes; expected 1 to "
                f"{LONGEST_FRAME_BYTES - self.header_bytes}: with {self.header_bytes} bytes of headers the "
                f"standard's longest frame is {LONGEST_FRAME_BYTES}"
            )
        if self.aggregation.most_frames > min(BLOCK_ACK_BYTES) and self.ppdu.generation != "ax":
            raise InputError(
                f"Wi-Fi: aggregates of {self.aggregation.most_frames} frames; 802.11{self.ppdu.generation} "
                f"acknowledges {min(BLOCK_ACK_BYTES)} at once, ax {max(BLOCK_ACK_BYTES)}: give fewer"
            )

    @property
    def header_bytes(self) -> int:
        """Bytes of all headers of a frame: MAC, LLC/SNAP, IP and transport."""
        transport = _TCP_BYTES if self.acknowledges_segments else _UDP_BYTES
        return _MAC_BYTES + _LLC_BYTES + _IP_BYTES + transport

    def mpdu_bytes(self, payload_bytes: int) -> int:
        """Return the length of a frame with its headers."""
        return payload_bytes + self.header_bytes

    def subframe_bytes(self, payload_bytes: int) -> int:
        """Return the length of a frame in an aggregate: with delimiter, padded to words of 4 bytes."""
        n_words = -(-self.mpdu_bytes(payload_bytes) // _WORD_BYTES)
        return _DELIMITER_BYTES + _WORD_BYTES * n_words

    def room(self, rate_bps: float) -> tuple[int, float]:
        """Return the most frames and bytes of an aggregate at a rate; a first frame may exceed the bytes."""
        limits = self.aggregation
        if limits.most_frames == 1:
            return 1, math.inf
        airtime_s = limits.longest_s
        if self.edca.txop_s > 0.0:
            answered_s = self.edca.txop_s - SIFS_S - self._block_ack_s(limits.most_frames)
            announced_s = 0.0 if self.rts_from_bytes is None else _RTS_S + _CTS_S + 2.0 * SIFS_S
            airtime_s = min(airtime_s, answered_s - announced_s)
        most_bytes = min(self.ppdu.most_bytes, limits.most_bytes or self.ppdu.most_bytes)
        return limits.most_frames, min(most_bytes, self.ppdu.bytes_within(airtime_s, rate_bps))

    def exchange(self, n_frames: int, payload_bytes: int, psdu_bytes: int, rate_bps: float) -> Exchange:
        """Return the airtimes of an exchange.

        Parameters
        ----------
        n_frames
            Number of frames in the exchange.
        payload_bytes
            Payload of one frame. A single frame of 802.11n is sent without delimiter and padding.
        psdu_bytes
            Length of all subframes together.
        rate_bps
            Data rate of the physical layer.
        """
        if n_frames == 1 and not self.ppdu.always_aggregates:
            psdu_bytes = self.mpdu_bytes(payload_bytes)
        data_s = self.ppdu.data_s(psdu_bytes, rate_bps)
        ack_s = _ACK_S if n_frames == 1 else self._block_ack_s(n_frames)
        if self.rts_from_bytes is None or psdu_bytes < self.rts_from_bytes:
            return Exchange(data_s, ack_s)
        return Exchange(data_s, ack_s, _RTS_S, _CTS_S)

    @staticmethod
    def _block_ack_s(n_frames: int) -> float:
        return control_s(BLOCK_ACK_BYTES[64 if n_frames <= 64 else 256])

    def full_exchange(self, rate_bps: float) -> tuple[Exchange, int]:
        """Return the longest exchange of full frames at a rate, and its number of frames."""
        most_frames, most_bytes = self.room(rate_bps)
        each = self.subframe_bytes(self.frame_bytes)
        n_frames = max(1, min(most_frames, 1 if math.isinf(most_bytes) else int(most_bytes // each)))
        return self.exchange(n_frames, self.frame_bytes, n_frames * each, rate_bps), n_frames

    def alone_bps(self, rate_bps: float) -> float:
        """Return the message bits per second of a single saturated sender on an otherwise idle channel."""
        if not rate_bps > 0.0:
            return 0.0
        exchange, n_frames = self.full_exchange(rate_bps)
        wait_s = self.edca.aifs_s + 0.5 * self.edca.cw_min * SLOT_S
        return bits(n_frames * self.frame_bytes) / (wait_s + exchange.whole_s)

    def least_s(self, rate_bps: float) -> float:
        """Return the mean time of a shortest message on an idle channel [s]: half a slot, its exchange."""
        return 0.5 * SLOT_S + self.exchange(1, 0, self.subframe_bytes(0), rate_bps).whole_s
