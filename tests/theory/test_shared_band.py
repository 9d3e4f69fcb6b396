"""Shared bands against queueing theory and Bianchi's model, through the whole engine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from airwaves import STATION, Channel, Interface, Message, carry, cell
from effort import sized
from miniature import answered, device, model, run, world
from queues import TICK_S, Exponential, Serve, assert_inside_student_t, replicate, sojourns_s
from scipy import optimize
from slotted_dcf import RATE_BPS
from wifi_cells import wifi_cell

from edgesim.radio.access.edca import Edca
from edgesim.radio.access.wifi_mac import Aggregation, WifiMac
from edgesim.radio.adaptation.air_interface import Arq
from edgesim.workload.arrivals import Poisson
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel

BITS_PER_S = 8 * 4 / TICK_S  # a message of mean size then takes one second


def upload(request, cluster):
    yield from cluster.send(request, "d-0", "d-1", request.prompt_bytes)
    answered(request, "d-0")
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
        n_requests=sized(2000, 4000),
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

SLOT_S, SIFS_S, DIFS_S, EIFS_S, ACK_S, PREAMBLE_S = 9e-6, 16e-6, 34e-6, 94e-6, 28e-6, 43.2e-6
W, M = 16, 6
PAYLOAD_BITS = 12_000


def bianchi_bps(n: int) -> float:
    """Bianchi 2000, equations 7, 9 and 13, solved by scipy; a collision is followed by EIFS."""

    def tau_of(p: float) -> float:
        return 2 * (1 - 2 * p) / ((1 - 2 * p) * (W + 1) + p * W * (1 - (2 * p) ** M))

    def gap(p: float) -> float:
        return p - (1.0 - (1.0 - tau_of(p)) ** (n - 1))

    p = 0.0 if n == 1 else optimize.brentq(gap, 1e-9, 0.4999 if gap(0.4999) > 0 else 0.9)
    tau = tau_of(p)
    some = 1.0 - (1.0 - tau) ** n
    one = n * tau * (1.0 - tau) ** (n - 1) / some
    frame_s = PREAMBLE_S + 2 * 13.6e-6  # 1572 bytes: two symbols at 600 Mb/s
    success_s, collision_s = frame_s + SIFS_S + ACK_S + DIFS_S, frame_s + EIFS_S
    slot_s = (1.0 - some) * SLOT_S + some * one * success_s + some * (1.0 - one) * collision_s
    return some * one * PAYLOAD_BITS / slot_s


@pytest.mark.parametrize("n", [1, 2, 5, 10, 20])
def test_saturated_contenders_have_bianchis_throughput_between_them(n: int) -> None:
    """Its own assumptions: AIFS is DIFS, frames one by one, no retry limit.

    Within 3 %: for two stations its collision probability is 5.6 % low, and colliders go on 15 us before
    those who wait for EIFS.
    """
    mac = WifiMac(edca=Edca(aifsn=2), aggregation=Aggregation(most_frames=1))
    air = Interface(0.0, Arq(1000, 0.0))
    until_s = 0.5
    stations = {f"t{i}": Channel(RATE_BPS, block_bits=PAYLOAD_BITS, air=air) for i in range(n)}
    there = wifi_cell(stations, mac, horizon_s=until_s)
    messages = [Message(0.0, name, STATION, PAYLOAD_BITS) for name in stations for _ in range(3600 // n)]
    n_frames = carry(there, messages).spans["ended_at_s"].notna().sum()
    assert n_frames * PAYLOAD_BITS / until_s == pytest.approx(bianchi_bps(n), rel=0.03)


def test_fading_gains_of_many_instants_average_to_the_ergodic_rate() -> None:
    """What a saturated Rayleigh link carries over many coherence times is log2(e) e^(1/g) E1(1/g) B."""
    from airwaves import BAND_HZ, link
    from scipy.special import exp1

    from edgesim.radio.channel.fading import BlockFading
    from edgesim.radio.channel.fading_law import Rayleigh

    rates = []
    for replication in range(sized(8, 12)):
        there = cell({"a": link(10.0, fading=BlockFading(Rayleigh(), 100 + replication, 1e-3))})
        rates.append(2e6 / carry(there, [Message(0.0, STATION, "a", 2e6)]).ended_s()[0] / BAND_HZ)
    assert np.log2(np.e) * math.exp(0.1) * exp1(0.1) == pytest.approx(2.9065, abs=1e-4)
    assert_inside_student_t(rates, 2.9065)
