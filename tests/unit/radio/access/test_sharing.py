"""Shares and schedulers: what each discipline is defined by, against brute force and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special, stats

from edgesim.errors import InputError
from edgesim.radio.access.sharing import Tdma, equal, max_rate, proportional_fair, round_robin, weighted

Z = float(stats.norm.ppf(1 - 0.5e-4))  # 99.99 % two-sided


@given(st.integers(1, 500))
def test_equal_shares_are_equal_and_fill_the_band(n: int) -> None:
    shares = equal(n)
    assert len(shares) == n
    assert set(shares) == {1 / n}
    assert math.fsum(shares) == pytest.approx(1.0, rel=1e-12)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50))
def test_weighted_shares_fill_the_band_in_proportion(weights: list[float]) -> None:
    shares = weighted(weights)
    assert math.fsum(shares) == pytest.approx(1.0, rel=1e-12)
    assert [share / shares[0] for share in shares] == pytest.approx([w / weights[0] for w in weights])


def test_equal_weights_are_equal_shares_and_nobody_takes_nothing() -> None:
    assert weighted([3.0, 3.0, 3.0]) == pytest.approx(equal(3))
    assert weighted([]) == ()
    with pytest.raises(InputError, match="weight 0 of member 1; expected a finite number above 0"):
        weighted([1.0, 0.0])


# TDMA, against the grid of its slots walked one by one.


def walked(frame: Tdma, member: int, start_s: float, airtime_s: float) -> float:
    """When the airtime has been had, slot after slot."""
    slot = math.floor(start_s / frame.slot_s) - 1
    left_s = airtime_s
    while True:
        begin_s = max(start_s, slot * frame.slot_s)
        end_s = (slot + 1) * frame.slot_s
        if slot % frame.n == member and end_s > start_s:
            if left_s <= end_s - begin_s:
                return begin_s + left_s
            left_s -= end_s - begin_s
        slot += 1


# Slots of a power of two, and instants in sixty-fourths of them: no sum is rounded.
@given(st.integers(1, 7), st.data())
def test_tdma_finishes_when_a_walk_over_its_slots_does(n: int, data: st.DataObject) -> None:
    frame = Tdma(n, 0.25)
    member = data.draw(st.integers(0, n - 1))
    start_s = data.draw(st.integers(-500, 5000)) / 256
    airtime_s = data.draw(st.integers(0, 700)) / 256
    assert frame.finish_s(member, start_s, airtime_s) == walked(frame, member, start_s, airtime_s)
    assert frame.next_s(member, start_s) == walked(frame, member, start_s, 0.0)


def test_tdmas_share_and_mean_wait_are_those_of_many_instants() -> None:
    frame = Tdma(5, 0.25)
    starts_s = (np.arange(20_000) + 0.5) * 1.25 / 20_000  # midpoints: the wait is linear between slots
    waits_s = [frame.next_s(3, start_s) - start_s for start_s in starts_s.tolist()]
    assert np.mean(waits_s) == pytest.approx(frame.mean_wait_s, rel=1e-6)
    assert np.mean(np.array(waits_s) == 0.0) == frame.share == 0.2


def test_slots_begin_exactly_where_the_wait_for_them_ends() -> None:
    frame = Tdma(3, 0.1)  # 0.1 is not a binary fraction
    for slot in range(3000):
        begins_s = slot * 0.1
        assert frame.next_s(slot % 3, begins_s) == begins_s
        assert frame.next_s((slot + 1) % 3, begins_s) == (slot + 1) * 0.1


# Round robin.


@given(st.integers(1, 12), st.integers(1, 60))
def test_round_robin_gives_all_the_same_number_of_slots_to_within_one(n: int, n_slots: int) -> None:
    order, served = tuple(range(n)), [0] * n
    for _ in range(n_slots):
        chosen, order = round_robin(order, range(n))
        assert chosen is not None
        served[chosen] += 1
    assert max(served) - min(served) <= 1
    assert sum(served) == n_slots


@given(st.lists(st.frozensets(st.integers(0, 5)), min_size=1, max_size=80))
def test_round_robin_serves_whoever_keeps_waiting_within_one_round(waits: list[frozenset[int]]) -> None:
    order: tuple[int, ...] = tuple(range(6))
    unserved = [0] * 6
    for waiting in waits:
        chosen, order = round_robin(order, waiting)
        assert sorted(order) == list(range(6))
        assert (chosen is None) == (not waiting)
        assert chosen is None or chosen in waiting
        unserved = [0 if m == chosen or m not in waiting else unserved[m] + 1 for m in range(6)]
        assert max(unserved) < 6


# Max rate.


@given(st.dictionaries(st.integers(), st.floats(0, 1e9), max_size=20))
def test_max_rate_takes_the_highest_and_nobody_out_of_reach(rates: dict[int, float]) -> None:
    chosen = max_rate(rates)
    if chosen is None:
        assert not any(rates.values())
    else:
        assert rates[chosen] == max(rates.values()) > 0


# Proportional fair.


def test_at_constant_rates_proportional_fair_gives_equal_times() -> None:
    rates, averages = {"near": 90.0, "mid": 30.0, "far": 1.0}, dict[str, float]()
    for _ in range(3000):  # 30 windows: what came first is forgotten
        _, averages = proportional_fair(rates, averages)
    served = dict.fromkeys(rates, 0)
    for _ in range(300):
        chosen, averages = proportional_fair(rates, averages)
        assert chosen is not None
        served[chosen] += 1
    assert set(served.values()) == {100}


def test_rayleigh_users_gain_by_proportional_fair_what_order_statistics_say() -> None:
    # Users whose rates are exponential about means of their own: each has 1/n of the slots, at the mean of
    # the largest of n unit exponentials, H_n = 1 + 1/2 + … + 1/n (multi-user diversity). That is the limit
    # of long windows, and here the window is so long that the averages stay where they settle.
    n, n_slots, window = 4, 40_000, 1e12
    means = np.array([1.0, 5.0, 20.0, 100.0])
    draws = np.random.default_rng(3).exponential(size=(n_slots, n))
    harmonic = float(special.digamma(n + 1) - special.digamma(1))
    averages = {m: float(means[m] * harmonic / n) for m in range(n)}
    served, had = np.zeros(n), np.zeros((n_slots, n))
    for place, slot in enumerate(draws):
        rates = dict(enumerate((slot * means).tolist()))
        chosen, averages = proportional_fair(rates, averages, window)
        assert chosen is not None
        served[chosen] += 1
        had[place, chosen] = slot[chosen]
    for n_served in served.tolist():
        assert stats.binomtest(int(n_served), n_slots, 1 / n).pvalue > 1e-4
    assert np.all(np.abs(had.mean(axis=0) - harmonic / n) < Z * had.std(axis=0) / math.sqrt(n_slots))


def test_proportional_fair_settles_where_the_sum_of_logarithms_is_largest() -> None:
    # Three states of the channel with known probabilities; how to split the slots of each, by scipy.
    states, chances = np.array([[10.0, 1.0], [2.0, 3.0], [6.0, 5.0]]), np.array([0.5, 0.3, 0.2])

    def goodputs(split: np.ndarray) -> np.ndarray:
        return np.array([(chances * split) @ states[:, 0], (chances * (1 - split)) @ states[:, 1]])

    best = optimize.minimize(lambda split: -np.log(goodputs(split)).sum(), [0.5] * 3, bounds=[(0, 1)] * 3)
    window, n_slots = 2000.0, 40_000
    drawn = np.random.default_rng(4).choice(3, size=n_slots, p=chances)
    averages: dict[int, float] = {0: 0.5, 1: 9.0}  # far off; after 20 windows e^-20 of it is left
    for place in drawn.tolist():
        chosen, averages = proportional_fair(dict(enumerate(states[place].tolist())), averages, window)
        assert chosen is not None
    # An exponential average of independent slots has their variance over 2 window - 1; serving whoever is
    # behind can only make it smaller.
    squares = np.array([(chances * best.x) @ states[:, 0] ** 2, (chances * (1 - best.x)) @ states[:, 1] ** 2])
    allowed = Z * np.sqrt((squares - goodputs(best.x) ** 2) / (2 * window - 1))
    assert np.all(np.abs([averages[0], averages[1]] - goodputs(best.x)) < allowed)


def test_members_come_and_go() -> None:
    chosen, averages = proportional_fair({"a": 5.0}, {})
    assert (chosen, averages) == ("a", {"a": 0.05})
    chosen, averages = proportional_fair({"a": 5.0, "new": 0.1}, averages)
    assert chosen == "new"  # has had nothing yet
    assert averages == pytest.approx({"a": 0.0495, "new": 0.001})
    chosen, averages = proportional_fair({"a": 0.0}, averages)
    assert chosen is None
    assert averages == pytest.approx({"a": 0.049005, "new": 0.00099})


@given(
    st.dictionaries(st.integers(0, 9), st.floats(0, 1e6), max_size=10),
    st.dictionaries(st.integers(0, 9), st.floats(0, 1e6), max_size=10),
    st.floats(1, 1e4),
)
def test_averages_take_in_what_was_served_and_nothing_else(
    rates: dict[int, float], averages: dict[int, float], window: float
) -> None:
    before = dict(averages)
    chosen, after = proportional_fair(rates, averages, window)
    assert averages == before
    served = rates[chosen] if chosen is not None else 0.0
    assert sum(after.values()) == pytest.approx((1 - 1 / window) * sum(before.values()) + served / window)


def test_mistakes_are_told() -> None:
    with pytest.raises(InputError, match=r"a window of 0.5 slots; expected at least 1"):
        proportional_fair({"a": 1.0}, {}, 0.5)
    with pytest.raises(InputError, match="0 members in slots"):
        Tdma(0, 1.0)
    with pytest.raises(InputError, match="member 3 of 3; expected 0 to 2"):
        Tdma(3, 1.0).next_s(3, 0.0)
