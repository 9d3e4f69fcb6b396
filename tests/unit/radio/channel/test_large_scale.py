"""Path loss and shadowing along a way: many instants at once are the same as one after another."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.radio.channel.large_scale import LargeScale
from edgesim.radio.channel.path_loss.environment import PathLoss
from edgesim.radio.channel.path_loss.environments import (
    FreeSpace,
    IndoorOffice,
    LogDistance,
    UrbanMacro,
    UrbanMicro,
)
from edgesim.radio.motion.mobility import Area, RandomWaypoint, Static

AREA = Area(-100.0, -50.0, 200.0, 80.0)
MODELS = [UrbanMicro(), UrbanMacro(), IndoorOffice(), FreeSpace(), LogDistance(exponent=3.2, sigma_db=7.0)]


@pytest.mark.parametrize("is_los", [None, True, False])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_many_instants_at_once_are_one_after_another(model: PathLoss, is_los: bool | None) -> None:
    way = RandomWaypoint(11, AREA, (1.0, 30.0), (0.0, 2.0))
    there = Static((20.0, 10.0))
    loss = LargeScale(model, way, there, carrier_hz=3.5e9, key=5, is_los=is_los, extra_loss_db=2.0)
    times_s = np.sort(np.random.default_rng(1).uniform(0, 60, 400))
    one_by_one = [loss.at(float(at_s)).total_db for at_s in times_s]
    np.testing.assert_allclose(loss.total_db(times_s), one_by_one, rtol=0, atol=1e-9)


def test_nothing_moves_and_nothing_changes() -> None:
    loss = LargeScale(UrbanMicro(), Static((0.0, 0.0)), Static((50.0, 0.0)), carrier_hz=3.5e9, key=5)
    assert len(set(loss.total_db(np.linspace(0, 1e4, 50)).tolist())) == 1
    assert loss.at(3.0).until_s == float("inf")
