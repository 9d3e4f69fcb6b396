"""What a scenario says of a device's TCP."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from edgesim.fields import Bytes, PositiveBytes, Seconds
from edgesim.scenario.text.section import Section, made
from edgesim.world.tcp import Tcp

__all__ = ["TcpEntry"]

Flag = Annotated[bool, Field(strict=True)]


class TcpEntry(Section):
    """Small writes and acknowledgements that wait: {nagle: true, delayed_ack: 40 ms}, as sockets come.

    A second small write waits for the acknowledgement of the first, and that one for data to ride on, or a
    timer: a program that writes a header and then a body loses it with every message. All messages between
    two devices share one connection.
    """

    nagle: Flag = False
    """Whether what fills no segment waits until all before it is acknowledged (RFC 896); else TCP_NODELAY."""
    delayed_ack_s: Seconds = Field(default=0.0, alias="delayed_ack")
    """How long acknowledgements of what this device receives wait, less than 0.5 s (RFC 1122, 4.2.3.2); 40 ms
    on Linux."""
    mss_bytes: PositiveBytes = Field(default=1460, alias="segment")
    """A full segment: 1460 bytes over Ethernet."""
    header_bytes: Bytes = Field(default=0, alias="header")
    """What is written by itself before every message, such as its length."""

    @model_validator(mode="after")
    def _makes_a_stack(self) -> TcpEntry:
        made(self.value)
        return self

    def value(self) -> Tcp:
        """The options as the engine takes them."""
        return Tcp(
            nagle=self.nagle,
            delayed_ack_s=self.delayed_ack_s,
            mss_bytes=self.mss_bytes,
            header_bytes=self.header_bytes,
        )
