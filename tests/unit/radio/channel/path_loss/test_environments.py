"""Path loss and line of sight against tabulated values and formulas written a second time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.errors import InputError
from edgesim.radio.channel.path_loss.environments import (
    PATH_LOSSES,
    FreeSpace,
    IndoorFactory,
    IndoorOffice,
    LogDistance,
    PathLoss,
    UrbanMacro,
    UrbanMicro,
)

# 3.5 GHz, terminal at 1.5 m, station at 10 m (UMi) or 25 m (UMa); horizontal distance. The last three
# columns are for antennas of one height. UMi, UMa and InH are also ns-3's own reference values.
#        d   UMi LOS  UMi NLOS  UMa LOS  UMa NLOS  InH LOS  InH NLOS  free space
TABLE = [
    (10.0, 66.76, 73.46, 69.84, 79.42, 60.58, 69.15, 63.33),
    (50.0, 79.09, 94.18, 77.21, 92.51, 72.67, 95.92, 77.31),
    (100.0, 85.31, 104.64, 83.14, 103.04, 77.88, 107.45, 83.33),
    (200.0, 91.61, 115.23, 89.57, 114.46, None, None, 89.35),
    (500.0, 107.11, 129.26, 98.27, 129.92, None, None, 97.31),
]
COLUMNS: list[tuple[PathLoss, float, bool]] = [
    (UrbanMicro(), 10.0, True),
    (UrbanMicro(), 10.0, False),
    (UrbanMacro(), 25.0, True),
    (UrbanMacro(), 25.0, False),
    (IndoorOffice(), 1.5, True),
    (IndoorOffice(), 1.5, False),
    (FreeSpace(), 1.5, True),
]
EVERY: list[PathLoss] = [
    FreeSpace(),
    LogDistance(exponent=3.0, sigma_db=6.0),
    UrbanMicro(),
    UrbanMacro(),
    *(IndoorOffice(variant) for variant in IndoorOffice.VARIANTS),
    *(IndoorFactory(variant) for variant in IndoorFactory.VARIANTS),
]
every_model = pytest.mark.parametrize("model", EVERY, ids=repr)


def loss_db(model: PathLoss, d_m: float, is_los: bool, *, f_ghz: float = 3.5, high_m: float = 10.0) -> float:
    return model.path_loss_db(
        d_m, carrier_hz=f_ghz * 1e9, station_height_m=high_m, terminal_height_m=1.5, is_los=is_los
    )


@pytest.mark.parametrize(
    ("model", "height_m", "is_los", "distance_m", "expected_db"),
    [
        (*column, row[0], expected)
        for row in TABLE
        for column, expected in zip(COLUMNS, row[1:], strict=True)
        if expected is not None
    ],
)
def test_path_loss_equals_every_value_of_the_table_to_a_hundredth_of_a_decibel(
    model: PathLoss, height_m: float, is_los: bool, distance_m: float, expected_db: float
) -> None:
    # The table is rounded to 0.01 dB.
    assert loss_db(model, distance_m, is_los, high_m=height_m) == pytest.approx(expected_db, abs=0.01)


def test_free_space_is_the_itus_formula_in_kilometres_and_megahertz() -> None:
    # ITU-R P.525: 32.4 + 20 log f + 20 log d, the constant to more places 32.4478.
    for d_m, f_hz in ((10.0, 7e8), (500.0, 3.5e9), (5e3, 28e9)):
        expected = 32.4478 + 20 * math.log10(f_hz / 1e6) + 20 * math.log10(d_m / 1e3)
        assert loss_db(FreeSpace(), d_m, True, f_ghz=f_hz / 1e9, high_m=1.5) == pytest.approx(
            expected, abs=1e-3
        )


def test_log_distance_with_exponent_two_is_free_space() -> None:
    for d_m in (1.0, 30.0, 1000.0):
        assert loss_db(LogDistance(exponent=2.0), d_m, True) == pytest.approx(loss_db(FreeSpace(), d_m, True))


def test_log_distance_by_hand() -> None:
    # 40 dB at 10 m, exponent 3.5: 40 + 35 log10(1000 / 10) = 110 dB.
    model = LogDistance(exponent=3.5, reference_m=10.0, reference_loss_db=40.0)
    assert loss_db(model, 1000.0, True, high_m=1.5) == pytest.approx(110.0)
    assert loss_db(model, 2.0, True, high_m=1.5) == pytest.approx(40.0)


def test_a_terminal_upstairs_loses_less_out_of_sight() -> None:
    # At 10 m instead of 1.5 m, and so far away that the ray is as long: 8.5 m x 0.3 (UMi) or 0.6 dB.
    for model, expected_db in ((UrbanMicro(), 2.55), (UrbanMacro(), 5.1)):
        where = {"carrier_hz": 3.5e9, "station_height_m": 10.0, "is_los": False}
        low, high = (model.path_loss_db(5000.0, terminal_height_m=h, **where) for h in (1.5, 10.0))
        assert low - high == pytest.approx(expected_db, abs=1e-4)


@pytest.mark.parametrize("model", [UrbanMicro(), UrbanMacro()])
@pytest.mark.parametrize("f_ghz", [0.7, 3.5, 28.0])
def test_urban_line_of_sight_is_continuous_and_steeper_beyond_the_break_point(
    model: PathLoss, f_ghz: float
) -> None:
    high_m = 10.0 if isinstance(model, UrbanMicro) else 25.0
    break_m = 4 * (high_m - 1) * 0.5 * f_ghz * 1e9 / 3e8
    below, at = (loss_db(model, d, True, f_ghz=f_ghz, high_m=high_m) for d in (break_m, break_m * (1 + 1e-9)))
    assert at == pytest.approx(below, abs=1e-6)
    near, far = (loss_db(model, d, True, f_ghz=f_ghz, high_m=high_m) for d in (1e2 * break_m, 1e3 * break_m))
    assert far - near == pytest.approx(40.0, abs=1e-3)


def test_break_points_at_three_and_a_half_gigahertz_are_210_and_560_metres() -> None:
    for model, high_m, break_m, slope in (
        (UrbanMicro(), 10.0, 210.0, 21.0),
        (UrbanMacro(), 25.0, 560.0, 22.0),
    ):
        for d_m, expected in ((break_m * 0.99, slope), (break_m * 1.01, 40.0)):
            d3_m = math.hypot(d_m, high_m - 1.5)
            later_m = d_m * 1.001
            rise = loss_db(model, later_m, True, high_m=high_m) - loss_db(model, d_m, True, high_m=high_m)
            assert rise / math.log10(math.hypot(later_m, high_m - 1.5) / d3_m) == pytest.approx(
                expected, abs=1e-6
            )


@pytest.mark.parametrize(
    ("variant", "nlos_db"),
    [("sl", 87.2051), ("dl", 90.1346), ("sh", 82.3577), ("dh", 81.7188)],
)
def test_indoor_factory_by_hand_at_50_metres(variant: str, nlos_db: float) -> None:
    # d3D = 50 m (one height), f = 3.5 GHz: log d = 1.698970, log f = 0.544068.
    # LOS 31.84 + 36.5279 + 10.3373; SL 33 + 43.3237 + 10.8814; DL 18.6 + 60.6532 + 10.8814;
    # SH 32.4 + 39.0763 + 10.8814; DH 33.63 + 37.2074 + 10.8814.
    model = IndoorFactory(variant)
    assert loss_db(model, 50.0, False, high_m=1.5) == pytest.approx(nlos_db, abs=1e-4)
    assert loss_db(model, 50.0, True, high_m=1.5) == pytest.approx(78.7052, abs=1e-4)


def test_dense_clutter_is_never_milder_than_sparse_clutter_at_a_low_station() -> None:
    # DL takes the larger of both formulas; below some 26 m that is SL's.
    for d_m in (5.0, 20.0, 26.0, 27.0, 60.0):
        by_formula = 18.6 + 35.7 * math.log10(d_m) + 20 * math.log10(3.5)
        sparse_db = loss_db(IndoorFactory("sl"), d_m, False, high_m=1.5)
        dense_db = loss_db(IndoorFactory("dl"), d_m, False, high_m=1.5)
        assert dense_db == pytest.approx(max(sparse_db, by_formula), abs=1e-9)


@every_model
@given(d_m=st.floats(0, 5000), f_ghz=st.floats(0.5, 100))
def test_loss_grows_with_distance_and_nlos_is_never_less(model: PathLoss, d_m: float, f_ghz: float) -> None:
    los, nlos = (loss_db(model, d_m, is_los, f_ghz=f_ghz) for is_los in (True, False))
    assert nlos >= los > 0
    assert loss_db(model, d_m * 1.1 + 0.1, True, f_ghz=f_ghz) >= los - 1e-9


@every_model
def test_arrays_give_what_single_values_give(model: PathLoss) -> None:
    distances_m = np.array([0.0, 1.0, 5.0, 9.0, 17.0, 40.0, 60.0, 210.0, 211.0, 3000.0])
    is_los = np.arange(10) % 2 == 0
    where = {"station_height_m": 10.0, "terminal_height_m": 1.5}
    together = model.path_loss_db(distances_m, carrier_hz=3.5e9, is_los=is_los, **where)
    single = [loss_db(model, float(d), bool(los)) for d, los in zip(distances_m, is_los, strict=True)]
    assert together.tolist() == pytest.approx(single, rel=1e-14)
    probabilities = model.los_probability(distances_m, **where)
    one_by_one = [model.los_probability(float(d), **where) for d in distances_m]
    assert probabilities.tolist() == pytest.approx(one_by_one, rel=1e-14)
    assert all(type(value) is float for value in (*single, *one_by_one))


# Probability of line of sight, worked out with a pocket calculator from table 7.4.2-1.
BY_HAND = [
    (UrbanMicro(), 18.0, 1.0),
    (UrbanMicro(), 36.0, 0.5 + math.exp(-1) * 0.5),  # 0.683940
    (UrbanMicro(), 100.0, 0.230984),  # 0.18 + 0.0621765 x 0.82
    (UrbanMacro(), 10.0, 1.0),
    (UrbanMacro(), 63.0, 0.548485),  # 0.285714 + 0.367879 x 0.714286
    (UrbanMacro(), 100.0, 0.347671),  # 0.18 + 0.204477 x 0.82
    (IndoorOffice("mixed"), 1.2, 1.0),
    (IndoorOffice("mixed"), 5.9, math.exp(-1)),
    (IndoorOffice("mixed"), 39.1, 0.32 * math.exp(-1)),
    (IndoorOffice("open"), 5.0, 1.0),
    (IndoorOffice("open"), 40.4, math.exp(-0.5)),
    (IndoorOffice("open"), 260.7, 0.54 * math.exp(-1)),
    (IndoorFactory("sl"), 44.8142, math.exp(-1)),  # k = -10 / ln 0.8
    (IndoorFactory("dl"), 2.182713, math.exp(-1)),  # k = -2 / ln 0.4
    (IndoorFactory("sh"), 44.8142 * 8.5 / 0.5, math.exp(-1)),  # station 10 m, terminal 1.5 m, clutter 2 m
    (IndoorFactory("dh"), 2.182713 * 8.5 / 4.5, math.exp(-1)),
]


@pytest.mark.parametrize(("model", "distance_m", "expected"), BY_HAND, ids=str)
def test_line_of_sight_by_hand(model: PathLoss, distance_m: float, expected: float) -> None:
    found = model.los_probability(distance_m, station_height_m=10.0, terminal_height_m=1.5)
    assert found == pytest.approx(expected, abs=1e-6)


def test_terminals_above_13_metres_see_a_macro_station_more_often() -> None:
    # C' = 1 at 23 m: 0.347671 x (1 + 1.25 x e^(-2/3)) at 100 m.
    high = UrbanMacro().los_probability(100.0, station_height_m=25.0, terminal_height_m=23.0)
    assert high == pytest.approx(0.347671 * (1 + 1.25 * math.exp(-2 / 3)), abs=1e-6)
    assert UrbanMacro().los_probability(
        100.0, station_height_m=25.0, terminal_height_m=13.0
    ) == pytest.approx(0.347671, abs=1e-6)
    assert UrbanMacro().los_probability(18.0, station_height_m=25.0, terminal_height_m=22.5) == 1.0


@every_model
@given(d_m=st.floats(0, 5000))
def test_a_probability_is_one(model: PathLoss, d_m: float) -> None:
    assert 0.0 <= model.los_probability(d_m, station_height_m=10.0, terminal_height_m=1.5) <= 1.0


def test_shadowing_follows_table_7_4_1_1_at_every_frequency_and_table_7_5_6() -> None:
    #                       sigma LOS, NLOS; correlation LOS, NLOS; K mean, spread
    for model, expected in (
        (UrbanMicro(), (4.0, 7.82, 10.0, 13.0, (9.0, 5.0))),
        (UrbanMacro(), (4.0, 6.0, 37.0, 50.0, (9.0, 3.5))),
        (IndoorOffice(), (3.0, 8.03, 10.0, 6.0, (7.0, 4.0))),
        (IndoorFactory("sl"), (4.3, 5.7, 10.0, 10.0, (7.0, 8.0))),
        (IndoorFactory("dl"), (4.3, 7.2, 10.0, 10.0, (7.0, 8.0))),
        (IndoorFactory("sh"), (4.3, 5.9, 10.0, 10.0, (7.0, 8.0))),
        (IndoorFactory("dh"), (4.3, 4.0, 10.0, 10.0, (7.0, 8.0))),
    ):
        found = (
            *(model.shadowing_db(is_los) for is_los in (True, False)),
            *(model.correlation_m(is_los) for is_los in (True, False)),
            model.rician_k_db(True),
        )
        assert found == expected
        assert model.rician_k_db(False) is None
    for urban in (UrbanMicro(), UrbanMacro()):
        assert (urban.shadowing_db(True, indoor=True), urban.correlation_m(False, indoor=True)) == (7.0, 7.0)


def test_the_names_that_scenarios_use() -> None:
    assert set(PATH_LOSSES) == {"free-space", "log-distance", "3gpp-umi", "3gpp-uma", "3gpp-inh", "3gpp-inf"}
    assert PATH_LOSSES["3gpp-inh"](variant="open") == IndoorOffice("open")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: IndoorOffice("opn"), "did you mean 'open'"),
        (lambda: IndoorFactory("hh"), "expected one of sl, dl, sh, dh"),
        (lambda: IndoorFactory("sl", clutter_density=1.0), "clutter_density is 1; expected a share between"),
        (lambda: IndoorFactory("sl", clutter_size_m=0.0), "clutter_size_m is 0"),
        (lambda: LogDistance(exponent=0.0), "exponent is 0"),
        (lambda: LogDistance(exponent=2.0, sigma_db=-1.0), "of at least 0"),
        (
            lambda: IndoorFactory("dh").los_probability(9.0, station_height_m=5.0, terminal_height_m=1.5),
            "antenna is at 5 m; expected it above the clutter",
        ),
    ],
)
def test_mistakes_are_told(wrong: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrong()  # type: ignore[operator]


def test_a_terminal_above_the_clutter_sees_a_high_station() -> None:
    model = IndoorFactory("sh")
    assert model.los_probability(100.0, station_height_m=8.0, terminal_height_m=2.0) == 1.0
