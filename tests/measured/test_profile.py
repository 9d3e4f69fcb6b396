"""A real profile of a very small model, measured in seconds: what any machine must fulfil."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_models import LLAMA

torch = pytest.importorskip("torch")

from edgesim.measure.grid import Grid  # noqa: E402  torch comes first
from edgesim.measure.timing import measure_profile  # noqa: E402
from edgesim.model.architecture import Architecture, Component  # noqa: E402
from edgesim.model.profile import Profile  # noqa: E402
from edgesim.model.scaling import ScaledTiming  # noqa: E402

pytestmark = pytest.mark.measured


def measured(device: str) -> Profile:
    architecture = Architecture.from_config(LLAMA, name="small-llama", dtype="float32")
    grid = Grid.covering(64, 64).within(architecture)
    return measure_profile(architecture, threads=1, device=device, grid=grid, budget_s=3)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return measured("cpu")


def test_every_component_is_measured_in_both_phases(profile: Profile) -> None:
    assert {key[0] for key in profile.surfaces} == set(Component)
    assert len(profile.surfaces) == 2 * len(Component)
    assert all(point.n_repeats >= 3 for point in profile.points)


def test_a_longer_prompt_costs_more(profile: Profile) -> None:
    whole = profile.architecture.whole
    short_s, long_s = profile.timing().seconds(whole, batch=1, n_new=np.array([1, 64]), n_context=0)
    assert short_s < long_s


def test_the_ceilings_bound_what_was_measured(profile: Profile) -> None:
    for point in profile.points:
        if point.component in (Component.BLOCK, Component.HEAD):
            work = profile.architecture.work(
                point.component, batch=point.batch, n_new=point.n_new, n_context=point.n_context
            )
            assert work.flop / profile.ceilings.flop_per_s < point.median_s


def test_it_is_kept_and_scaled_like_any_other(profile: Profile, tmp_path: Path) -> None:
    profile.save(tmp_path / "profile.parquet")
    read = Profile.load(tmp_path / "profile.parquet")

    assert read == profile
    call = {"batch": 1, "n_new": 1, "n_context": 30}
    whole = profile.architecture.whole
    assert ScaledTiming(read, read.ceilings).seconds(whole, **call) == profile.timing().seconds(whole, **call)


@pytest.mark.gpu
def test_a_gpu_is_measured_by_its_own_clock() -> None:
    profile = measured("cuda")
    assert profile.host["gpu"]
    assert all(point.median_s > 0 for point in profile.points)
