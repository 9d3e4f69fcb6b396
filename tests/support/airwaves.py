"""Small cells whose every rate is known, and a way to put messages on the air at given instants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
from miniature import Serve, Tables, answered, device, run, world

from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.radio.adaptation.air_interface import Arq, Grant
from edgesim.radio.adaptation.shannon import Shannon
from edgesim.radio.channel.fading import BlockFading, Fading
from edgesim.radio.channel.fading_law import NoFading
from edgesim.radio.channel.large_scale import LargeScale
from edgesim.radio.motion.mobility import Static
from edgesim.radio.radio_link import RadioLink, RadioState, Transceiver
from edgesim.rng import link_key
from edgesim.strategy import MessageLost
from edgesim.workload.requests import Request
from edgesim.world.device import Power
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel
from edgesim.world.world import World

BAND_HZ = 1e6
NOISE_DBM = -174.0 + 60.0  # in that band
STATION = "station"


@dataclass(frozen=True)
class FixedLoss:
    """An environment with one loss everywhere, and nothing random."""

    loss_db: float
    los_correlation_m: float = math.inf

    def path_loss_db(self, distance_2d_m: Any, **facts: Any) -> Any:
        return self.loss_db

    def los_probability(self, distance_2d_m: Any, **facts: Any) -> Any:
        return 1.0

    def shadowing_db(self, is_los: bool, *, indoor: bool = False) -> float:
        return 0.0

    def correlation_m(self, is_los: bool, *, indoor: bool = False) -> float:
        return math.inf

    def rician_k_db(self, is_los: bool) -> None:
        return None


def link(
    snr_db: float,
    *,
    fading: Fading | None = None,
    air: Any = None,
    bandwidth_hz: float = BAND_HZ,
    **facts: Any,
) -> RadioLink:
    """A real link with this mean ratio over the whole band, both ways."""
    here = Static((0.0, 0.0))
    noise_dbm = NOISE_DBM + 10.0 * math.log10(bandwidth_hz / BAND_HZ)
    return RadioLink(
        LargeScale(FixedLoss(-noise_dbm - snr_db), here, here, carrier_hz=3.5e9),
        terminal=Transceiver(power_dbm=0.0),
        station=Transceiver(power_dbm=0.0),
        air=air or Shannon(),
        bandwidth_hz=bandwidth_hz,
        fading=fading or BlockFading(NoFading(), 1, math.inf),
        **facts,
    )


NO_ARQ = Arq(limit=0, round_trip_s=0.0)


@dataclass(frozen=True)
class Interface:
    """What a made-up channel's blocks are told of repetitions."""

    round_trip_s: float = 0.0
    arq: Arq = NO_ARQ


class Channel:
    """A made-up channel: a constant rate, and blocks that fail as told."""

    def __init__(
        self,
        rate_bps: float,
        errors: tuple[float, ...] = (0.0,),
        *,
        block_bits: int = 1000,
        air: Interface | None = None,
    ) -> None:
        self.rate_bps, self.errors, self.block_bits = rate_bps, errors, block_bits
        self.air = air or Interface()

    def state(
        self, at_s: float, *, uplink: bool, band_share: float = 1.0, interference_w: float = 0.0
    ) -> RadioState:
        grant = Grant(mcs=0, efficiency=1.0, block_bits=self.block_bits, slot_s=1e-3)
        return RadioState(1.0, 1.0, grant, self.rate_bps * band_share, self.errors, math.inf)


def cell(channels: Mapping[str, Any], medium: Medium | None = None, **facts: Any) -> World:
    """One station and its terminals; the first terminal is the source of the one request there is."""
    medium = medium or Medium(name=STATION)
    return cells({STATION: (medium, channels)}, **facts)


def cells(
    stations: Mapping[str, tuple[Medium, Mapping[str, Any]]],
    *,
    weights: Mapping[str, float] | None = None,
    latency_s: float = 0.0,
    power: Power | None = None,
    **facts: Any,
) -> World:
    """Several stations, each with its medium and the channels of its terminals."""
    power = power or Power(tx_w=2.0, rx_w=1.0)
    terminals = dict.fromkeys(t for _, channels in stations.values() for t in channels)
    devices = [device(id_, power=power) for id_ in (*terminals, *stations)]
    links = [
        Link(
            between=(terminal, station),
            rate_bps=1e6,
            latency_s=latency_s,
            radio=RadioChannel(
                link=channel,
                terminal=terminal,
                station=station,
                medium=station,
                key=link_key(1, 0, terminal, station, "attempts"),
                weight=(weights or {}).get(terminal, 1.0),
            ),
        )
        for station, (_, channels) in stations.items()
        for terminal, channel in channels.items()
    ]
    return world(devices, links, media={name: medium for name, (medium, _) in stations.items()}, **facts)


class Message(NamedTuple):
    """What is sent when."""

    at_s: float
    source: str
    target: str
    n_bits: float


@dataclass(frozen=True)
class Carried:
    """What became of messages: their spans by number, and those that were lost."""

    tables: Tables
    spans: pd.DataFrame
    lost: list[int]

    def ended_s(self) -> list[float]:
        return self.spans["ended_at_s"].tolist()


def carry(
    there: World, messages: Sequence[Message], *, catches: bool = True, in_order: bool = False
) -> Carried:
    """Send messages at their instants; the one request there is ends with the last.

    Each is for somebody else, so that none waits for another; with ``in_order`` all are for the request.
    """
    lost: list[int] = []

    def serve(request: Any, cluster: Any) -> Any:
        def send(number: int, message: Message) -> Any:
            if message.at_s > cluster.now_s:
                yield from cluster.sleep(message.at_s - cluster.now_s)
            token = Token(number, 1, 0, 0, False)
            asked = Request(number + 1, message.source, 0, 0.0, 1, 1)
            owner = request if in_order else LiveRequest(asked, there.model, 4)
            size_bytes = message.n_bits / 8
            try:
                yield from cluster.send(owner, message.source, message.target, size_bytes, token=token)
            except MessageLost:
                lost.append(number)
                if not catches:
                    raise

        answered(request, request.source)
        yield from cluster.together(*(send(i, message) for i, message in enumerate(messages)))
        yield from cluster.emit(request, request.source, next(request.tokens()))

    tables = run(there, Serve(serve))
    sent = tables.spans[tables.spans["kind"] == "send"].sort_values("token", ignore_index=True)
    return Carried(tables, sent, lost)
