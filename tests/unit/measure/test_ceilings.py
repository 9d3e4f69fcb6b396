"""How large a product the probe takes on processors of different speed."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

from edgesim.measure.ceilings import CeilingProbe


@pytest.mark.parametrize(
    ("flop_per_s", "size"), [(100e9, 2048), (20e9, 2048), (10e9, 1024), (1e9, 512), (1e7, 256)]
)
def test_a_product_takes_a_second_at_the_most_where_a_smaller_one_can_be_had(
    flop_per_s: float, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe: Any = CeilingProbe.__new__(CeilingProbe)
    monkeypatch.setattr(probe, "_timed", lambda call: 2 * 256**3 / flop_per_s, raising=False)
    assert probe._size_of_product(2048) == size
