"""Wi-Fi in the engine against 802.11's rules gone through slot by slot, and against Bianchi's model.

The slotted twin (`slotted_dcf`) shares no code with the engine. Both meet the same arrivals; only backoffs
differ. What is compared is the mean over replications of the logarithm of the ratio: it must be inside its
own 99.9 % interval (Student's t: no difference is seen) and inside the limit (none that matters is
estimated). Loads are light to middling, where seconds suffice for that; `benchmarks/wifi_against_dcf.py` has
those up to 80 % of capacity.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from scipy import stats
from wifi_cells import Run, backlog, engine, poisson, slotted

from edgesim.radio.access.wifi_mac import Aggregation, WifiMac

SURE = 0.999
ONE_BY_ONE = WifiMac(aggregation=Aggregation(most_frames=1))


def assert_alike(ours: list[float], theirs: list[float], within: float) -> None:
    """Replications of two runs have one mean: no difference is seen, and none beyond a limit is possible."""
    logs = np.log(np.asarray(ours) / np.asarray(theirs))
    mean, scale = float(logs.mean()), float(stats.sem(logs))
    half = float(stats.t.ppf(0.5 + SURE / 2, len(logs) - 1)) * scale
    assert abs(mean) <= max(half, 1e-9), (mean, half)
    assert abs(mean) <= np.log1p(within), (mean, half)


@dataclass
class Pairs:
    """Runs of both, replication by replication."""

    ours: list[Run] = field(default_factory=list)
    theirs: list[Run] = field(default_factory=list)

    def alike(self, what: str, within: float) -> None:
        """Compare one figure of all replications."""

        def of(one: Run) -> float:
            return {
                "mean": lambda: float(one.delays_s.mean()),
                "p95": lambda: float(np.quantile(one.delays_s, 0.95)),
                "busy": lambda: one.busy_s,
                "tx": lambda: one.tx_s,
                "rx": lambda: one.rx_s,
                "carried": lambda: float(len(one.ended_s)),
            }[what]()

        assert_alike([of(one) for one in self.ours], [of(one) for one in self.theirs], within)


@pytest.mark.parametrize(
    ("n", "size", "rate_hz", "n_messages", "n_replications"),
    [
        (1, 4, 4000, 200, 20),
        (10, 4, 1500, 200, 20),
        (10, 4096, 1200, 200, 20),
        (3, 65536, 200, 100, 20),
        (40, 256, 1200, 200, 20),
    ],
)
def test_delays_airtime_and_energy_are_those_of_slots(
    n: int, size: int, rate_hz: float, n_messages: int, n_replications: int
) -> None:
    pairs = Pairs()
    for number in range(n_replications):
        arrivals = poisson(n, size, rate_hz, n_messages, seed=number)
        pairs.ours.append(engine(arrivals, n, key=number))
        pairs.theirs.append(slotted(arrivals, n, key=number))
    pairs.alike("mean", 0.03)
    pairs.alike("p95", 0.10)
    for what in ("busy", "tx", "rx"):
        pairs.alike(what, 0.03)


@pytest.mark.parametrize(
    ("n", "size", "until_s", "mac", "facts"),
    [
        (1, 1500, 0.05, ONE_BY_ONE, {"most_frames": 1}),
        (5, 4, 0.05, ONE_BY_ONE, {"most_frames": 1}),
        (20, 1500, 0.05, replace(ONE_BY_ONE, rts_from_bytes=0), {"most_frames": 1, "uses_rts": True}),
        (10, 65536, 0.2, None, {}),
    ],
)
def test_saturation_is_that_of_slots(
    n: int, size: int, until_s: float, mac: WifiMac | None, facts: dict[str, object]
) -> None:
    pairs = Pairs()
    n_each = 30 if size > 1500 else int(until_s / 150e-6 / n) + 30
    for number in range(20):
        arrivals = backlog(n, size, n_each)
        pairs.ours.append(engine(arrivals, n, key=number, mac=mac, until_s=until_s))
        pairs.theirs.append(slotted(arrivals, n, key=number, until_s=until_s, **facts))
    for what in ("carried", "busy", "tx", "rx"):
        pairs.alike(what, 0.03)
