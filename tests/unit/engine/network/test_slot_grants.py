"""How long grants of resource blocks stay as they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from edgesim.engine.network.air.slot_grants import Granting, Part


def last_slot(*left_bits_of_slot_bits: tuple[float, float]) -> int:
    nothing = cast("Any", None)
    granting = Granting(nothing, nothing, nothing, nothing)
    parts = [
        Part(cast("Any", SimpleNamespace(left_bits=left, attempt_left_bits=left)), slot, 1.0, 1.0)
        for left, slot in left_bits_of_slot_bits
    ]
    return granting._end(10, parts, ())


def test_grants_stay_for_the_slots_that_the_first_to_end_fills() -> None:
    assert last_slot((500.0, 100.0), (301.0, 100.0)) == 13


def test_a_transfer_that_has_nothing_left_holds_its_grant_for_one_slot() -> None:
    # 40 of 40 bits had left as another event cut the slots short.
    assert last_slot((0.0, 0.0), (500.0, 100.0)) == 11
    assert last_slot((0.0, 0.0)) == 11
