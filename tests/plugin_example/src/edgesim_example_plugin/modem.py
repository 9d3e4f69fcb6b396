"""A link-rate model: a modem with a few rates, each from a ratio on, as somebody measured them."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import model_validator

from edgesim import Decibels, LinkRate
from edgesim.radio.adaptation.air_interface import OUT_OF_REACH, Arq, Grant

__all__ = ["Modem"]

ARQ = Arq(limit=3, round_trip_s=8e-3)


@dataclass(frozen=True)
class Staircase:
    """Rates of a modem: each holds from its threshold on, and fails below it."""

    steps: tuple[tuple[float, float], ...]  # least ratio in dB, and bit/s/Hz from there on; rising
    arq: Arq = ARQ
    target_bler: float = 0.1
    round_trip_s: float = 0.0
    slot_s: float = 1e-3

    def grant(self, sinr_estimate, bandwidth_hz):
        reached = [step for step in enumerate(self.steps) if sinr_estimate >= 10 ** (0.1 * step[1][0])]
        if not reached:
            return OUT_OF_REACH
        scheme, (_, efficiency) = reached[-1]
        n_bits = int(efficiency * bandwidth_hz * self.slot_s)
        return Grant(scheme, efficiency, n_bits, self.slot_s) if n_bits else OUT_OF_REACH

    def errors(self, grant, sinr):
        if grant.mcs < 0:
            return (1.0,)
        return (0.0,) if sinr >= 10 ** (0.1 * self.steps[grant.mcs][0]) else (1.0,)

    def reach_db(self, bandwidth_hz):
        return self.steps[0][0], self.steps[-1][0]


class Modem(LinkRate):
    """A few rates, each from a ratio on."""

    efficiencies: tuple[float, ...] = (0.5, 2.0)
    """Rates in bit/s/Hz, from the lowest to the highest."""
    thresholds: tuple[Decibels, ...] = (0.0, 10.0)
    """The least ratio of each."""

    @model_validator(mode="after")
    def _as_many(self):
        n, m = len(self.efficiencies), len(self.thresholds)
        if n != m:
            raise ValueError(f"expected as many 'efficiencies' as 'thresholds', got {n} and {m}")
        return self

    def interface(self, carrier):
        return Staircase(tuple(zip(self.thresholds, self.efficiencies, strict=True)))
