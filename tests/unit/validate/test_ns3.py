"""ns-3 itself, where it is installed: the shipped programs compile, and say what was recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgesim.validate.network.against_ns3 import compare_tandems
from edgesim.validate.network.ns3_tools import Ns3, find_ns3
from edgesim.validate.network.records import Records
from edgesim.validate.network.tandem import tandems
from edgesim.validate.network.wifi_cases import wifi_cases
from edgesim.validate.network.wifi_theory import frames_per_s_by_theory

FOUND = find_ns3()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(isinstance(FOUND, str), reason=f"no ns-3: {FOUND}"),
]


def test_the_programs_compile_and_agree() -> None:
    assert isinstance(FOUND, Ns3)
    case = replace(wifi_cases()[0], seconds=1.0)
    assert case.n_stations == 1
    told: list[str] = []
    records = Records.measure(FOUND, [case], tandems()[:1], told.append)
    assert told == [tandems()[0].name, case.name]
    (wires,) = compare_tandems(records, tandems()[:1])
    assert abs(wires.difference) < 1e-9
    assert records.wifi(case).mean == pytest.approx(frames_per_s_by_theory(case), rel=0.01)
