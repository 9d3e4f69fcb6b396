"""Compare a saturated Wi-Fi cell with closed forms: one station's cycle, and Bianchi's model of several."""

from __future__ import annotations

from dataclasses import replace

from edgesim.radio.access.bianchi import attempt_probability, collision_probability
from edgesim.radio.access.wifi_phy import SLOT_S
from edgesim.validate.network.estimates import TheoryComparison, exactly, mean_of
from edgesim.validate.network.saturation import saturated_frames
from edgesim.validate.network.wifi_cases import PHYS, WifiCase

__all__ = ["frames_per_s_by_theory", "wifi_theory_comparisons"]

_N_BATCHES = 10
_ALONE, _SEVERAL = 0.01, 0.03
_FIRST_WINDOW, _N_DOUBLINGS = 16, 6


def frames_per_s_by_theory(case: WifiCase) -> float:
    """Return the frames per second of a saturated cell.

    A single station's cycle is AIFS, half the first window and the exchange. For several, Bianchi's model
    (:mod:`edgesim.radio.access.bianchi`) gives the shares of idle slots, successes and collisions; a success
    lasts its exchange and AIFS, a collision the data and EIFS.
    """
    mac, n = case.mac, case.n_stations
    exchange, n_frames = mac.full_exchange(case.phy.rate_bps)
    success_s = exchange.whole_s + mac.edca.aifs_s
    if n == 1:
        return n_frames / (success_s + 0.5 * mac.edca.cw_min * SLOT_S)
    tau = attempt_probability(
        collision_probability(n, _FIRST_WINDOW, _N_DOUBLINGS), _FIRST_WINDOW, _N_DOUBLINGS
    )
    idle, success = (1.0 - tau) ** n, n * tau * (1.0 - tau) ** (n - 1)
    collision_s = exchange.data_s + mac.edca.eifs_s
    slot_s = idle * SLOT_S + success * success_s + (1.0 - idle - success) * collision_s
    return n_frames * success / slot_s


def wifi_theory_comparisons(seconds: float = 3.0) -> list[TheoryComparison]:
    """Compare cells of 1, 2, 5 and 10 stations, with and without aggregation, with their closed forms.

    Parameters
    ----------
    seconds
        Simulated time of a single station; four times as long for several.
    """
    _, ax = PHYS
    found = []
    for ampdu_bytes in (0, 16_383):
        for n_stations in (1, 2, 5, 10):
            case = WifiCase(phy=ax, n_stations=n_stations, payload_bytes=1500, ampdu_bytes=ampdu_bytes)
            length_s = seconds if n_stations == 1 else 4.0 * seconds
            case = replace(case, seconds=length_s)
            frames = saturated_frames(case, n_batches=_N_BATCHES, batch_s=length_s / _N_BATCHES)
            found.append(
                TheoryComparison(
                    f"{case.name}: frames/s",
                    mean_of([_N_BATCHES * each / length_s for each in frames]),
                    exactly(frames_per_s_by_theory(case)),
                    _ALONE if n_stations == 1 else _SEVERAL,
                )
            )
    return found
