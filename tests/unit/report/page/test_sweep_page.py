from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hostile import MARKUP

from edgesim.errors import TraceError
from edgesim.report.page.sweep_page import sweep_page
from edgesim.statistics.intervals import Scale, estimate_mean


@dataclass
class Swept:
    """What a page asks of a sweep."""

    frame: pd.DataFrame
    axes: dict[str, tuple[Any, ...]]
    failed: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["cell", "reason"]))
    incomplete: str | None = None
    path: Path = Path("sweeps/rates")
    name: str = "street"
    strategies: tuple[str, ...] = ("local", "offload")
    record: dict[str, Any] = field(default_factory=lambda: {"name": "street", "seed": 7})

    def results(self) -> pd.DataFrame:
        return self.frame

    def failures(self) -> pd.DataFrame:
        return self.failed


def results(axes: dict[str, tuple[Any, ...]], cells: list[tuple[Any, ...]], n: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    rows = []
    for cell, values in enumerate(cells):
        for strategy in ("local", "offload"):
            for replication in range(n):
                counts = {"offered": 10, "completed": 9, "failed": 1, "censored": 0}
                metrics = {
                    "e2e_mean_s": rng.gamma(5),
                    "attainment": rng.uniform(0.2, 0.9),
                    "perplexity": np.nan,
                }
                identity = {"cell": cell, **dict(zip(axes, values, strict=True)), "strategy": strategy}
                rows.append(identity | {"replication": replication} | counts | metrics)
    return pd.DataFrame(rows)


def views(page: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    told: list[dict[str, Any]] = json.loads(found[1])["figures"]["swept"]["views"]
    return told


def test_lines_have_the_mean_and_interval_of_each_cell_at_its_number() -> None:
    axes = {"rate": ("1 Hz", "2 Hz", "4 Hz")}
    frame = results(axes, [("1 Hz",), ("2 Hz",), ("4 Hz",)])
    found = views(sweep_page(Swept(frame, axes)))
    assert [view["label"] for view in found] == ["E2E mean", "objectives met, share"]  # perplexity is unknown
    for view, metric, scale in zip(
        found, ("e2e_mean_s", "attainment"), (Scale.LOG, Scale.LOGIT), strict=True
    ):
        assert view["x"]["label"] == "rate [Hz]"
        assert [series["name"] for series in view["series"]] == ["local", "offload"]
        for series in view["series"]:
            assert series["x"] == [1, 2, 4]
            for at, cell in enumerate(range(3)):
                chosen = frame[(frame["cell"] == cell) & (frame["strategy"] == series["name"])]
                estimate = estimate_mean(list(chosen[metric]), scale)
                assert estimate is not None
                shown = (series["y"][at], series["low"][at], series["high"][at])
                # Five digits.
                assert shown == pytest.approx((estimate.mean, estimate.low, estimate.high), rel=5e-5)


def test_a_share_on_which_all_replications_agree_has_the_interval_of_its_requests() -> None:
    axes = {"n": (1, 2)}
    frame = results(axes, [(1,), (2,)]).assign(attainment=1.0)
    view = next(v for v in views(sweep_page(Swept(frame, axes))) if v["label"] == "objectives met, share")
    expected = estimate_mean([1.0] * 3, Scale.LOGIT, n_trials=30)
    assert expected is not None
    assert view["series"][0]["low"] == pytest.approx([expected.low] * 2, rel=5e-5)


def test_a_point_is_null_where_the_metric_is_unknown_in_one_replication() -> None:
    axes = {"n": (1, 2, 3)}
    frame = results(axes, [(1,), (2,), (3,)])
    frame.loc[
        (frame["cell"] == 1) & (frame["strategy"] == "local") & (frame["replication"] == 2), "e2e_mean_s"
    ] = np.nan
    local, offload = views(sweep_page(Swept(frame, axes)))[0]["series"]
    assert local["x"] == offload["x"] == [1, 2, 3]  # so that no line joins its neighbours
    assert [y is None for y in local["y"]] == [low is None for low in local["low"]] == [False, True, False]
    assert None not in offload["y"]


def test_a_grid_has_a_panel_per_value_of_the_other_axis_and_a_zip_has_one() -> None:
    axes = {"n": (1, 2), "kind": ("a", "b")}
    grid = views(sweep_page(Swept(results(axes, [(1, "a"), (1, "b"), (2, "a"), (2, "b")]), axes)))
    assert {view["group"] for view in grid} == {"n; kind = a", "n; kind = b", "kind; n = 1", "kind; n = 2"}
    zipped = views(sweep_page(Swept(results(axes, [(1, "a"), (2, "b")]), axes)))
    assert {view["group"] for view in zipped} == {"n", "kind"}
    by_kind = next(view for view in zipped if view["group"] == "kind")
    assert by_kind["x"]["texts"] == ["a", "b"]
    assert by_kind["series"][0]["x"] == [0, 1]


def test_what_failed_is_listed_and_reasons_are_text() -> None:
    axes = {"n": (1, 2)}
    failed = pd.DataFrame([(1, 0, 2, MARKUP)], columns=["cell", "replication", "n", "reason"])
    swept = Swept(
        results(axes, [(1,)]), axes, failed, incomplete="incomplete (stopped): 3 of 6 units are whole"
    )
    page = sweep_page(swept)
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page
    assert MARKUP not in page
    assert "The sweep is incomplete (stopped): 3 of 6 units are whole" in page
    assert "1 of its units failed" in page


def test_requests_without_an_end_are_warned_of_with_their_share() -> None:
    axes = {"n": (1, 2)}
    frame = results(axes, [(1,), (2,)]).assign(failed=0, completed=10)
    assert "failed or were cut off, so" not in sweep_page(Swept(frame, axes))
    is_cut = (frame["cell"] == 1) & (frame["strategy"] == "local")
    page = sweep_page(Swept(frame.assign(censored=is_cut * 4, completed=10 - is_cut * 4), axes))
    assert "cut off, so that latencies may be unknown: local at n = 2 (40 %)." in page


def test_a_sweep_of_which_nothing_is_whole_is_refused() -> None:
    with pytest.raises(TraceError, match="nothing to show"):
        sweep_page(Swept(results({"n": (1,)}, [(1,)]).iloc[:0], {"n": (1,)}))
