"""The page and the JSON of measured answers say what the records say, number by number."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console, RenderableType

from edgesim.errors import InputError
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.impaired_answers import CLEAN, QualityRow, QualityTable
from edgesim.report.answers.quality_plot import plot_quality
from edgesim.report.answers.quality_tables import ExitsTable, QualityReport, as_rows


@dataclass(frozen=True)
class Measured:
    table: QualityTable
    exits: ExitRecords


def row(name: str, level: float, nll: float, **where: int) -> QualityRow:
    return QualityRow(
        name=name,
        level=level,
        nll=nll,
        nll_se=0.01,
        nll_rise=nll - 2.0,
        nll_rise_se=0.005,
        accuracy=0.5 - (nll - 2.0) / 10,
        accuracy_se=0.02,
        n_tokens=512,
        **where,
    )


@pytest.fixture
def measured() -> Measured:
    rows = (
        row(CLEAN, 0.0, 2.0),
        row("noise", 0.01, 2.1),
        row("noise", 1.0, 4.0),
        *(row("erasure", p, 2.0 + 9 * p / block, block=block) for block in (2, 6) for p in (0.1, 0.3)),
        row("quantised", 8.0, 2.0, n_devices=1),
    )
    draws = np.random.default_rng(1)
    confidence = draws.uniform(size=(600, 4))
    records = ExitRecords(
        blocks=(2, 4, 6, 8),
        confidence=confidence,
        is_correct=draws.uniform(size=(600, 4)) < confidence * np.array([0.7, 0.8, 0.9, 1.0]),
        nll=-np.log(confidence),
    )
    provenance = {
        "model": "small",
        "text": "some text",
        "measured_at": "2026-01-02T03:04:05+00:00",
        "versions": {"torch": "2.0"},
    }
    return Measured(QualityTable(rows, provenance), records)


def printed(what: RenderableType, width: int = 110) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(what)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_page_has_every_point(measured: Measured) -> None:
    page = printed(QualityReport(measured))
    lines = [line.split() for line in page.splitlines()]

    assert f"small on some text: perplexity {math.exp(2):.2f} ± {math.exp(2) * 0.01:.2f}" in page
    assert "512 tokens" in page
    assert ["0.01", f"{math.exp(2.1):.2f}"] in lines
    assert ["1", f"{math.exp(4.0):.2f}"] in lines
    for p in (0.1, 0.3):
        assert [f"{p}", *(f"{math.exp(2 + 9 * p / block):.2f}" for block in (2, 6))] in lines
    assert "measured 2026-01-02 (torch 2.0)" in page


def test_bars_grow_with_the_loss_up_to_the_worst_of_their_table(measured: Measured) -> None:
    page = printed(QualityReport(measured))
    # Noise: a twentieth of the worst and the worst. Erasure after 2 and 6: 1/3, 1 and 1/9, 1/3 of the worst.
    words = [word for line in page.splitlines() for word in line.split()]
    assert [word for word in words if len(word) == 2 and set(word) <= set("▁▂▃▄▅▆▇█")] == ["▁█", "▃█", "▂▃"]


def test_exits_and_leaving_are_the_records_own(measured: Measured) -> None:
    records = measured.exits
    lines = [line.split() for line in printed(QualityReport(measured)).splitlines()]
    for block in records.blocks:
        told = records.at_exit(block)
        assert any(
            line[:7]
            == [
                str(block),
                f"{told.perplexity:.2f}",
                "±",
                f"{told.perplexity_se:.2f}",
                f"{told.accuracy:.1%}",
                "±",
                f"{told.accuracy_se:.1%}",
            ]
            for line in lines
        )
    for threshold, name in ((0.5, "0.5"), (2.0, "never")):
        at = [threshold] * 3
        shares = [f"{share:.1%}" for share in records.shares(at)]
        told = [f"{records.mean_block(at):.2f}", f"{math.exp(records.mean_nll(at)):.2f}"]
        assert [name, *shares, *told, f"{records.accuracy(at):.1%}"] in lines


def test_losses_that_were_not_recorded_are_left_out(measured: Measured) -> None:
    few = ExitRecords(measured.exits.blocks, measured.exits.confidence, measured.exits.is_correct)
    page = printed(QualityReport(Measured(measured.table, few)))
    assert "Every exit" not in page
    assert any(line.split()[-2:-1] == ["–"] for line in page.splitlines())
    assert "nll" not in as_rows(Measured(measured.table, few))["exits"][0]


def test_json_holds_everything_in_full_precision(measured: Measured) -> None:
    told = json.loads(json.dumps(as_rows(measured), allow_nan=False))
    for given, own in zip(told["rows"], measured.table.rows, strict=True):
        assert given["nll"] == own.nll
        assert given["perplexity"] == math.exp(own.nll)
        assert (given["name"], given["level"], given["block"]) == (own.name, own.level, own.block)
    assert [exit_["nll"] for exit_ in told["exits"]] == [
        measured.exits.at_exit(block).nll for block in measured.exits.blocks
    ]
    for leaving in told["leaving"]:
        assert leaving["shares"] == measured.exits.shares([leaving["confidence"]] * 3).tolist()
    assert told["provenance"]["text"] == "some text"


def test_unknown_errors_are_null_in_json(measured: Measured) -> None:
    one = row(CLEAN, 0.0, 2.0)
    nameless = QualityTable((QualityRow(**{**_values(one), "nll_se": math.nan}),))
    told = as_rows(Measured(nameless, measured.exits))
    assert told["rows"][0]["nll_se"] is None
    json.dumps(told, allow_nan=False)


def _values(one: QualityRow) -> dict[str, object]:
    return {name: getattr(one, name) for name in QualityRow.__dataclass_fields__}


@dataclass(frozen=True)
class Exit:
    block: int
    temperature: float
    bits_per_byte: float
    nll: float
    accuracy: float
    calibration_error: float


def test_a_table_of_trained_exits(measured: Measured) -> None:
    lines = printed(ExitsTable([Exit(3, 1.25, 1.5, math.log(20), 0.25, 0.0125)], "of nobody")).splitlines()
    assert lines[0].strip() == "of nobody"
    assert ["3", "1.500", "20.00", "25.0%", "0.013", "1.250"] in [line.split() for line in lines]


def test_a_figure_is_drawn_where_it_was_asked_for(measured: Measured, tmp_path: Path) -> None:
    plot_quality(measured, tmp_path / "answers.png")
    assert (tmp_path / "answers.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="cannot be written"):
        plot_quality(measured, tmp_path / "nowhere" / "answers.png")
