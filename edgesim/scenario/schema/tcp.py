"""Scenario section of a device's TCP options."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from edgesim.fields import Bytes, PositiveBytes, Seconds
from edgesim.scenario.text.section import Section, made_or_refused
from edgesim.world.tcp import Tcp

__all__ = ["TcpEntry"]

Flag = Annotated[bool, Field(strict=True)]


class TcpEntry(Section):
    """TCP delays of small writes and acknowledgements; sockets default to {nagle: true, delayed_ack: 40 ms}.

    A second small write waits for the acknowledgement of the first, and the acknowledgement waits for data to
    piggyback on, or for a timer: a program that writes a header and then a body loses this time with every
    message. All messages between two devices share one connection.
    """

    nagle: Flag = False
    """Nagle's algorithm (RFC 896): data that fills no segment waits until all earlier data is acknowledged;
    else TCP_NODELAY."""
    delayed_ack_s: Seconds = Field(default=0.0, alias="delayed_ack")
    """Delay of acknowledgements of data that this device receives, less than 0.5 s (RFC 1122, 4.2.3.2); 40 ms
    on Linux."""
    mss_bytes: PositiveBytes = Field(default=1460, alias="segment")
    """Maximum segment size: 1460 bytes over Ethernet."""
    header_bytes: Bytes = Field(default=0, alias="header")
    """Size of a header that is written separately before every message, such as its length."""

    @model_validator(mode="after")
    def _makes_a_stack(self) -> TcpEntry:
        made_or_refused(self.value)
        return self

    def value(self) -> Tcp:
        """Return the options for the engine."""
        return Tcp(
            nagle=self.nagle,
            delayed_ack_s=self.delayed_ack_s,
            mss_bytes=self.mss_bytes,
            header_bytes=self.header_bytes,
        )
