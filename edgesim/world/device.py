"""Device parameters: memory, power, compute times, and the cost of messages at its ends."""

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
    """Power draw of a device by state; active power is in addition to idle power.

    Not modelled: dynamic voltage and frequency scaling, thermal throttling, sleep modes of radios.

    Parameters
    ----------
    idle_w
        Power while the device is up.
    active_w
        Additional power while it computes.
    tx_w, rx_w
        Additional power while its radio sends or receives; for a radio with 1.1 W when sending and 0.8 W when
        idle, 0.3 W.
    radio_idle_w
        Additional power of the ready radio while the device is up.
    """

    idle_w: float = 0.0
    active_w: float = 0.0
    tx_w: float = 0.0
    rx_w: float = 0.0
    radio_idle_w: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Processing time of a message at a device, before sending and after arrival.

    A message occupies the endpoint for ``overhead_s + size_bytes / staging_bytes_per_s``: serialisation,
    system calls, copies between accelerator and host memory. In measured edge deployments this fixed cost,
    not bytes over bandwidth, dominates small messages. The message is then delayed by `latency_s`, during
    which the endpoint can handle other messages: waking a thread, interrupt moderation.

    Parameters
    ----------
    overhead_s
        Fixed cost of one message at this device [s].
    staging_bytes_per_s
        Rate of the copies [byte/s].
    latency_s
        Delay of a message at this device that occupies no station [s].
    on_compute
        Whether messages occupy the compute station (a single-threaded runtime) instead of a separate
        messaging station.
    tcp
        Delays of small segments and acknowledgements by TCP; None: no such delays.
    """

    overhead_s: float = 0.0
    staging_bytes_per_s: float = math.inf
    on_compute: bool = False
    latency_s: float = 0.0
    tcp: Tcp | None = None

    def seconds(self, size_bytes: float) -> float:
        """Time for which one message of this size occupies the endpoint [s]."""
        return self.overhead_s + size_bytes / self.staging_bytes_per_s

    def passing_s(self, size_bytes: float) -> float:
        """Time of one message of this size at the endpoint, including latency, without queueing [s]."""
        return self.seconds(size_bytes) + self.latency_s

    @property
    def is_free(self) -> bool:
        """Whether messages take no time at this endpoint."""
        return self.overhead_s == self.latency_s == 0.0 and math.isinf(self.staging_bytes_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A node of the topology: a computer, or a switch if it has no timing.

    Parameters
    ----------
    id, group, kind
        Name of the device, name of its topology entry, and catalogue name of its kind.
    memory_bytes
        Memory for weights, KV caches and the process itself.
    process_bytes
        Memory of the serving process without weights.
    load_copies
        Number of copies of the weights in memory at the peak of loading.
    start_up_s
        Additional time of the first pass in a run: starting an accelerator, compiling kernels, allocating
        caches at their full length.
    timing
        Compute times of the scenario's model; None for a switch, which only forwards.
    serving
        Serving discipline; None: first come, first served, without limits.
    service
        Distribution of pass times about those of `timing`, which are then means; None: constant times.
    lateness
        Distribution of the delay, beyond its computing time, at a sum over a group; None: no delay.
    speed
        Factor over time by which the times of passes are divided, evaluated when a pass begins; None: always
        1. Does not affect the cost of messages.
    place_m
        Coordinates in the plane [m], if given in the scenario.
    battery
        Battery of the device; None: mains power.
    forwards
        Whether the device forwards messages between others, like a switch.
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
                f"device {self.id!r}: messages on the compute station (on_compute) require first come, "
                "first served; set on_compute to false, or omit 'serving'"
            )
        if self.service is not None and is_in_batches:
            raise InputError(
                f"device {self.id!r}: service times are drawn per pass ({self.service}), but a batch serves "
                "several requests in one pass; omit 'service', or use 'fifo' or 'processor-sharing'"
            )
        if self.speed is not None and is_in_batches:
            raise InputError(
                f"device {self.id!r}: 'speed' applies to passes from their beginning, but a batch serves "
                "several requests in one pass; omit 'speed', or use 'fifo' or 'processor-sharing'"
            )
        if self.speed is not None and min(self.speed.values) <= 0:
            raise InputError(f"device {self.id!r}: 'speed' is {self.speed}; expected factors above 0")

    def speed_at(self, instant_s: float) -> float:
        """Factor by which the times of passes that begin at `instant_s` are divided."""
        return 1.0 if self.speed is None else self.speed(instant_s)

    @property
    def endpoint_power_w(self) -> float:
        """Power above idle while a message is handled: active power on the compute station, else 0 [W]."""
        return self.power.active_w if self.endpoint.on_compute else 0.0

    @property
    def origin(self) -> str:
        """Origin of the device's compute times: measured, scaled or analytic; empty for a switch."""
        return "" if self.timing is None else self.timing.origin
