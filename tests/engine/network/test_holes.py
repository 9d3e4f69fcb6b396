"""What an unacknowledged message has lost."""

from __future__ import annotations

import pytest

from edgesim.engine.network.block_losses import Holes


def test_hops_lose_independently_and_parts_of_one_hop_are_different_bytes():
    holes = Holes(100.0)
    holes.note(40.0, 0.5)
    holes.note(60.0, 0.25)
    assert holes.share == pytest.approx(0.4 * 0.5 + 0.6 * 0.25)
    holes.next_hop()
    holes.note(100.0, 0.2)
    assert holes.share == pytest.approx(1 - (1 - 0.35) * 0.8)
