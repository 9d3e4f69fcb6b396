"""Compare a radio link with closed forms: Shannon capacity, and ergodic capacity under Rayleigh fading."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import special

from edgesim.engine.process.clock import Course
from edgesim.radio.adaptation.shannon import Shannon
from edgesim.radio.channel.fading import BlockFading, Fading
from edgesim.radio.channel.fading_law import NoFading, Rayleigh
from edgesim.radio.channel.large_scale import LargeScale
from edgesim.radio.channel.noise import thermal_noise_w
from edgesim.radio.channel.path_loss.environment import Validity
from edgesim.radio.motion.mobility import Static
from edgesim.radio.radio_link import RadioLink, Transceiver
from edgesim.rng import key_of
from edgesim.units import bits, db_to_linear, linear_to_db
from edgesim.validate.network.estimates import TheoryComparison, exactly, mean_of
from edgesim.validate.network.messages import TransportOutsideARun
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel

__all__ = ["radio_comparisons"]

_BAND_HZ, _BLOCK_S = 1e6, 1e-3
_N_REPLICATIONS = 20
_ROUNDING, _LIMIT = 1e-9, 0.02


@dataclass(frozen=True)
class _FixedLoss:
    """An environment with the same path loss everywhere."""

    VALID: ClassVar[Validity] = Validity()
    loss_db: float
    los_correlation_m: float = math.inf

    def path_loss_db(self, distance_2d_m: Any, **_: Any) -> Any:
        del distance_2d_m
        return self.loss_db

    def los_probability(self, distance_2d_m: Any, **_: Any) -> Any:
        del distance_2d_m
        return 1.0

    def shadowing_db(self, is_los: bool, *, indoor: bool = False) -> float:
        del is_los, indoor
        return 0.0

    def correlation_m(self, is_los: bool, *, indoor: bool = False) -> float:
        del is_los, indoor
        return math.inf

    def rician_k_db(self, is_los: bool) -> None:
        del is_los


def _link(snr_db: float, fading: Fading) -> RadioLink:
    """Return a link with this mean SNR over the whole band."""
    here = Static((0.0, 0.0))
    noise_dbm = linear_to_db(1e3 * thermal_noise_w(_BAND_HZ, 0.0))
    return RadioLink(
        LargeScale(_FixedLoss(-noise_dbm - snr_db), here, here, carrier_hz=3.5e9),
        terminal=Transceiver(power_dbm=0.0, noise_figure_db=0.0),
        station=Transceiver(power_dbm=0.0, noise_figure_db=0.0),
        air=Shannon(),
        bandwidth_hz=_BAND_HZ,
        fading=fading,
    )


def _took_s(link: RadioLink, n_bits: float) -> float:
    """Return how long one message takes, alone in its cell."""
    channel = RadioChannel(link=link, terminal="t", station="s", medium="s", key=1)
    wires = [Link(between=("t", "s"), rate_bps=_BAND_HZ, radio=channel)]
    messages = TransportOutsideARun(["t", "s"], wires, {"s": Medium(name="s")})
    ended_s: list[float] = []

    def send() -> Course:
        yield from messages.send(0, "t", "s", n_bits / bits(1))
        ended_s.append(messages.now_s)

    messages.begin(send())
    messages.run()
    return ended_s[0]


def radio_comparisons(n_blocks: int = 2000) -> list[TheoryComparison]:
    """Compare rates of a link without fading (Shannon) and with Rayleigh block fading (ergodic capacity).

    Parameters
    ----------
    n_blocks
        Coherence blocks in a replication.
    """
    found = []
    for snr_db in (0.0, 10.0, 20.0):
        snr = db_to_linear(snr_db)
        capacity = math.log2(1.0 + snr)
        still = _link(snr_db, BlockFading(NoFading(), 1, math.inf))
        found.append(
            TheoryComparison(
                f"noise alone, {snr_db:g} dB: bit/s/Hz of a message (Shannon)",
                exactly(1e6 / _took_s(still, 1e6) / _BAND_HZ),
                exactly(capacity),
                _ROUNDING,
            )
        )
        ergodic = math.log2(math.e) * math.exp(1.0 / snr) * float(special.exp1(1.0 / snr))
        n_bits = ergodic * _BAND_HZ * _BLOCK_S * n_blocks
        rates = [
            n_bits
            / _took_s(_link(snr_db, BlockFading(Rayleigh(), key_of("rayleigh", number), _BLOCK_S)), n_bits)
            for number in range(_N_REPLICATIONS)
        ]
        found.append(
            TheoryComparison(
                f"Rayleigh blocks, {snr_db:g} dB: bit/s/Hz of a long message (ergodic capacity)",
                mean_of((np.array(rates) / _BAND_HZ).tolist()),
                exactly(ergodic),
                _LIMIT,
            )
        )
    return found
