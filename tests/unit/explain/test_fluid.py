"""From a scenario to the bound for any placement, against closed forms."""

from __future__ import annotations

from pathlib import Path

import pytest
from street import street

from edgesim import runner
from edgesim.explain.capacity import Capacity
from edgesim.explain.fluid import most_per_s
from edgesim.scenario.load import parse

LOCAL = street("{use: local}")


def bound(text: str, **changes: str) -> Capacity:
    overrides = [f"{path.replace('__', '.')}={value}" for path, value in changes.items()]
    return most_per_s(runner.prepare(parse(text, name="street.yaml", folder=Path(), overrides=overrides)))


def test_a_device_counts_with_the_highest_of_its_speeds() -> None:
    """Half as fast at first, three times as fast later: a run that lasts is three times as fast."""
    plain = bound(LOCAL).per_s
    schedules = "[{from: 0 s, factor: 0.5}, {from: 2 s, factor: 3}]"
    both = {f"topology__devices[{n}]__speed": f"{{schedule: {schedules}}}" for n in range(2)}
    assert bound(LOCAL, **both).per_s == pytest.approx(3.0 * plain, rel=1e-6)


def test_a_wire_counts_with_the_highest_of_its_rates() -> None:
    key = "topology__links[0]__wired"
    slow, fast = (
        bound(LOCAL, **{key: f"{{rate: {rate}, latency: 5 ms}}"}).per_s for rate in ("1 kbit/s", "4 kbit/s")
    )
    assert slow < fast
    changing = "{rate: {schedule: [{from: 0 s, rate: 1 kbit/s}, {from: 2 s, rate: 4 kbit/s}]}, latency: 5 ms}"
    assert bound(LOCAL, **{key: changing}).per_s == pytest.approx(fast)


def test_a_slow_source_does_not_hold_the_others_back() -> None:
    """Two that ask alike, hardly joined: each answers its own, as fast as it can."""
    apart = {"topology__links[0]__wired": "{rate: 1 bit/s, latency: 5 ms}"}
    alone = [bound(LOCAL, **apart, workload__sources=f"[{name}]").per_s for name in ("phone", "box")]
    both = bound(LOCAL, **apart, workload__sources="[phone, box]").per_s
    assert max(alone) > 2.0 * min(alone)  # else it would prove nothing
    assert both == pytest.approx(sum(alone), rel=0.01)
