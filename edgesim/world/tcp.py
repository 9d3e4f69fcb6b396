"""What TCP does with small writes, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.errors import InputError

__all__ = ["Tcp"]

_LONGEST_DELAY_S = 0.5
"""An acknowledgement is delayed by less than that (RFC 1122, 4.2.3.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """How a device's TCP holds back small segments and acknowledgements.

    Parameters
    ----------
    nagle
        Whether what fills no segment waits until all that was sent before is acknowledged (RFC 896; RFC 1122,
        4.2.3.4). A write onto a connection with nothing on its way goes at once, whole, as the stacks of BSD
        and Linux have it. False: TCP_NODELAY.
    delayed_ack_s
        How long an acknowledgement waits for data of the other direction to ride on, or for a second full
        segment (RFC 1122, 4.2.3.2). 0: it goes at once.
    mss_bytes
        A full segment.
    header_bytes
        What a program writes by itself before every message, such as its length; 0: nothing.
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
