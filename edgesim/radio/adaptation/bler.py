"""Block error rates of 5G NR's schemes over AWGN: Sionna's simulated tables, and the copied LTE thresholds.

Both implement the interface :class:`BlerSet` and can be exchanged:
:class:`~edgesim.radio.adaptation.nr.Nr` takes any.

Not modelled: fading within a block (frequency selectivity is part of the effective ratio that the caller
passes), receivers other than Sionna's (min-sum or belief propagation as it simulated), channel estimation
losses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.nearest import suggest
from edgesim.radio.adaptation.bler_curve import BlerCurve
from edgesim.radio.adaptation.nr_tables import CQI_TABLES, MCS_TABLES, Scheme
from edgesim.radio.adaptation.transport_block import segmentation

__all__ = [
    "BLER_SETS",
    "LTE_CQI_THRESHOLDS_DB",
    "BlerSet",
    "LteThresholds",
    "SionnaTables",
    "bler_set",
    "shannon_db",
    "simulated_curve",
]

_UNSEEN_DECADES = 2.0  # Sionna replaces a simulated zero by two decades below the smallest value observed

LTE_CQI_THRESHOLDS_DB: tuple[float, ...] = (
    -6.7, -4.7, -2.3, 0.2, 2.4, 4.3, 5.9, 8.1, 10.3, 11.7, 14.1, 16.3, 18.7, 21.0, 22.7,
)  # fmt: skip
"""SINR in dB at which BLER is 10 %, for CQI 1 to 15 of table 1.

A link-level set for LTE that is copied from simulator to simulator; **not in any standard**. Another set in
use runs from 1.95 to 29 dB.
"""


class BlerSet(Protocol):
    """Block error rates of all schemes."""

    def curve(self, scheme: Scheme, transport_bits: int, table: int) -> tuple[BlerCurve, int]:
        """Return a scheme's code block curve, and the number of code blocks of a transport block.

        Parameters
        ----------
        table
            MCS table that is searched first for the scheme.
        """
        ...


@lru_cache(maxsize=1)
def _arrays() -> dict[str, NDArray[np.float64]]:
    source = files("edgesim") / "data" / "nr_bler.npz"
    with source.open("rb") as stream, np.load(stream) as archive:
        return {name: archive[name].astype(np.float64) for name in archive.files}


def shannon_db(efficiency: float) -> float:
    """Return the ratio in dB at which the Shannon capacity is ``efficiency`` bit/s/Hz."""
    return 10.0 * math.log10(2.0**efficiency - 1.0)


class _Simulated(NamedTuple):
    """Simulated block error rates of an MCS."""

    code_block_bits: NDArray[np.float64]
    snr_db: NDArray[np.float64]
    logs: NDArray[np.float64]
    """log10(BLER): [code block size, SNR]."""
    unseen: float
    """log10(BLER) that replaces a simulated zero."""


@lru_cache(maxsize=128)
def _simulated(table: int, mcs: int) -> _Simulated | None:
    arrays = _arrays()
    (rows,) = np.nonzero(arrays[f"table{table}_mcs"] == mcs)
    if not rows.size:
        return None
    bler = arrays[f"table{table}_bler"][int(rows[0])]
    unseen = math.log10(bler[bler > 0.0].min()) - _UNSEEN_DECADES
    logs = np.full_like(bler, unseen)
    np.log10(bler, out=logs, where=bler > 0.0)
    return _Simulated(arrays[f"table{table}_code_block_bits"], arrays[f"table{table}_snr_db"], logs, unseen)


def simulated_curve(table: int, mcs: int, code_block_bits: int) -> BlerCurve | None:
    """Return an MCS's curve for a code block size, None if not simulated; log10(BLER) is linear in size."""
    found = _simulated(table, mcs)
    if found is None:
        return None
    sizes = found.code_block_bits
    return _interpolated(table, mcs, min(max(float(code_block_bits), float(sizes[0])), float(sizes[-1])))


@lru_cache(maxsize=16384)
def _interpolated(table: int, mcs: int, size: float) -> BlerCurve:
    found = _simulated(table, mcs)
    assert found is not None
    sizes, snr_db, logs, unseen = found
    place = int(np.searchsorted(sizes, size, side="right")) - 1
    row = logs[place]
    if size > sizes[place]:
        row = (logs[place + 1] - row) / (sizes[place + 1] - sizes[place]) * (size - sizes[place]) + row
    row = np.maximum.accumulate(row[::-1])[::-1]  # Monte Carlo noise: a rate never rises with SNR
    step_db = float(snr_db[1] - snr_db[0])
    nodes = [0.0, *row.tolist()]  # BLER 1, one step to the left of the simulated range
    if nodes[-1] > unseen:  # errors remain at the end of the simulated range: extrapolate with the last slope
        slope = min(nodes[-1] - nodes[-2], -1.0)
        while nodes[-1] > unseen:
            nodes.append(nodes[-1] + slope)
    else:
        last = next(index for index, log in enumerate(nodes) if log <= unseen)
        nodes = nodes[: last + 1]
    return BlerCurve(float(snr_db[0]) - step_db, step_db, nodes)


def _index(scheme: Scheme, table: int) -> int | None:
    return MCS_TABLES[table].index(scheme) if scheme in MCS_TABLES[table] else None


@dataclass(frozen=True, slots=True)
class SionnaTables:
    """Block error rates of Sionna's PHY abstraction, interpolated as in Sionna: bilinear in log10(BLER).

    Differences from Sionna, and their reasons (``benchmarks/bler_against_sionna.py`` prints their size):

    - Sionna rounds to steps of 0.1 dB and 100 bits; here nothing is rounded.
    - Below the smallest error rate simulated for an MCS, Sionna returns 0. Here the curve continues down to
      the value with which Sionna replaces zeros, so that a transport block of many code blocks has no
      sudden drop.
    - Outside the simulated ratios Sionna keeps the value at the edge, which leaves MCS 28 with errors at
      any SNR. Here the curve continues to 1 on the left, and falls with its last slope (at least a decade a
      step) on the right.
    - An error rate that rises with SNR because of Monte Carlo noise is levelled.
    - Schemes that Sionna's tables lack (mostly the low-rate ones of table 3) are taken from the other MCS
      tables. Failing that, they use the curve of the next higher simulated efficiency of their table, shifted
      by the difference of the ratios in dB at which capacity equals the two efficiencies. At these low rates
      codes differ by repetition, which keeps the distance to capacity. This is still an extrapolation:
      :meth:`is_simulated` returns False.

    Code blocks above 2000 bits use the curve of 2000 bits, as in Sionna; longer ones would perform slightly
    better.
    """

    def is_simulated(self, scheme: Scheme) -> bool:
        """Return whether this scheme's curve was simulated rather than extrapolated."""
        return any(
            (mcs := _index(scheme, table)) is not None and simulated_curve(table, mcs, 1000) is not None
            for table in MCS_TABLES
        )

    def curve(self, scheme: Scheme, transport_bits: int, table: int) -> tuple[BlerCurve, int]:
        """Return the code block's curve and the number of code blocks (TS 38.212 §5.2.2)."""
        parts = segmentation(transport_bits, scheme)
        for other in (table, *(number for number in MCS_TABLES if number != table)):
            mcs = _index(scheme, other)
            found = None if mcs is None else simulated_curve(other, mcs, parts.code_block_bits)
            if found is not None:
                return found, parts.n_code_blocks
        for mcs, other_scheme in enumerate(MCS_TABLES[table]):
            if other_scheme.efficiency > scheme.efficiency:
                found = simulated_curve(table, mcs, parts.code_block_bits)
                if found is not None:
                    shift_db = shannon_db(scheme.efficiency) - shannon_db(other_scheme.efficiency)
                    return found.shifted(shift_db), parts.n_code_blocks
        raise InputError(
            f"BLER set 'sionna': no curve for Q_m {scheme.modulation_bits}, R {scheme.rate_1024:g}/1024; "
            f"expected a scheme of MCS tables 1 to 3"
        )


@dataclass(frozen=True, slots=True)
class LteThresholds:
    """The copied LTE thresholds: a logistic curve through their 10 % points for a whole transport block.

    The threshold of a scheme between two CQIs is interpolated linearly over the ratio in dB at which
    capacity equals the efficiency. A scheme below CQI 1 keeps CQI 1's distance to capacity. 256-QAM is
    refused, because the set ends at 64-QAM.

    Parameters
    ----------
    thresholds_db
        SINR in dB of 10 % BLER for CQI 1 to 15.
    slope_per_db
        Steepness of the logistic: decrease of the log-odds of an error per dB. An estimate: 6 takes BLER from
        90 % to 1 % within 1.1 dB.
    """

    thresholds_db: tuple[float, ...] = LTE_CQI_THRESHOLDS_DB
    slope_per_db: float = 6.0

    def __post_init__(self) -> None:
        if len(self.thresholds_db) != 15 or sorted(self.thresholds_db) != list(self.thresholds_db):
            raise InputError("BLER thresholds: expected 15 values in dB, rising, one for each CQI of table 1")
        if not self.slope_per_db > 0.0:
            raise InputError(f"BLER slope is {self.slope_per_db:g} per dB; expected more than 0")

    def threshold_db(self, scheme: Scheme) -> float:
        """Return the SINR in dB at which the scheme's BLER is 10 %."""
        top = CQI_TABLES[1][-1]
        if scheme.efficiency > top.efficiency:
            raise InputError(
                f"BLER set 'lte-cqi' ends at {top.efficiency:.4f} bit/symbol, found {scheme.efficiency:.4f}; "
                f"use MCS table 1 or 3, or the set 'sionna'"
            )
        capacity_db = [shannon_db(cqi.efficiency) for cqi in CQI_TABLES[1]]
        own_db = shannon_db(scheme.efficiency)
        if own_db <= capacity_db[0]:
            return self.thresholds_db[0] + own_db - capacity_db[0]
        return float(np.interp(own_db, capacity_db, self.thresholds_db))

    def curve(self, scheme: Scheme, transport_bits: int, table: int) -> tuple[BlerCurve, int]:
        """Return the transport block's curve, which depends on neither its size nor the table."""
        centre_db = self.threshold_db(scheme) - math.log(9.0) / self.slope_per_db
        return _logistic(self.slope_per_db).shifted(centre_db), 1


@lru_cache(maxsize=16)
def _logistic(slope_per_db: float) -> BlerCurve:
    """Return a logistic curve in log10, centred at 0 dB, from log-odds +14 to −14 (BLER 1e-6; then 0)."""
    odds = np.linspace(14.0, -14.0, 281)
    return BlerCurve(-14.0 / slope_per_db, 0.1 / slope_per_db, [0.0, *(-np.log10(1.0 + np.exp(-odds[1:])))])


BLER_SETS: dict[str, BlerSet] = {"sionna": SionnaTables(), "lte-cqi": LteThresholds()}
"""Known sets by name."""


def bler_set(name: str) -> BlerSet:
    """Return a set by name."""
    found = BLER_SETS.get(name)
    if found is None:
        raise InputError(f"BLER set '{name}' is unknown; {suggest(name, BLER_SETS)}")
    return found
