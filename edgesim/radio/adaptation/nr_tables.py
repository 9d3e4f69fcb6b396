"""Tables of 5G NR: modulation and coding, channel quality, resource blocks, transport block sizes.

Sources: 3GPP TS 38.214 Tables 5.1.3.1-1 to 5.1.3.1-3 (MCS), 5.2.2.1-2 and 5.2.2.1-3 (CQI), 5.1.3.2-1
(transport block sizes); TS 38.101-1 Table 5.3.2-1 and TS 38.101-2 Table 5.3.2-1 (resource blocks). MCS and
block sizes are checked against Sionna's transcription in the tests; CQI and resource blocks were not
re-read in the printed standard.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CQI_TABLES", "MCS_TABLES", "N_PRB", "TRANSPORT_BLOCK_BITS", "Scheme"]


class Scheme(NamedTuple):
    """A modulation and its code rate."""

    modulation_bits: int
    """Q_m: coded bits per symbol, 2 (QPSK) to 8 (256-QAM)."""
    rate_1024: float
    """Code rate times 1024, as written in the standard."""

    @property
    def efficiency(self) -> float:
        """Information bits per symbol, Q_m·R."""
        return self.modulation_bits * self.rate_1024 / 1024.0


def _schemes(rows: dict[int, tuple[float, ...]]) -> tuple[Scheme, ...]:
    return tuple(Scheme(bits, rate) for bits, rates in rows.items() for rate in rates)


MCS_TABLES: dict[int, tuple[Scheme, ...]] = {
    1: _schemes(
        {
            2: (120, 157, 193, 251, 308, 379, 449, 526, 602, 679),
            4: (340, 378, 434, 490, 553, 616, 658),
            6: (438, 466, 517, 567, 616, 666, 719, 772, 822, 873, 910, 948),
        }
    ),
    2: _schemes(
        {
            2: (120, 193, 308, 449, 602),
            4: (378, 434, 490, 553, 616, 658),
            6: (466, 517, 567, 616, 666, 719, 772, 822, 873),
            8: (682.5, 711, 754, 797, 841, 885, 916.5, 948),
        }
    ),
    3: _schemes(
        {
            2: (30, 40, 50, 64, 78, 99, 120, 157, 193, 251, 308, 379, 449, 526, 602),
            4: (340, 378, 434, 490, 553, 616),
            6: (438, 466, 517, 567, 616, 666, 719, 772),
        }
    ),
}
"""MCS index → scheme, by table: 1 up to 64-QAM, 2 up to 256-QAM, 3 for low code rates."""

CQI_TABLES: dict[int, tuple[Scheme, ...]] = {
    1: _schemes(
        {2: (78, 120, 193, 308, 449, 602), 4: (378, 490, 616), 6: (466, 567, 666, 772, 873, 948)},
    ),
    2: _schemes(
        {2: (78, 193, 449), 4: (378, 490, 616), 6: (466, 567, 666, 772, 873), 8: (711, 797, 885, 948)},
    ),
}
"""CQI 1 to 15 → scheme (index 0 is CQI 1); CQI 0 means out of range."""

N_PRB: dict[tuple[int, int], dict[int, int]] = {
    (1, 15): {
        5: 25, 10: 52, 15: 79, 20: 106, 25: 133, 30: 160, 35: 188, 40: 216, 45: 242, 50: 270,
    },
    (1, 30): {
        5: 11, 10: 24, 15: 38, 20: 51, 25: 65, 30: 78, 35: 92, 40: 106, 45: 119, 50: 133,
        60: 162, 70: 189, 80: 217, 90: 245, 100: 273,
    },
    (1, 60): {
        10: 11, 15: 18, 20: 24, 25: 31, 30: 38, 35: 44, 40: 51, 45: 58, 50: 65,
        60: 79, 70: 93, 80: 107, 90: 121, 100: 135,
    },
    (2, 60): {50: 66, 100: 132, 200: 264},
    (2, 120): {50: 32, 100: 66, 200: 132, 400: 264},
}  # fmt: skip
"""(frequency range, subcarrier spacing in kHz) → channel bandwidth in MHz → resource blocks."""

TRANSPORT_BLOCK_BITS: tuple[int, ...] = (
    *range(24, 193, 8), *range(208, 385, 16), *range(408, 577, 24), *range(608, 737, 32),
    *range(768, 929, 40),
    984, 1032, 1064, 1128, 1160, 1192, 1224, 1256, 1288, 1320, 1352, 1416, 1480, 1544, 1608, 1672, 1736,
    1800, 1864, 1928, 2024, 2088, 2152, 2216, 2280, 2408, 2472, 2536, 2600, 2664, 2728, 2792, 2856, 2976,
    3104, 3240, 3368, 3496, 3624, 3752, 3824,
)  # fmt: skip
"""Transport block sizes up to 3824 bits; larger ones follow a formula."""
