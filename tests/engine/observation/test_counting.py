"""What is counted over time: true, and without any trace in the other tables."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from media import MEDIA, city

from edgesim.engine.simulation import simulate
from edgesim.strategies.offload import Offload
from edgesim.world.fleet import Fleet

EVERY_S = 0.0137  # nothing else happens at its multiples


@cache
def tables(name: str, counters_s: float | None) -> dict[str, pa.Table]:
    world, strategy = city(name), Offload(to="cell")
    placement = strategy.place(world.model, Fleet.of(world))
    parts: dict[str, list[pa.Table]] = {}
    simulate(
        world,
        strategy,
        placement,
        placement.holdings,
        lambda table, part: parts.setdefault(table, []).append(part),
        counters_s=counters_s,
    )
    return {table: pa.concat_tables(of) for table, of in parts.items()}


def counters(name: str, counter: str) -> pd.DataFrame:
    found = tables(name, EVERY_S)["counters"].to_pandas()
    return found[found["name"] == counter].astype({"device": object, "peer": object})


@pytest.mark.parametrize("name", MEDIA)
def test_counting_changes_no_other_table(name: str) -> None:
    counted, plain = tables(name, EVERY_S), tables(name, None)
    assert counted.keys() == plain.keys() | {"counters"}
    assert len(counted["counters"]) > 10
    for table, expected in plain.items():
        assert counted[table].equals(expected), table


@pytest.mark.parametrize("name", ["no slots", "handover", "wifi", "slots, failing"])
def test_an_snr_is_what_a_strategy_observes_at_that_instant(name: str) -> None:
    seen: dict[tuple[str, str, float], float] = {}

    class Noting:
        whole = Offload(to="cell")

        def serve(self, request: Any, cluster: Any, placement: Any) -> Any:
            return self.whole.serve(request, cluster, placement)

        def control(self, cluster: Any, placement: Any) -> Any:
            for number in range(1, 100):
                yield from cluster.sleep(number * EVERY_S - cluster.now_s)
                for ends in cluster.hops:
                    state = cluster.observe().link(*ends)
                    if state.snr_db is not None and state.is_serving:
                        seen[(*ends, round(cluster.now_s, 9))] = state.snr_db

    world, strategy = city(name), Noting()
    placement = strategy.whole.place(world.model, Fleet.of(world))
    simulate(world, strategy, placement, placement.holdings, lambda *_: None)
    counted = counters(name, "snr_db")
    rows = zip(counted["device"], counted["peer"], counted["at_s"].round(9), counted["value"], strict=True)
    told = {(device, peer, at_s): value for device, peer, at_s, value in rows}
    both = seen.keys() & told.keys()
    assert len(both) > 300
    assert {key for key in seen if 0 < key[2] < 1.35} <= told.keys()
    for key in both:
        expected = seen[key] if np.isfinite(seen[key]) else np.nan  # out of reach
        assert told[key] == pytest.approx(expected, rel=1e-12, nan_ok=True), key


def test_a_battery_holds_what_its_device_has_not_drawn() -> None:
    charge, devices = counters("no slots", "battery_j"), tables("no slots", EVERY_S)["devices"].to_pandas()
    drawn_j = devices.filter(like="energy_").sum(axis=1).to_numpy()
    for device, drawn in zip(devices["device"][:4], drawn_j, strict=False):
        mine = charge[charge["device"] == device]
        assert mine["value"].iloc[0] == 6.0
        assert mine["value"].is_monotonic_decreasing
        assert mine["value"].iloc[-1] == pytest.approx(max(0.0, 6.0 - drawn), abs=6e-9)
        np.testing.assert_array_equal(mine["at_s"][:-1], np.arange(len(mine) - 1) * EVERY_S)
        assert mine["at_s"].iloc[-1] == 2.0  # and once more as the run ends


def test_kv_bytes_are_those_of_the_requests_that_are_being_served() -> None:
    """On a wire, with room for all, a request holds its cache where it is computed from arrival to end."""
    requests = tables("wired", EVERY_S)["requests"].to_pandas().set_index("request_id")
    spans = tables("wired", EVERY_S)["spans"].to_pandas()
    served_by = spans[spans["kind"] == "compute"].groupby("request_id")["device"].first().astype(object)
    model = city("wired").model
    each_bytes = 208 * model.kv_bytes_per_token(model.n_blocks)  # 200 of the prompt, 8 of the answer
    for cell in ("cell-0", "cell-1"):
        mine = requests.loc[served_by.index[served_by == cell]]
        assert (mine["outcome"] == "completed").sum() > 2
        arrived_at_s, ended_at_s = mine["arrived_at_s"], mine["ended_at_s"].fillna(np.inf)
        counted = counters("wired", "kv_bytes").query("device == @cell").drop_duplicates("at_s", keep="last")
        # Who has not been computed by the end is not known by its spans.
        counted = counted[counted["at_s"] <= arrived_at_s.max()]
        assert len(counted) > 5
        for at_s, value in zip(counted["at_s"], counted["value"], strict=True):
            assert value == ((arrived_at_s <= at_s) & (ended_at_s > at_s)).sum() * each_bytes
