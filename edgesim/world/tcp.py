"""TCP parameters that delay small writes."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.errors import InputError

__all__ = ["Tcp"]

_LONGEST_DELAY_S = 0.5
"""Upper bound of the delay of an acknowledgement [s] (RFC 1122, 4.2.3.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """Delays of small segments and acknowledgements by a device's TCP.

    Parameters
    ----------
    nagle
        Whether data that do not fill a segment wait until all earlier data are acknowledged (RFC 896; RFC
        1122, 4.2.3.4). A write on a connection without unacknowledged data is sent at once and in full, as in
        the BSD and Linux stacks. False: TCP_NODELAY.
    delayed_ack_s
        Maximum time that an acknowledgement waits to be piggybacked on data of the other direction, or for a
        second full segment (RFC 1122, 4.2.3.2). 0: sent at once.
    mss_bytes
        Size of a full segment.
    header_bytes
        Size of a separate write before every message, such as its length; 0: none.
    """

    nagle: bool = False
    delayed_ack_s: float = 0.0
    mss_bytes: int = 1460
    header_bytes: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.delayed_ack_s < _LONGEST_DELAY_S:
            raise InputError(
                f"tcp: an acknowledgement is delayed by {self.delayed_ack_s:g} s; expected 0 or more, and "
                f"less than {_LONGEST_DELAY_S:g} s (RFC 1122, 4.2.3.2)"
            )
        if self.mss_bytes < 1 or self.header_bytes < 0:
            raise InputError(
                f"tcp: found segments of {self.mss_bytes} and headers of {self.header_bytes} bytes; expected "
                "1 or more, and 0 or more"
            )
