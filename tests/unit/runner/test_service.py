"""A run tells which devices' service times were drawn, and by which law."""

from __future__ import annotations

from pathlib import Path

from edgesim.runner import prepare, run
from edgesim.scenario.load import load

SHORT = ["profile=analytic", "horizon=5 s", "replications=1"]


def test_a_run_tells_of_its_laws(tmp_path: Path) -> None:
    drawn = run(
        prepare(load("first_steps", [*SHORT, "topology.devices.0.service.erlang.stages=3"])), tmp_path
    )
    first = drawn.run["service"]
    assert set(first.values()) == {"erlang, 3 stages"}
    assert set(first) < set(drawn.devices("local", 0)["device"])
    assert not drawn.check()


def test_a_run_without_laws_says_nothing_of_them(tmp_path: Path) -> None:
    assert "service" not in run(prepare(load("first_steps", SHORT)), tmp_path).run
