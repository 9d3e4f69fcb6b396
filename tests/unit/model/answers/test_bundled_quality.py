"""The tables that ship: levels that they lack, measured apart, and what must be true of any of them."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgesim.measure.quality_cache import MeasuredAnswers, kept_answers
from edgesim.model.answers.impaired_answers import CLEAN, QualityTable

HELD_OUT = Path(__file__).with_name("bundled_held_out.parquet")
"""Measured as the shipped table was: ``measure_answers`` with the same model, text, seed and tokens."""

MOST_ERROR = 0.03


@pytest.fixture(scope="module")
def shipped() -> MeasuredAnswers:
    answers = kept_answers("bundled")
    assert answers is not None
    return answers


def test_levels_between_the_measured_ones_are_met(shipped: MeasuredAnswers) -> None:
    held_out = QualityTable.load(HELD_OUT)
    assert held_out.provenance["model_sha256"] == shipped.table.provenance["model_sha256"]
    measured = {(row.name, row.level, row.block, row.n_devices) for row in shipped.table.rows}
    rows = [row for row in held_out.rows if row.name != CLEAN]
    assert len(rows) >= 20
    for row in rows:
        assert (row.name, row.level, row.block, row.n_devices) not in measured
        told = shipped.table.at(row.name, row.level, block=row.block, n_devices=row.n_devices)
        assert told.perplexity / math.exp(row.nll) - 1 == pytest.approx(0.0, abs=MOST_ERROR)


def test_more_of_an_impairment_never_helps_beyond_its_standard_error(shipped: MeasuredAnswers) -> None:
    curves = defaultdict(list)
    for row in shipped.table.rows:
        if row.name != CLEAN:
            curves[row.name, row.block, row.n_devices].append(row)
    for (name, *_), rows in curves.items():
        ordered = sorted(rows, key=lambda row: -row.level if name == "quantised" else row.level)
        for less, more in pairwise(ordered):
            slack = 3 * math.hypot(less.nll_rise_se, more.nll_rise_se)
            assert more.nll_rise >= less.nll_rise - slack, (name, less.level, more.level)
        assert ordered[-1].nll_rise > 10 * ordered[-1].nll_rise_se


def test_table_and_exit_records_are_of_the_same_text(shipped: MeasuredAnswers) -> None:
    assert shipped.exits.blocks == (2, 4, 6, 8)
    assert shipped.exits.nll is not None
    assert shipped.exits.nll[:, -1].mean() == pytest.approx(
        shipped.table.clean.nll,
        abs=0.01,  # the exits are calibrated, the model's own head as it is
    )
    assert shipped.exits.is_correct[:, -1].mean() == pytest.approx(shipped.table.clean.accuracy, abs=1e-9)
    assert np.all(np.diff(shipped.exits.is_correct.mean(axis=0)) > 0)
