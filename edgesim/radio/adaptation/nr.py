"""Link adaptation of 5G NR: from a ratio to a scheme of TS 38.214, its transport block and its errors.

The inner loop grants the scheme of highest efficiency whose transport block, at the estimated ratio, fails
with at most the target probability at the first attempt. An outer loop offsets the estimate in advance
(:mod:`edgesim.radio.adaptation.outer_loop`).

When grants begin, and the smallest grant: :mod:`edgesim.radio.access.resource_grid`.

Not modelled: control messages as traffic; code block group retransmission (a transport block is repeated
whole); inter-layer interference (the ratio is that of each layer); reserved MCS indices; the uplink's
transform precoding and its MCS tables.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from edgesim.errors import InputError
from edgesim.radio.adaptation.air_interface import OUT_OF_REACH, Arq, Grant
from edgesim.radio.adaptation.bler import BlerSet, SionnaTables
from edgesim.radio.adaptation.bler_curve import BlerCurve, error_of_all, error_of_one
from edgesim.radio.adaptation.harq import COMBININGS, Combining, combined_sinr
from edgesim.radio.adaptation.nr_carrier import SUBCARRIERS_PER_PRB, SYMBOLS_PER_SLOT, resource_blocks, slot_s
from edgesim.radio.adaptation.nr_tables import CQI_TABLES, MCS_TABLES, Scheme
from edgesim.radio.adaptation.transport_block import info_bits, segmentation, transport_block_bits

__all__ = ["CQI_TARGET_BLER", "DOWNLINK_OVERHEAD", "RLC_ARQ", "Nr"]

RLC_ARQ = Arq(limit=4, round_trip_s=45e-3)
"""RLC acknowledged mode, with typical settings of maxRetxThreshold and t-PollRetransmit (TS 38.331)."""

CQI_TARGET_BLER = 0.1
"""Error probability that a reported CQI may not exceed (TS 38.214 §5.2.2.1, tables 1 and 2)."""

DOWNLINK_OVERHEAD = {1: 0.14, 2: 0.18}
"""Overhead ratio by frequency range, TS 38.306 §4.1.2 (not re-read in the printed standard)."""

_IMPOSSIBLE = 1e-9  # error probabilities below this count as 0
# Rounding enlarges a transport block over N_info by at most 1/32 (TS 38.214 §5.1.3.2, step 4); in the table
# of short blocks, by less than this many bits in addition.
_BITS_SPARE = 64
_N_KEPT = 4096  # ladders cached by bandwidth


class _Ladder(NamedTuple):
    """Thresholds (linear, rising) and the grants between them; the first grant is out of reach."""

    thresholds: tuple[float, ...]
    grants: tuple[Grant, ...]


class _Code(NamedTuple):
    """Error model of a transport block."""

    curve: BlerCurve
    n_code_blocks: int
    n_fresh: float
    faultless_sinr: float
    """Ratio (linear) from which the BLER is 0."""


@dataclass(frozen=True)
class Nr:
    """An NR carrier with one MCS table.

    Parameters
    ----------
    carrier_bandwidth_hz
        Channel bandwidth, one of the standard's
        (:func:`edgesim.radio.adaptation.nr_carrier.resource_blocks`). A grant for less is a share of its
        resource blocks.
    subcarrier_spacing_hz
        15, 30, 60 or 120 kHz; it sets the slot.
    frequency_range
        1 (below 7.125 GHz) or 2 (millimetre waves).
    mcs_table
        1 (up to 64-QAM), 2 (up to 256-QAM) or 3 (low rates) of TS 38.214 §5.1.3.1.
    cqi_table
        None: the transmitter knows the estimated ratio itself. 1 or 2: it knows only the CQI reported for
        that ratio, and grants the best MCS no more efficient than the CQI's scheme (none for CQI 1 with MCS
        table 1 or 2, which begin above it).
    bler
        Block error rates: Sionna's tables, or :class:`~edgesim.radio.adaptation.bler.LteThresholds`.
    target_bler
        Highest error probability of a transport block's first attempt at the estimate.
    overhead_ratio
        Share of resource elements that carry no data (control, reference signals). None: the downlink values
        of TS 38.306 §4.1.2, 0.14 in range 1 and 0.18 in range 2 (uplink 0.08 and 0.10). A resource block
        has ⌊168·(1−OH)⌋ data elements in a slot.
    n_layers
        Spatial layers, each at the given ratio.
    combining
        HARQ: ``incremental`` redundancy, ``chase`` combining, or ``none`` (independent attempts).
    n_attempts
        HARQ attempts in all.
    round_trip_slots
        Slots from one attempt to the next; 8 is a typical value.
    arq
        RLC acknowledged mode above HARQ: 4 retransmissions, 45 ms apart, are typical settings of
        maxRetxThreshold and t-PollRetransmit (TS 38.331), not part of the standard.
    """

    carrier_bandwidth_hz: float
    subcarrier_spacing_hz: float = 30e3
    frequency_range: int = 1
    mcs_table: int = 1
    cqi_table: int | None = None
    bler: BlerSet = field(default_factory=SionnaTables)
    target_bler: float = 0.1
    overhead_ratio: float | None = None
    n_layers: int = 1
    combining: Combining = "incremental"
    n_attempts: int = 4
    round_trip_slots: int = 8
    arq: Arq = RLC_ARQ
    n_prb: int = field(init=False, repr=False, compare=False)
    """Resource blocks of the carrier."""
    _most_bits_per_prb: float = field(init=False, repr=False, compare=False)
    """Upper bound on the bits of a transport block per resource block, apart from :data:`_BITS_SPARE`."""
    _by_bandwidth_hz: dict[float, _Ladder] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    _ladders: dict[int, _Ladder] = field(init=False, repr=False, compare=False, default_factory=dict)
    _codes: dict[tuple[int, int], _Code] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        n_prb = resource_blocks(self.carrier_bandwidth_hz, self.subcarrier_spacing_hz, self.frequency_range)
        object.__setattr__(self, "n_prb", n_prb)
        for name, value, known in (
            ("MCS table", self.mcs_table, tuple(MCS_TABLES)),
            ("CQI table", self.cqi_table, (None, *CQI_TABLES)),
            ("HARQ combining", self.combining, COMBININGS),
        ):
            if value not in known:
                raise InputError(f"NR: {name} is {value!r}; expected one of {', '.join(map(str, known))}")
        for name, number, low, high in (
            ("target BLER", self.target_bler, 1e-6, 0.9),
            ("overhead", 0.0 if self.overhead_ratio is None else self.overhead_ratio, 0.0, 0.9),
            ("layers", self.n_layers, 1, 8),
            ("HARQ attempts", self.n_attempts, 1, 32),
            ("HARQ round trip in slots", self.round_trip_slots, 0, 1024),
        ):
            if not low <= number <= high:
                raise InputError(f"NR: {name} is {number:g}; expected {low:g} to {high:g}")
        best = max(MCS_TABLES[self.mcs_table], key=lambda scheme: scheme.efficiency)
        most_bits = 1.05 * info_bits(best, 1, self.re_per_prb, self.n_layers)
        object.__setattr__(self, "_most_bits_per_prb", most_bits)

    @property
    def slot_s(self) -> float:
        """Length of a slot in seconds."""
        return slot_s(self.subcarrier_spacing_hz)

    @property
    def round_trip_s(self) -> float:
        """HARQ round trip in seconds."""
        return self.round_trip_slots * self.slot_s

    @property
    def re_per_prb(self) -> int:
        """Resource elements that carry data, per resource block and slot."""
        overhead = self.overhead_ratio
        if overhead is None:
            overhead = DOWNLINK_OVERHEAD[self.frequency_range]
        return math.floor(SUBCARRIERS_PER_PRB * SYMBOLS_PER_SLOT * (1.0 - overhead) + 1e-9)

    def grant(self, sinr_estimate: float, bandwidth_hz: float) -> Grant:
        """Return the most efficient scheme whose first attempt meets the target at the estimate.

        Efficiency is that of the whole carrier, so that shares add up exactly. The block is the transport
        block of the share's resource blocks, rounded down to at least one.
        """
        ladder = self._by_bandwidth_hz.get(bandwidth_hz)
        if ladder is None:
            ladder = self._ladder(bandwidth_hz)
        return ladder.grants[bisect_right(ladder.thresholds, sinr_estimate)]

    def fewest_prb(self, sinr_estimate: float, n_bits: float, *, concentrates: bool) -> int:
        """Return the fewest resource blocks whose transport block carries ``n_bits``; all if none does.

        Parameters
        ----------
        sinr_estimate
            Estimated ratio (linear) over the whole carrier.
        concentrates
            True: the sender puts all its power into these resource blocks (a terminal). False: the power per
            resource block does not depend on their number (a station).
        """
        n_all, ladders = self.n_prb, self._ladders
        for n_prb in range(max(1, int((n_bits - _BITS_SPARE) / self._most_bits_per_prb)), n_all):
            ladder = ladders.get(n_prb)
            if ladder is None:
                ladder = ladders[n_prb] = _built(self, n_prb)
            sinr = sinr_estimate * n_all / n_prb if concentrates else sinr_estimate
            if ladder.grants[bisect_right(ladder.thresholds, sinr)].block_bits >= n_bits:
                return n_prb
        return n_all

    def errors(self, grant: Grant, sinr: float) -> tuple[float, ...]:
        """Return the conditional error probability of each HARQ attempt at the true ratio."""
        mcs, _, block_bits, _ = grant
        if mcs < 0:
            return (1.0,) * self.n_attempts
        code = self._codes.get((mcs, block_bits))
        if code is None:
            code = self._code(mcs, block_bits)
        n_attempts = self.n_attempts
        if sinr <= 0.0:
            return (1.0,) * n_attempts
        curve, n_code_blocks, n_fresh, faultless_sinr = code
        before = error_of_all(curve.at(10.0 * math.log10(sinr)), n_code_blocks)
        if before < _IMPOSSIBLE:
            return (0.0,) * n_attempts
        if self.combining == "none":
            return (before,) * n_attempts
        if 2.0 * sinr >= faultless_sinr:  # two combined attempts have at least this ratio
            return (before, *(0.0,) * (n_attempts - 1))
        given = [before]
        for attempt in range(2, n_attempts + 1):
            together_db = 10.0 * math.log10(combined_sinr(sinr, attempt, self.combining, n_fresh))
            after = error_of_all(curve.at(together_db), n_code_blocks)
            if after < _IMPOSSIBLE:
                given += [0.0] * (n_attempts - attempt + 1)
                break
            given.append(after / before)  # conditional: a block decoded from m attempts is decoded from more
            before = after
        return tuple(given)

    def cqi(self, sinr: float, bandwidth_hz: float) -> int:
        """Return the CQI that a terminal reports at a ratio: the best one whose scheme fails in at most 10 %.

        It is from ``cqi_table``, or else from the CQI table that matches the MCS table; 0 is out of range.
        """
        table = self.cqi_table or (2 if self.mcs_table == 2 else 1)
        n_prb, sinr_db = self._n_prb_of(bandwidth_hz), 10.0 * math.log10(sinr) if sinr > 0.0 else -math.inf
        reported = 0
        for index, scheme in enumerate(CQI_TABLES[table], start=1):
            if self.threshold_of_db(scheme, n_prb, CQI_TARGET_BLER) <= sinr_db:
                reported = index
        return reported

    def reach_db(self, bandwidth_hz: float) -> tuple[float, float]:
        """Return the lowest and highest threshold in dB: the grant is out of reach below, constant above."""
        thresholds = self._ladder(bandwidth_hz).thresholds
        return 10.0 * math.log10(thresholds[0]), 10.0 * math.log10(thresholds[-1])

    def threshold_db(self, mcs: int, bandwidth_hz: float, bler: float | None = None) -> float:
        """Return the ratio in dB at which an MCS's transport block fails with ``bler``, or the target."""
        scheme, n_prb = MCS_TABLES[self.mcs_table][mcs], self._n_prb_of(bandwidth_hz)
        return self.threshold_of_db(scheme, n_prb, self.target_bler if bler is None else bler)

    def efficiency(self, mcs: int) -> float:
        """Return an MCS's gross efficiency in bit/s/Hz: transport block over slot and channel bandwidth."""
        bits = transport_block_bits(
            MCS_TABLES[self.mcs_table][mcs], self.n_prb, self.re_per_prb, self.n_layers
        )
        return bits / (self.slot_s * self.carrier_bandwidth_hz)

    def _n_prb_of(self, bandwidth_hz: float) -> int:
        share = bandwidth_hz / self.carrier_bandwidth_hz
        if not 0.0 < share <= 1.0 + 1e-9:
            raise InputError(
                f"NR: found {bandwidth_hz / 1e6:g} MHz of a carrier of {self.carrier_bandwidth_hz / 1e6:g}; "
                f"expected more than 0 and no more than the carrier"
            )
        return max(1, math.floor(self.n_prb * share + 1e-6))

    def threshold_of_db(self, scheme: Scheme, n_prb: int, bler: float) -> float:
        """Return the ratio in dB at which a scheme's transport block of ``n_prb`` fails with ``bler``."""
        bits = transport_block_bits(scheme, n_prb, self.re_per_prb, self.n_layers)
        curve, n_code_blocks = self.bler.curve(scheme, bits, self.mcs_table)
        return curve.threshold_db(error_of_one(bler, n_code_blocks))

    def _code(self, mcs: int, block_bits: int) -> _Code:
        scheme = MCS_TABLES[self.mcs_table][mcs]
        curve, n_code_blocks = self.bler.curve(scheme, block_bits, self.mcs_table)
        n_fresh = scheme.rate_1024 / 1024.0 / segmentation(block_bits, scheme).lowest_coding
        code = _Code(curve, n_code_blocks, max(1.0, n_fresh), 10.0 ** (0.1 * curve.end_db))
        self._codes[mcs, block_bits] = code
        return code

    def _ladder(self, bandwidth_hz: float) -> _Ladder:
        ladder = self._by_bandwidth_hz.get(bandwidth_hz)
        if ladder is not None:
            return ladder
        n_prb = self._n_prb_of(bandwidth_hz)
        ladder = self._ladders.get(n_prb)
        if ladder is None:
            ladder = self._ladders[n_prb] = _built(self, n_prb)
        if len(self._by_bandwidth_hz) >= _N_KEPT:
            self._by_bandwidth_hz.clear()
        self._by_bandwidth_hz[bandwidth_hz] = ladder
        return ladder


@lru_cache(maxsize=4096)  # shared by all carriers of a process: every replication creates its own
def _built(nr: Nr, n_prb: int) -> _Ladder:
    """Return the thresholds and grants for a number of resource blocks."""
    schemes = MCS_TABLES[nr.mcs_table]
    if nr.cqi_table is None:
        steps = [
            (nr.threshold_of_db(scheme, n_prb, nr.target_bler), mcs) for mcs, scheme in enumerate(schemes)
        ]
    else:
        steps = []
        for reported in CQI_TABLES[nr.cqi_table]:
            able = [
                mcs for mcs, scheme in enumerate(schemes) if scheme.efficiency <= reported.efficiency + 1e-9
            ]
            if able:
                best = max(able, key=lambda mcs: schemes[mcs].efficiency)
                steps.append((nr.threshold_of_db(reported, n_prb, CQI_TARGET_BLER), best))
    thresholds, grants = [], [OUT_OF_REACH]
    lowest_db = math.inf
    for threshold_db, mcs in sorted(steps, key=lambda step: (-schemes[step[1]].efficiency, step[0])):
        if threshold_db < lowest_db:  # otherwise a more efficient scheme has the same or a lower threshold
            lowest_db = threshold_db
            bits = transport_block_bits(schemes[mcs], n_prb, nr.re_per_prb, nr.n_layers)
            thresholds.append(10.0 ** (0.1 * threshold_db))
            grants.insert(1, Grant(mcs, nr.efficiency(mcs), bits, nr.slot_s))
    return _Ladder(tuple(reversed(thresholds)), tuple(grants))
