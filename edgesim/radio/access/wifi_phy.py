"""Airtimes of 802.11 at 5 GHz: PPDUs of n, ac and ax, and the control frames between them.

A PPDU is a preamble and whole OFDM symbols. Sources: IEEE 802.11-2020 clauses 17 (non-HT, table 17-21),
19 (HT-mixed format, equation 19-90) and 21 (VHT, equations 21-109 to 21-112); 802.11ax-2021 clause 27 (HE
single-user PPDU, equation 27-135). Not re-read in the printed standards.

Not modelled: packet extension of HE (0 to 16 us), STBC, HE extended range, non-HT duplicates, signal
extension at 2.4 GHz.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType

from edgesim.errors import InputError
from edgesim.radio.adaptation.wifi_rates import GENERATIONS, Generation
from edgesim.units import bits

__all__ = [
    "ACK_BYTES",
    "BLOCK_ACK_BYTES",
    "CONTROL_BPS",
    "CTS_BYTES",
    "LOWEST_CONTROL_BPS",
    "RTS_BYTES",
    "SIFS_S",
    "SLOT_S",
    "PpduFormat",
    "control_s",
]

SLOT_S, SIFS_S = 9e-6, 16e-6
"""aSlotTime and aSIFSTime (802.11-2020 table 17-21, channels of 20 MHz and more)."""

ACK_BYTES, CTS_BYTES, RTS_BYTES = 14, 14, 20
BLOCK_ACK_BYTES = MappingProxyType({64: 32, 256: 56})
"""Bytes of a compressed block acknowledgement by the frames in its bitmap (802.11-2020 clause 9.3.1.8)."""

CONTROL_BPS, LOWEST_CONTROL_BPS = 24e6, 6e6
"""Highest and lowest mandatory rate of clause 17: responses use the highest, EIFS assumes the lowest."""

_LEGACY_PREAMBLE_S, _LEGACY_SYMBOL_S = 20e-6, 4e-6
_SERVICE_BITS, _TAIL_BITS = 16, 6
_N_TRAINING = {"n": (1, 2, 4, 4), "ac": (1, 2, 4, 4, 6, 6, 8, 8), "ax": (1, 2, 4, 4, 6, 6, 8, 8)}
"""Long training fields by the number of streams: tables 19-13 and 21-13, and the rule of table 27-15."""

# L-STF to L-SIG 20 us; then HT-SIG 8, HT-STF 4 | VHT-SIG-A 8, VHT-STF 4, VHT-SIG-B 4 | RL-SIG 4, HE-SIG-A 8,
# HE-STF 4. The training fields are added to these.
_FIXED_PREAMBLE_S = {"n": 32e-6, "ac": 36e-6, "ax": 36e-6}
_HT_TRAINING_S = 4e-6
_HE_TRAINING_S = {0.8e-6: 7.2e-6, 1.6e-6: 8e-6, 3.2e-6: 16e-6}
"""HE-LTF by guard interval: 2x with 0.8 and 1.6 us, 4x with 3.2 us, the mandatory combinations."""

_MOST_BYTES: dict[Generation, int] = {"n": 65_535, "ac": 1_048_575, "ax": 4_194_303}
"""Longest A-MPDU: lengths of 16, 20 and 22 bits (maximum exponents, clauses 9.4.2.55, .158 and .248)."""

_EDGE = 1e-6  # of a bit or a symbol: tolerance for floating-point rounding


def control_s(n_bytes: int, rate_bps: float = CONTROL_BPS) -> float:
    """Return the airtime of a non-HT OFDM frame, such as an acknowledgement [s] (802.11-2020 cl. 17.4.3)."""
    n_bits = _SERVICE_BITS + bits(n_bytes) + _TAIL_BITS
    return _LEGACY_PREAMBLE_S + _LEGACY_SYMBOL_S * math.ceil(n_bits / (rate_bps * _LEGACY_SYMBOL_S) - _EDGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PpduFormat:
    """Format of a data PPDU on the air.

    Parameters
    ----------
    generation
        ``n``, ``ac`` or ``ax``.
    n_streams
        Spatial streams; each adds training fields.
    guard_s
        Guard interval; None: the generation's shortest.

    Attributes
    ----------
    symbol_s
        Duration of an OFDM symbol, guard interval included.
    preamble_s
        Duration of everything before the data field.
    """

    generation: Generation = "ax"
    n_streams: int = 1
    guard_s: float | None = None
    symbol_s: float = field(init=False, repr=False, compare=False)
    preamble_s: float = field(init=False, repr=False, compare=False)
    _around_bits: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        facts = GENERATIONS.get(self.generation)
        if facts is None or not 1 <= self.n_streams <= facts.max_streams:
            raise InputError(
                f"Wi-Fi: found 802.11{self.generation} with {self.n_streams} streams; expected n with 1 to "
                "4, ac or ax with 1 to 8"
            )
        if self.guard_s not in (None, *facts.guards_s):
            known = ", ".join(f"{1e6 * known_s:g}" for known_s in facts.guards_s)
            raise InputError(f"Wi-Fi: guard interval of 802.11{self.generation}: expected one of {known} us")
        guard_s = facts.guards_s[0] if self.guard_s is None else self.guard_s
        n_training = _N_TRAINING[self.generation][self.n_streams - 1]
        is_he = self.generation == "ax"
        preamble_s = _FIXED_PREAMBLE_S[self.generation] + n_training * (
            _HE_TRAINING_S[guard_s] if is_he else _HT_TRAINING_S
        )
        object.__setattr__(self, "symbol_s", facts.useful_symbol_s + guard_s)
        object.__setattr__(self, "preamble_s", preamble_s)
        # Service field and tail; the LDPC code, which ax requires from 40 MHz on, has no tail.
        object.__setattr__(self, "_around_bits", _SERVICE_BITS + (0 if is_he else _TAIL_BITS))

    @property
    def most_bytes(self) -> int:
        """Longest aggregate [bytes]."""
        return _MOST_BYTES[self.generation]

    @property
    def always_aggregates(self) -> bool:
        """Whether a single frame is sent as an aggregate of one, with its delimiter (ac and ax)."""
        return self.generation != "n"

    def symbol_bits(self, rate_bps: float) -> float:
        """Return the data bits of a symbol at a rate: N_DBPS, a whole number."""
        n_bits = rate_bps * self.symbol_s
        return float(math.floor(n_bits + _EDGE)) if n_bits >= 1.0 else n_bits

    def data_s(self, n_bytes: float, rate_bps: float) -> float:
        """Return the airtime of a PPDU [s].

        Parameters
        ----------
        n_bytes
            Length of the PSDU: frames with headers, delimiters and padding.
        rate_bps
            Data rate of the physical layer.
        """
        n_symbols = math.ceil((self._around_bits + bits(n_bytes)) / self.symbol_bits(rate_bps) - _EDGE)
        field_s = n_symbols * self.symbol_s
        if self.symbol_s < _LEGACY_SYMBOL_S:  # short guard intervals: round up to a whole long symbol
            field_s = _LEGACY_SYMBOL_S * math.ceil(field_s / _LEGACY_SYMBOL_S - _EDGE)
        return self.preamble_s + field_s

    def bytes_within(self, airtime_s: float, rate_bps: float) -> float:
        """Return the longest PSDU whose PPDU fits an airtime [bytes]; below 0 if none does."""
        field_s = airtime_s - self.preamble_s
        if self.symbol_s < _LEGACY_SYMBOL_S:
            field_s = _LEGACY_SYMBOL_S * math.floor(field_s / _LEGACY_SYMBOL_S + _EDGE)
        n_symbols = math.floor(field_s / self.symbol_s + _EDGE)
        return (n_symbols * self.symbol_bits(rate_bps) - self._around_bits) // bits(1)
