"""Block error rates and transport blocks against Sionna: how far they may be apart, and why."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("sionna.phy", reason="sionna-no-rt is not installed: pip install 'edgesim[sionna]'")

ROOT = Path(__file__).parents[4]
SINGLE = 2.0**-23  # Sionna keeps and interpolates in single precision


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "bler_against_sionna", ROOT / "benchmarks" / "bler_against_sionna.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("table", [1, 2, 3])
def test_block_errors_are_sionnas_but_for_what_is_said(benchmark: ModuleType, table: int) -> None:
    found = benchmark.block_error_differences(table)
    with np.load(ROOT / "edgesim" / "data" / "nr_bler.npz") as kept:
        bler = kept[f"table{table}_bler"].astype(float)  # [mcs, code block size, SNR]
    # Levelling takes out what rises with SNR by the simulation's own noise, and no more than that.
    rise = max(
        float((np.maximum.accumulate(row[::-1])[::-1] - row).max())
        for row in bler.reshape(-1, bler.shape[-1])
    )
    # log10(BLER) falls by at most some 9 decades per dB here, and the ratio in dB is rounded to a float.
    rounding = np.log(10.0) * 9.0 * 30.0 * 8 * SINGLE
    assert found.where_sionna_has_some <= rise + rounding
    # Where Sionna cuts to 0: below the smallest rate that it has seen of the MCS.
    smallest = max(float(row[row > 0.0].min()) for row in bler)
    assert found.where_sionna_has_none <= smallest * (1.0 + rounding)
    assert found.mean < 1e-4 * rise + smallest * 1e-2
    # The 10 % points are on a polygon of 0.1 dB there, and on one of Sionna's own nodes here.
    assert found.threshold_db <= 0.05


def test_transport_blocks_and_their_code_blocks_are_sionnas(benchmark: ModuleType) -> None:
    n_compared, n_different = benchmark.transport_block_differences()
    assert n_compared == 70434
    assert n_different == 0


def test_schemes_are_sionnas() -> None:
    from sionna.phy.nr.utils import decode_mcs_index

    from edgesim.radio.adaptation.nr_tables import MCS_TABLES

    for table, schemes in MCS_TABLES.items():
        for mcs, scheme in enumerate(schemes):
            order, coding = decode_mcs_index(mcs, table, is_pusch=False, device="cpu")
            assert (scheme.modulation_bits, scheme.rate_1024 / 1024.0) == (int(order), float(coding))
