"""Worlds in which all that can go wrong goes wrong at once, and a strategy that takes every way through them.

A user walks to and fro between two cells, and a desk stands on a wire. Behind a hub are two stages of a
pipeline, a server, and two boards of a group, whose rack nothing happens to. Devices and links fail,
batteries run empty, memory is short, caches are preempted, and requests lose patience, or are served again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from hypothesis import strategies as st
from miniature import PerBlock, Steady, device, model, world

from edgesim.model.architecture import Architecture, Slice
from edgesim.model.ceilings import Ceilings
from edgesim.model.scaling import AnalyticTiming
from edgesim.radio.motion.handover import A3, ServingCell
from edgesim.radio.motion.outages import Outages, RandomOutages
from edgesim.radio.motion.tracks import RecordedTrack
from edgesim.rng import key_of
from edgesim.strategies.tensor_parallel import GroupPlacement, TensorParallel
from edgesim.strategy import Stage, Strategy, WorkLost
from edgesim.workload.arrivals import Poisson
from edgesim.workload.lengths import Uniform
from edgesim.world.battery import Battery
from edgesim.world.device import Device, Endpoint, Power
from edgesim.world.discipline import ServingDiscipline
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.fifo import FirstComeFirstServed
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.disciplines.static import StaticBatching
from edgesim.world.faults import Faults, Retry
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel
from edgesim.world.roaming import Roaming
from edgesim.world.world import World

__all__ = ["WAYS", "Crossing", "crossings"]

Way = Literal["stages", "server", "group", "source"]
WAYS: tuple[Way, ...] = get_args(Way)

MASTS_M = {"west": 0.0, "east": 100.0}
STAGES = ("front", "back")
BOARDS = ("board-0", "board-1")
COMPUTING = ("user", "desk", *STAGES, "server")
MAY_FAIL = (*COMPUTING, "west", "east", "hub")
MAY_BE_CUT = ("desk--hub", "front--hub", "hub--rack", "hub--server", "user--west")
LONGEST = 14 + 7  # tokens of a request

WALK = RecordedTrack([(4.0 * leg, 100.0 * (leg % 2), 10.0) for leg in range(40)])
"""25 m/s, to and fro."""


def halves(model: Architecture) -> tuple[Slice, Slice]:
    """The parts of the two stages."""
    n, half = model.n_blocks, model.n_blocks // 2
    return Slice(0, half, embedding=True), Slice(half, n, head=True)


class Crossing(Strategy):
    """Serves requests in turn over stages, on a server, in a group, and where they arise.

    What is lost on one way is begun anew on the next that is left, in this order: who holds memory on one
    waits for none on a way before it, so that no two wait for one another.
    """

    ways: tuple[Way, ...]
    goes_on: bool = False
    reports: bool = False

    def place(self, model: Any, fleet: Any) -> GroupPlacement:
        """The stages half and half, the group's boards by share, all others the whole model."""
        group = TensorParallel(over=BOARDS).place(model, fleet)
        front, back = halves(model)
        alone = [Stage(name, model.whole) for name in ("server", "user", "desk")]
        stages = (Stage("front", front), Stage("back", back), *alone, *group.stages)
        return replace(group, stages=stages)

    def serve(self, request: Any, cluster: Any, placement: GroupPlacement) -> Iterator[Any]:
        """Go one way, and others if work is lost there."""
        way = self.ways[request.id % len(self.ways)]
        left = WAYS[WAYS.index(way) :] if self.goes_on else (way,)
        for number, this in enumerate(left):
            try:
                yield from getattr(self, f"_{this}")(request, cluster, placement)
            except WorkLost:
                if number == len(left) - 1:
                    raise
            else:
                return

    def control(self, cluster: Any, placement: GroupPlacement) -> Iterator[Any] | None:
        """Have the server tell the user how it stands, twice a second."""
        return self._tell(cluster) if self.reports else None

    @staticmethod
    def _tell(cluster: Any) -> Iterator[Any]:
        while True:
            yield from cluster.sleep(0.5)
            cluster.report("server", "user", 2000.0, wait=False)

    @staticmethod
    def _stages(request: Any, cluster: Any, placement: GroupPlacement) -> Iterator[Any]:
        yield from cluster.admit(request, STAGES)
        yield from cluster.send(request, request.source, "front", request.prompt_bytes)
        (front,), (back,) = (placement.holdings[name] for name in STAGES)
        for token in request.tokens():
            yield from cluster.compute(request, "front", front, token)
            yield from cluster.send(request, "front", "back", token.activation_bytes)
            yield from cluster.compute(request, "back", back, token)
            yield from cluster.emit(request, "back", token)
            if not token.is_last:
                yield from cluster.send(request, "back", "front", request.token_bytes)

    @classmethod
    def _server(cls, request: Any, cluster: Any, placement: GroupPlacement) -> Iterator[Any]:
        yield from cls._alone(request, cluster, placement, "server")

    @classmethod
    def _source(cls, request: Any, cluster: Any, placement: GroupPlacement) -> Iterator[Any]:
        yield from cls._alone(request, cluster, placement, request.source)

    @staticmethod
    def _alone(request: Any, cluster: Any, placement: GroupPlacement, here: str) -> Iterator[Any]:
        (whole,) = placement.holdings[here]
        yield from cluster.send(request, request.source, here, request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, here, whole, token)
            yield from cluster.emit(request, here, token)

    @staticmethod
    def _group(request: Any, cluster: Any, placement: GroupPlacement) -> Iterator[Any]:
        yield from cluster.admit(request, BOARDS)
        yield from cluster.send(request, request.source, BOARDS[0], request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute_together(request, BOARDS, token, placement.summing)
            yield from cluster.emit(request, BOARDS[0], token)


def strength_db(cell: str, times_s: np.ndarray) -> np.ndarray:
    """Power of a cell where the user is, relative to anything."""
    places = np.array([WALK.position(at_s) for at_s in times_s.tolist()])
    return -40.0 * np.log10(np.hypot(places[:, 0] - MASTS_M[cell], places[:, 1]))


POWER = Power(idle_w=1.0, active_w=3.0, tx_w=2.0, rx_w=1.5)
DISCIPLINES = (
    None,
    FirstComeFirstServed(queue_limit=2, patience_s=2.0),
    ProcessorSharing(),
    StaticBatching(max_batch=2, max_wait_s=0.3),
    ContinuousBatching(max_batch=2, cache="reserve", patience_s=3.0),
    ContinuousBatching(max_batch=4, max_tokens=6),
    ContinuousBatching(max_batch=3),
)
GROWING = DISCIPLINES[-2:]


@st.composite
def disciplines(draw: st.DrawFn) -> dict[str, ServingDiscipline | None]:
    """One for each stage and the server; stages often both preempt, and never have static batches besides."""
    two = draw(
        st.tuples(st.sampled_from(GROWING), st.sampled_from(GROWING))
        | st.tuples(*2 * [st.sampled_from(DISCIPLINES)])
    )
    if any(isinstance(one, StaticBatching) for one in two):
        two = (two[0], None) if isinstance(two[0], StaticBatching) else (None, two[1])
    return {"front": two[0], "back": two[1], "server": draw(st.sampled_from(DISCIPLINES))}


@st.composite
def machines(draw: st.DrawFn) -> list[Device]:
    """All devices, of speeds, memories and batteries as drawn."""
    whole = model()
    serving = draw(disciplines())
    parts = dict(zip(STAGES, halves(whole), strict=True))
    batteries = draw(st.dictionaries(st.sampled_from(COMPUTING), st.floats(20.0, 300.0), max_size=2))
    rooms = st.sampled_from([LONGEST + 9, LONGEST, 2 * LONGEST, 10_000])
    made = []
    for name in COMPUTING:
        discipline = serving.get(name)
        part = parts.get(name, whole.whole)
        n_tokens = draw(rooms) if name in serving else 10_000
        capacity_j = batteries.get(name)
        made.append(
            device(
                name,
                PerBlock(draw(st.floats(0.005, 0.15)), head_s=draw(st.floats(0.0, 0.05))),
                memory_bytes=whole.held_bytes((part,)) + n_tokens * whole.kv_bytes_per_token(part.n_blocks),
                power=POWER,
                endpoint=Endpoint(
                    overhead_s=draw(st.sampled_from([0.0, 0.03])),
                    on_compute=discipline is None and draw(st.booleans()),
                ),
                serving=discipline,
                battery=None if capacity_j is None else Battery(capacity_j=capacity_j, charge=0.9),
            )
        )
    overhead_s, on_compute = draw(st.sampled_from([0.0, 2e-3])), draw(st.booleans())
    for name in BOARDS:
        speed = draw(st.floats(0.3, 3.0))
        made.append(
            device(
                name,
                AnalyticTiming(whole, Ceilings(2e9 * speed, 5e8 * speed, 1e-4)),
                power=POWER,
                endpoint=Endpoint(overhead_s=overhead_s, on_compute=on_compute),
            )
        )
    nodes = [
        device(name, timing=None, memory_bytes=0, power=POWER) for name in ("west", "east", "hub", "rack")
    ]
    return [*made, *nodes]


@st.composite
def crossings(draw: st.DrawFn) -> World:
    """A world of all of it, or of some."""
    rate_bps = draw(st.sampled_from([2e4, 2e5, 1e7]))
    facts = {"link": Steady(rate_bps), "terminal": "user", "key": 1}
    air = [
        Link(
            between=("user", cell),
            rate_bps=rate_bps,
            latency_s=1e-3,
            radio=RadioChannel(station=cell, medium=cell, **facts),
        )
        for cell in MASTS_M
    ]
    ends = (("west", "hub"), ("east", "hub"), ("desk", "hub"), ("front", "hub"), ("hub", "server"))
    slow_bps = draw(st.sampled_from([2e5, 1e7, 1e9]))
    wires = [
        Link(between=pair, rate_bps=slow_bps, latency_s=draw(st.sampled_from([0.0, 0.01, 0.3])))
        for pair in ends
    ]
    wires += [Link(between=("front", "back"), rate_bps=1e7, latency_s=0.02)]
    wires += [Link(between=("back", "hub"), rate_bps=1e7), Link(between=("hub", "rack"), rate_bps=1e8)]
    wires += [Link(between=(board, "rack"), rate_bps=1e8, latency_s=1e-4) for board in BOARDS]
    seed = draw(st.integers(0, 10_000))
    mtbf_s, mttr_s = draw(st.floats(0.5, 30.0)), draw(st.floats(0.05, 3.0))

    def outages(names: set[str]) -> dict[str, Outages]:
        return {name: RandomOutages(key_of(seed, name), mtbf_s, mttr_s) for name in sorted(names)}

    faults = None
    if draw(st.integers(0, 4)):
        faults = Faults(
            devices=outages(draw(st.sets(st.sampled_from(MAY_FAIL), max_size=4))),
            links=outages(draw(st.sets(st.sampled_from(MAY_BE_CUT), max_size=2))),
        )
    roaming = Roaming(
        serving=ServingCell(
            strength_db, tuple(MASTS_M), A3(interruption_s=draw(st.sampled_from([0.0, 0.2])))
        ),
        in_flight=draw(st.sampled_from(["keep", "lose"])),
    )
    return world(
        draw(machines()),
        [*air, *wires],
        arrivals=Poisson(draw(st.sampled_from([15.0, 3.0, 0.5]))),
        prompt=Uniform(1, 14),
        output=Uniform(1, 7),
        n_requests=16,
        horizon_s=draw(st.sampled_from([None, None, 4.0, 20.0])),
        sources=("user", "desk"),
        seed=seed,
        media={cell: Medium(name=cell) for cell in MASTS_M},
        roaming={"user": roaming},
        memory_policy=draw(st.sampled_from(["queue", "queue", "reject"])),
        patience_s=draw(st.sampled_from([None, None, 1.0])),
        queue_limit=draw(st.sampled_from([None, None, 2])),
        faults=faults,
        retry=draw(
            st.sampled_from(
                [
                    None,
                    Retry(limit=1, backoff_s=0.0),
                    Retry(limit=6, backoff_s=0.3),
                    Retry(limit=20, growth=1.5),
                ]
            )
        ),
    )
