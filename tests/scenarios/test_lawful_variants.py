"""Lawful variants of the shipped scenarios are accepted, from their text down to a placement."""

from __future__ import annotations

import pytest
from effort import IS_LONG, sized
from lawful_variants import variants

from edgesim.runner import prepare
from edgesim.scenario.load import parse

N_VARIANTS = sized(16, 200)


@pytest.mark.parametrize(("name", "text"), [*variants(0, N_VARIANTS)], ids=lambda value: str(value)[:60])
def test_a_lawful_variant_is_accepted(name: str, text: str) -> None:
    """Read and checked; in the long tests also prepared, down to its placements."""
    scenario = parse(text.removeprefix("\ufeff"), name="variant.yaml")
    assert scenario.strategies, name
    if IS_LONG:
        assert prepare(scenario, measure=False).placements, name
