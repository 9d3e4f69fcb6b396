"""The how-to's worked example, best signal plus queue: what it chooses, by hand."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from airwaves import cells, link
from miniature import run

from edgesim.workload.arrivals import Deterministic
from edgesim.world.fleet import Fleet
from edgesim.world.medium import Medium

FILE = Path(__file__).resolve().parents[1] / "plugin_example/src/edgesim_example_plugin/best_link.py"


@pytest.fixture(scope="module")
def best_link():
    """The class, from its file."""
    spec = spec_from_file_location("best_link_example", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.BestLink
    del sys.modules[spec.name]


@pytest.mark.parametrize(
    ("every_s", "options", "chosen"),
    [
        # Nothing waits: the better link.
        (10.0, {}, ["near"] * 6),
        # 4 s of work every second: 2 s later near has 2 s left and far 3 s, then 5 s against 2 s, ...
        (1.0, {}, ["near", "far"] * 3),
        # The only reports are made before there is any work.
        (1.0, {"period_s": 1e6}, ["near"] * 6),
        # Both links are weaker than asked for: as if neither were.
        (10.0, {"least_snr_db": 30.0}, ["near"] * 6),
    ],
)
def test_it_takes_the_better_link_until_it_knows_of_work_behind_it(
    every_s: float, options: dict[str, float], chosen: list[str], best_link
) -> None:
    there = cells(
        {
            "far": (Medium(name="far"), {"user": link(6.0)}),
            "near": (Medium(name="near"), {"user": link(20.0)}),
        },
        arrivals=Deterministic(every_s),
        n_requests=6,
    )
    strategy = best_link(to=("far", "near"), **options)
    ran = run(there, strategy, strategy.place(there.model, Fleet.of(there)))
    computed = ran.spans[ran.spans["kind"] == "compute"].sort_values("request_id")
    assert computed["device"].tolist() == chosen
    reports = ran.spans[ran.spans["kind"] == "control"]
    assert set(zip(reports["device"], reports["peer"], strict=True)) == {("far", "user"), ("near", "user")}
    assert (reports["size_bytes"] == 64).all()


def test_a_weak_link_is_a_last_resort(best_link) -> None:
    there = cells(
        {
            "far": (Medium(name="far"), {"user": link(-9.0)}),
            "near": (Medium(name="near"), {"user": link(20.0)}),
        },
        arrivals=Deterministic(1.0),
        n_requests=4,
    )
    strategy = best_link(to=("far", "near"))
    ran = run(there, strategy, strategy.place(there.model, Fleet.of(there)))
    assert ran.spans.loc[ran.spans["kind"] == "compute", "device"].tolist() == ["near"] * 4
