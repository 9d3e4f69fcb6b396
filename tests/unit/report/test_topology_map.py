"""The network as a trace alone tells it: places, links' ends, cells; laid out where places are unknown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from drawn_traces import small_trace

from edgesim.errors import TraceError
from edgesim.report.plots.map import busy_devices, carried_bps
from edgesim.report.topology_map import topology_map
from edgesim.trace.reader import Trace


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    return small_trace(tmp_path_factory.mktemp("mapped") / "street")


def altered(trace: Trace, folder: Path, **changes: object) -> Trace:
    shutil.copytree(trace.path, folder)
    facts = json.loads((folder / "run.json").read_text()) | changes
    kept = {name: value for name, value in facts.items() if value is not None}
    (folder / "run.json").write_text(json.dumps(kept))
    return Trace(folder)


def test_places_links_and_cells_are_the_scenarios(trace: Trace) -> None:
    shape = topology_map(trace)
    assert [node.name for node in shape.nodes] == ["phone-0", "phone-1", "box", "far"]
    assert (shape.node("phone-1").x_m, shape.node("phone-1").y_m) == (30.0, 0.0)
    assert (shape.node("box").x_m, shape.node("box").y_m) == (15.0, 40.0)
    assert not shape.node("far").is_placed
    assert shape.node("far").y_m > 40.0  # in a row above
    assert shape.node("far").x_m == pytest.approx(15.0)  # above its neighbour
    assert {frozenset(link.ends): link.kind for link in shape.links} == {
        frozenset({"phone-0", "box"}): "radio",
        frozenset({"phone-1", "box"}): "radio",
        frozenset({"box", "far"}): "wired",
    }
    (cell,) = shape.cells
    assert cell.station == "box"
    assert cell.reach_m is not None
    assert 50.0 < cell.reach_m < 50_000.0


def test_an_older_trace_without_places_is_laid_out(trace: Trace, tmp_path: Path) -> None:
    links = {
        name: {key: value for key, value in facts.items() if key != "between"}
        for name, facts in trace.run["links"].items()  # type: ignore[attr-defined]
    }
    shape = topology_map(altered(trace, tmp_path / "old", places_m=None, cells=None, links=links))
    assert not any(node.is_placed for node in shape.nodes)
    assert len({(node.x_m, node.y_m) for node in shape.nodes}) == 4
    assert {frozenset(link.ends) for link in shape.links} == {
        frozenset({"phone-0", "box"}),
        frozenset({"phone-1", "box"}),
        frozenset({"box", "far"}),
    }
    assert shape.cells == ()


def test_damaged_places_are_said(trace: Trace, tmp_path: Path) -> None:
    damaged = altered(trace, tmp_path / "damaged", places_m={"box": [1.0]})
    with pytest.raises(TraceError, match="the position of 'box' is"):
        topology_map(damaged)


def test_what_links_carried_and_devices_did_is_the_traces(trace: Trace) -> None:
    carried, busy = carried_bps(trace, "far_wide"), busy_devices(trace, "far_wide")
    assert carried["box--far"] > 0
    n_bytes = sum(
        float(spans.loc[spans["via"] == "box--far", "size_bytes"].sum())
        for spans in (trace.spans("far_wide", r) for r in (0, 1))
    )
    lasted_s = sum(float(trace.devices("far_wide", r)["duration_s"].max()) for r in (0, 1))
    assert carried["box--far"] == pytest.approx(8 * n_bytes / lasted_s)
    assert carried_bps(trace, "local") == {}
    assert busy["far"] > 0 == busy["phone-0"]
