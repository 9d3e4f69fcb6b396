"""Losses of an unacknowledged message: blocks that are not repeated."""

from __future__ import annotations

__all__ = ["Holes"]


class Holes:
    """The share of a message that is missing, accumulated over its hops.

    In RLC's unacknowledged mode (TS 38.322 section 5.2.2) only the physical layer's attempts are made: no
    higher layer repeats blocks that they fail to deliver. Parts sent over one hop in succession, as around a
    handover, are different bytes; consecutive hops lose independently of one another.

    Attributes
    ----------
    share
        Missing share so far, 0 to 1.
    """

    __slots__ = ("_before", "_size_bytes", "share")

    def __init__(self, size_bytes: float) -> None:
        self._size_bytes = size_bytes
        self._before = self.share = 0.0

    def note(self, part_bytes: float, lost: float) -> None:
        """Record that a share `lost` of `part_bytes` of the message was lost on the current hop."""
        if self._size_bytes > 0.0:
            self.share += (1.0 - self._before) * part_bytes / self._size_bytes * lost

    def next_hop(self) -> None:
        """Continue with the next hop."""
        self._before = self.share
