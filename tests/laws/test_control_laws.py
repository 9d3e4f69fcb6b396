"""Control traffic on every medium obeys the laws of a trace, and is in everybody's books."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from media import MEDIA, city

from edgesim.engine.simulation import simulate
from edgesim.strategies.offload import Offload
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder
from edgesim.world.fleet import Fleet
from edgesim.world.routes import link_facts

REPORT_BYTES = 5000  # several frames and transport blocks


class Talkative(Offload):
    """Offloads, while every device reports to every other ten times a second."""

    def control(self, cluster: Any, placement: Any) -> Generator[Any, Any, Any]:
        while True:
            for source in cluster.hosts:
                for target in cluster.hosts:
                    if source != target:
                        cluster.report(source, target, REPORT_BYTES, wait=False)
            yield from cluster.sleep(0.1)


def traced(medium: str, folder: Path) -> Trace:
    world, strategy = city(medium), Talkative(to="cell")
    out = TraceFolder(folder)
    out.write_run({"status": "complete", "strategies": ["talk"], "links": link_facts(world.links)})
    placement = strategy.place(world.model, Fleet.of(world))
    simulate(world, strategy, placement, placement.holdings, out.parts("talk", 0).write)
    return Trace(folder)


@pytest.mark.parametrize("medium", MEDIA)
def test_control_traffic_is_lawful_on_every_medium(medium: str, tmp_path: Path) -> None:
    trace = traced(medium, tmp_path)
    assert trace.check() == []
    spans, requests = trace.spans("talk", 0), trace.requests("talk", 0)
    control = spans[spans["kind"] == "control"]
    assert len(control) > 100
    assert control["request_id"].isna().all()
    assert not spans.loc[spans["kind"] == "send", "request_id"].isna().any()
    assert (control["peer"] != control["device"]).all()
    expected = "wired" if medium.startswith("wired") else "radio"
    assert expected in set(control["link_kind"])
    # Between the two cells there is always a wire, which carries whole reports.
    wired = control[control["via"] == "cell-0--cell-1"]
    assert (wired["size_bytes"] == REPORT_BYTES).all()
    # What requests spent and what control did is all that was spent.
    owned_j, control_j = _j(spans[spans["request_id"].notna()]), _j(spans[spans["request_id"].isna()])
    assert control_j > 0.0
    assert requests["energy_j"].sum() == pytest.approx(owned_j)
    devices = trace.devices("talk", 0)
    spent_j = devices[["energy_compute_j", "energy_tx_j", "energy_rx_j"]].to_numpy().sum()
    assert spent_j == pytest.approx(owned_j + control_j, rel=1e-9)


def _j(spans: pd.DataFrame) -> float:
    return float(spans["energy_j"].sum())
