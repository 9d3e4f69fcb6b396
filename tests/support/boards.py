"""Boards of different speeds round a switch, for tests of groups that share every block."""

from __future__ import annotations

from dataclasses import replace

import bands

from edgesim.model.architecture import Architecture
from edgesim.model.ceilings import Ceilings
from edgesim.model.scaling import AnalyticTiming
from edgesim.workload.arrivals import Poisson
from edgesim.workload.lengths import Uniform
from edgesim.workload.requests import Workload
from edgesim.world.device import Device, Endpoint, Power
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel
from edgesim.world.world import World

MODEL = Architecture.from_config(
    {
        "model_type": "llama",
        "hidden_size": 96,
        "intermediate_size": 320,
        "num_hidden_layers": 3,
        "num_attention_heads": 12,
        "num_key_value_heads": 6,
        "vocab_size": 512,
        "max_position_embeddings": 256,
    },
    name="stepped",
    dtype="float32",
)
POWER = Power(idle_w=1.0, active_w=3.0, tx_w=0.5, rx_w=0.25)


def meeting(speeds: tuple[float, ...], endpoint: Endpoint, *, n_requests: int = 8) -> World:
    """Boards of different speeds round a switch; requests come faster than the group serves them."""
    boards = {
        f"node-{i}": Device(
            id=f"node-{i}",
            group="node",
            kind="any",
            memory_bytes=1 << 32,
            timing=AnalyticTiming(MODEL, Ceilings(2e9 * speed, 5e8 * speed, 1e-4)),
            power=POWER,
            endpoint=endpoint,
        )
        for i, speed in enumerate(speeds)
    }
    switch = Device(id="switch", group="switch", kind="", memory_bytes=0, timing=None)
    return World(
        model=MODEL,
        devices={**boards, "switch": switch},
        links=tuple(Link(between=(id_, "switch"), rate_bps=2e7, latency_s=3e-5) for id_ in boards),
        workload=Workload(
            arrivals=Poisson(rate_hz=40.0),
            prompt_tokens=Uniform(2, 12),
            output_tokens=Uniform(1, 5),
            sources=("node-0",),  # the root: nobody else's messages are on the wires
            n_requests=n_requests,
        ),
        seed=2,
    )


def on_air(endpoint: Endpoint, *, coherence_s: float, latency_s: float = 0.0) -> World:
    """Three phones of different speeds at a station whose band is set aside for sums."""
    band = bands.band(n_station=8, n_terminal=2, coherence_s=coherence_s, power_dbm=-10.0)
    phones = {
        f"phone-{i}": Device(
            id=f"phone-{i}",
            group="phone",
            kind="any",
            memory_bytes=1 << 32,
            timing=AnalyticTiming(MODEL, Ceilings(2e10 * speed, 5e9 * speed, 1e-6)),
            power=POWER,
            endpoint=endpoint,
        )
        for i, speed in enumerate((1.0, 2.0, 0.7))
    }
    station = Device(id="station", group="station", kind="", memory_bytes=0, timing=None)
    links = tuple(
        Link(
            between=(phone, "station"),
            rate_bps=1e7,
            latency_s=latency_s,
            radio=RadioChannel(link=member.link, terminal=phone, station="station", medium="cell", key=n),
        )
        for n, (phone, member) in enumerate(band.members.items())
    )
    world = meeting((1.0, 1.0), endpoint, n_requests=3)
    return replace(
        world,
        devices={**phones, "station": station},
        links=links,
        workload=replace(world.workload, sources=("phone-0",)),
        media={"cell": Medium(name="cell")},
        bands={"station": band},
    )


ENDPOINTS = {
    "free": Endpoint(),
    "beside": Endpoint(overhead_s=2e-4, staging_bytes_per_s=5e7),
    "on compute": Endpoint(overhead_s=2e-4, on_compute=True),
}
