from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.errors import InputError
from edgesim.planning.offloading.queue_cost import Barrier, queue_tasks, wait_and_service_s


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9])
def test_exponential_service_is_an_m_m_1_queue_and_constant_service_an_m_d_1_queue(rho: float) -> None:
    tasks, _, _ = queue_tasks(np.full(2, rho), np.array([1.0, 0.0]), Barrier())
    assert tasks == pytest.approx([rho / (1 - rho), rho + rho**2 / (2 * (1 - rho))])
    mu = 4.0  # the reference formulation: alpha / (mu - lambda), and alpha/mu + rho alpha / (2 mu (1 - rho))
    times_s = wait_and_service_s(np.full(2, 1 / mu), np.full(2, rho), np.array([1.0, 0.0]))
    assert times_s == pytest.approx([1 / (mu - rho * mu), 1 / mu + rho / (2 * mu * (1 - rho))])


def test_an_overloaded_queue_has_no_mean_time() -> None:
    assert np.isinf(wait_and_service_s(np.ones(2), np.array([1.0, 1.5]), np.ones(2))).all()


@given(rho=st.floats(0.0, 3.0), scv=st.floats(0.0, 4.0), kappa=st.floats(0.5, 0.95), weight=st.floats(0, 100))
def test_slope_and_curvature_are_derivatives_on_both_sides_of_kappa(
    rho: float, scv: float, kappa: float, weight: float
) -> None:
    barrier, h = Barrier(kappa, weight), 1e-5
    around = np.array([rho - h, rho, rho + h])
    value, slope, curvature = queue_tasks(around, np.full(3, scv), barrier)
    # Central differences err by (h^2 / 6) F''' <= h^2 v / (1 - kappa)^4, and by a jump of F'' at kappa.
    bend = 2.5 / (1 - kappa) ** 4 * h**2 + 2 * weight * h
    assert (value[2] - value[0]) / (2 * h) == pytest.approx(slope[1], rel=1e-6, abs=bend + 1e-6)
    if abs(rho - kappa) > 2 * h:
        assert (slope[2] - slope[0]) / (2 * h) == pytest.approx(curvature[1], rel=1e-3)


def test_value_slope_and_curvature_go_on_smoothly_and_the_penalty_is_added() -> None:
    near = np.array([0.9 - 1e-12, 0.9 + 1e-12])
    for found in queue_tasks(near, np.ones(2), Barrier(0.9, 0.0)):
        assert found[0] == pytest.approx(found[1], rel=1e-6)
    free, _, _ = queue_tasks(np.array([1.4]), np.ones(1), Barrier(0.9, 0.0))
    penalised, _, _ = queue_tasks(np.array([1.4]), np.ones(1), Barrier(0.9, 7.0))
    assert penalised - free == pytest.approx(7.0 * 0.5**2)


@pytest.mark.parametrize(("kappa", "weight"), [(0.0, 1.0), (1.0, 1.0), (0.9, -1.0)])
def test_a_barrier_outside_its_range_is_refused(kappa: float, weight: float) -> None:
    with pytest.raises(InputError, match="expected kappa between 0 and 1"):
        Barrier(kappa, weight)
