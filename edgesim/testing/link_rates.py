"""Conformance test for link-rate models."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesim.errors import InputError
from edgesim.radio.adaptation.air_interface import Arq, Grant
from edgesim.radio.adaptation.outer_loop import Adapting
from edgesim.scenario.schema.link_rate import LINK_RATES, LinkRate

__all__ = ["check_link_rate"]

_SINRS = tuple(10.0 ** (0.1 * db) for db in np.arange(-30.0, 61.0, 1.5))
_TOLERANCE = 1e-9  # of probabilities, for rounding in tables and interpolation


@dataclass(frozen=True)
class _Carrier:
    carrier_hz: float
    bandwidth_hz: float
    subcarrier_spacing_hz: float | None
    generation: Any


_CARRIERS = (
    _Carrier(3.5e9, 40e6, 30e3, None),
    _Carrier(2.14e9, 20e6, 15e3, None),
    _Carrier(5.21e9, 80e6, None, "ac"),
    _Carrier(5.21e9, 20e6, None, "ax"),
)


def check_link_rate(model: LinkRate) -> None:
    """Check that a link-rate model, with its options set by the author, satisfies its contract.

    Checked on carriers of 5G NR and Wi-Fi; the model may refuse some of them with an ``InputError``, but not
    all. Its air interface must be equal if created twice or pickled. With a higher signal-to-noise ratio, the
    granted efficiency must not decrease, nor the error probability increase. A grant must have blocks of a
    whole number of bits, or be out of reach and fail with certainty. Probabilities must be between 0 and 1.

    Raises
    ------
    AssertionError
        With a sentence that states the violation.
    """
    assert isinstance(model, LinkRate), f"{model!r} is not an object of {LINK_RATES.known_as}"
    try:
        if LINK_RATES.check is not None:
            LINK_RATES.check(type(model))
    except InputError as error:
        raise AssertionError(str(error)) from None
    assert sum(_check_on(model, carrier) for carrier in _CARRIERS), (
        f"{model!r} refused every carrier; it must provide an interface for at least one"
    )


def _check_on(model: LinkRate, carrier: _Carrier) -> bool:
    try:
        air = model.interface(carrier)
    except InputError:
        return False
    where = f"{model!r} at {carrier.bandwidth_hz / 1e6:g} MHz: "
    assert air == model.interface(carrier), (
        f"{where}two interfaces for one carrier are not equal; make the interface a frozen dataclass"
    )
    try:
        hash(air)
    except TypeError as error:
        raise AssertionError(f"{where}{error}; make the interface a frozen dataclass") from None
    assert pickle.loads(pickle.dumps(air)) == air, f"{where}its interface is not equal after pickling"
    assert isinstance(air.arq, Arq), f"{where}'arq' is {air.arq!r}; expected an Arq"
    assert 0.0 < air.target_bler < 1.0, (
        f"{where}'target_bler' is {air.target_bler}; expected above 0, below 1"
    )
    assert air.round_trip_s >= 0.0, f"{where}'round_trip_s' is {air.round_trip_s}; expected 0 or more"
    low_db, high_db = air.reach_db(carrier.bandwidth_hz)
    assert -math.inf < low_db <= high_db < math.inf, (
        f"{where}'reach_db' is {low_db} to {high_db} dB; expected two finite ratios in order"
    )
    before = 0.0
    grants = [air.grant(sinr, carrier.bandwidth_hz) for sinr in _SINRS]
    for sinr, grant in zip(_SINRS, grants, strict=True):
        at = f"{where}at a ratio of {10 * math.log10(sinr):.1f} dB "
        _check_grant(at, grant)
        assert grant.efficiency >= before, (
            f"{at}{grant.efficiency:g} bit/s/Hz are granted, but {before:g} at a lower ratio"
        )
        before = grant.efficiency
    assert before > 0.0, f"{where}nothing is granted even at {10 * math.log10(_SINRS[-1]):.0f} dB"
    for grant in dict.fromkeys(grants):
        _check_errors(where, air, grant)
    return True


def _check_grant(at: str, grant: Grant) -> None:
    assert isinstance(grant, Grant), f"{at}grant returned {grant!r}; expected a Grant"
    if grant.mcs < 0:
        assert grant.efficiency == grant.block_bits == 0, (
            f"{at}{grant} is out of reach; expected efficiency and bits of 0"
        )
        return
    assert type(grant.block_bits) is int, (
        f"{at}a block has {grant.block_bits!r} bits; expected a whole number"
    )
    assert grant.block_bits >= 1, f"{at}a block has {grant.block_bits} bits; use mcs -1 for out of reach"
    assert 0.0 < grant.efficiency < math.inf, f"{at}{grant.efficiency} bit/s/Hz are granted"
    assert 0.0 < grant.slot_s < math.inf, f"{at}a block takes {grant.slot_s} s"


def _check_errors(where: str, air: Adapting, grant: Grant) -> None:
    before = math.inf
    for sinr in _SINRS:
        at = f"{where}{grant} at a true ratio of {10 * math.log10(sinr):.1f} dB: "
        errors = air.errors(grant, sinr)
        assert len(errors) >= 1, f"{at}no attempt; expected a probability for each"
        assert all(0.0 <= error <= 1.0 for error in errors), f"{at}errors {errors}; expected 0 to 1"
        assert grant.mcs >= 0 or set(errors) == {1.0}, f"{at}errors {errors}; expected 1 for out of reach"
        assert errors[0] <= before + _TOLERANCE, f"{at}fails more often than at a lower ratio"
        before = errors[0]
