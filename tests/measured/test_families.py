"""A profile of one small model of each family: every component, whole and in shards."""

from __future__ import annotations

import pytest
from small_models import SMALL

pytest.importorskip("torch")

from edgesim.measure.grid import Grid
from edgesim.measure.timing import measure_profile
from edgesim.model.architecture import Architecture, Component
from edgesim.model.families import FAMILIES
from edgesim.model.profile import Phase, Profile
from edgesim.model.scaling import ScaledTiming

pytestmark = [pytest.mark.measured, pytest.mark.slow]

SHARDS = (1, 2)
FEW = Grid(
    batches=(1, 2),
    prefill_batches=(1, 2),
    prompts=(1, 8),
    contexts=(16, 32),
    held_out_prompts=(4,),
    held_out_contexts=(24,),
    shards=SHARDS,
)


def profile_of(family: str) -> Profile:
    architecture = Architecture.from_config(SMALL[family], name=f"small-{family}", dtype="float32")
    return measure_profile(architecture, threads=1, device="cpu", grid=FEW.within(architecture), budget_s=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_component_is_measured_whole_and_the_blocks_in_shards(family: str) -> None:
    profile = profile_of(family)
    phases = list(Phase) if profile.architecture.is_causal else [Phase.PREFILL]
    divided = {Component.ATTENTION, Component.MLP, Component.BLOCK}
    expected = {(component, phase, 1) for component in Component for phase in phases}
    expected |= {(component, phase, 2) for component in divided for phase in phases}

    assert set(profile.surfaces) == expected
    whole = profile.architecture.whole
    for batch in FEW.batches:
        for n_shards in SHARDS:
            call = {"batch": batch, "n_new": 8, "n_context": 0, "n_shards": n_shards}
            measured_s = profile.timing().seconds(whole, **call)
            assert measured_s > 0
            assert ScaledTiming(profile, profile.ceilings).seconds(whole, **call) == measured_s
