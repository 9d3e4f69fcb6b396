"""Traces and sweeps as text in every form: the same numbers, and names that do no harm."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from drawn_traces import small_trace

from edgesim.report.comparison import comparison
from edgesim.report.listings.estimates import cell_estimate
from edgesim.report.listings.listing import Listed, Listing, estimated, of_traces
from edgesim.report.listings.listing_text import as_csv, as_json, as_latex, as_markdown, estimate_text
from edgesim.report.listings.run_rows import run_rows
from edgesim.report.plots.lines import points
from edgesim.statistics.intervals import Estimate
from edgesim.trace.reader import Trace

NAMES = ("e2e_mean_s", "active_j_per_token", "completed")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    return small_trace(tmp_path_factory.mktemp("listed") / "street")


def test_csv_has_the_comparisons_numbers(trace: Trace) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(of_traces({"street": trace}), NAMES))))
    assert [row["strategy"] for row in rows] == ["local"] * 3 + ["far_wide"] * 3
    for row in comparison(trace).rows:
        own = next(r for r in rows if r["strategy"] == row.strategy and r["metric"] == "e2e_mean_s")
        estimate = row.estimates["e2e_mean_s"]
        assert estimate is not None
        assert float(own["mean"]) == estimate.mean
        assert float(own["low"]) == estimate.low


def test_cells_of_a_sweep_are_estimated_as_a_trace_is(trace: Trace) -> None:
    results = run_rows(trace).reset_index()
    results.insert(0, "rate", "4 Hz")
    for listed, row in zip(estimated(results, ["rate"]), comparison(trace).rows, strict=True):
        assert listed.strategy == row.strategy
        assert listed.where == {"rate": "4 Hz"}
        for name in ("e2e_mean_s", "active_j_per_token", "ttft_p95_s"):
            assert listed.estimates[name] == pytest.approx(row.estimates[name])  # type: ignore[comparison-overlap]
        assert listed.counts["offered"] == row.outcomes.offered


def hostile() -> Listing:
    estimate = Estimate(2, 0.00123, 0.001, 0.0015)
    row = Listed(
        where={"trace": "a|b_50%"},
        strategy="<b>*x* & $y",
        n_replications=2,
        estimates={"e2e_mean_s": estimate},
        counts={},
    )
    other = Listed(
        where={"trace": "c"},
        strategy="y",
        n_replications=2,
        estimates={},
        counts={},
        bounds={"e2e_mean_s": 2e-3},
    )
    return Listing(keys=("trace",), rows=(row, other))


def test_latex_escapes_names_and_rules_with_booktabs() -> None:
    lines = as_latex(hostile(), ("e2e_mean_s",), "half").splitlines()
    assert lines == [
        r"\begin{tabular}{llr}",
        r"\toprule",
        r"trace & strategy & E2E mean [ms] \\",
        r"\midrule",
        r"a\textbar{}b\_50\% & \textless{}b\textgreater{}*x* \& \$y & 1.23 $\pm$ 0.27 \\",
        r"\addlinespace",
        r"c & y & \textgreater{} 2.00 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_markdown_keeps_its_columns_whatever_a_name_holds() -> None:
    lines = as_markdown(hostile(), ("e2e_mean_s",)).splitlines()
    assert lines[0] == "| trace | strategy | E2E mean (ms) |"
    assert lines[2] == "| a\\|b_50% | &lt;b>\\*x\\* & $y | 1.23 [1.00, 1.50] |"
    assert lines[3] == "| c | y | > 2.00 |"


def test_json_has_null_and_never_nan(trace: Trace) -> None:
    content = json.dumps(as_json(of_traces({"street": trace}), ("perplexity", *NAMES)), allow_nan=False)
    assert json.loads(content)["rows"][0]["metrics"]["perplexity"]["mean"] is None


def test_half_widths_cover_the_longer_side() -> None:
    assert estimate_text(Estimate(3, 2.0, 1.5, 2.75), 1.0, "half") == "2.00 ± 0.75"
    assert estimate_text(Estimate(1, 2.0, None, None), 1e-3, "ends") == "2,000"


def test_an_interval_is_never_rounded_away() -> None:
    rare, sure = Estimate(3, 0.0, 0.0, 0.0014), Estimate(3, 1.0, 0.9998, 1.0)
    assert estimate_text(rare, 1.0, "ends") == "0.0000 [0.0000, 0.0014]"
    assert estimate_text(rare, 1.0, "half") == "0.0000 [0.0000, 0.0014]"  # not ±: none is below 0
    assert estimate_text(sure, 1.0, "ends") == "1.00000 [0.99980, 1.00000]"
    assert estimate_text(Estimate(3, 100.0, 99.9, 100.1), 1.0, "half") == "100.00 ± 0.10"
    assert estimate_text(Estimate(3, 2.0, 2.0, 2.0), 1.0, "ends") == "2.00 [2.00, 2.00]"
    assert estimate_text(Estimate(3, 2.0, 2.0, 2.0 + 1e-15), 1.0, "ends") == "2.00 [2.00, 2.00]"


def test_a_metric_unknown_in_one_replication_is_unknown() -> None:
    results = pd.DataFrame(
        {"x": 1, "strategy": "a", "replication": [0, 1], "e2e_mean_s": [1.0, float("nan")]}
    )
    (row,) = estimated(results, ["x"])
    assert row.estimates["e2e_mean_s"] is None


def test_a_share_has_one_interval_in_tables_figures_and_pages() -> None:
    columns = {"rate": "1 Hz", "strategy": "a", "replication": [0, 1, 2]}
    results = pd.DataFrame({**columns, "attainment": 1.0, "offered": [100, 120, 80], "completed": 100})
    (row,) = estimated(results, ["rate"])
    estimate = row.estimates["attainment"]
    assert estimate is not None
    z = 1.959963984540054  # of the normal
    assert estimate.interval == (pytest.approx(1 / (1 + z**2 / 300)), 1.0)  # Wilson 1927, all of 300
    (point,) = points(results, "rate", ("1 Hz",), "attainment")["a"]
    assert (point.mean, point.low, point.high) == (1.0, *estimate.interval)
    assert cell_estimate(results, "attainment") == estimate
    uncounted = cell_estimate(results.drop(columns="offered"), "attainment")
    assert uncounted == Estimate(3, 1.0, None, None)


def test_a_latex_row_never_begins_as_the_options_of_a_line_break() -> None:
    row = Listed(where={"trace": "t"}, strategy="[2] s", n_replications=1, estimates={}, counts={})
    starred = Listed(where={"trace": "t"}, strategy="*", n_replications=1, estimates={}, counts={})
    lines = as_latex(Listing(keys=("trace",), rows=(row, starred)), ("e2e_mean_s",)).splitlines()
    assert [line for line in lines if "&" in line][1:] == [r"{}[2] s & - \\", r"{}* & - \\"]
