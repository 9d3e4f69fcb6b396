"""Tables of splits: between points by hand, from answers, and from files that users bring."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edgesim.errors import InputError
from edgesim.measure.quality_cache import kept_answers
from edgesim.model.answers.impaired_answers import CLEAN, QualityRow, QualityTable
from edgesim.planning.splitting.table import SplitTable
from edgesim.planning.splitting.table_files import read_split_table, write_split_table


def table() -> SplitTable:
    return SplitTable(np.array([0.1, 0.2, 0.4]), np.array([1, 2, 5]), np.arange(9.0).reshape(3, 3) ** 2)


def test_values_are_exact_at_points_and_linear_between() -> None:
    it = table()
    for row, loss in enumerate(it.loss):
        for column, split in enumerate(it.splits):
            assert it.value(loss, split) == it.relative[row, column]
    # f(0.1, 1) = 0, f(0.2, 1) = 9; f(0.2, 2) = 16, f(0.2, 5) = 25; f(0.4, .) = 49, 64 for splits 2 and 5.
    assert it.value(0.15, 1) == pytest.approx(4.5)
    assert it.value(0.2, 3) == pytest.approx(19.0)
    assert it.value(0.3, 3) == pytest.approx((19.0 + 54.0) / 2)


def test_beyond_the_ends_the_ends_count() -> None:
    it = table()
    assert it.value(0.0, 1) == it.value(0.1, 1)
    assert it.value(0.9, 7) == it.value(0.4, 5)


def test_losses_and_splits_broadcast() -> None:
    it = table()
    found = it.value(np.array([[0.1], [0.3]]), np.array([1, 3, 5]))
    assert found.shape == (2, 3)
    assert found[1, 1] == it.value(0.3, 3)
    one = SplitTable(np.array([0.1]), np.array([3]), np.array([[2.0]]))
    assert one.value([0.0, 0.5], 3).tolist() == [2.0, 2.0]


def test_other_splits_and_utilities() -> None:
    it = table()
    other = it.at_splits([1, 3, 4])
    assert other.relative[1].tolist() == pytest.approx([9.0, 19.0, 22.0])
    seconds = np.array([0.3, 0.2, 0.1])
    joules = np.full((3, 1), 2.0)
    weighed = it.weighed(10.0, {"latency_s": (2.0, seconds), "energy_j": (0.5, joules)})
    assert weighed.relative[1, 2] == pytest.approx(10 * 25.0 - 2 * 0.1 - 0.5 * 2.0)
    with pytest.raises(InputError, match="cost 'latency_s' of shape"):
        it.weighed(1.0, {"latency_s": (1.0, np.zeros(4))})


def test_tables_of_equal_numbers_have_equal_digests() -> None:
    assert table().digest == table().digest
    assert table().digest != table().weighed(2.0).digest


@pytest.mark.parametrize(
    ("loss", "splits", "relative", "match"),
    [
        ([0.1, 0.2], [1, 2], [[1.0, 2.0]], "a value for each"),
        ([0.2, 0.1], [1, 2], np.zeros((2, 2)), "increasing values from 0 to 1"),
        ([0.1, 1.2], [1, 2], np.zeros((2, 2)), "increasing values from 0 to 1"),
        ([0.1, 0.2], [1.5, 2], np.zeros((2, 2)), "increasing numbers of blocks"),
        ([0.1, 0.2], [2, 2], np.zeros((2, 2)), "increasing numbers of blocks"),
        ([0.1, 0.2], [1, 2], [[0.0, 1.0], [math.nan, 0.0]], "nan at loss 0.2 and split 1"),
        ([], [], np.zeros((0, 0)), "a value for each"),
    ],
)
def test_what_is_no_table_is_refused(
    loss: list[float], splits: list[float], relative: object, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        SplitTable(np.array(loss), np.array(splits), np.array(relative))


# --- answers ----------------------------------------------------------------------------------------


def test_answers_become_relative_perplexities() -> None:
    def row(name: str, level: float, block: int | None, rise: float) -> QualityRow:
        return QualityRow(
            name=name, level=level, block=block, nll=2.0 + rise, nll_se=0.0, nll_rise=rise, nll_rise_se=0.0,
            accuracy=0.5, accuracy_se=0.0,
        )  # fmt: skip

    rows = [row(CLEAN, 0.0, None, 0.0)]
    rows += [row("erasure", p, block, p * block) for p in (0.1, 0.3) for block in (1, 3)]
    it = SplitTable.of_answers(QualityTable(tuple(rows)))
    assert it.splits.tolist() == [1, 3]
    assert it.value(0.0, 1) == 0
    for p in (0.1, 0.3):
        for block in (1, 3):
            clean, harmed = math.exp(2.0), math.exp(2.0 + p * block)
            assert it.value(p, block) == pytest.approx((clean - harmed) / clean, rel=1e-12)
    with pytest.raises(InputError, match=r"no answers under 'packets'.*measured were erasure"):
        SplitTable.of_answers(QualityTable(tuple(rows)), "packets")


def test_of_the_bundled_model_elements_hurt_more_later_and_packets_least_in_the_middle() -> None:
    answers = kept_answers("bundled")
    assert answers is not None
    elements = SplitTable.of_answers(answers.table)
    packets = SplitTable.of_answers(answers.table, "packet-erasure")
    assert elements.splits.tolist() == packets.splits.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert np.argmax(elements.value(0.2, elements.splits)) == 0
    assert packets.splits[np.argmax(packets.value(0.2, packets.splits))] == 4
    measured = next(
        row for row in answers.table.rows if (row.name, row.level, row.block) == ("packet-erasure", 0.1, 5)
    )
    assert packets.value(0.1, 5) == pytest.approx(1 - math.exp(measured.nll_rise), rel=1e-12)


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_files_give_the_table_back(tmp_path: Path, name: str) -> None:
    for path in (tmp_path / name, str(tmp_path / name)):
        write_split_table(table(), path)
        assert read_split_table(path).digest == table().digest


def test_measures_become_relative_perplexities(tmp_path: Path) -> None:
    told = {
        "relative_quality": [1.0, 1.0, 0.8, 0.5],
        "perplexity": [20.0, 20.0, 25.0, 40.0],
        "nll_rise": [0.0, 0.0, math.log(1.25), math.log(2.0)],
        "quality": [0.0, 0.0, -0.25, -1.0],
    }
    for measure, values in told.items():
        path = tmp_path / f"{measure}.csv"
        pd.DataFrame({"p_loss": [0, 0, 0.1, 0.1], "block": [1, 2, 1, 2], measure: values}).to_csv(
            path, index=False
        )
        np.testing.assert_allclose(read_split_table(path).relative, [[0, 0], [-0.25, -1.0]], atol=1e-15)


def test_repeats_are_averaged_and_rows_may_come_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("repeat,split,loss,quality\n1,2,0.1,4\n0,1,0.1,1\n0,2,0.1,2\n1,1,0.1,3\n")
    assert read_split_table(path).relative.tolist() == [[2.0, 3.0]]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("loss,split\n0.1,1\n", r"expected one of the columns quality, relative_quality"),
        ("loss,split,qualty\n0.1,1,2\n", r"no column is called 'qualty'; did you mean 'quality'"),
        ("loss,split,quality\n", "has no rows"),
        ("", "no header; expected the names of the columns"),
        ("loss,split,quality\n0.1,1,2\n0.1,1,2\n", "occur twice"),
        ("loss,split,quality\n0.1,1,2\n0.2,2,2\n", "no row with loss 0.1 and split 2"),
        ("loss,split,quality\n1.1,1,2\n", "row 2: loss is 1.1; expected a probability"),
        ("loss,split,quality\n0.1,1.5,2\n", "row 2: split is 1.5; expected a whole number"),
        ("loss,split,quality\n0.1,1,2\n0.2,1,much\n", "row 3: quality is nan; expected a finite"),
        ("loss,split,relative_quality\n0.1,1,0\n", "relative_quality is 0.*more than 0"),
        ("loss,split,perplexity\n0.1,1,20\n", "expected rows with loss 0"),
        ("loss,split,perplexity\n0,1,20\n0,2,21\n", "one perplexity for all"),
        ("loss,p_loss,split,quality\n0,0,1,20\n", "got loss and p_loss"),
        ("loss,split,quality\n\n0.1,1,2\n\n0.2,1,\n", "row 5: quality is nan"),
        ("\n\nloss,split,quality\n0.1,1,2\n1.2,1,2\n", "row 5: loss is 1.2"),
        ("loss,split,quality\n0.1,1,2\n\n0.1,1,2\n", "row 4: loss 0.1 and split 1 occur twice"),
        ("loss,split,nll_rise\n0,1,0\n\n0.1,1,1000\n", r"t\.csv, row 4: nll_rise is 1000, .*beyond"),
        (
            "loss,split,relative_quality\n0,1,1\n0.1,1,1e-320\n",
            r"t\.csv, row 3: relative_quality is .*beyond",
        ),
        ("loss,split,perplexity\n0,1,20\n0.1,1,inf\n", "row 3: perplexity is inf; expected a finite number"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        read_split_table(path)


def test_rows_of_parquet_are_counted_from_one(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"loss": [0.1, 1.2], "split": [1, 1], "quality": [0.0, 0.0]}).to_parquet(path, index=False)
    with pytest.raises(InputError, match=r"row 2: loss is 1\.2"):
        read_split_table(path)


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\nloss,split,quality\n\n0.1,1,2\n\n0.1,2,3\n\n")
    assert read_split_table(tmp_path / "t.csv").relative.tolist() == [[2.0, 3.0]]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for name in ("none.csv", "none.parquet"):
        with pytest.raises(InputError, match="no table can be read: No such file"):
            read_split_table(tmp_path / name)
