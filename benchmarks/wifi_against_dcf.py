"""Wi-Fi in the engine against 802.11's rules gone through slot by slot: delay, carried load, airtime, energy.

    python benchmarks/wifi_against_dcf.py [--replications 20] [--messages 2000] [--stations 1 5 10 40]
                                          [--sizes 4 256 4096 65536]

Stations at 600 Mb/s send messages of one size to their access point: those of one frame one by one, larger
ones in aggregates of up to 64 frames. First all of them are saturated; what is
carried then is the capacity. Then messages come at random, at 10, 50 and 80 % of it. The slotted simulation
(tests/support/slotted_dcf.py) shares no code with the engine; both meet the same arrivals. Printed are mean
ratios over replications with their 95 % intervals (Student's t of the logarithms). Exit status 1 where an
interval does not reach into the limits: 3, 3 and 5 % for mean delays, 10 % for the 95th percentile, 3 % for
carried load, airtime and energies. Limits are the acceptance test's; an interval wider than them says that
more replications are needed.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from wifi_cells import Arrivals, Run, backlog, engine, poisson, slotted

from edgesim.radio.access.wifi_mac import Aggregation, WifiMac

LOADS = {0.1: 0.03, 0.5: 0.03, 0.8: 0.05}
P95_WITHIN, ELSE_WITHIN = 0.10, 0.03
SATURATED_S = 0.5
FRAME_BYTES = 1500
ONE_BY_ONE = WifiMac(aggregation=Aggregation(most_frames=1))


class Ratios:
    """Ratios of the engine's figures to the slots', replication by replication."""

    def __init__(self, ours: Sequence[Run], theirs: Sequence[Run]) -> None:
        self._ours, self._theirs = ours, theirs
        self.n_missed = 0

    def text(self, what: str, within: float) -> str:
        """A figure's mean ratio and interval in per cent; marked where it is outside the limits for sure."""
        logs = np.log(
            [_figure(a, what) / _figure(b, what) for a, b in zip(self._ours, self._theirs, strict=True)]
        )
        mean = float(logs.mean())
        half = float(stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs)) if len(logs) > 1 else math.inf
        missed = abs(mean) - half > math.log1p(within)
        self.n_missed += missed
        return f"{100 * math.expm1(mean):+6.2f} ±{100 * half:5.2f}{'!' if missed else ' '}"


def _figure(run: Run, what: str) -> float:
    if what == "mean":
        return float(run.delays_s.mean())
    if what == "p95":
        return float(np.quantile(run.delays_s, 0.95))
    if what == "carried":
        return float(len(run.ended_s))
    return float(getattr(run, what))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--replications", type=int, default=20)
    parser.add_argument("--messages", type=int, default=2000, help="of each replication at 10 and 50 %% load")
    parser.add_argument("--stations", type=int, nargs="+", default=[1, 5, 10, 40])
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 256, 4096, 65536])
    asked = parser.parse_args()
    n_missed = 0
    print(f"{'n':>3} {'bytes':>6} {'load':>5} {'messages/s':>11} {'delay us':>9}  engine/slots - 1 in %: ")
    for n in asked.stations:
        for size in asked.sizes:
            capacity_hz, missed = saturated(n, size, asked.replications)
            n_missed += missed
            for load, within in LOADS.items():
                n_missed += loaded(n, size, load, within, capacity_hz, asked)
    print(f"outside the limits: {n_missed}")
    return 1 if n_missed else 0


def saturated(n: int, size: int, n_replications: int) -> tuple[float, int]:
    """Compare saturated stations; the capacity in messages per second, and how many figures are outside."""
    # No more than full aggregates back to back can carry, and one aggregate more for everyone.
    most_hz = 1 / 150e-6 if size <= FRAME_BYTES else 64 / math.ceil(size / FRAME_BYTES) / 1e-3
    n_each = math.ceil(most_hz * SATURATED_S / n) + 64
    arrivals = backlog(n, size, n_each)
    ours, theirs = _both([arrivals] * n_replications, n, size, SATURATED_S)
    capacity_hz = float(np.mean([len(one.ended_s) for one in theirs])) / SATURATED_S
    ratios = Ratios(ours, theirs)
    line = "  ".join(
        f"{what} {ratios.text(what, ELSE_WITHIN)}" for what in ("carried", "busy_s", "tx_s", "rx_s")
    )
    busy = float(np.mean([one.busy_s for one in theirs])) / SATURATED_S
    print(f"{n:3d} {size:6d}   sat {capacity_hz:11.0f} {'':9}  {line}  (busy {busy:.3f})", flush=True)
    return capacity_hz, ratios.n_missed


def _both(each: Sequence[Arrivals], n: int, size: int, until_s: float) -> tuple[list[Run], list[Run]]:
    alone = size <= FRAME_BYTES
    mac, facts = (ONE_BY_ONE, {"most_frames": 1}) if alone else (None, {})
    ours = [engine(arrivals, n, key, mac, until_s) for key, arrivals in enumerate(each)]
    theirs = [slotted(arrivals, n, key, until_s, **facts) for key, arrivals in enumerate(each)]
    return ours, theirs


def loaded(
    n: int, size: int, load: float, within: float, capacity_hz: float, asked: argparse.Namespace
) -> int:
    """Compare random arrivals at a share of the capacity; how many figures are outside."""
    n_messages = asked.messages * (1 if load < 0.6 else 2)
    each = [poisson(n, size, load * capacity_hz, n_messages, seed) for seed in range(asked.replications)]
    ours, theirs = _both(each, n, size, math.inf)
    ratios = Ratios(ours, theirs)
    line = "  ".join(
        f"{what} {ratios.text(what, limit)}"
        for what, limit in (
            ("mean", within),
            ("p95", P95_WITHIN),
            ("busy_s", ELSE_WITHIN),
            ("tx_s", ELSE_WITHIN),
            ("rx_s", ELSE_WITHIN),
        )
    )
    delay_us = 1e6 * float(np.mean([one.delays_s.mean() for one in theirs]))
    print(f"{n:3d} {size:6d} {load:5.0%} {load * capacity_hz:11.0f} {delay_us:9.1f}  {line}", flush=True)
    return ratios.n_missed


if __name__ == "__main__":
    raise SystemExit(main())
