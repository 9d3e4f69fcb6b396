"""The world of one replication, as values: what every strategy meets in exactly the same way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgesim.engine.battery import Battery
from edgesim.engine.faults import Faults, Retry
from edgesim.engine.medium import Medium, RadioChannel
from edgesim.engine.roaming import Roaming
from edgesim.engine.service import ServiceLaw
from edgesim.engine.serving import ContinuousBatching, FirstComeFirstServed, Serving, StaticBatching
from edgesim.errors import InputError
from edgesim.model.architecture import Architecture
from edgesim.model.exit_records import ExitRecords
from edgesim.model.profile import Timing
from edgesim.model.propagated_paths import PropagatedPaths
from edgesim.model.quality import QualityTable
from edgesim.radio.collective import CollectiveBand, band_of
from edgesim.radio.recorded import RecordedRate
from edgesim.rng import Streams
from edgesim.steps import Steps
from edgesim.workload.conversation import Conversation
from edgesim.workload.requests import Demand, Request

__all__ = ["Device", "Endpoint", "Link", "Objectives", "Power", "RateAt", "Way", "World"]

RateAt = Callable[[float], float]
"""A link's rate [bit/s] as a pure function of the instant [s] at which a transmission starts."""


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

    The cost of one message is ``overhead_s + size_bytes / staging_bytes_per_s``: serialisation, system
    calls, copies between accelerator and host memory. Measured edge deployments show this fixed
    cost, not bytes over bandwidth, to dominate small messages.

    Parameters
    ----------
    overhead_s
        Fixed cost of one message at this device [s].
    staging_bytes_per_s
        Rate of the copies [byte/s].
    on_compute
        Whether messages occupy the compute station (a single-threaded runtime), or a messaging
        station of their own beside it.
    """

    overhead_s: float = 0.0
    staging_bytes_per_s: float = math.inf
    on_compute: bool = False

    def seconds(self, size_bytes: float) -> float:
        """Time that one message of this size takes at this end."""
        return self.overhead_s + size_bytes / self.staging_bytes_per_s

    @property
    def is_free(self) -> bool:
        """Whether messages cost nothing here."""
        return self.overhead_s == 0.0 and math.isinf(self.staging_bytes_per_s)


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
    timing
        How long the scenario's model takes here; None for a switch, which only forwards.
    serving
        How it serves several requests at once; None: first come, first served, without limits.
    service
        How the times of its passes vary about the timing's, which are then their means; None: not at all.
    speed
        By which the times of passes are divided that begin at an instant; None: always 1. Messages cost their
        ends the same at any speed.
    place_m
        Coordinates in the plane [m], where the scenario gives them.
    battery
        On what it runs; None: on the mains.
    """

    id: str
    group: str
    kind: str
    memory_bytes: int
    process_bytes: int = 0
    load_copies: float = 1.0
    timing: Timing | None
    power: Power = field(default_factory=Power)
    endpoint: Endpoint = field(default_factory=Endpoint)
    serving: Serving | None = None
    service: ServiceLaw | None = None
    speed: Steps | None = None
    place_m: tuple[float, float] | None = None
    battery: Battery | None = None

    def __post_init__(self) -> None:
        is_fifo = self.serving is None or isinstance(self.serving, FirstComeFirstServed)
        if not is_fifo and self.endpoint.on_compute:
            raise InputError(
                f"device {self.id!r}: messages on the compute station (on_compute) go with first come, "
                "first served only; set on_compute to false, or leave out 'serving'"
            )
        if self.service is not None and isinstance(self.serving, StaticBatching | ContinuousBatching):
            raise InputError(
                f"device {self.id!r}: service times are drawn pass by pass ({self.service}), and batches "
                "serve several in one; leave out 'service', or serve with 'fifo' or 'processor-sharing'"
            )
        if self.speed is not None and isinstance(self.serving, StaticBatching | ContinuousBatching):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One direction of a link.

    Parameters
    ----------
    rate_bps
        Constant rate, the rate at the instant at which a transmission starts, or a recording, over whose
        changes a transmission is followed bit by bit.
    latency_s
        Propagation delay, after the last bit has left.
    """

    rate_bps: float | RateAt | RecordedRate
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A point-to-point link: full duplex, one message at a time each way, first come first served.

    Not modelled: losses, framing overhead, a rate that changes during a transmission (but that of a
    recording).

    Parameters
    ----------
    between
        The two devices' ids.
    rate_bps, latency_s
        Of the way up, from the first device to the second: see :class:`Way`.
    down
        The way from the second device to the first; None: it is as the way up.
    access_s
        Time that a message takes beside its bits and the latency, as planners count on it: preamble, headers
        and acknowledgement of a Wi-Fi link. What a run meets follows from the channel.
    radio
        The channel and the cell of a radio link, whose `rate_bps` is then what planners count on: its mean
        goodput, alone on the air. None: a wire.
    """

    between: tuple[str, str]
    rate_bps: float | RateAt | RecordedRate
    latency_s: float = 0.0
    down: Way | None = None
    access_s: float = 0.0
    radio: RadioChannel | None = None

    def way(self, sender: str) -> Way:
        """The direction in which one of its ends sends."""
        if self.down is not None and sender == self.between[1]:
            return self.down
        return Way(rate_bps=self.rate_bps, latency_s=self.latency_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """Service objectives a request must meet, all of them, to count as goodput; None is not asked."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One replication: devices, links and the workload, the same for every strategy.

    Parameters
    ----------
    horizon_s
        End of the window in which arrivals count. None: the run ends when every request has ended.
    cooldown_s
        How much longer than to the horizon a run may go on, with the same arrivals, to see the end of the
        requests that arrived before it. It ends as soon as it has; those still in flight at its limit are
        censored.
    memory_policy
        What a request meets that finds no room for its KV cache: a queue, or refusal.
    queue_limit
        Requests that may wait for room on one device; one more fails. None: any number.
    patience_s
        How long a request waits for room before it fails; None: for ever.
    prompt_bytes_per_token
        Size of a token id on the wire.
    exits
        Measured answers, token by token and exit by exit, with exits after blocks of this world's model; None
        where nothing was measured.
    tuning_exits
        Such answers on other text, for strategies to tune thresholds on before time zero; None: none.
    quality
        Measured answers under impairments; None where nothing was measured.
    paths
        Measured answers of tokens whose caches are filled by propagated states, rule by rule, with exits
        where `exits` has them; None where nothing was measured.
    faults
        When devices and links are down; None: never.
    retry
        What happens to requests whose work was lost; None: they fail.
    roaming
        Terminals that change cells, by device id: the cell that serves each, over time.
    media
        Cells of the radio links, by name.
    bands
        Bands set aside for sums over groups of terminals, by their station's id.
    """

    model: Architecture
    devices: Mapping[str, Device]
    links: tuple[Link, ...]
    workload: Demand
    seed: int
    replication: int = 0
    horizon_s: float | None = None
    cooldown_s: float = 0.0
    memory_policy: Literal["queue", "reject"] = "queue"
    queue_limit: int | None = None
    patience_s: float | None = None
    prompt_bytes_per_token: int = 4
    exits: ExitRecords | None = None
    tuning_exits: ExitRecords | None = None
    quality: QualityTable | None = None
    paths: PropagatedPaths | None = None
    faults: Faults | None = None
    retry: Retry | None = None
    roaming: Mapping[str, Roaming] = field(default_factory=dict)
    media: Mapping[str, Medium] = field(default_factory=dict)
    bands: Mapping[str, CollectiveBand] = field(default_factory=dict)

    def band(self, group: Iterable[str]) -> CollectiveBand | None:
        """The first band that is set aside for all of a group; None if there is none."""
        return band_of(self.bands.values(), group)

    @property
    def limit_s(self) -> float | None:
        """Instant at which the run ends at the latest; None without a horizon."""
        return None if self.horizon_s is None else self.horizon_s + self.cooldown_s

    @property
    def can_lose(self) -> bool:
        """Whether work or messages may be lost on the way."""
        has_battery = any(device.battery is not None for device in self.devices.values())
        return self.faults is not None or has_battery or bool(self.roaming) or bool(self.media)

    def requests(self) -> Iterator[Request]:
        """Yield the replication's requests in order of arrival; each call draws the same ones.

        Of a closed workload there are none: what it asks is in :meth:`conversations`.
        """
        return self.workload.requests(Streams(self.seed, self.replication))

    def conversations(self) -> Iterator[Conversation]:
        """Yield the conversations of a closed workload in order of their starts; none of an open one."""
        return self.workload.conversations(Streams(self.seed, self.replication))
