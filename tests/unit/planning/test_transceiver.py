"""Transceivers: gradients by differences, one device in closed form, and a certified bound for many."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgesim.errors import InputError
from edgesim.planning.transceiver import (
    DESIGNERS,
    certified_alpha,
    designer,
    first_order,
    leading_subspace,
    lower_bound,
    sdr,
)
from edgesim.planning.transceiver_bound import certificate
from edgesim.planning.transceiver_descent import SmoothedMaximum, descend
from edgesim.planning.transceiver_sdp import relaxed_gram
from edgesim.radio.collective.aircomp import AirComp, alpha_star, mse, powers_w
from edgesim.rng import link_key

AIR = AirComp()  # the paper's: N_r = 20, N_t = L = 4
KEYS = [link_key(1, 0, f"device-{i}", "station") for i in range(8)]


def db(ratio: float) -> float:
    return 10.0 * math.log10(ratio)


def normals(generator: np.random.Generator, *shape: int) -> np.ndarray:
    return (generator.standard_normal(shape) + 1j * generator.standard_normal(shape)) / math.sqrt(2)


def small(n: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Channels of 6 by 2 antennas, and budgets."""
    generator = np.random.default_rng(seed)
    return normals(generator, n, 6, 2), generator.uniform(0.5, 2.0, n)


def quick_bound(channels: np.ndarray, budgets: np.ndarray) -> float:
    """A certified bound without a solver: descent on X = G G^H of full rank, then the dual.

    A few tenths of a decibel looser than the semidefinite program's.
    """
    objective = SmoothedMaximum(channels, budgets)
    combiner = np.eye(channels.shape[1], dtype=np.complex128)
    bounds = []
    for sharpness in (5.0, 10.0):
        combiner, _ = descend(objective, combiner, sharpness=(sharpness,), n_steps=300, precision=1e-8)
        gram = combiner @ combiner.conj().T
        inverse = np.linalg.inv(channels.conj().swapaxes(1, 2) @ gram @ channels)
        costs = np.trace(inverse, axis1=1, axis2=2).real / budgets
        # The smoothed maximum's derivatives by the f_n are its multipliers.
        weights = (costs / costs.max()) ** sharpness / (costs * budgets)
        bounds.append(certified_alpha(certificate(gram, channels, weights), channels, budgets))
    return max(bounds)


# --- the descent ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_transmit", "n_columns"), [(2, 2), (3, 2), (2, 4)])
def test_the_gradient_is_that_of_differences(n_transmit: int, n_columns: int) -> None:
    generator = np.random.default_rng(3)
    channels, combiner = normals(generator, 4, 6, n_transmit), normals(generator, 6, n_columns)
    objective = SmoothedMaximum(channels, generator.uniform(0.5, 2.0, 4))
    _, gradient, _ = objective(combiner, 7.0)
    step = 1e-6
    for direction in (1.0, 1j):
        for place in np.ndindex(combiner.shape):
            moved = np.zeros_like(combiner)
            moved[place] = step * direction
            difference = objective(combiner + moved, 7.0)[0] - objective(combiner - moved, 7.0)[0]
            # Central differences err by step^2 and by rounding over step: 1e-9 of values near 1.
            expected = (gradient[place] * np.conj(direction)).real
            assert difference / (2 * step) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("sharpness", [2.0, 50.0])
def test_the_smoothed_maximum_is_above_the_true_one_by_at_most_log_n_over_b(sharpness: float) -> None:
    channels, budgets = small()
    combiner = normals(np.random.default_rng(4), 6, 2)
    smoothed, _, true = SmoothedMaximum(channels, budgets)(combiner, sharpness)
    assert true == pytest.approx(math.log(alpha_star(combiner, channels, budgets).alpha), abs=1e-12)
    assert true <= smoothed <= true + math.log(3) / sharpness


def test_a_device_that_cannot_be_heard_is_infinitely_bad() -> None:
    channels, budgets = small()
    assert SmoothedMaximum(channels, budgets)(np.zeros((6, 2), np.complex128), 5.0)[0] == math.inf
    channels[1] = 0.0
    found = first_order(channels, budgets, 2)
    assert (found.alpha, found.device) == (math.inf, 1)


@pytest.mark.parametrize("seed", range(4))
def test_one_device_has_the_optimum_of_its_singular_values(seed: int) -> None:
    channels, budgets = small(n=1, seed=seed)
    best = np.sum(1 / np.linalg.svd(channels[0], compute_uv=False)) ** 2 / budgets[0]
    found = first_order(channels, budgets, 2)
    assert best * (1 - 1e-12) <= found.alpha <= best * 1.001
    # (H^H H)^-1 is the dual's optimum, and the bound is tight.
    inverse = np.linalg.inv(channels.conj().swapaxes(1, 2) @ channels)
    assert certified_alpha(inverse, channels, budgets) == pytest.approx(best, rel=1e-10)


def test_a_design_spends_the_binding_devices_power_and_nobody_elses_beyond_it() -> None:
    channels = AIR.channels(KEYS, 0)
    budgets = np.linspace(0.5, 1.5, 8)
    found = first_order(channels, budgets, 4)
    spent = powers_w(found.precoders(channels))
    assert np.sum(np.abs(found.combiner) ** 2) == pytest.approx(1.0, rel=1e-12)
    assert spent[found.device] == pytest.approx(budgets[found.device], rel=1e-9)
    assert (spent <= budgets * (1 + 1e-9)).all()
    error = mse(found.scaled_combiner, found.precoders(channels), channels, 0.1)
    assert error == pytest.approx(0.1 * found.alpha, rel=1e-9)


def test_more_antennas_at_devices_than_streams_need_less() -> None:
    generator = np.random.default_rng(9)
    channels = normals(generator, 4, 8, 3)
    wide = first_order(channels, np.ones(4), 2)
    narrow = first_order(channels[:, :, :2], np.ones(4), 2)
    # Any design for two antennas does for three: the third need not send.
    assert wide.alpha <= alpha_star(narrow.combiner, channels, np.ones(4)).alpha <= narrow.alpha


def test_a_warm_start_that_is_better_is_taken_and_never_made_worse() -> None:
    channels = AIR.channels(KEYS, 3)
    cold = first_order(channels, np.ones(8), 4)
    warm = first_order(channels, np.ones(8), 4, cold.combiner)
    assert warm.alpha <= cold.alpha * (1 + 1e-12)
    with pytest.raises(InputError, match="start of shape"):
        first_order(channels, np.ones(8), 4, cold.combiner[:, :3])


# --- against the bound ------------------------------------------------------------------------------


def test_over_a_hundred_draws_the_first_order_design_all_but_reaches_a_certified_bound() -> None:
    gaps, start = [], None
    for block in range(100):
        channels = AIR.channels(KEYS, block)
        found = first_order(channels, np.ones(8), 4, start)
        start = found.combiner
        gaps.append(db(found.alpha / quick_bound(channels, np.ones(8))))
    assert min(gaps) >= 0.0
    assert np.median(gaps) <= 0.5
    assert np.percentile(gaps, 95) <= 1.0


def test_the_error_falls_with_antennas_and_rises_with_devices() -> None:
    def mean_db(n: int, n_receive: int) -> float:
        found = [
            first_order(AIR.channels(KEYS[:n], block)[:, :n_receive], np.ones(n), 4).alpha
            for block in range(10)
        ]
        return db(float(np.mean(found)))

    by_devices = [mean_db(n, 20) for n in (1, 2, 4, 8)]
    by_antennas = [mean_db(8, n_receive) for n_receive in (10, 14, 20)]
    assert by_devices == sorted(by_devices)
    assert by_antennas == sorted(by_antennas, reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_any_certificate_is_below_any_design(seed: int) -> None:
    # Weak duality, with matrices that have nothing to do with one another.
    channels, budgets = small(seed=seed)
    generator = np.random.default_rng(100 + seed)
    roots = normals(generator, 3, 2, 2)
    bound = certified_alpha(roots @ roots.conj().swapaxes(1, 2), channels, budgets)
    assert 0 < bound <= alpha_star(normals(generator, 6, 2), channels, budgets).alpha
    assert bound <= first_order(channels, budgets, 2).alpha
    assert certified_alpha(-roots @ roots.conj().swapaxes(1, 2), channels, budgets) == 0.0


# --- semidefinite programs --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_bounds_optimum_is_what_a_descent_over_full_rank_finds(seed: int) -> None:
    channels, budgets = small(seed=seed)
    bound = lower_bound(channels, budgets, 2)
    objective = SmoothedMaximum(channels, budgets)
    sharpness = (5.0, 20.0, 100.0, 1000.0)
    combiner, _ = descend(objective, np.eye(6, dtype=np.complex128), sharpness=sharpness, precision=1e-10)
    descended = math.exp(objective(combiner, 1.0)[2])
    assert bound.alpha <= bound.solved_alpha * (1 + 1e-9)
    assert bound.alpha <= descended
    # Each comes near the optimum from its own side: the descent from above, the dual from below.
    assert db(descended / bound.alpha) < 0.05
    assert bound.alpha <= first_order(channels, budgets, 2).alpha
    assert np.trace(bound.gram).real == pytest.approx(1.0)


def test_the_bound_of_one_device_is_its_closed_form() -> None:
    channels, budgets = small(n=1, seed=5)
    best = np.sum(1 / np.linalg.svd(channels[0], compute_uv=False)) ** 2 / budgets[0]
    assert lower_bound(channels, budgets, 2).alpha == pytest.approx(best, rel=1e-4)


def test_the_published_relaxation_of_one_device_is_its_closed_form() -> None:
    # max lambda_min(H^H X H) at trace 1: all eigenvalues equal, X in proportion to H (H^H H)^-2 H^H.
    channels, budgets = small(n=1, seed=6)
    inverse = np.linalg.inv(channels[0].conj().T @ channels[0])
    expected = channels[0] @ inverse @ inverse @ channels[0].conj().T
    gram = relaxed_gram(channels, budgets, 2)
    assert gram == pytest.approx(expected / np.trace(expected).real, abs=1e-4)


def test_the_published_design_is_a_design_and_depends_on_its_seed_alone() -> None:
    channels, budgets = small(seed=7)
    one, same = sdr(channels, budgets, 2, n_draws=20), sdr(channels, budgets, 2, n_draws=20)
    assert np.array_equal(one.combiner, same.combiner)
    assert one.alpha == pytest.approx(alpha_star(one.combiner, channels, budgets).alpha, rel=1e-12)
    assert one.alpha >= lower_bound(channels, budgets, 2).alpha
    # The first draws are the same, so more of them cannot be worse.
    assert sdr(channels, budgets, 2, n_draws=200).alpha <= one.alpha * (1 + 1e-12)


# --- names and errors -------------------------------------------------------------------------------


def test_designs_go_by_name() -> None:
    channels, budgets = small()
    assert set(DESIGNERS) == {"first-order", "sdr", "subspace"}
    assert (
        designer("subspace")(channels, budgets, 2, None).alpha == leading_subspace(channels, budgets, 2).alpha
    )
    assert designer("first-order") is first_order
    with pytest.raises(InputError, match="did you mean 'first-order'"):
        designer("first_order")


def test_the_leading_subspace_is_that_of_all_channels_together() -> None:
    channels, budgets = small()
    basis = leading_subspace(channels, budgets, 2).combiner
    total = sum(channel @ channel.conj().T for channel in channels)
    _, vectors = np.linalg.eigh(total)
    overlap = np.linalg.svd(vectors[:, -2:].conj().T @ basis, compute_uv=False)
    assert overlap == pytest.approx([math.sqrt(0.5)] * 2, rel=1e-9)  # a combiner of power 1 over 2 streams


@pytest.mark.parametrize("design", sorted(DESIGNERS))
def test_what_cannot_be_designed_is_refused(design: str) -> None:
    channels, budgets = small()
    with pytest.raises(InputError, match="3 streams"):
        designer(design)(channels, budgets, 3)
    with pytest.raises(InputError, match="device 1 has 0 left"):
        designer(design)(channels, np.array([1.0, 0.0, 1.0]), 2)
    with pytest.raises(InputError, match="budgets of shape"):
        designer(design)(channels, budgets[:2], 2)


def test_semidefinite_programs_need_as_many_antennas_as_streams() -> None:
    channels, budgets = small()
    with pytest.raises(InputError, match="1 streams from 2 antennas"):
        lower_bound(channels, budgets, 1)
    with pytest.raises(InputError, match="expected at least one"):
        sdr(channels, budgets, 2, n_draws=0)
