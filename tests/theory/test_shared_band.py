"""Shared bands against queueing theory and Bianchi's model, through the whole engine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from airwaves import STATION, Channel, Message, carry, cell
from miniature import device, model, run, world
from queues import TICK_S, Exponential, Serve, assert_inside_student_t, replicate, sojourns_s
from scipy import optimize

from edgesim.engine.medium import Medium, RadioChannel
from edgesim.engine.world import Link
from edgesim.radio.duplex import HalfDuplex
from edgesim.workload.arrivals import Poisson

BITS_PER_S = 8 * 4 / TICK_S  # a message of mean size then takes one second


def upload(request, cluster):
    yield from cluster.send(request, "d-0", "d-1", request.prompt_bytes)
    yield from cluster.emit(request, "d-0", next(request.tokens()))


def mean_response_s(access: str, load: float, replication: int) -> float:
    """A cell whose terminal offers messages of exponential size; prompts are their sizes."""
    channel = RadioChannel(link=Channel(BITS_PER_S), terminal="d-0", station="d-1", medium="cell", key=1)
    there = world(
        [device("d-0"), device("d-1", timing=None)],
        [Link(between=("d-0", "d-1"), rate_bps=BITS_PER_S, radio=channel)],
        media={"cell": Medium(name="cell", access=access)},
        arrivals=Poisson(load),
        prompt=Exponential(),
        n_requests=4000,
        architecture=model(1),
        replication=replication,
    )
    return float(sojourns_s(run(there, Serve(upload), keep_spans=False)).mean())


def test_a_shared_band_is_an_m_m_1_queue_with_processor_sharing() -> None:
    """E[T] = E[S] / (1 - load) (Kleinrock 1967)."""
    load = 0.6
    times_s = replicate(lambda number: mean_response_s("equal", load, number), 20)
    assert_inside_student_t(times_s, 1.0 / (1.0 - load))


# --- 802.11 ---------------------------------------------------------------------------------------------

SLOT_S, SIFS_S, DIFS_S, ACK_S, PREAMBLE_S, HEADER_BITS = 9e-6, 16e-6, 34e-6, 28e-6, 20e-6, 240
W, M = 16, 6
PAYLOAD_BITS, RATE_BPS = 12_000, 54e6


def bianchi_bps(n: int) -> float:
    """Bianchi 2000, equations 7, 9 and 13, solved by scipy."""

    def tau_of(p: float) -> float:
        return 2 * (1 - 2 * p) / ((1 - 2 * p) * (W + 1) + p * W * (1 - (2 * p) ** M))

    def gap(p: float) -> float:
        return p - (1.0 - (1.0 - tau_of(p)) ** (n - 1))

    p = 0.0 if n == 1 else optimize.brentq(gap, 1e-9, 0.4999 if gap(0.4999) > 0 else 0.9)
    tau = tau_of(p)
    some = 1.0 - (1.0 - tau) ** n
    one = n * tau * (1.0 - tau) ** (n - 1) / some
    frame_s = PREAMBLE_S + (HEADER_BITS + PAYLOAD_BITS) / RATE_BPS
    success_s, collision_s = frame_s + SIFS_S + ACK_S + DIFS_S, frame_s + DIFS_S
    slot_s = (1.0 - some) * SLOT_S + some * one * success_s + some * (1.0 - one) * collision_s
    return some * one * PAYLOAD_BITS / slot_s


@pytest.mark.parametrize("n", [1, 2, 5, 10, 20, 50])
def test_contenders_have_bianchis_throughput_between_them(n: int) -> None:
    medium = Medium(name=STATION, access="dcf", duplex=HalfDuplex(), most_frames=1)
    names = [f"t-{i}" for i in range(n)]
    there = cell({name: Channel(RATE_BPS, block_bits=PAYLOAD_BITS) for name in names}, medium)
    ended_s = carry(there, [Message(0.0, name, STATION, 1e6) for name in names]).ended_s()
    assert n * 1e6 / ended_s[0] == pytest.approx(bianchi_bps(n), rel=1e-9)
    assert ended_s == pytest.approx([ended_s[0]] * n)


def test_the_air_is_contended_for_anew_whenever_somebody_comes_or_goes() -> None:
    """Alone, then two, then alone: each stretch at its own throughput; the station contends as one sender."""
    medium = Medium(name=STATION, access="dcf", duplex=HalfDuplex(), most_frames=1)
    there = cell({name: Channel(RATE_BPS, block_bits=PAYLOAD_BITS) for name in "ab"}, medium)
    messages = [
        Message(0.0, "a", STATION, 20e6),
        Message(0.1, STATION, "b", 4e6),
        Message(0.1, STATION, "a", 4e6),
    ]
    alone_bps, each_bps = bianchi_bps(1), bianchi_bps(2) / 2
    down_s = 0.1 + 8e6 / each_bps  # two transfers of the station's share its part
    up_s = down_s + (20e6 - 0.1 * alone_bps - 8e6) / alone_bps
    assert carry(there, messages).ended_s() == pytest.approx([up_s, down_s, down_s], rel=1e-9)


def test_fading_gains_of_many_instants_average_to_the_ergodic_rate() -> None:
    """What a saturated Rayleigh link carries over many coherence times is log2(e) e^(1/g) E1(1/g) B."""
    from airwaves import BAND_HZ, link
    from scipy.special import exp1

    from edgesim.radio.fading import BlockFading
    from edgesim.radio.fading_law import Rayleigh

    rates = []
    for replication in range(12):
        there = cell({"a": link(10.0, fading=BlockFading(Rayleigh(), 100 + replication, 1e-3))})
        rates.append(2e6 / carry(there, [Message(0.0, STATION, "a", 2e6)]).ended_s()[0] / BAND_HZ)
    assert np.log2(np.e) * math.exp(0.1) * exp1(0.1) == pytest.approx(2.9065, abs=1e-4)
    assert_inside_student_t(rates, 2.9065)
