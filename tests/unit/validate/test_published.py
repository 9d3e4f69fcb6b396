"""Published rates left out: the scores by hand, and the table as the documentation has it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.model.efficiency.stored import shipped_posterior
from edgesim.scenario.catalogue import device_kind
from edgesim.scenario.rates import published_rates
from edgesim.scenario.runtimes import runtime_of, use_of
from edgesim.validate.published.findings import WIDEST, Findings, Row, found
from edgesim.validate.published.groups import group_rows
from edgesim.validate.published.leave_one_out import Prediction, interval_score, left_out, one_share
from edgesim.validate.published.page import (
    BEGIN,
    END,
    HEADINGS,
    TESTBED_HEADINGS,
    cells,
    cells_of_group,
    cells_of_testbed,
    markdown,
    replaced,
    summary,
)
from edgesim.validate.published.star_clusters import star_clusters
from edgesim.validate.published.testbeds import Run, published_testbeds, simulated

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "published-rates.md"


def test_the_interval_score_by_hand() -> None:
    assert interval_score(1.0, 3.0, 2.5) == 2.0
    assert interval_score(1.0, 3.0, 3.1) == pytest.approx(2.0 + 20 * 0.1)
    assert interval_score(1.0, 3.0, 0.5, coverage=0.5) == pytest.approx(2.0 + 4 * 0.5)


def test_one_share_of_peak_is_students_prediction_from_the_others() -> None:
    rates = [entry.rate() for entry in published_rates()]
    shares = np.log([rate.terms.stream_s / rate.seconds for rate in rates])
    others = np.delete(shares, 4)
    low, high = stats.t.interval(
        0.9, len(others) - 1, others.mean(), others.std(ddof=1) * np.sqrt(1 + 1 / len(others))
    )
    predicted = one_share(rates)[4]
    stream_s = rates[4].terms.stream_s
    assert (predicted.low_s, predicted.high_s) == pytest.approx(
        (stream_s / np.exp(high), stream_s / np.exp(low))
    )


def test_a_rate_that_is_left_out_is_not_seen() -> None:
    entries = published_rates()
    rates = [entry.rate() for entry in entries][9:13]
    changed = [*rates[:1], type(rates[1])(rates[1].use, rates[1].terms, 10 * rates[1].seconds), *rates[2:]]
    predicted = [left_out(some, n_chains=4, n_kept=2) for some in (rates, changed)]
    before, after = predicted[0][1], predicted[1][1]
    assert (before.low_s, before.median_s, before.high_s) == (after.low_s, after.median_s, after.high_s)
    assert after.measured_s == 10 * before.measured_s
    assert [one.is_known for one in predicted[0]] == [False, False, True, True]


def test_rows_are_shown_in_the_sources_own_unit(tmp_path: Path) -> None:
    entries = published_rates()
    row = Row(entries[0], 0.5, Prediction(entries[0].seconds, 0.25, 0.5, 1.0, is_known=True))
    assert row.interval == (1.0, 4.0)
    assert cells(row)[3:] == ("2.17 tokens/s", "2", "2", "-8%", "1 to 4")
    findings = Findings((row,), (row.predicted,), 3)
    assert len(cells(row)) == len(HEADINGS)
    assert findings.n_wide == 1
    assert "1 of 1 published rates" in summary(findings)[0]
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert replaced(page, markdown(findings, [], [])).startswith(
        f"before\n{BEGIN}\n\n### Single devices\n\n| device"
    )
    assert "old" not in replaced(page, "new")
    page.write_text("nothing")
    with pytest.raises(InputError, match="no lines"):
        replaced(page, "new")


def test_the_documentation_has_every_row_as_it_is_published() -> None:
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    devices, testbeds, groups = (
        [line.split(" | ") for line in re.findall(r"^\| (.*) \|$", table, re.MULTILINE)]
        for table in re.split("### Testbeds|### Groups.*", text)
    )
    assert [row[:4] for row in devices[2:]] == [
        [entry.device, entry.label, entry.runtime, f"{entry.value:g} {entry.unit}"]
        for entry in published_rates()
    ]
    assert testbeds[0] == [*TESTBED_HEADINGS, "source"]
    assert [[*row[:4], row[-2]] for row in testbeds[2:]] == [
        [*shown[:4], shown[-1]]
        for shown in (cells_of_testbed(Run(entry, None)) for entry in published_testbeds())
    ]
    assert [row[:4] for row in groups[2:]] == [list(cells_of_group(row)[:4]) for row in group_rows()]


def test_rows_of_testbeds_come_from_the_shipped_scenarios(tmp_path: Path) -> None:
    entry = published_testbeds()[0]
    ran = simulated(entry)
    assert ran.simulated == pytest.approx(entry.value, rel=0.01)  # the scenario was fitted to it
    assert cells_of_testbed(ran)[3:5] == ("18.29 tokens/s", f"{ran.simulated:.3g}")
    refused = simulated(entry.model_copy(update={"model": "llama-2-70b"}))
    assert refused.error is None
    assert cells_of_testbed(refused)[4] == "refused"


def test_boards_alone_and_in_pairs_are_within_ten_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesim.validate.published.testbeds.N_SETS", 6)
    entries = [entry for entry in published_testbeds() if entry.scenario == "home_cluster_pi"]
    assert len(entries) == 7
    for entry in entries:
        ran = simulated(entry)
        assert ran.simulated is not None
        assert ran.middle_90 is not None
        assert ran.simulated == pytest.approx(entry.value, rel=0.09)  # as the documentation says
        assert ran.middle_90[0] < ran.simulated < ran.middle_90[1]


def test_pairs_wait_and_divide_as_the_rows_of_one_and_two_nodes_say() -> None:
    rows = {(row.board, row.model.name): row for row in star_clusters()}
    runtime = runtime_of(device_kind("raspberry-pi-5").model_copy(update={"runtime": "distributed-llama"}))
    assert runtime is not None
    use = use_of(*runtime, device_kind("raspberry-pi-5").peak_values("raspberry-pi-5"), 0.5625)
    cost = float(np.asarray(shipped_posterior().centre.shares(use, None).head_cost)[0])
    pairs = [entry for entry in published_testbeds() if entry.strategy == "tensor"]
    assert len(pairs) == 4
    for entry in pairs:
        board = "raspberry-pi-4b" if "Pi 4B" in entry.label else "raspberry-pi-5"
        own = rows[board, str(entry.model)]
        waits = own if entry.fitted else rows[board, "llama-2-7b"]
        others = [own] if entry.fitted else [row for row in rows.values() if row is not own]
        undivided = [share for share in (row.undivided(cost) for row in others) if share is not None]
        said = " ".join(entry.set)
        (share,) = re.findall(r"share: ([0-9.]+)", said)
        assert float(share) == pytest.approx(np.mean(undivided), abs=0.001)
        delays_us = re.findall(r"overhead: 10 us, latency: ([0-9.]+) us", said)
        assert len(delays_us) == 2
        for delay_us in delays_us:
            assert float(delay_us) == pytest.approx(1e6 * (waits.rest_s - 4 * 10e-6) / 4, abs=0.1)


def test_predictions_hold_as_the_documentation_says() -> None:
    findings = found()
    assert len(findings.rows) == 17
    assert findings.n_inside >= 14
    assert all(row.predicted.width <= WIDEST[row.predicted.is_known] for row in findings.rows)
    assert findings.score < 0.7 * findings.one_share_score
