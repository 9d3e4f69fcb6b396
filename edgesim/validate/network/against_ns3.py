"""Compare the engine with ns-3: saturated Wi-Fi cells, and wired links in tandem."""

from __future__ import annotations

from collections.abc import Sequence

from edgesim.validate.network.estimates import TheoryComparison, exactly, mean_of
from edgesim.validate.network.records import N_BATCHES, Announce, Records
from edgesim.validate.network.saturation import saturated_frames
from edgesim.validate.network.tandem import Journeys, Tandem, delays_in_engine
from edgesim.validate.network.wifi_cases import WifiCase

__all__ = ["TANDEM_LIMIT", "WIFI_LIMIT", "compare_tandems", "compare_wifi"]

WIFI_LIMIT, TANDEM_LIMIT = 0.03, 0.005


def compare_wifi(
    records: Records, cases: Sequence[WifiCase], announce: Announce, seconds: float | None = None
) -> list[TheoryComparison]:
    """Compare the frames per second of each cell.

    Parameters
    ----------
    announce
        Called with the name of each case before it is simulated.
    seconds
        Simulated time of each case; by default the case's own.
    """
    found = []
    for case in cases:
        announce(case.name)
        batch_s = (case.seconds if seconds is None else seconds) / N_BATCHES
        counts = saturated_frames(case, n_batches=N_BATCHES, batch_s=batch_s)
        ours = mean_of([count / batch_s for count in counts])
        found.append(TheoryComparison(f"{case.name}: frames/s", ours, records.wifi(case), WIFI_LIMIT))
    return found


def compare_tandems(records: Records, rows: Sequence[Tandem]) -> list[TheoryComparison]:
    """Compare the mean delay of each flow in each tandem."""
    found = []
    for row in rows:
        journeys = Journeys.of(row)
        ours = journeys.means(delays_in_engine(row, journeys))
        for number, (ours_s, truth) in enumerate(zip(ours, records.row(row), strict=True), 1):
            what = f"{row.name}, flow {number}: mean delay [s]"
            found.append(TheoryComparison(what, exactly(ours_s), truth, TANDEM_LIMIT))
    return found
