"""Impairments as values: names and levels that tell them apart, and what is refused."""

from __future__ import annotations

import math

import pytest

from edgesim.errors import InputError
from edgesim.model.answers.impairment import (
    AllReduceNoise,
    Combined,
    DeviceNoise,
    Erasure,
    FadedNoise,
    Impairment,
    Quantised,
)

DIFFERENT: list[Impairment] = [
    AllReduceNoise(0.1),
    DeviceNoise(0.1, 2),
    DeviceNoise(0.1, 4),
    Quantised(8),
    Quantised(8, 4),
    Erasure(0.1, 2),
    Erasure(0.1, 3),
    Erasure(0.1, 2, is_rescaled=True),
    Erasure(0.1, 2, unit="packet"),
    Erasure(0.1, 2, unit="packet", packet_elements=8),
    Erasure(0.1, 2, unit="packet", is_rescaled=True),
    FadedNoise(0.1, 1),
    FadedNoise(0.1, 2),
    FadedNoise(0.1, 2, block=2),
    Combined((AllReduceNoise(0.1), Erasure(0.1, 2))),
    Combined((AllReduceNoise(0.1), Erasure(0.2, 2))),
    Combined((AllReduceNoise(0.1), Erasure(0.1, 3))),
    Combined((AllReduceNoise(0.1), DeviceNoise(0.1, 2))),
    Combined((AllReduceNoise(0.1), DeviceNoise(0.1, 4))),
]


def key(impairment: Impairment) -> tuple[object, ...]:
    return impairment.name, impairment.block, impairment.n_devices


def test_no_two_kinds_share_a_tables_row() -> None:
    assert len({key(impairment) for impairment in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize("impairment", DIFFERENT, ids=lambda each: each.name)
def test_another_level_is_the_same_kind(impairment: Impairment) -> None:
    other = 4 if isinstance(impairment, Quantised) else 0.25
    moved = impairment.at(other)

    assert moved.level == other
    assert key(moved) == key(impairment)
    assert moved.at(impairment.level) == impairment
    assert not moved.is_nothing
    if impairment.clean_level is not None:
        assert impairment.at(impairment.clean_level).is_nothing


def test_a_combination_is_nothing_when_all_its_parts_are() -> None:
    parts = (AllReduceNoise(0.0), Erasure(0.1, 2))

    assert not Combined(parts).is_nothing
    assert Combined((parts[0], parts[1].at(0.0))).is_nothing


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: AllReduceNoise(-0.1), "finite number, 0 or more"),
        (lambda: DeviceNoise(math.nan, 2), "finite number, 0 or more"),
        (lambda: DeviceNoise(0.1, 0), "0 devices"),
        (lambda: Quantised(1), "whole number from 2"),
        (lambda: Quantised(4.5), "whole number from 2"),
        (lambda: Quantised(math.nan), "whole number from 2"),
        (lambda: Erasure(1.0, 2), "less than 1"),
        (lambda: Erasure(0.1, 0), "0 blocks"),
        (lambda: Erasure(0.1, 2, unit="byte"), "'element' or 'packet'"),
        (lambda: FadedNoise(0.1, 0.4), "0.5 or more"),
        (lambda: FadedNoise(0.1, math.nan), "0.5 or more"),
        (lambda: Combined((AllReduceNoise(0.1),)), "two or more"),
        (lambda: AllReduceNoise(0.1).at(math.inf), "finite number, 0 or more"),
    ],
)
def test_levels_that_mean_nothing_are_refused(make: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()  # type: ignore[operator]
