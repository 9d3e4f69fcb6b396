"""What lies between measured points, against the points themselves and against levels measured apart."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.errors import InputError
from edgesim.model.answers.impaired_answers import QualityRow, QualityTable
from edgesim.model.answers.impairment import AllReduceNoise, DeviceNoise, Erasure, Quantised

CLEAN_NLL, CLEAN_ACCURACY = 3.0, 0.4
ROUNDING = 4 * np.finfo(float).eps  # of a sum of up to four weighted shares of a number up to one


def row(name: str, level: float, rise: float, block: int | None = None, n: int | None = None) -> QualityRow:
    return QualityRow(
        name=name,
        level=level,
        block=block,
        n_devices=n,
        nll=CLEAN_NLL + rise,
        nll_se=0.03,
        nll_rise=rise,
        nll_rise_se=0.01 * rise,
        accuracy=CLEAN_ACCURACY - 0.05 * rise,
        accuracy_se=0.01,
    )


@pytest.fixture
def table() -> QualityTable:
    noise = [
        row("noise", level, rise) for level, rise in ((1e-3, 0.01), (1e-2, 0.1), (1e-1, 0.8), (1.0, 4.0))
    ]
    devices = [row("device-noise", level, n * level, n=n) for n in (2, 8) for level in (0.01, 0.1)]
    rounded = [row("quantised", bits, rise, n=1) for bits, rise in ((3, 1.0), (4, 0.2), (8, 0.001))]
    lost = [row("erasure", p, 10 * p / b, block=b) for b in (1, 4) for p in (0.1, 0.2, 0.3)]
    return QualityTable((row("clean", 0.0, 0.0), *noise, *devices, *rounded, *lost), {"n_blocks": 8})


def test_without_impairment_answers_are_the_clean_ones_exactly(table: QualityTable) -> None:
    for nothing in (AllReduceNoise(0.0), Erasure(0.0, 3), Quantised(math.inf), DeviceNoise(0.0, 4)):
        assert table.answers(nothing) == table.clean
    assert table.clean.perplexity == math.exp(CLEAN_NLL)


def test_measured_points_are_met_exactly(table: QualityTable) -> None:
    for point in table.rows[1:]:
        told = table.at(point.name, point.level, block=point.block, n_devices=point.n_devices)
        assert told.nll == pytest.approx(point.nll, abs=1e-12)
        assert told.accuracy == pytest.approx(point.accuracy, abs=1e-12)
        assert not told.is_beyond


def test_between_points_harm_grows_with_the_level(table: QualityTable) -> None:
    levels = np.geomspace(1e-6, 3.0, 200)
    nll = [table.answers(AllReduceNoise(level)).nll for level in levels]
    assert np.all(np.diff(nll) >= 0)
    assert nll[0] > CLEAN_NLL
    bits = [table.answers(Quantised(b)).nll for b in range(2, 17)]
    assert np.all(np.diff(bits) <= 0)


def test_below_the_lowest_level_harm_is_in_proportion_to_the_error(table: QualityTable) -> None:
    assert table.answers(AllReduceNoise(1e-4)).nll - CLEAN_NLL == pytest.approx(0.001)
    assert table.answers(Quantised(9)).nll - CLEAN_NLL == pytest.approx(0.001 / 4)  # a quarter of the power


def test_above_the_highest_level_the_last_answers_stand_and_say_so(table: QualityTable) -> None:
    told = table.answers(AllReduceNoise(5.0))
    assert told.is_beyond
    assert told.nll == pytest.approx(CLEAN_NLL + 4.0)
    assert table.answers(Quantised(2)).is_beyond


def test_splits_are_interpolated_by_depth_and_devices_by_their_logarithm(table: QualityTable) -> None:
    third = table.at("erasure", 0.2, block=2).nll - CLEAN_NLL
    assert third == pytest.approx(2.0 * 2 / 3 + 0.5 / 3)
    assert table.at("erasure", 0.2, block=2.5).nll < table.at("erasure", 0.2, block=2).nll
    assert table.at("erasure", 0.2, block=7).nll == table.at("erasure", 0.2, block=4).nll
    middle = table.answers(DeviceNoise(0.1, 4)).nll - CLEAN_NLL
    assert middle == pytest.approx((0.2 + 0.8) / 2)


@pytest.mark.parametrize("clean_accuracy", [0.1, 0.3, 0.4, 0.7, 0.9, 1.0])
def test_an_accuracy_that_is_lost_altogether_is_zero_and_never_less(clean_accuracy: float) -> None:
    """Where nothing is right at any measured point, nothing is right between them, whatever is rounded."""
    clean = replace(row("clean", 0.0, 0.0), accuracy=clean_accuracy)
    lost = [
        replace(row("erasure", p, 10 * p, block=b), accuracy=0.0) for b in (1, 3, 8) for p in (0.1, 0.2, 0.7)
    ]
    table = QualityTable((clean, *lost), {"n_blocks": 8})
    levels = np.linspace(0.1, 1.0, 19)
    for block in (1, 1.3, 2, 2.1, 3, 4.7, 6, 8, 9):
        told = [table.at("erasure", level, block=block).accuracy for level in levels.tolist()]
        assert all(0.0 <= accuracy <= ROUNDING for accuracy in told)
        _, falls, _ = table.impairment("erasure", levels, block=block)
        assert (falls <= clean_accuracy).all()
        assert (clean_accuracy - falls <= ROUNDING).all()


def test_more_devices_than_were_measured_say_so(table: QualityTable) -> None:
    assert not table.answers(DeviceNoise(0.1, 8)).is_beyond
    assert table.answers(DeviceNoise(0.1, 16)).is_beyond


def test_combined_ones_do_not_vanish_at_level_zero() -> None:
    """Of noise on top of a fixed erasure, the erasure stays: what was measured at 0, else at the lowest."""
    name = "noise+erasure@0.1-after-2"
    rows = [row(name, 0.1, 1.0), row(name, 0.3, 2.0)]
    known = QualityTable((row("clean", 0.0, 0.0), row(name, 0.0, 0.5), *rows))
    assert known.at(name, 0.0).nll == pytest.approx(CLEAN_NLL + 0.5)
    assert known.at(name, 0.05).nll == pytest.approx(CLEAN_NLL + 0.75)
    unknown = QualityTable((row("clean", 0.0, 0.0), *rows))
    assert unknown.at(name, 0.0).nll == unknown.at(name, 0.05).nll == pytest.approx(CLEAN_NLL + 1.0)
    assert known.at(name, 0.2) == unknown.at(name, 0.2)


def test_standard_errors_and_accuracies_may_be_unknown(table: QualityTable) -> None:
    """Of one window there is no standard error, of a perplexity no accuracy: the rest is not touched."""
    unknown = {"nll_se": math.nan, "nll_rise_se": math.nan, "accuracy": math.nan}
    vague = QualityTable(tuple(replace(each, **unknown) for each in table.rows))
    for told, whole in ((vague.at("noise", 0.03), table.at("noise", 0.03)), (vague.clean, table.clean)):
        assert told.nll == whole.nll
        assert math.isnan(told.accuracy)
        assert math.isnan(told.nll_se)


@given(st.floats(1e-4, 2.0), st.floats(1e-4, 2.0))
def test_between_the_curve_of_its_ends_never_leaves_them(one: float, other: float) -> None:
    """A monotone interpolation cannot overshoot: not even where measured harm turns a corner."""
    steps = [row("noise", level, rise) for level, rise in ((1e-3, 0.0), (1e-2, 0.0), (1e-1, 2.0), (1.0, 2.0))]
    told = QualityTable((row("clean", 0.0, 0.0), *steps))
    less, more = (told.at("noise", level).nll for level in sorted((one, other)))
    assert CLEAN_NLL - 1e-9 <= less <= more + 1e-9 <= CLEAN_NLL + 2.0 + 2e-9


def test_what_was_not_measured_is_refused_with_what_was(table: QualityTable) -> None:
    with pytest.raises(InputError, match=r"'nois' were not measured; did you mean 'noise'"):
        table.at("nois", 0.1)
    with pytest.raises(InputError, match="state which block"):
        table.at("erasure", 0.1)
    with pytest.raises(InputError, match="expected 0 or more"):
        table.at("noise", -1.0)


def test_a_file_gives_back_what_was_saved(table: QualityTable, tmp_path: Path) -> None:
    table.save(tmp_path / "quality.parquet")
    again = QualityTable.load(tmp_path / "quality.parquet")
    assert again.rows == table.rows
    assert again.provenance == table.provenance
    assert again.n_blocks == 8


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([row("noise", 0.1, 1.0)], "exactly one row called 'clean'"),
        ([row("clean", 0.0, 0.0), row("noise", 0.1, 1.0), row("noise", 0.1, 2.0)], "occurs twice"),
        ([row("clean", 0.0, math.nan)], "expected an nll from 0"),
    ],
)
def test_tables_that_make_no_sense_are_refused(rows: list[QualityRow], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        QualityTable(tuple(rows))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read a quality table"):
        QualityTable.load(tmp_path / "missing.parquet")


def test_many_errors_at_once_are_each_as_one(table: QualityTable) -> None:
    errors = np.array([0.0, 1e-5, 1e-3, 0.02, 0.5, 1.0, 7.0])
    rises, falls, beyond = table.impairment("noise", errors)
    for error, rise, fall, is_beyond in zip(errors, rises, falls, beyond, strict=True):
        one = table.at("noise", error)
        assert rise == pytest.approx(one.nll - CLEAN_NLL, abs=1e-12)
        assert fall == pytest.approx(CLEAN_ACCURACY - one.accuracy, abs=1e-12)
        assert is_beyond == one.is_beyond


def test_a_place_that_was_not_measured_is_not_another_ones(table: QualityTable) -> None:
    with pytest.raises(InputError, match="at every all-reduce, and not after a block"):
        table.at("noise", 0.1, block=2)
    with pytest.raises(InputError, match="depends on the number of devices; state it"):
        table.at("device-noise", 0.1)


def test_one_devices_own_noise_is_noise_on_the_sum(table: QualityTable) -> None:
    assert table.at("device-noise", 0.1, n_devices=1) == table.at("noise", 0.1)
