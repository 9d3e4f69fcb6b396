"""Compare wired links, as queues, with closed forms."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from edgesim.rng import Streams
from edgesim.units import bits
from edgesim.validate.network.estimates import TheoryComparison, exactly, mean_of
from edgesim.validate.network.messages import TransportOutsideARun
from edgesim.validate.network.tandem import (
    Flow,
    Journeys,
    Tandem,
    delays_by_recursion,
    delays_in_engine,
    tandems,
)
from edgesim.world.link import Link

__all__ = ["queue_comparisons"]

_LOAD = 0.6
_LIMIT = 0.05
_ROUNDING = 1e-9
_N_REPLICATIONS = 20
_WARMUP = 0.1  # share of the messages
_SERVICE_S = 1e-3


def queue_comparisons(n_messages: int = 6000) -> list[TheoryComparison]:
    """Compare mean delays of M/M/1, M/D/1 and a constant-service tandem, and delays by Lindley's recursion.

    Parameters
    ----------
    n_messages
        Messages in each replication; of M/M/1, whose delays vary most, twice as many.
    """
    return [
        _m_m_1(2 * n_messages),
        _row("M/D/1, load 0.6: mean delay [s]", (1.0,), n_messages),
        _row("three constant services, the second the slowest: mean delay [s]", (0.7, 1.0, 0.5), n_messages),
        *map(_recursion, tandems()),
    ]


def _m_m_1(n_messages: int) -> TheoryComparison:
    """Compare with 1 / (mu - lambda): a link with exponentially distributed message sizes."""

    def simulate(replication: int) -> float:
        draw = Streams(1, replication)["M/M/1"]
        messages = TransportOutsideARun(["a", "b"], [Link(between=("a", "b"), rate_bps=bits(1) / _SERVICE_S)])
        at_s = np.cumsum(draw.exponential(_SERVICE_S / _LOAD, n_messages)).tolist()
        delays_s: list[float] = []

        def arrived(began_s: float) -> None:
            delays_s.append(messages.now_s - began_s)

        for number, (at, size) in enumerate(zip(at_s, draw.exponential(1.0, n_messages), strict=True)):
            messages.send_at(number, at, ("a", "b"), float(size), partial(arrived, at))
        messages.run()
        return float(np.mean(delays_s[int(_WARMUP * n_messages) :]))

    ours = mean_of([simulate(replication) for replication in range(_N_REPLICATIONS)])
    truth = exactly(_SERVICE_S / (1.0 - _LOAD))
    return TheoryComparison("M/M/1, load 0.6: mean delay [s]", ours, truth, _LIMIT)


def _row(what: str, slowness: tuple[float, ...], n_messages: int) -> TheoryComparison:
    """Compare a constant-service tandem: its total wait is that of the slowest station alone, an M/D/1 queue.

    H. D. Friedman, "Reduction methods for tandem queuing systems", Operations Research 13(1), 1965: with
    constant services and unlimited queues, the order of the stations does not affect departures.
    M/D/1: mean wait of rho / (2 (1 - rho)) service times (Pollaczek and Khinchine).
    """
    size_bytes = 1000
    slowest_bps = bits(size_bytes) / _SERVICE_S
    rates_bps = tuple(slowest_bps / each for each in slowness)
    flow = Flow(first=0, last=len(slowness), load=_LOAD * slowness[0], sizes_bytes=(size_bytes,))

    def simulate(replication: int) -> float:
        tandem = Tandem(
            name=what,
            rates_bps=rates_bps,
            delays_s=(0.0,) * len(slowness),
            flows=(flow,),
            n_packets=n_messages,
            seed=1 + replication,
        )
        delays_s = delays_in_engine(tandem, Journeys.of(tandem))
        return float(delays_s[int(_WARMUP * n_messages) :].mean())

    ours = mean_of([simulate(replication) for replication in range(_N_REPLICATIONS)])
    waiting_s = _SERVICE_S * _LOAD / (2.0 * (1.0 - _LOAD))
    return TheoryComparison(what, ours, exactly(math.fsum(slowness) * _SERVICE_S + waiting_s), _LIMIT)


def _recursion(tandem: Tandem) -> TheoryComparison:
    """Compare the packet whose delay differs most from that of the recursion on the same draws."""
    journeys = Journeys.of(tandem)
    ours_s, truth_s = delays_in_engine(tandem, journeys), delays_by_recursion(tandem, journeys)
    worst = int(np.argmax(np.abs(ours_s / truth_s - 1.0)))
    return TheoryComparison(
        f"{tandem.name}: worst delay of a packet by Lindley's recursion [s]",
        exactly(float(ours_s[worst])),
        exactly(float(truth_s[worst])),
        _ROUNDING,
    )
