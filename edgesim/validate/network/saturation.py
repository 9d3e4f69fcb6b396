"""Simulate a saturated Wi-Fi cell in the engine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from edgesim.engine.process.clock import Course
from edgesim.engine.process.verb import MessageLost
from edgesim.radio.access.duplex import HalfDuplex
from edgesim.radio.adaptation.air_interface import Arq, Grant
from edgesim.radio.adaptation.wifi import Wifi
from edgesim.radio.radio_link import RadioLink, RadioState
from edgesim.rng import key_of
from edgesim.units import bits
from edgesim.validate.network.messages import TransportOutsideARun
from edgesim.validate.network.wifi_cases import WifiCase
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel

__all__ = ["saturated_frames"]

_RECEIVER = "receiver"
_N_WAITING = 2  # aggregates per station: one being sent, and the next


@dataclass(frozen=True)
class _Clear:
    """A channel on which every frame arrives, at one rate; has the interface of a radio link."""

    rate_bps: float
    air: Wifi

    def state(
        self, at_s: float, *, uplink: bool, band_share: float = 1.0, interference_w: float = 0.0
    ) -> RadioState:
        """Return the same state at any time."""
        del at_s, uplink, interference_w
        grant = Grant(mcs=0, efficiency=1.0, block_bits=int(bits(1500)), slot_s=math.inf)
        return RadioState(1.0, 1.0, grant, self.rate_bps * band_share, (0.0,), math.inf)


def saturated_frames(
    case: WifiCase, *, n_batches: int, batch_s: float, warmup_s: float = 0.2, seed: int = 1
) -> list[int]:
    """Return the number of frames received in each of `n_batches` successive batches of time.

    Frames of a lost message do not count: a message is one aggregate, whose frames are received or lost
    together.
    """
    mac, rate_bps = case.mac, case.phy.rate_bps
    n_frames = case.n_frames
    air = Wifi(arq=Arq(limit=case.n_attempts - 1, round_trip_s=0.0))
    size_bytes = float(n_frames * case.payload_bytes)
    stations = [f"station-{number}" for number in range(case.n_stations)]
    links = [
        Link(
            between=(station, _RECEIVER),
            rate_bps=rate_bps,
            radio=RadioChannel(
                link=cast(RadioLink, _Clear(rate_bps, air)),
                terminal=station,
                station=_RECEIVER,
                medium=_RECEIVER,
                key=key_of(seed, station),
                mac=mac,
            ),
        )
        for station in stations
    ]
    cell = Medium(name=_RECEIVER, access="dcf", duplex=HalfDuplex(), key=key_of(seed, "backoffs"))
    messages = TransportOutsideARun([*stations, _RECEIVER], links, {_RECEIVER: cell})
    arrived = [0] * n_batches

    def keep_sending(owner: int, station: str) -> Course:
        while True:
            try:
                yield from messages.send(owner, station, _RECEIVER, size_bytes)
            except MessageLost:
                continue
            batch = math.floor((messages.now_s - warmup_s) / batch_s)
            if 0 <= batch < n_batches:
                arrived[batch] += n_frames

    for place, station in enumerate(stations):
        for number in range(_N_WAITING):
            messages.begin(keep_sending(_N_WAITING * place + number, station))
    messages.run(warmup_s + n_batches * batch_s)
    return arrived
