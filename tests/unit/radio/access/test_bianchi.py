"""Bianchi's model against the paper's equations solved by scipy, published values, and slots simulated."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from scipy import optimize

from edgesim.errors import InputError
from edgesim.radio.access.bianchi import (
    Dcf,
    attempt_probability,
    collision_probability,
    goodputs,
    saturation_throughput,
    share_of_rate,
)

PUBLISHED = {2: 0.1046, 5: 0.2715, 10: 0.3844, 20: 0.4809, 50: 0.5953}  # W = 16, m = 6
PAYLOAD_BITS, RATE_BPS = 12_000, 54e6
SLOT_S, SIFS_S, DIFS_S, ACK_S, PREAMBLE_S, HEADER_BITS = 9e-6, 16e-6, 34e-6, 28e-6, 20e-6, 240


class Slots(NamedTuple):
    """What a simulation of slots counted: per independent group of stations where it is an array."""

    p: np.ndarray
    throughput_bps: np.ndarray
    goodputs_bps: np.ndarray  # [station]


def simulate(
    frames_s: list[float], *, w: int = 16, m: int = 6, groups: int = 250, rounds: int = 4000
) -> Slots:
    """DCF slot by slot, for independent groups of saturated stations; idle slots are passed over at once.

    In each busy slot the stations at zero send, all others count down; a success starts over at the first
    window, a collision doubles it. Nothing here knows of Bianchi's probabilities.
    """
    n, rng = len(frames_s), np.random.default_rng(20)
    lengths_s = np.array(frames_s)
    stage = np.zeros((groups, n), dtype=np.int64)
    backoff = rng.integers(0, w, (groups, n))
    attempts, collided, time_s = np.zeros(groups), np.zeros(groups), np.zeros(groups)
    delivered = np.zeros((groups, n))
    for number in range(rounds):
        idle = backoff.min(axis=1)
        sends = backoff == idle[:, None]
        n_sending = sends.sum(axis=1)
        success = n_sending == 1
        longest_s = np.where(sends, lengths_s, 0.0).max(axis=1)
        if number >= 1000:  # the start, with all stations in their first window, is left out
            busy_s = longest_s + DIFS_S + np.where(success, SIFS_S + ACK_S, 0.0)
            time_s += idle * SLOT_S + busy_s
            attempts += n_sending
            collided += np.where(success, 0, n_sending)
            delivered += sends & success[:, None]
        stage = np.where(sends, np.where(success[:, None], 0, np.minimum(stage + 1, m)), stage)
        drawn = (rng.random((groups, n)) * (w << stage)).astype(np.int64)
        backoff = np.where(sends, drawn, backoff - idle[:, None] - 1)
    rates_bps = delivered * PAYLOAD_BITS / time_s[:, None]
    return Slots(collided / attempts, rates_bps.sum(axis=1), rates_bps.mean(axis=0))


def frame_s(rate_bps: float) -> float:
    return PREAMBLE_S + (HEADER_BITS + PAYLOAD_BITS) / rate_bps


def relative_error(counts: np.ndarray) -> float:
    """Standard error of a mean over independent groups, over the mean."""
    return float(counts.std(ddof=1) / math.sqrt(len(counts)) / counts.mean())


def fixed_point(n: int, w: int, m: int) -> tuple[float, float]:
    """Bianchi's (tau, p) from his equations 7 and 9 as they stand in the paper, solved by scipy."""

    def tau_of(p: float) -> float:
        return 2 * (1 - 2 * p) / ((1 - 2 * p) * (w + 1) + p * w * (1 - (2 * p) ** m))

    p = optimize.brentq(lambda p: p - 1 + (1 - tau_of(p)) ** (n - 1), 1e-9, 1 - 1e-9, xtol=1e-15, rtol=1e-14)
    return tau_of(p), p


@pytest.mark.parametrize(("n", "published"), PUBLISHED.items())
def test_collision_probabilities_are_the_published_ones(n: int, published: float) -> None:
    assert collision_probability(n) == pytest.approx(published, abs=5e-5)  # to the last digit printed


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20, 35, 50])
@pytest.mark.parametrize(("w", "m"), [(16, 6), (32, 5), (32, 3), (8, 0)])
def test_the_fixed_point_is_scipys(n: int, w: int, m: int) -> None:
    tau, p = fixed_point(n, w, m)
    assert collision_probability(n, w, m) == pytest.approx(p, rel=1e-9)
    assert attempt_probability(p, w, m) == pytest.approx(tau, rel=1e-9)


@pytest.mark.parametrize("n", PUBLISHED)
@pytest.mark.parametrize("uses_rts", [False, True])
def test_throughput_is_that_of_the_papers_formula(n: int, uses_rts: bool) -> None:
    tau, _ = fixed_point(n, 16, 6)
    p_tr = 1 - (1 - tau) ** n
    p_s = n * tau * (1 - tau) ** (n - 1) / p_tr
    header_s = PREAMBLE_S + HEADER_BITS / RATE_BPS
    payload_s = PAYLOAD_BITS / RATE_BPS
    t_s = header_s + payload_s + SIFS_S + ACK_S + DIFS_S
    t_c = header_s + payload_s + DIFS_S
    if uses_rts:
        t_s, t_c = t_s + 28e-6 + SIFS_S + 28e-6 + SIFS_S, 28e-6 + DIFS_S
    paper = p_s * p_tr * payload_s / ((1 - p_tr) * SLOT_S + p_tr * p_s * t_s + p_tr * (1 - p_s) * t_c)
    found = saturation_throughput(n, PAYLOAD_BITS, RATE_BPS, Dcf(uses_rts=uses_rts))
    assert found / RATE_BPS == pytest.approx(paper, rel=1e-9)


@pytest.mark.parametrize("n", PUBLISHED)
def test_a_simulation_of_slots_agrees_within_three_per_cent(n: int) -> None:
    seen = simulate([frame_s(RATE_BPS)] * n, groups=max(250, 2400 // n))
    # The model's error is what is bounded; the simulation's own must not blur it (99.99 %: 3.9 errors).
    assert 3.9 * relative_error(seen.p) < 0.01
    assert 3.9 * relative_error(seen.throughput_bps) < 0.01
    model_bps = saturation_throughput(n, PAYLOAD_BITS, RATE_BPS)
    assert model_bps == pytest.approx(seen.throughput_bps.mean(), rel=0.03)
    if n > 2:  # for two see below
        assert collision_probability(n) == pytest.approx(seen.p.mean(), rel=0.03)


def collision_probability_of_two(w: int, m: int) -> float:
    """Exact collision probability of two stations, whose backoffs the model takes to be independent.

    A Markov chain over busy slots. After a success the winner draws anew from the first window and the
    other one's stage and remaining backoff are the state; after a collision the two stages are.
    """
    ahead = [(s, r) for s in range(m + 1) for r in range(w << s)]
    states = [*ahead, *(("both", a, b) for a in range(m + 1) for b in range(m + 1))]
    place = {state: i for i, state in enumerate(states)}
    moves = np.zeros((len(states), len(states)))
    for stage, rest in ahead:
        row = moves[place[stage, rest]]
        for drawn in range(w):
            if drawn < rest:
                row[place[stage, rest - drawn - 1]] += 1 / w
            elif drawn > rest:
                row[place[0, drawn - rest - 1]] += 1 / w
            else:
                row[place["both", min(stage + 1, m), min(1, m)]] += 1 / w
    for a in range(m + 1):
        for b in range(m + 1):
            row, pairs = moves[place["both", a, b]], (w << a) * (w << b)
            row[place["both", min(a + 1, m), min(b + 1, m)]] = (w << min(a, b)) / pairs
            for loser, winner in ((a, b), (b, a)):  # the loser is left with r if the winner drew r + 1 less
                for rest in range((w << loser) - 1):
                    row[place[loser, rest]] += min(w << winner, (w << loser) - 1 - rest) / pairs
    stationary = np.linalg.solve(
        np.vstack([(moves.T - np.eye(len(states)))[:-1], np.ones(len(states))]), np.eye(len(states))[-1]
    )
    both = stationary[len(ahead) :].sum()
    return float(2 * both / (2 * both + 1 - both))


def test_two_stations_collide_a_little_more_often_than_the_model_says() -> None:
    # Independence of the stations is Bianchi's approximation and worst for two: both draw anew at once.
    exact = collision_probability_of_two(16, 6)
    seen = simulate([frame_s(RATE_BPS)] * 2, groups=500)
    assert seen.p.mean() == pytest.approx(exact, rel=3.9 * relative_error(seen.p))
    assert collision_probability(2) / exact == pytest.approx(0.9441, abs=5e-5)


@pytest.mark.parametrize("n", [2, 10])
def test_without_doubling_stations_are_independent_and_model_chain_and_simulation_meet(n: int) -> None:
    # Then each sends in 2 of w + 1 slots, whatever the others do.
    exact = 1 - (1 - 2 / 17) ** (n - 1)
    assert collision_probability(n, 16, 0) == pytest.approx(exact, rel=1e-12)
    seen = simulate([frame_s(RATE_BPS)] * n, m=0)
    assert seen.p.mean() == pytest.approx(exact, rel=3.9 * relative_error(seen.p))
    if n == 2:
        assert collision_probability_of_two(16, 0) == pytest.approx(exact, rel=1e-9)


def test_a_slow_station_slows_all_down_as_simulated() -> None:
    rates_bps = [54e6, 54e6, 24e6, 6e6]
    seen = simulate([frame_s(rate) for rate in rates_bps])
    assert goodputs([PAYLOAD_BITS] * 4, rates_bps) == pytest.approx(seen.goodputs_bps, rel=0.03)


def test_a_collision_among_unequal_frames_lasts_as_long_as_its_longest() -> None:
    # Brute force over who sends: all 2^n sets, with their probabilities and durations.
    rates_bps, dcf = [54e6, 6e6, 24e6, 12e6, 24e6], Dcf()
    tau = attempt_probability(collision_probability(5))
    lengths_s, mean_s = [frame_s(rate) for rate in rates_bps], 0.0
    for senders in range(1 << 5):
        sending = [lengths_s[i] for i in range(5) if senders >> i & 1]
        probability = tau ** len(sending) * (1 - tau) ** (5 - len(sending))
        tail_s = DIFS_S + (SIFS_S + ACK_S if len(sending) == 1 else 0.0)
        mean_s += probability * (max(sending) + tail_s if sending else SLOT_S)
    expected_bps = tau * (1 - tau) ** 4 * PAYLOAD_BITS / mean_s
    assert goodputs([PAYLOAD_BITS] * 5, rates_bps, dcf) == pytest.approx([expected_bps] * 5, rel=1e-12)


@pytest.mark.parametrize("n", [1, *PUBLISHED])
def test_equal_stations_share_the_saturation_throughput(n: int) -> None:
    whole_bps = saturation_throughput(n, PAYLOAD_BITS, RATE_BPS)
    assert goodputs([PAYLOAD_BITS] * n, [RATE_BPS] * n) == pytest.approx([whole_bps / n] * n, rel=1e-12)
    assert share_of_rate(n, PAYLOAD_BITS, RATE_BPS) == pytest.approx(whole_bps / n / RATE_BPS, rel=1e-12)


def test_one_station_pays_its_mean_backoff_and_nothing_else() -> None:
    # A renewal cycle: 7.5 idle slots on average, then frame, SIFS, ACK, DIFS.
    cycle_s = 7.5 * SLOT_S + frame_s(RATE_BPS) + SIFS_S + ACK_S + DIFS_S
    assert collision_probability(1) == 0.0
    assert saturation_throughput(1, PAYLOAD_BITS, RATE_BPS) == pytest.approx(
        PAYLOAD_BITS / cycle_s, rel=1e-12
    )


def test_nobody_has_no_goodput() -> None:
    assert goodputs([], []) == ()


def test_mistakes_are_told() -> None:
    with pytest.raises(InputError, match="0 stations contend; expected at least 1"):
        collision_probability(0)
    with pytest.raises(InputError, match="first window of 0 slots"):
        Dcf(w=0)
    with pytest.raises(InputError, match="leave out stations that are out of reach"):
        goodputs([1.0, 1.0], [1e6, 0.0])
    with pytest.raises(InputError, match="1 payloads for 2 rates"):
        goodputs([1.0], [1e6, 1e6])
