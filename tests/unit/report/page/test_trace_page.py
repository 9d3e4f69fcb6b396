from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import LABEL, MARKUP, TINY, hostile_trace
from rich.console import Console

from edgesim.errors import TraceError
from edgesim.report.comparison import about, comparison
from edgesim.report.page.rendering import embedded
from edgesim.report.page.span_summary import summarise_spans
from edgesim.report.page.trace_page import trace_page
from edgesim.report.table import ComparisonTable
from edgesim.trace.reader import Trace


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Trace(TINY)


@pytest.fixture(scope="module")
def page(trace: Trace) -> str:
    return trace_page(trace)


def content(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


class Tags(HTMLParser):
    """Every element of a page with its attributes, and all text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_has_the_numbers_that_a_run_prints(trace: Trace, page: str) -> None:
    console = Console(width=400, color_system=None, record=True, file=io.StringIO())
    console.print(ComparisonTable(comparison(trace), about(trace)))
    printed = console.export_text()
    texts = " ".join(" ".join(Tags(page).texts).split())
    rows = [
        line.split()
        for line in printed.splitlines()
        if line.split()[:1] and line.split()[0] in trace.strategies
    ]
    assert len(rows) >= 3
    for word in {word for row in rows for word in row}:
        assert word in texts


def test_nothing_is_fetched_and_only_the_own_script_may_run(page: str) -> None:
    tags = Tags(page)
    for tag, attributes in tags.elements:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:")) or not value, (tag, name, value)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert "style" not in attributes
    policy = next(a["content"] for _, a in tags.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(scripts) == len(styles) == 1
    for text in (*scripts, *styles):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_names_of_a_trace_do_not_become_markup(tmp_path: Path) -> None:
    page = trace_page(Trace(hostile_trace(tmp_path)))
    plain = trace_page(Trace(TINY))
    elements = [tag for tag, _ in Tags(page).elements]
    assert "img" not in elements
    assert elements.count("script") == [tag for tag, _ in Tags(plain).elements].count("script") == 2
    assert LABEL in Tags(page).texts
    assert MARKUP in Tags(page).texts  # as text it is there
    names = {name for view in content(page)["figures"]["request"]["views"] for name in view["names"]}
    assert MARKUP in names


def test_embedded_json_is_the_same_json_and_has_no_markup() -> None:
    told = {"<!--": ["</script>", "\u2028&amp;", 1.5, None, True]}
    text = str(embedded(told))
    assert json.loads(text) == told
    assert not set("<>&\u2028") & set(text)


def test_busy_devices_add_up_to_what_the_devices_table_says(trace: Trace, page: str) -> None:
    # FIFO devices: passes do not overlap, so their time is the station's. Written in whole per cent.
    for view in content(page)["figures"]["busy"]["views"]:
        devices = trace.devices(view["label"], 0).set_index("device")
        for row in view["rows"]:
            device = devices.loc[row["name"]]
            computing_s = np.mean(row["values"]) / 100 * view["x"]["edges"][1]
            assert computing_s == pytest.approx(device["busy_s"], abs=0.005 * view["x"]["edges"][1])


def test_requests_in_flight_add_up_to_the_latencies(trace: Trace, page: str) -> None:
    view = content(page)["figures"]["over-time"]["views"][0]
    for series in view["series"]:
        requests = trace.requests(series["name"], 0)
        until_s = trace.devices(series["name"], 0)["duration_s"].max()
        lives_s = (requests["ended_at_s"].fillna(until_s) - requests["arrived_at_s"]).sum()
        width_s = series["x"][1] - series["x"][0]
        # Values have five digits: each is off by at most 5e-5 of itself.
        assert sum(share or 0.0 for share in series["y"]) * width_s == pytest.approx(lives_s, rel=2e-4)


def test_spans_of_a_request_are_those_of_the_trace(trace: Trace, page: str) -> None:
    for view in content(page)["figures"]["request"]["views"]:
        spans = trace.spans(view["label"], 0)
        requests = trace.requests(view["label"], 0).set_index("request_id")
        for request in view["requests"]:
            own = spans[spans["request_id"] == request["id"]]
            written = np.array(request["spans"]).reshape(-1, 7)
            assert len(written) == len(own)
            arrived_s = requests.loc[request["id"], "arrived_at_s"]
            assert [view["names"][at] for at in written[:, 0]] == list(own["device"].astype(str))
            assert written[:, 4] == pytest.approx(1e6 * (own["asked_at_s"] - arrived_s), abs=0.5 + 1e-6)
            done = own["ended_at_s"].notna().to_numpy()
            lengths = 1e6 * (own["ended_at_s"] - own["started_at_s"])
            assert written[done, 6] == pytest.approx(lengths[done], abs=0.5 + 1e-6)


def test_energy_per_token_is_that_of_the_comparison(trace: Trace, page: str) -> None:
    rows = {row.strategy: row for row in comparison(trace).rows}
    active, with_idling = content(page)["figures"]["energy"]["views"][:2]
    for view, metric in ((active, "active_j_per_token"), (with_idling, "total_j_per_token")):
        for row in view["rows"]:
            estimate = rows[row["name"]].estimates[metric]
            assert estimate is not None
            assert sum(row["values"]) == pytest.approx(estimate.mean, rel=1e-4)


def test_the_parts_of_the_time_add_up_to_the_mean_latency(trace: Trace, page: str) -> None:
    for row in content(page)["figures"]["time"]["views"][0]["rows"]:
        requests = trace.requests(row["name"], 0)
        done = requests[requests["outcome"] == "completed"]
        mean_s = (done["ended_at_s"] - done["arrived_at_s"]).mean()
        assert sum(row["values"]) == pytest.approx(
            mean_s, rel=2e-3
        )  # parts below a ten-thousandth are left out


def test_a_trace_without_spans_and_an_unfinished_one_have_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "trace"
    shutil.copytree(TINY, folder)
    shutil.rmtree(folder / "spans")
    for file in folder.glob(
        "requests/*/*/part-*.parquet"
    ):  # where none are kept, no request's energy is known
        table = pq.read_table(file)
        at = table.schema.get_field_index("energy_j")
        unknown = pa.nulls(len(table), pa.float64())
        pq.write_table(table.set_column(at, table.schema.field(at), unknown), file)
    shutil.rmtree(folder / "devices" / "strategy=pipeline")
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run | {"status": "stopped"}))
    page = trace_page(Trace(folder))
    figures = content(page)["figures"]
    assert "request" not in figures
    assert "latencies" in figures
    assert "The run is incomplete (stopped): 2 of 3 runs are complete" in " ".join(Tags(page).texts)


def test_the_page_is_the_same_each_time(trace: Trace, page: str) -> None:
    assert trace_page(trace) == page


def test_spans_of_a_kind_that_there_is_not_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "trace"
    shutil.copytree(TINY, folder)
    for file in folder.glob("spans/*/*/part-*.parquet"):
        spans = pq.read_table(file)
        at = spans.schema.get_field_index("kind")
        kinds = ["daydream" if kind == "compute" else kind for kind in spans["kind"].to_pylist()]
        column = pa.array(kinds, pa.string()).dictionary_encode().cast(spans.schema.field(at).type)
        pq.write_table(spans.set_column(at, spans.schema.field(at), column), file)
    with pytest.raises(TraceError, match="daydream"):
        trace_page(Trace(folder))


def test_what_was_under_way_lasts_until_its_own_run_ended(trace: Trace) -> None:
    # The stretches of time go on, as where another strategy's run took longer.
    until_s = float(trace.devices("pipeline", 0)["duration_s"].max())
    edges_s = np.linspace(0.0, 2 * until_s, 11)
    cut_off_s = until_s / 2  # as if the run had ended there
    spans = trace.spans("pipeline", 0)
    begun = spans[(spans["kind"] == "compute") & (spans["started_at_s"] < cut_off_s)]

    class Cut:
        def span_parts(self, *_: object) -> list[pd.DataFrame]:
            return [begun.assign(ended_at_s=begun["ended_at_s"].where(begun["ended_at_s"] <= cut_off_s))]

    found = summarise_spans(Cut(), "pipeline", 0, edges_s, cut_off_s, np.empty(0, np.int64))  # type: ignore[arg-type]
    for device, own in begun.groupby("device", observed=True):
        busy_s = (own["ended_at_s"].clip(upper=cut_off_s) - own["started_at_s"]).sum()
        assert found.busy[str(device)].sum() * (edges_s[1] - edges_s[0]) == pytest.approx(busy_s, rel=1e-9)
