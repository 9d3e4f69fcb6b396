"""Wired links in tandem with a queue before each: in the engine, in ns-3, and by Lindley's recursion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesim.rng import Streams
from edgesim.units import bits
from edgesim.validate.network.messages import TransportOutsideARun
from edgesim.validate.network.ns3_tools import Ns3
from edgesim.world.link import Link

__all__ = [
    "Flow",
    "Journeys",
    "Tandem",
    "delays_by_recursion",
    "delays_in_engine",
    "delays_in_ns3",
    "tandems",
]

Delays = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A Poisson flow of packets along the tandem.

    Parameters
    ----------
    first, last
        Nodes of departure and arrival.
    load
        Load that it puts on its first link.
    sizes_bytes
        Packet sizes, equally frequent; they include the 2 bytes of PPP.
    """

    first: int
    last: int
    load: float
    sizes_bytes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tandem:
    """Links in tandem, and the flows over them.

    Parameters
    ----------
    rates_bps, delays_s
        Rates and propagation delays of the links, in order.
    n_packets
        Packets of each flow.
    """

    name: str
    rates_bps: tuple[float, ...]
    delays_s: tuple[float, ...]
    flows: tuple[Flow, ...]
    n_packets: int = 5000
    seed: int = 1


@dataclass(frozen=True)
class Journeys:
    """Packets in order of departure; all arrays have the shape (n_packets,).

    Instants are whole nanoseconds, the resolution of ns-3.
    """

    at_ns: NDArray[np.int64]
    flow: NDArray[np.int64]
    size_bytes: NDArray[np.int64]

    @classmethod
    def of(cls, tandem: Tandem) -> Journeys:
        """Draw a tandem's packets."""
        streams = Streams(tandem.seed)
        at_ns, flows, sizes = [], [], []
        for number, flow in enumerate(tandem.flows):
            draw = streams[f"flow {number}"]
            service_s = bits(float(np.mean(flow.sizes_bytes))) / tandem.rates_bps[flow.first]
            gaps_s = draw.exponential(service_s / flow.load, tandem.n_packets)
            at_ns.append(np.rint(1e9 * np.cumsum(gaps_s)).astype(np.int64))
            flows.append(np.full(tandem.n_packets, number))
            sizes.append(draw.choice(flow.sizes_bytes, tandem.n_packets))
        order = np.argsort(np.concatenate(at_ns), kind="stable")
        # Flows have equal numbers of packets but unequal durations: packets after the end of the shortest
        # flow would meet less traffic, so they are left out.
        last_ns = min(int(each[-1]) for each in at_ns)
        order = order[np.concatenate(at_ns)[order] <= last_ns]
        return cls(*(np.concatenate(each)[order] for each in (at_ns, flows, sizes)))

    def means(self, delays_s: Delays) -> tuple[float, ...]:
        """Return the mean of each flow's delays [s]."""
        flows = range(int(self.flow.max()) + 1)
        return tuple(float(delays_s[self.flow == number].mean()) for number in flows)

    def lines(self, tandem: Tandem) -> str:
        """Return the packets as the input of the ns-3 program."""
        ends = [(flow.first, flow.last) for flow in tandem.flows]
        rows = zip(self.at_ns.tolist(), self.flow.tolist(), self.size_bytes.tolist(), strict=True)
        return "".join(f"{at},{ends[flow][0]},{ends[flow][1]},{size}\n" for at, flow, size in rows)


def delays_in_engine(tandem: Tandem, journeys: Journeys) -> Delays:
    """Return each packet's time from departure to the arrival of its last bit [s], shape (n_packets,)."""
    nodes = [f"node-{number}" for number in range(len(tandem.rates_bps) + 1)]
    links = [
        Link(between=ends, rate_bps=rate_bps, latency_s=latency_s)
        for ends, rate_bps, latency_s in zip(pairwise(nodes), tandem.rates_bps, tandem.delays_s, strict=True)
    ]
    messages = TransportOutsideARun(nodes, links)
    delays_s = np.full(len(journeys.at_ns), np.nan)

    def arrived(number: int, at_s: float) -> None:
        delays_s[number] = messages.now_s - at_s

    for number, at_ns in enumerate(journeys.at_ns.tolist()):
        flow, at_s = tandem.flows[journeys.flow[number]], 1e-9 * at_ns
        messages.send_at(
            number,
            at_s,
            (nodes[flow.first], nodes[flow.last]),
            float(journeys.size_bytes[number]),
            partial(arrived, number, at_s),
        )
    messages.run()
    return delays_s


def delays_in_ns3(ns3: Ns3, program: Path, tandem: Tandem, journeys: Journeys) -> Delays:
    """Return the same delays from ns-3; packets are passed to it in a file beside the program."""
    arrivals = program.with_name("arrivals.csv")
    arrivals.write_text(journeys.lines(tandem), encoding="ascii")
    rows = ns3.run(
        program,
        {
            "rates": ",".join(f"{rate_bps:.0f}" for rate_bps in tandem.rates_bps),
            "delays": ",".join(f"{1e9 * delay_s:.0f}" for delay_s in tandem.delays_s),
            "arrivals": arrivals,
        },
    )
    return np.array([row["delay_s"] for row in rows])


def delays_by_recursion(tandem: Tandem, journeys: Journeys) -> Delays:
    """Return the same delays by Lindley's recursion per link: departure = max(arrival, free) + service."""
    at_s = 1e-9 * journeys.at_ns.astype(np.float64)
    here_s = at_s.copy()
    first = np.array([flow.first for flow in tandem.flows])[journeys.flow]
    last = np.array([flow.last for flow in tandem.flows])[journeys.flow]
    for link, (rate_bps, delay_s) in enumerate(zip(tandem.rates_bps, tandem.delays_s, strict=True)):
        passing = np.flatnonzero((first <= link) & (link < last))
        free_s = 0.0
        for number in passing[np.argsort(here_s[passing], kind="stable")]:
            free_s = max(here_s[number], free_s) + bits(float(journeys.size_bytes[number])) / rate_bps
            here_s[number] = free_s + delay_s
    return here_s - at_s


def tandems() -> list[Tandem]:
    """Return all tandems that are compared with ns-3."""
    one_size = Flow(first=0, last=1, load=0.8, sizes_bytes=(1250,))
    through = Flow(first=0, last=3, load=0.4, sizes_bytes=(64, 576, 1500))
    crossing = Flow(first=1, last=2, load=0.4, sizes_bytes=(1500,))
    leaving = Flow(first=1, last=3, load=0.2, sizes_bytes=(200, 1000))
    return [
        Tandem(name="one link, one size", rates_bps=(10e6,), delays_s=(1e-3,), flows=(one_size,)),
        Tandem(
            name="three links, one flow",
            rates_bps=(10e6, 8e6, 20e6),
            delays_s=(1e-3, 2e-3, 0.5e-3),
            flows=(Flow(first=0, last=3, load=0.6, sizes_bytes=(1250,)),),
        ),
        Tandem(
            name="three links, crossing flows",
            rates_bps=(10e6, 10e6, 6e6),
            delays_s=(1e-3, 2e-3, 0.5e-3),
            flows=(through, crossing, leaving),
        ),
    ]
