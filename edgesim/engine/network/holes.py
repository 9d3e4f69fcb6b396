"""What an unacknowledged message has lost on its way: blocks that no repetition brings back."""

from __future__ import annotations

__all__ = ["Holes"]


class Holes:
    """The share of a message that is missing, hop after hop.

    RLC's unacknowledged mode (TS 38.322 section 5.2.2) leaves it at the physical layer's attempts: nothing
    above repeats what they have failed to deliver. Parts that go over one hop one after the other, as around
    a handover, are different bytes; hops in a row lose independently of one another.

    Attributes
    ----------
    share
        What is missing so far, 0 to 1.
    """

    __slots__ = ("_before", "_size_bytes", "share")

    def __init__(self, size_bytes: float) -> None:
        self._size_bytes = size_bytes
        self._before = self.share = 0.0

    def note(self, part_bytes: float, lost: float) -> None:
        """Note that of so many bytes of the message a share was lost on the hop under way."""
        if self._size_bytes > 0.0:
            self.share += (1.0 - self._before) * part_bytes / self._size_bytes * lost

    def next_hop(self) -> None:
        """Begin with another hop."""
        self._before = self.share
