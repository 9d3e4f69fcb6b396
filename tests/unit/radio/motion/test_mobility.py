"""Tracks against stationary laws, over many keys: every draw is independent, so tolerances are exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.radio.motion.mobility import Area, GaussMarkov, RandomWaypoint, Static, mean_distance_m
from edgesim.rng import key_of, keyed_uniforms

SQUARE = Area(0.0, 0.0, 1000.0, 1000.0)
N_TRACKS = 3000
Z = stats.norm.ppf(1 - 1e-5)  # one of 50,000 right implementations would fail


def waypoints(area=SQUARE, speeds=(1.0, 20.0), pauses=(0.0, 0.0), n=N_TRACKS):
    return [RandomWaypoint(key_of(1, "track", i), area, speeds, pauses) for i in range(n)]


def waypoint_density(n_cells: int, n_points: int = 24, n_angles: int = 180) -> np.ndarray:
    """Share of time in each cell of a unit square, by quadrature of the density of Hyytiä et al. 2006.

    f(r) is in proportion to the integral over directions of a1 a2 (a1 + a2), a1 and a2 being the distances
    to the edge in a direction and against it.
    """
    side = (np.arange(n_cells * n_points) + 0.5) / (n_cells * n_points)
    angle = (np.arange(n_angles) + 0.5) * np.pi / n_angles
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = side[:, None, None], side[None, :, None]

    def to_edge(dx, dy):
        along_x = np.where(dx > 0, (1 - x) / dx, -x / dx)
        along_y = np.where(dy > 0, (1 - y) / dy, -y / dy)
        return np.minimum(along_x, along_y)

    ahead, behind = to_edge(cos, sin), to_edge(-cos, -sin)
    density = (ahead * behind * (ahead + behind)).sum(axis=2)
    cells = density.reshape(n_cells, n_points, n_cells, n_points).sum(axis=(1, 3))
    return cells / cells.sum()


def cells_of(places, n_cells, side_m=1000.0):
    at = np.minimum((np.array(places) / side_m * n_cells).astype(int), n_cells - 1)
    return np.bincount(at[:, 0] * n_cells + at[:, 1], minlength=n_cells**2)


@pytest.mark.parametrize("at_s", [0.0, 300.0])
def test_random_waypoint_has_its_stationary_mean_speed_at_any_instant(at_s: float) -> None:
    low, high = 1.0, 20.0
    speeds = [track.speed(at_s) for track in waypoints(speeds=(low, high))]
    # A speed's density over time is that of its reciprocal: both moments are closed forms.
    mean = (high - low) / math.log(high / low)
    square = (high**2 - low**2) / (2 * math.log(high / low))
    assert np.mean(speeds) == pytest.approx(mean, abs=Z * math.sqrt((square - mean**2) / len(speeds)))
    assert mean < 0.65 * (low + high) / 2  # a start with drawn speeds would be far off


@pytest.mark.parametrize("at_s", [0.0, 300.0])
def test_random_waypoint_has_its_stationary_places_at_any_instant(at_s: float) -> None:
    counts = cells_of([track.position(at_s) for track in waypoints()], 4)
    expected = waypoint_density(4).ravel() * N_TRACKS
    assert stats.chisquare(counts, expected).pvalue > 1e-5
    assert stats.chisquare(counts).pvalue < 1e-5  # and they are not uniform


def test_random_waypoint_rests_for_its_share_of_the_time() -> None:
    speed, pauses = 10.0, (20.0, 100.0)
    tracks = waypoints(speeds=(speed, speed), pauses=pauses)
    share = 60.0 / (60.0 + mean_distance_m(SQUARE) / speed)
    for at_s in (0.0, 200.0):
        n_resting = sum(track.speed(at_s) == 0.0 for track in tracks)
        assert stats.binomtest(n_resting, len(tracks), share).pvalue > 1e-5


@pytest.mark.parametrize("sides", [(1.0, 1.0), (3.0, 1.0), (0.5, 2.0), (1.0, 0.0)])
def test_mean_distance_of_two_points_of_a_rectangle(sides: tuple[float, float]) -> None:
    draws = keyed_uniforms(key_of("points"), np.arange(400_000)).reshape(4, -1)
    distances = np.hypot((draws[0] - draws[1]) * sides[0], (draws[2] - draws[3]) * sides[1])
    tolerance = Z * distances.std() / math.sqrt(len(distances))
    assert mean_distance_m(Area(0.0, 0.0, *sides)) == pytest.approx(distances.mean(), abs=tolerance)


def test_a_track_is_the_same_in_whatever_order_it_is_asked() -> None:
    instants = [500.0, 0.0, 12.5, 3000.0, 12.5, 499.0]
    for make in (
        lambda: RandomWaypoint(7, SQUARE, (1.0, 2.0), (0.0, 5.0)),
        lambda: GaussMarkov(7, SQUARE, 1.5),
    ):
        one, other = make(), make()
        there = [one.position(at_s) for at_s in instants]
        back = [other.position(at_s) for at_s in reversed(instants)]
        assert there == back[::-1]


def test_a_track_goes_nowhere_faster_than_its_speed() -> None:
    track = RandomWaypoint(3, SQUARE, (2.0, 5.0), (0.0, 10.0))
    places = np.array([track.position(at_s) for at_s in np.arange(0.0, 2000.0, 0.5)])
    steps_m = np.hypot(*np.diff(places, axis=0).T)
    assert steps_m.max() <= 0.5 * 5.0 * (1 + 1e-9)
    assert places.min() >= 0.0
    assert places.max() <= 1000.0


def test_gauss_markov_velocities_are_normal_and_remember() -> None:
    memory, lag = 0.8, 5
    tracks = [GaussMarkov(key_of("gm", i), SQUARE, 10.0, memory, 1.0) for i in range(N_TRACKS)]
    speeds = np.array([[track.speed(at_s) for at_s in (0.0, 100.0)] for track in tracks])
    deviation = 10.0 * math.sqrt(4 / math.pi - 1)  # of a Rayleigh variate of mean 10
    for measured in speeds.mean(axis=0):
        assert measured == pytest.approx(10.0, abs=Z * deviation / math.sqrt(N_TRACKS))
    scale = 10.0 / math.sqrt(math.pi / 2)
    for column in speeds.T:
        assert stats.kstest(column, stats.rayleigh(scale=scale).cdf).pvalue > 1e-5
    early, late = (np.array([track._steps[n][2] for track in tracks]) for n in (20, 20 + lag))
    # Fisher's transform of a sample correlation is normal with variance 1 / (n - 3).
    z = math.atanh(np.corrcoef(early, late)[0, 1]) - math.atanh(memory**lag)
    assert abs(z) < Z / math.sqrt(N_TRACKS - 3)


@pytest.mark.parametrize("at_s", [0.0, 333.3])
def test_gauss_markov_stays_uniform_over_its_area(at_s: float) -> None:
    tracks = [GaussMarkov(key_of("gm", i), SQUARE, 10.0, drift_m_per_s=(3.0, 0.0)) for i in range(N_TRACKS)]
    counts = cells_of([track.position(at_s) for track in tracks], 4)
    assert stats.chisquare(counts).pvalue > 1e-5


def test_gauss_markov_is_thrown_back_at_the_edge() -> None:
    track = GaussMarkov(1, Area(0.0, 0.0, 10.0, 1.0), 0.0, drift_m_per_s=(4.0, 0.0))
    (x_m, y_m) = track.position(0.0)
    for at_s in (0.0, 1.0, 2.5, 7.0, 12.25):
        along_m = (x_m + 4.0 * at_s) % 20.0
        assert track.position(at_s) == (pytest.approx(min(along_m, 20.0 - along_m)), y_m)
        assert track.speed(at_s) == 4.0


def test_a_static_terminal_stays() -> None:
    assert Static((3.0, 4.0)).position(1e9) == (3.0, 4.0)
    assert Static((3.0, 4.0)).speed(1e9) == 0.0
    assert not Static((3.0, 4.0)).moves


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomWaypoint(1, SQUARE, (0.0, 2.0)), "lowest speed above 0"),
        (lambda: RandomWaypoint(1, SQUARE, (3.0, 2.0)), "highest not below it"),
        (lambda: RandomWaypoint(1, SQUARE, (1.0, 2.0), (5.0, 1.0)), "the shorter first"),
        (lambda: GaussMarkov(1, SQUARE, 1.0, alpha=1.5), "from 0 to 1"),
        (lambda: GaussMarkov(1, SQUARE, 1.0, step_s=0.0), "above 0"),
        (lambda: Area(0.0, 0.0, 0.0, 0.0), "lower left corner"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
