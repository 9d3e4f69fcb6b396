"""A Wi-Fi cell of the engine in which stations send to their access point, beside its slotted twin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import slotted_dcf
from airwaves import STATION, Channel, Interface, Message, carry, cell
from slotted_dcf import RATE_BPS

from edgesim.radio.access.duplex import HalfDuplex
from edgesim.radio.access.wifi_mac import WifiMac
from edgesim.radio.adaptation.air_interface import Arq
from edgesim.world.device import Power
from edgesim.world.medium import Medium
from edgesim.world.world import World

RETRIES = Interface(0.0, Arq(6, 0.0))
POWER = Power(tx_w=1.0, rx_w=1.0)  # energies are times then


def wifi_cell(
    channels: dict[str, Any],
    mac: WifiMac | None = None,
    macs: dict[str, WifiMac] | None = None,
    *,
    key: int = 1,
    **facts: Any,
) -> World:
    """A cell whose stations contend; all have one way of getting on the air, or each its own."""
    medium = Medium(name=STATION, access="dcf", duplex=HalfDuplex(), key=key)
    there = cell(channels, medium, **facts)
    links = tuple(
        replace(one, radio=replace(one.radio, mac=(macs or {}).get(one.between[0], mac or WifiMac())))
        for one in there.links
        if one.radio is not None
    )
    return replace(there, links=links)


def channels(n: int) -> dict[str, Channel]:
    """Stations whose frames all arrive, at 600 Mb/s."""
    return {f"t{i}": Channel(RATE_BPS, block_bits=12_000, air=RETRIES) for i in range(n)}


@dataclass(frozen=True)
class Run:
    """The figures of a run of either."""

    delays_s: np.ndarray
    """Of the messages that were delivered, in the order of messages."""
    ended_s: np.ndarray
    lost: int
    busy_s: float
    tx_s: float
    rx_s: float


Arrivals = Sequence[tuple[float, int, int]]


def engine(
    arrivals: Arrivals, n: int, key: int, mac: WifiMac | None = None, until_s: float = math.inf
) -> Run:
    """The engine's run."""
    horizon = {} if math.isinf(until_s) else {"horizon_s": until_s}
    there = wifi_cell(channels(n), mac, key=key, power=POWER, **horizon)
    ran = carry(there, [Message(at, f"t{station}", STATION, 8 * size) for at, station, size in arrivals])
    spans = ran.spans
    arrived = spans[(spans["ended_at_s"].notna()) & ~spans["token"].isin(ran.lost)]
    (domain,) = ran.tables.cluster._transport._pools._contentions.values()
    devices = ran.tables.devices
    return Run(
        (arrived["ended_at_s"] - arrived["asked_at_s"]).to_numpy(),
        arrived["ended_at_s"].to_numpy(),
        len(ran.lost),
        domain.busy_until(until_s if horizon else math.inf),
        float(devices["energy_tx_j"].sum()),
        float(devices["energy_rx_j"].sum()),
    )


def slotted(arrivals: Arrivals, n: int, key: int, until_s: float = math.inf, **facts: Any) -> Run:
    """The slotted twin's run."""
    out = slotted_dcf.simulate(arrivals, n, key, until_s=until_s, **facts)
    arrived = [number for number in sorted(out.ended_s) if number not in out.dropped]
    ended_s = np.array([out.ended_s[number] for number in arrived])
    begun_s = np.array([arrivals[number][0] for number in arrived])
    return Run(ended_s - begun_s, ended_s, len(out.dropped), out.busy_s, out.tx_s, out.rx_s)


def poisson(n: int, size: int, rate_hz: float, n_messages: int, seed: int) -> list[tuple[float, int, int]]:
    """Messages of one size that come at random, to all stations together at a rate."""
    draw = np.random.default_rng(seed)
    at_s = np.cumsum(draw.exponential(1.0 / rate_hz, n_messages)).tolist()
    return [
        (at, int(station), size) for at, station in zip(at_s, draw.integers(0, n, n_messages), strict=True)
    ]


def backlog(n: int, size: int, n_each: int) -> list[tuple[float, int, int]]:
    """So many messages at every station from the beginning."""
    return [(0.0, station, size) for _ in range(n_each) for station in range(n)]
