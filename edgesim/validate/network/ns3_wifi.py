"""Simulate a saturated Wi-Fi cell in ns-3."""

from __future__ import annotations

from pathlib import Path

from edgesim.validate.network.ns3_tools import Ns3
from edgesim.validate.network.wifi_cases import WifiCase

__all__ = ["HEADER_BYTES", "frames_in_ns3"]

_WARMUP_S = 1.0  # block acknowledgement agreements are retried until every station has one

HEADER_BYTES = 20 + 8
"""IP and UDP headers, which the program's packets lack; ns-3 itself adds LLC/SNAP and MAC headers."""


def frames_in_ns3(
    ns3: Ns3, program: Path, case: WifiCase, *, n_batches: int, batch_s: float, run: int = 1
) -> list[int]:
    """Return the number of frames received in each of `n_batches` successive batches of time.

    A missing block acknowledgement leads to another attempt at the aggregate, as in the engine, not
    to a block acknowledgement request (ns-3's default): 802.11-2020 clause 10.25.6 leaves the choice to the
    originator (not re-read in the printed standard).
    """
    rows = ns3.run(
        program,
        {
            "standard": case.phy.generation,
            "width": case.phy.width_mhz,
            "mcs": case.phy.mcs,
            "guard": round(1e9 * case.phy.guard_s),
            "stations": case.n_stations,
            "bytes": case.payload_bytes + HEADER_BYTES,
            "ampdu": case.ampdu_bytes,
            "attempts": case.n_attempts,
            "bar": "false",
            "warmup": _WARMUP_S,
            "batch": batch_s,
            "batches": n_batches,
            "run": run,
        },
    )
    return [int(row["n_frames"]) for row in rows]
