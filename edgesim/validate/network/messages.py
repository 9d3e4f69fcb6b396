"""Run messages over the engine's links alone: without requests, computing or a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgesim.engine.device.host import Host
from edgesim.engine.network.transport import Transport
from edgesim.engine.process.clock import Clock, Course, Life
from edgesim.engine.recording import Recording
from edgesim.model.architecture import Architecture
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.workload.requests import Workload
from edgesim.world.device import Device
from edgesim.world.link import Link
from edgesim.world.medium import Medium
from edgesim.world.world import World

__all__ = ["TransportOutsideARun"]

_ANY_MODEL = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "vocab_size": 64,
    "max_position_embeddings": 64,
}  # its activation size only selects the cheapest route; here there is one route


class TransportOutsideARun:
    """The engine's transport with its own clock, outside a run.

    Parameters
    ----------
    devices
        Ids of the devices.
    links, media
        The links and media that connect them.
    """

    def __init__(
        self, devices: Sequence[str], links: Sequence[Link], media: Mapping[str, Medium] | None = None
    ) -> None:
        model = Architecture.from_config(_ANY_MODEL, name="none", dtype="float16")
        there = {id_: Device(id=id_, group=id_, kind="none", memory_bytes=0, timing=None) for id_ in devices}
        workload = Workload(
            arrivals=Deterministic(1.0),
            prompt_tokens=Fixed(1),
            output_tokens=Fixed(1),
            sources=(devices[0],),
            n_requests=1,
        )
        world = World(
            model=model, devices=there, links=tuple(links), workload=workload, seed=1, media=media or {}
        )
        self._clock = Clock()
        hosts = {id_: Host(device) for id_, device in there.items()}
        self._transport = Transport(world, self._clock, hosts, Recording(None))

    @property
    def now_s(self) -> float:
        """Current simulation time."""
        return self._clock.now

    def begin(self, course: Course) -> None:
        """Start a process: a generator that yields instants, or yields from :meth:`send`."""
        Life(self._clock, course)

    def send(self, owner: int, source: str, target: str, size_bytes: float) -> Course:
        """Send a message over its route; raises MessageLost if it is lost."""
        yield from self._transport.message(owner, source, target, size_bytes, -1)

    def send_at(
        self, owner: int, at_s: float, ends: tuple[str, str], size_bytes: float, arrived: Callable[[], None]
    ) -> None:
        """Send a message at the given time, and call `arrived` when it has arrived."""

        def course() -> Course:
            yield at_s
            yield from self.send(owner, *ends, size_bytes)
            arrived()

        self.begin(course())

    def run(self, until_s: float | None = None) -> None:
        """Run until the given time, or until no events remain."""
        self._clock.run(until_s)
