"""A device, as a value: its memory, power, how long the model takes on it, and what a message costs there."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edgesim.errors import InputError
from edgesim.model.lateness.laws import Lateness
from edgesim.model.profile import Timing
from edgesim.steps import Steps
from edgesim.world.battery import Battery
from edgesim.world.discipline import ServingDiscipline
from edgesim.world.service import ServiceLaw
from edgesim.world.tcp import Tcp

__all__ = ["Device", "Endpoint", "Power"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Power draw of a device by state; what is active comes on top of what idles.

    Not modelled: dynamic voltage and frequency scaling, thermal throttling, radios that sleep.

    Parameters
    ----------
    idle_w
        While it is up.
    active_w
        More while it computes.
    tx_w, rx_w
        More while its radio sends or receives: of one that draws 1.1 W sending and 0.8 W idle, 0.3 W.
    radio_idle_w
        More while it is up, for its radio to be ready.
    """

    idle_w: float = 0.0
    active_w: float = 0.0
    tx_w: float = 0.0
    rx_w: float = 0.0
    radio_idle_w: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What a message costs at either end, before it leaves and after it has arrived.

    What one message occupies an end for is ``overhead_s + size_bytes / staging_bytes_per_s``: serialisation,
    system calls, copies between accelerator and host memory. Measured edge deployments show this fixed
    cost, not bytes over bandwidth, to dominate small messages. Then it is delayed by `latency_s`, during
    which the end can handle other messages: a thread that has to wake up, an interrupt that is held back.

    Parameters
    ----------
    overhead_s
        Fixed cost of one message at this device [s].
    staging_bytes_per_s
        Rate of the copies [byte/s].
    latency_s
        What only delays a message at this device and occupies nothing [s].
    on_compute
        Whether messages occupy the compute station (a single-threaded runtime), or a messaging
        station of their own beside it.
    tcp
        How its TCP holds back small segments and acknowledgements; None: it does not.
    """

    overhead_s: float = 0.0
    staging_bytes_per_s: float = math.inf
    on_compute: bool = False
    latency_s: float = 0.0
    tcp: Tcp | None = None

    def seconds(self, size_bytes: float) -> float:
        """Time for which one message of this size occupies this end."""
        return self.overhead_s + size_bytes / self.staging_bytes_per_s

    def passing_s(self, size_bytes: float) -> float:
        """Time after which one message of this size is through this end, where no other is before it."""
        return self.seconds(size_bytes) + self.latency_s

    @property
    def is_free(self) -> bool:
        """Whether messages cost nothing here."""
        return self.overhead_s == self.latency_s == 0.0 and math.isinf(self.staging_bytes_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A node of the topology: a computer, or a switch when it has no timing.

    Parameters
    ----------
    id, group, kind
        Its name, the name of the topology entry that made it, and the catalogue's name of its kind.
    memory_bytes
        Memory for weights, KV caches and the process itself.
    process_bytes
        What the serving process takes before any weight is loaded.
    load_copies
        Copies of its weights that the device holds at the peak of loading them.
    start_up_s
        What its first pass in a run takes besides: starting an accelerator, compiling kernels, making caches
        at their full length.
    timing
        How long the scenario's model takes here; None for a switch, which only forwards.
    serving
        How it serves several requests at once; None: first come, first served, without limits.
    service
        How the times of its passes vary about the timing's, which are then their means; None: not at all.
    lateness
        How much later than its computing takes it is ready for a sum over a group; None: never.
    speed
        By which the times of passes are divided that begin at an instant; None: always 1. Messages cost their
        ends the same at any speed.
    place_m
        Coordinates in the plane [m], where the scenario gives them.
    battery
        On what it runs; None: on the mains.
    forwards
        Whether messages between others may go through it, as through a switch.
    """

    id: str
    group: str
    kind: str
    memory_bytes: int
    process_bytes: int = 0
    load_copies: float = 1.0
    start_up_s: float = 0.0
    timing: Timing | None
    power: Power = field(default_factory=Power)
    endpoint: Endpoint = field(default_factory=Endpoint)
    serving: ServingDiscipline | None = None
    service: ServiceLaw | None = None
    lateness: Lateness | None = None
    speed: Steps | None = None
    place_m: tuple[float, float] | None = None
    battery: Battery | None = None
    forwards: bool = True

    def __post_init__(self) -> None:
        is_in_turn = self.serving is None or self.serving.is_in_turn
        is_in_batches = self.serving is not None and self.serving.is_in_batches
        if not is_in_turn and self.endpoint.on_compute:
            raise InputError(
                f"device {self.id!r}: messages on the compute station (on_compute) go with first come, "
                "first served only; set on_compute to false, or leave out 'serving'"
            )
        if self.service is not None and is_in_batches:
            raise InputError(
                f"device {self.id!r}: service times are drawn pass by pass ({self.service}), and batches "
                "serve several in one; leave out 'service', or serve with 'fifo' or 'processor-sharing'"
            )
        if self.speed is not None and is_in_batches:
            raise InputError(
                f"device {self.id!r}: a 'speed' holds for passes from their beginning on, and a batch serves "
                "several in one; leave out 'speed', or serve with 'fifo' or 'processor-sharing'"
            )
        if self.speed is not None and min(self.speed.values) <= 0:
            raise InputError(f"device {self.id!r}: 'speed' is {self.speed}; expected factors above 0")

    def speed_at(self, instant_s: float) -> float:
        """By what the times of passes are divided that begin at an instant."""
        return 1.0 if self.speed is None else self.speed(instant_s)

    @property
    def endpoint_power_w(self) -> float:
        """Power drawn above idle while a message is handled: the processor's, where that does it."""
        return self.power.active_w if self.endpoint.on_compute else 0.0

    @property
    def origin(self) -> str:
        """Where this device's compute times come from: measured, scaled, analytic; empty for a switch."""
        return "" if self.timing is None else self.timing.origin
