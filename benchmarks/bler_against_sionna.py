"""Block error rates here against Sionna's PHYAbstraction, from which the tables come.

Usage: ``python benchmarks/bler_against_sionna.py`` (needs ``pip install sionna-no-rt``, Apache-2.0).

For every simulated MCS of tables 1 to 3 and several code block sizes, both are asked on Sionna's own grid of
0.1 dB over the simulated ratios. Printed are the largest and mean differences of BLER, of the ratio in dB at
which BLER is 10 %, and how often transport block sizes differ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from sionna.phy.nr.utils import calculate_tb_size
from sionna.sys import PHYAbstraction

from edgesim.radio.adaptation.bler import SionnaTables, simulated_curve
from edgesim.radio.adaptation.nr_tables import MCS_TABLES
from edgesim.radio.adaptation.transport_block import segmentation, transport_block_bits

PDSCH = 1
CODE_BLOCK_BITS = (
    24,
    124,
    524,
    1024,
    1524,
    2024,
    4024,
    8424,
)  # on Sionna's grid of sizes, which rounds others
SIMULATED_UP_TO_DB = {1: 20.0, 2: 25.0, 3: 25.0}


class BlerDifferences(NamedTuple):
    """How far the two are apart over one MCS table."""

    n_curves: int
    n_points: int
    largest: float
    largest_at: tuple[int, int, float]
    """MCS, code block bits, ratio in dB."""
    where_sionna_has_some: float
    """Largest difference where Sionna's BLER is above 0."""
    mean: float
    threshold_db: float
    """Largest difference of the ratios at which BLER is 10 %."""
    where_sionna_has_none: float
    """Largest BLER here where Sionna's is 0."""


_abstraction: list[PHYAbstraction] = []


def block_error_differences(table: int) -> BlerDifferences:
    """Compare every simulated curve of an MCS table on Sionna's grid of 0.1 dB."""
    if not _abstraction:
        _abstraction.append(PHYAbstraction(device="cpu"))
    grid_db = np.arange(-5.0, SIMULATED_UP_TO_DB[table] + 1e-9, 0.1)
    differences, thresholds, seen, unseen = [], [], 0.0, 0.0
    largest, largest_at = 0.0, (0, 0, 0.0)
    for mcs, scheme in enumerate(MCS_TABLES[table]):
        for size in CODE_BLOCK_BITS:
            ours_curve = simulated_curve(table, mcs, size)
            if ours_curve is None:
                continue
            assert SionnaTables().is_simulated(scheme)
            ours = np.array([ours_curve.at(float(db)) for db in grid_db])
            theirs = _abstraction[0].get_bler(
                mcs, table, PDSCH, size, torch.tensor(10.0 ** (0.1 * grid_db), dtype=torch.float32)
            )
            theirs = theirs.cpu().numpy().astype(float)
            difference = np.abs(ours - theirs)
            differences.append(difference)
            if difference.max() > largest:
                largest = float(difference.max())
                largest_at = (mcs, size, float(grid_db[int(difference.argmax())]))
            seen = max(seen, float(difference[theirs > 0.0].max(initial=0.0)))
            unseen = max(unseen, float(ours[theirs == 0.0].max(initial=0.0)))
            if theirs[-1] < 0.1:
                below = int(np.argmax(theirs <= 0.1))
                low, high = np.log10(theirs[below - 1]), np.log10(max(theirs[below], 1e-9))
                theirs_db = grid_db[below - 1] + 0.1 * (low + 1.0) / (low - high)
                thresholds.append(abs(theirs_db - ours_curve.threshold_db(0.1)))
    every = np.concatenate(differences)
    return BlerDifferences(
        len(differences),
        every.size,
        largest,
        largest_at,
        seen,
        float(every.mean()),
        float(max(thresholds)),
        unseen,
    )


def transport_block_differences() -> tuple[int, int]:
    """Count the sizes and segmentations compared over MCS, resource blocks and layers, and the different."""
    n_prb = torch.arange(1, 274)
    n_compared = n_different = 0
    for schemes in MCS_TABLES.values():
        for scheme in schemes:
            for n_layers, re_per_prb in ((1, 144), (2, 156), (4, 120)):
                order = torch.full_like(n_prb, scheme.modulation_bits)
                sizes, code_blocks, counts, *_ = calculate_tb_size(
                    order,
                    torch.full(n_prb.shape, scheme.rate_1024 / 1024.0),
                    num_coded_bits=order * re_per_prb * n_prb * n_layers,
                    num_layers=n_layers,
                    return_cw_length=False,
                )
                rows = zip(n_prb.tolist(), sizes.tolist(), code_blocks.tolist(), counts.tolist(), strict=True)
                for prbs, size, code_block, count in rows:
                    ours = transport_block_bits(scheme, prbs, re_per_prb, n_layers)
                    parts = segmentation(ours, scheme)
                    n_compared += 1
                    n_different += (ours, parts.code_block_bits, parts.n_code_blocks) != (
                        size,
                        code_block,
                        count,
                    )
    return n_compared, n_different


def main() -> None:
    for table in (1, 2, 3):
        found = block_error_differences(table)
        mcs, size, ratio_db = found.largest_at
        print(
            f"MCS table {table}: {found.n_curves} curves, {found.n_points} points; BLER differs by at most "
            f"{found.largest:.4f} (MCS {mcs}, {size} bits, {ratio_db:.1f} dB), on average {found.mean:.6f}; "
            f"10 % point by at most {found.threshold_db:.3f} dB; where Sionna says 0, here at most "
            f"{found.where_sionna_has_none:.4f}; elsewhere they differ by at most "
            f"{found.where_sionna_has_some:.4f}"
        )
    n_sizes, n_different = transport_block_differences()
    print(f"transport blocks: {n_different} of {n_sizes} sizes or segmentations differ")


if __name__ == "__main__":
    main()
