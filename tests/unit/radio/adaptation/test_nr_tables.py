"""Tables and sizes of 5G NR against printed digits and hand computations."""

from __future__ import annotations

import pytest

from edgesim.errors import InputError
from edgesim.radio.adaptation.nr_carrier import peak_rate_bps, resource_blocks, slot_s
from edgesim.radio.adaptation.nr_tables import CQI_TABLES, MCS_TABLES, N_PRB, TRANSPORT_BLOCK_BITS, Scheme
from edgesim.radio.adaptation.transport_block import segmentation, transport_block_bits

# TS 38.214 Tables 5.2.2.1-2 and 5.2.2.1-3, the column of efficiencies as printed.
CQI_EFFICIENCIES = {
    1: "0.1523 0.2344 0.3770 0.6016 0.8770 1.1758 1.4766 1.9141 2.4063 2.7305 3.3223 3.9023 4.5234"
    " 5.1152 5.5547",
    2: "0.1523 0.3770 0.8770 1.4766 1.9141 2.4063 2.7305 3.3223 3.9023 4.5234 5.1152 5.5547"
    " 6.2266 6.9141 7.4063",
}


@pytest.mark.parametrize("table", [1, 2])
def test_cqi_efficiencies_have_the_printed_digits(table: int) -> None:
    printed = [float(word) for word in CQI_EFFICIENCIES[table].split()]
    assert len(CQI_TABLES[table]) == 15
    for scheme, value in zip(CQI_TABLES[table], printed, strict=True):
        # Half a unit of the last digit; some values lie exactly between two, and the standard rounds them up.
        assert abs(scheme.efficiency - value) <= 0.5001e-4


@pytest.mark.parametrize(("table", "count", "top_bits"), [(1, 29, 6), (2, 28, 8), (3, 29, 6)])
def test_mcs_tables_are_whole_and_rise(table: int, count: int, top_bits: int) -> None:
    schemes = MCS_TABLES[table]
    assert len(schemes) == count
    assert schemes[-1].modulation_bits == top_bits
    falls = [mcs for mcs in range(1, count) if schemes[mcs].efficiency < schemes[mcs - 1].efficiency]
    # 16-QAM 658/1024 is 2.5703 bit per symbol, and 64-QAM 438/1024 above it 2.5664.
    assert falls == ([17] if table == 1 else [])


def test_every_cqi_scheme_has_a_block_error_curve() -> None:
    simulated = {scheme for schemes in MCS_TABLES.values() for scheme in schemes}
    assert {scheme for schemes in CQI_TABLES.values() for scheme in schemes} <= simulated


@pytest.mark.parametrize(("mhz", "n_prb"), [(20, 51), (40, 106), (100, 273)])
def test_resource_blocks_at_30_khz(mhz: int, n_prb: int) -> None:
    assert resource_blocks(mhz * 1e6, 30e3) == n_prb


def test_resource_blocks_fit_into_their_channel() -> None:
    for (_, khz), by_mhz in N_PRB.items():
        for mhz, n_prb in by_mhz.items():
            occupied = n_prb * 12 * khz / 1e3 / mhz
            assert 0.75 < occupied < 1.0  # 11 blocks of 5 MHz at 30 kHz leave most: 0.79


@pytest.mark.parametrize(("khz", "ms"), [(15, 1.0), (30, 0.5), (60, 0.25), (120, 0.125)])
def test_slots(khz: float, ms: float) -> None:
    assert slot_s(khz * 1e3) == ms / 1e3


def test_peak_rate_by_hand() -> None:
    # 4·8·(948/1024)·12·273/(0.5 ms/14)·0.86 = 29.625·3276/35.714 µs·0.86
    found = peak_rate_bps(Scheme(8, 948), 273, 30e3, n_layers=4)
    assert found == pytest.approx(29.625 * 3276 * 28000 * 0.86, rel=1e-12)
    assert round(found / 1e6) == 2337


def test_transport_block_table_has_93_sizes() -> None:
    assert len(TRANSPORT_BLOCK_BITS) == 93
    assert list(TRANSPORT_BLOCK_BITS) == sorted(set(TRANSPORT_BLOCK_BITS))
    assert TRANSPORT_BLOCK_BITS[-1] == 3824


@pytest.mark.parametrize(
    ("scheme", "n_prb", "bits", "code_blocks"),
    [
        # N_info 33.75, floored to 32 in steps of 8
        (Scheme(2, 120), 1, 32, (1, 48)),
        # N_info 84786.75, n 11, N' 41·2048 = 83968, C ⌈83992/8424⌉ = 10, 80·⌈83992/80⌉ − 24
        (Scheme(6, 948), 106, 83976, (10, 8424)),
        # N_info 7482.9, rate below 1/4: N' 58·128 = 7424, C ⌈7448/3816⌉ = 2, 16·⌈7448/16⌉ − 24
        (Scheme(2, 251), 106, 7432, (2, 3752)),
    ],
)
def test_transport_blocks_by_hand(
    scheme: Scheme, n_prb: int, bits: int, code_blocks: tuple[int, int]
) -> None:
    assert transport_block_bits(scheme, n_prb, 144) == bits
    assert segmentation(bits, scheme)[:2] == code_blocks


def test_more_than_156_elements_per_block_count_as_156() -> None:
    scheme = MCS_TABLES[1][20]
    assert transport_block_bits(scheme, 50, 168) == transport_block_bits(scheme, 50, 156)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((42e6, 30e3), "not a channel bandwidth"),
        ((40.5e6, 30e3), "not a channel bandwidth"),
        ((40e6, 120e3), "no such subcarrier spacing"),
    ],
)
def test_a_carrier_outside_the_standard_is_refused(arguments: tuple[float, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resource_blocks(*arguments)


def test_a_spacing_outside_the_standard_is_refused() -> None:
    with pytest.raises(InputError, match="expected 15, 30"):
        slot_s(20e3)
