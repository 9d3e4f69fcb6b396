"""Tables that users bring."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from edgesim.errors import InputError
from edgesim.model.answers.user_quality import read_user_table


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "mine.csv"
    file.write_text(text)
    return file


def test_loss_by_split_to_relative_quality(tmp_path: Path) -> None:
    file = written(tmp_path, "p_loss,split,relative_quality\n0.1,1,0.5\n0.3,1,0.25\n0.1,5,0.8\n0.3,5,0.4\n")
    table = read_user_table(file)
    assert table.clean.perplexity == 1.0
    assert table.at("erasure", 0.1, block=1).perplexity == pytest.approx(2.0)
    assert table.at("erasure", 0.3, block=5).perplexity == pytest.approx(2.5)
    assert table.at("erasure", 0.0, block=3) == table.clean


def test_perplexities_with_a_clean_row_as_parquet(tmp_path: Path) -> None:
    file = tmp_path / "mine.parquet"
    pd.DataFrame({"nmse": [0.0, 0.1], "perplexity": [10.0, 20.0], "accuracy": [0.5, 0.4]}).to_parquet(file)
    table = read_user_table(file)
    assert table.clean.nll == pytest.approx(math.log(10))
    assert table.at("noise", 0.1).perplexity == pytest.approx(20.0)
    assert table.at("noise", 0.1).accuracy == pytest.approx(0.4)


def test_a_table_that_edgesim_wrote_is_read_as_it_is(tmp_path: Path) -> None:
    brought = read_user_table(written(tmp_path, "p_loss,split,relative_quality\n0.1,1,0.5\n"))
    brought.save(tmp_path / "quality.parquet")
    again = read_user_table(tmp_path / "quality.parquet")
    assert repr(again.rows) == repr(brought.rows)  # an unknown accuracy is nan, which equals nothing
    assert again.provenance == brought.provenance


def test_an_accuracy_that_nobody_gave_is_unknown(tmp_path: Path) -> None:
    """Whether relative or not: a perplexity says nothing of how many tokens are right."""
    for text in ("p_loss,relative_quality\n0.1,0.5\n", "p_loss,perplexity\n0,3\n0.1,6\n"):
        table = read_user_table(written(tmp_path, text))
        assert math.isnan(table.clean.accuracy)
        assert math.isnan(table.at("erasure", 0.05).accuracy)
        assert table.at("erasure", 0.1).perplexity / table.clean.perplexity == pytest.approx(2.0)


def test_what_is_combined_with_a_level_of_zero_is_not_clean(tmp_path: Path) -> None:
    text = "impairment,level,perplexity\nclean,0,3\nnoise+erasure@0.1-after-2,0,4\n"
    (clean, row) = read_user_table(written(tmp_path, text + "noise+erasure@0.1-after-2,0.1,6\n")).rows[:2]
    assert (clean.name, row.level) == ("clean", 0.0)
    assert row.nll_rise == pytest.approx(math.log(4 / 3))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("p_los,relative_quality\n0.1,1\n", "no column is called 'p_los'; did you mean 'p_loss'"),
        ("relative_quality\n1\n", "one column of levels"),
        ("level,relative_quality\n1,1\n", "'level' without 'impairment'"),
        ("p_loss,split\n0.1,1\n", "one of perplexity, nll and relative_quality"),
        ("p_loss,split,relative_quality\n0.1,1,\n", "row 2: no relative_quality"),
        ("p_loss,split,relative_quality\n0.1,1,much\n", "row 2: relative_quality is 'much'"),
        ("p_loss,split,relative_quality\n0.1,1,-1\n", "expected more than 0"),
        ("p_loss,split,perplexity\n0.1,1,3\n", "no row without impairment"),
        ("p_loss,split,perplexity\n0,1,3\n0,2,4\n", "differ from one another"),
        ("p_loss,split,perplexity\n0,1,3\n0.1,1,2\n", "better than without impairment"),
        ("p_loss,relative_quality\n", "no rows"),
        ("p_loss,perplexity,accuracy\n0,3,0.5\n0.1,4,\n", "row 3: no accuracy"),
        ("p_loss,perplexity,accuracy\n0,3,1.5\n", "accuracy is 1.5; expected a share"),
        ("p_loss,split,relative_quality\n0.1,inf,1\n", "split is 'inf'; expected a number"),
        ("p_loss,split,relative_quality\n0.1,2.7,1\n", "split is 2.7; expected a whole number"),
        ("p_loss,n_devices,relative_quality\n0.1,0,1\n", "n_devices is 0; expected a whole number"),
        ("p_loss,relative_quality\n1.5,1\n", "a level of 1.5; expected 0 or more, up to 1"),
        ("nmse,relative_quality\n-0.1,1\n", "a level of -0.1; expected 0 or more"),
        ("nmse,relative_quality\ninf,1\n", "nmse is 'inf'; expected a number"),
        ("bits,relative_quality\n600,1\n", "600 bits; expected more than 0, up to 64"),
        ("nmse,nll\n0,1\n0.1,800\n", "expected an nll from 0 to 700"),
        ("nmse,nll,nll_se\n0,1,0\n0.1,2,-1\n", "a standard error of -1"),
        ("impairment,level,relative_quality\n,0.1,1\n", "no impairment"),
        ("p_loss,relative_quality,accuracy\n0.1,0.5,0.2\n", "accuracies, but no row without impairment"),
    ],
)
def test_bad_tables_get_one_clear_error(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read_user_table(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing.csv: cannot read a table"):
        read_user_table(tmp_path / "nothing.csv")
