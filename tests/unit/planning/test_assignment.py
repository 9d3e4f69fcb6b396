"""Assignment of shares: closed forms, brute force, finite differences, and its worth by paired draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq, minimize_scalar

from edgesim.errors import InputError, PlacementError
from edgesim.planning.assignment import Assignment, Draw, Floats, GroupBudgets, Steps, assign, costs, gradient
from edgesim.planning.shares import even
from edgesim.planning.transceiver_descent import SHARPNESS, first_order
from edgesim.planning.transceiver_design import leading_subspace
from edgesim.radio.collective.aircomp import AirComp, alpha_star, channel_uses, powers_w, zero_forcing
from edgesim.rng import key_of

N, N_ENTRIES = 4, 64
AIR = AirComp(n_receive=8, n_transmit=2, n_streams=2)
HELD_OUT = range(100_000, 100_080)  # blocks that no assignment has seen


def group(energies: Floats, *, n_streams: int = 2, at_most: Floats | None = None) -> GroupBudgets:
    """Budgets of 1; energies are what computing the whole layer takes of them."""
    return GroupBudgets(np.ones(len(energies)), energies, 1.0, N_ENTRIES, n_streams, at_most)


def rician(gains_db: Floats, seed: int = 0) -> Draw:
    keys = [key_of(seed, device) for device in range(len(gains_db))]
    amplitudes = 10 ** (gains_db / 20)
    return lambda block: amplitudes[:, np.newaxis, np.newaxis] * AIR.channels(keys, block)


def interval(differences: Floats, confidence: float = 0.99) -> tuple[float, float]:
    """Student's interval of a mean: blocks are independent."""
    half = stats.t.ppf((1 + confidence) / 2, len(differences) - 1) * stats.sem(differences)
    return float(differences.mean() - half), float(differences.mean() + half)


def relative_gain(of: GroupBudgets, found: Assignment, draw: Draw) -> Floats:
    before, after = (costs(of, shares, draw, HELD_OUT) for shares in (even(of.limits), found.shares))
    gain: Floats = (before - after) / before.mean()
    return gain


# --- one receiving antenna: the transceiver is nothing, and the assignment has a closed form ----------------


def single(needed: Floats) -> Floats:
    """Channels of one antenna at either end that need so much power: c = 1 / |h|^2."""
    return (1 / np.sqrt(needed)).reshape(-1, 1, 1).astype(np.complex128)


def test_a_channel_that_never_changes_is_shared_out_until_all_bind() -> None:
    energies, needed = np.array([2.0, 1.0, 3.0]), np.array([0.5, 1.0, 0.25])
    of = group(energies, n_streams=1)

    def held(alpha: float) -> Floats:  # what a device can hold and still send well enough
        return np.clip((1 - N_ENTRIES * needed / alpha) / energies, 0.0, of.limits)

    alpha = brentq(lambda a: held(a).sum() - 1, N_ENTRIES * needed.max(), 1e4 * N_ENTRIES, xtol=1e-9)
    n_iterations = 3000
    found = assign(of, lambda _: single(needed), n_iterations=n_iterations, design=leading_subspace)

    # The last step is at most this long, and the smoothed maximum this far above the true one.
    last_step = math.sqrt(2) * Steps().gamma(n_iterations - 1)
    np.testing.assert_allclose(found.shares, held(alpha), atol=last_step)
    got = costs(of, found.shares, lambda _: single(needed), [0])[0]
    steepest = float(np.max(energies / of.left(found.shares))) / N_ENTRIES
    assert alpha * (1 - 1e-9) <= got <= alpha * math.exp(math.log(3) / SHARPNESS[-1] + steepest * last_step)


def test_channels_of_three_kinds_are_shared_out_as_exhaustive_search_does() -> None:
    states = [single(np.array(needed)) for needed in ([0.2, 1.0], [1.0, 0.3], [0.4, 0.5])]
    of = group(np.array([1.5, 1.0]), n_streams=1)
    kinds = np.random.default_rng(0).integers(len(states), size=2000)

    def mean_cost(first: float) -> float:  # of the draws themselves: no sampling error between the two
        each = [costs(of, np.array([first, 1 - first]), lambda k: states[k], [k])[0] for k in range(3)]
        return float(np.bincount(kinds) @ each) / len(kinds)

    lowest, highest = max(0.0, 1 - of.limits[1]), min(1.0, of.limits[0])
    best = minimize_scalar(mean_cost, bounds=(lowest, highest), method="bounded", options={"xatol": 1e-7})
    found = assign(of, lambda t: states[kinds[t]], n_iterations=len(kinds), design=leading_subspace)

    # Averages over a memory of 1 / rho draws scatter; the shares follow them, and all of it is in the path.
    late = found.path[len(kinds) // 2 :, 0]
    spread = 3 * float(late.std()) + math.sqrt(2) * Steps().gamma(len(kinds) - 1)
    assert found.shares[0] == pytest.approx(best.x, abs=spread)
    assert spread < 0.05  # of a range of 0.65: the comparison says something
    assert mean_cost(float(found.shares[0])) < mean_cost(0.5) - 0.5 * (mean_cost(0.5) - best.fun)


# --- several antennas ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", [0, N - 1])
def test_the_gradient_is_that_of_the_redesigned_transceiver(device: int) -> None:
    of, draw = group(np.array([0.9, 1.4, 2.2, 3.2])), rician(np.zeros(N))
    shares, step = np.array([0.3, 0.3, 0.25, 0.15]), 0.01 * np.eye(N)[device]
    misses, told = [], []
    for block in range(40):
        channels = draw(block)
        begin = first_order(channels, of.left(shares), 2).combiner
        ends = []
        for sign in (1, -1):
            left = of.left(shares + sign * step)
            each = alpha_star(first_order(channels, left, 2, begin).combiner, channels, left).each
            # The smoothed maximum, which is what the design descends and the envelope theorem holds for.
            b = SHARPNESS[-1]
            ends.append(each.max() * np.sum((each / each.max()) ** b) ** (1 / b))
        told.append(gradient(of, shares, channels)[1][device])
        misses.append((ends[0] - ends[1]) / (2 * step[device]) - told[-1])
    low, high = interval(np.array(misses))
    # Designs stop short of their optimum, each at another place; on average differences and gradient agree,
    # and the interval is narrow enough to refute one that is a fifth off.
    assert low < 0 < high
    assert high - low < 0.4 * float(np.mean(told))


@pytest.mark.parametrize(
    ("ratio", "spread_db"), [(4.0, 0.0), (1.0, 10.0), (4.0, 10.0)], ids=["energy", "channel", "both"]
)
def test_it_beats_even_shares_where_devices_differ_and_keeps_every_budget(
    ratio: float, spread_db: float
) -> None:
    energies = np.geomspace(1.0, ratio, N)
    of = group(energies / energies.mean() * 2.0)  # at even shares computing takes half the mean budget
    draw = rician(np.linspace(-spread_db / 2, spread_db / 2, N))
    found = assign(of, draw, n_iterations=100)
    low, _ = interval(relative_gain(of, found, draw))
    assert low > 0

    assert np.all(found.path >= 0)
    assert np.all(found.path <= of.limits)
    np.testing.assert_allclose(found.path.sum(axis=1), 1.0, atol=1e-12)
    for block in list(HELD_OUT)[:20]:
        channels, left = draw(block), of.left(found.shares)
        design = first_order(channels, left, 2)
        sent = channel_uses(N_ENTRIES, 2) * powers_w(zero_forcing(design.scaled_combiner, channels))
        spent = of.energies * found.shares + sent
        assert np.all(spent <= of.budgets * (1 + 1e-9))
        assert spent[design.device] == pytest.approx(of.budgets[design.device], rel=1e-9)


def test_it_equals_even_shares_where_devices_are_alike() -> None:
    of = group(np.full(N, 2.0))
    runs = [(draw, assign(of, draw, n_iterations=100)) for draw in (rician(np.zeros(N), s) for s in range(5))]
    # By symmetry every device's share is 1/N in expectation; four runs say how far one scatters.
    for device in range(N):
        low, high = interval(np.array([found.shares[device] for _, found in runs]), 0.999)
        assert low < 1 / N < high
    for draw, found in runs[:2]:
        low, high = interval(relative_gain(of, found, draw))
        assert -0.01 < low < high < 0.01  # neither gain nor loss, to one per cent of the error


def test_memory_is_a_limit_like_power() -> None:
    free = group(np.full(N, 2.0))
    tight = group(np.full(N, 2.0), at_most=np.array([0.1, 1.0, 1.0, 1.0]))
    draw = rician(np.array([6.0, 0.0, 0.0, 0.0]))  # heard best, so that it would hold most
    shares = {
        name: assign(of, draw, n_iterations=60).shares for name, of in (("free", free), ("tight", tight))
    }
    assert shares["free"][0] == shares["free"].max() > 1 / N
    assert shares["tight"][0] == pytest.approx(0.1, abs=1e-12)


def test_no_energy_makes_every_assignment_as_good_and_even_stays() -> None:
    of = group(np.zeros(N))
    found = assign(of, rician(np.linspace(-5.0, 5.0, N)), n_iterations=3)
    np.testing.assert_allclose(found.shares, 1 / N, atol=1e-15)


def test_step_sizes_fall_as_convergence_needs() -> None:
    with pytest.raises(InputError, match="powers"):
        Steps(0.5, 0.8)
    with pytest.raises(InputError, match="powers"):
        Steps(0.8, 0.6)
    rule, at = Steps(), 10.0 ** np.arange(2, 9)
    rho, gamma = (np.array([size(int(t)) for t in at]) for size in (rule.rho, rule.gamma))
    # Over one decade sums grow like t x and sums of squares like t x^2: the first must rise, the second fall.
    for x in (rho, gamma):
        assert np.all(np.diff(at * x) > 0)
        assert np.all(np.diff(at * x**2) < 0)
    assert np.all(np.diff(gamma / rho) < 0)


def test_groups_that_cannot_be_are_refused() -> None:
    with pytest.raises(PlacementError, match="of the model together"):
        assign(group(np.full(N, 8.0)), rician(np.zeros(N)), n_iterations=1)
    with pytest.raises(InputError, match="one of each per device"):
        GroupBudgets(np.ones(2), np.ones(3), 1.0, 8, 1)
    with pytest.raises(InputError, match="budgets above 0"):
        GroupBudgets(np.zeros(2), np.ones(2), 1.0, 8, 1)
    with pytest.raises(InputError, match="least_left"):
        GroupBudgets(np.ones(2), np.ones(2), 1.0, 8, 1, least_left=0.0)
    assert np.all(np.isinf(costs(group(np.full(2, 3.0)), np.array([0.9, 0.1]), rician(np.zeros(2)), [0])))
