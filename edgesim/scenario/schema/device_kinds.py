"""Schema of device kinds: figures with their sources."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import Field, model_validator

from edgesim.errors import InputError
from edgesim.fields import (
    Bytes,
    BytesPerSecond,
    FlopPerSecond,
    Names,
    PositiveBytes,
    Seconds,
    Watts,
    is_not_given,
    refuse,
)
from edgesim.model.ceilings import Ceilings
from edgesim.model.efficiency.law import Peaks
from edgesim.nearest import suggest
from edgesim.scenario.schema.lateness import LatenessEntry
from edgesim.scenario.schema.runtimes import RuntimeChoice
from edgesim.scenario.schema.service import ServiceChoice
from edgesim.scenario.schema.tcp import TcpEntry
from edgesim.scenario.text.section import Section
from edgesim.scenario.text.shorthand import Shorthand, value_of
from edgesim.world.device import Endpoint, Power

__all__ = [
    "ComputeFigures",
    "DeviceKind",
    "EndpointFigures",
    "Figure",
    "PeakFigures",
    "PowerFigures",
    "PowerMode",
]

Q = TypeVar("Q")
Copies = Annotated[float, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, le=100)]


class Figure(Section, Generic[Q]):
    """A quantity and its source; a plain quantity is short for one without a source."""

    shorthand: ClassVar[Shorthand | None] = value_of("value")

    value: Q
    """The quantity, with its unit."""
    source: str = ""
    """Source of the value: a datasheet, a paper, or how it was derived."""
    estimate: bool = False
    """Whether the value is derived or estimated instead of stated by the source."""


class ComputeFigures(Section):
    """Achievable compute rate by number format: that of a large matrix product, not the peak."""

    float32: Figure[FlopPerSecond] | None = None
    """Rate with 32-bit numbers."""
    float16: Figure[FlopPerSecond] | None = None
    """Rate with IEEE half precision."""
    bfloat16: Figure[FlopPerSecond] | None = None
    """Rate with bfloat16."""


class PowerFigures(Section):
    """Power draw by state; `active`, `tx` and `rx` are added to `idle`."""

    idle_w: Figure[Watts] = Field(alias="idle")
    """Power of the whole device, switched on and idle."""
    active_w: Figure[Watts] = Field(alias="active")
    """Additional power while computing."""
    tx_w: Figure[Watts] = Field(alias="tx")
    """Additional power while sending."""
    rx_w: Figure[Watts] = Field(alias="rx")
    """Additional power while receiving."""
    radio_idle_w: Figure[Watts] | None = Field(default=None, alias="radio_idle")
    """Additional power of a radio that is ready, where `idle` does not include it."""


class EndpointFigures(Section):
    """Cost of a message at a device's own end."""

    overhead_s: Figure[Seconds] = Field(alias="overhead")
    """Fixed cost of one message: serialisation, system calls, copies. It occupies a messaging station
    separate from the processor, or the processor itself (`on_compute`); messages queue for it."""
    latency_s: Figure[Seconds] | None = Field(default=None, alias="latency", exclude_if=is_not_given)
    """Additional delay of a message that occupies nothing: waking up, deferred interrupts. By default none:
    all of the cost is in `overhead`."""
    staging_bytes_per_s: Figure[BytesPerSecond] | None = Field(default=None, alias="staging")
    """Rate of copying a message between network and accelerator memory; by default copies take no time."""
    on_compute: bool = False
    """Whether messages occupy the processor that computes (single-threaded runtimes)."""
    tcp: TcpEntry | None = Field(default=None, exclude_if=is_not_given)
    """TCP delays: small segments and delayed acknowledgements; none by default."""


class PeakFigures(Section):
    """Peak rates from datasheets, of which a `runtime` reaches certain shares."""

    processor: Literal["cpu", "gpu"]
    """Processor on which the model computes: CPU cores or a GPU."""
    bytes_per_s: Figure[BytesPerSecond] = Field(alias="memory_bandwidth")
    """Peak memory bandwidth."""
    vector_flop_per_s: Figure[FlopPerSecond] = Field(alias="vector")
    """Peak rate of float32 multiply-adds on vector units (a GPU's ordinary cores), the rate of touching
    weights."""
    matrix_flop_per_s: Figure[FlopPerSecond] = Field(alias="matrix")
    """Peak rate of dense half-precision matrix products, the rate of prompt processing (prefill)."""
    eager_call_s: Figure[Seconds] = Field(alias="eager_call")
    """Time that an interpreter takes to dispatch and launch one block (eager PyTorch)."""


class PowerMode(Section):
    """Another power mode of a device, relative to its `peaks`."""

    memory: Positive = 1.0
    """Factor on the peak memory bandwidth."""
    compute: Positive = 1.0
    """Factor on the vector and matrix peaks: the ratio of the clocks."""
    host: Positive = 1.0
    """Factor on the speed of the host's processor, which dispatches calls."""
    active_w: Watts | None = Field(default=None, alias="active")
    """Additional power while computing; by default the kind's."""
    source: str = ""
    """Source of the figures."""


class DeviceKind(Section):
    """A kind of device: memory, compute ceilings, power, and message costs.

    A kind without ``memory_bandwidth``, ``compute`` and ``overhead_per_call`` computes exactly like the
    machine on which the profile was measured; that is its own profile if ``profile`` names one.

    Not modelled: clock governors, memory shared with a display. Throttling is modelled by a device's `speed`.
    """

    description: str = ""
    """One-line description."""
    memory_bytes: Figure[PositiveBytes] = Field(alias="memory")
    """Memory shared by weights, KV caches and processes."""
    process_bytes: Figure[Bytes] = Field(alias="process_memory")
    """Memory occupied by operating system and runtime before any weight is loaded."""
    load_copies: Figure[Copies] | None = None
    """Copies of its weights in the device's memory at the peak of loading them; 1 by default. A loader that
    reads a checkpoint and then fills the model from it keeps two where CPU and GPU share one memory."""
    bytes_per_s: Figure[BytesPerSecond] | None = Field(default=None, alias="memory_bandwidth")
    """Achievable memory bandwidth when streaming weights."""
    compute: ComputeFigures | None = None
    """Achievable compute rates."""
    overhead_s: Figure[Seconds] | None = Field(default=None, alias="overhead_per_call")
    """Fixed cost of calling one component of the model: dispatch and kernel launches."""
    peaks: PeakFigures | None = Field(default=None, exclude_if=is_not_given)
    """Peak rates from datasheets, for devices with a `runtime`."""
    power_modes: dict[str, PowerMode] = Field(default_factory=dict, exclude_if=is_not_given)
    """Power modes other than that of `peaks`, by name."""
    power_mode: str | None = Field(default=None, exclude_if=is_not_given)
    """Active power mode, one of `power_modes`; by default that of `peaks`."""
    runtime: RuntimeChoice | None = Field(default=None, exclude_if=is_not_given)
    """Inference engine of the device (`edgesim list runtimes`). Times are then computed from the engine's
    shares of `peaks`, instead of from `memory_bandwidth`, `compute` and `overhead_per_call` or a profile."""
    start_up_s: Figure[Seconds] | None = Field(default=None, alias="start_up", exclude_if=is_not_given)
    """Additional time of the first pass in a replication: starting CUDA, compiling kernels, allocating
    full-length caches. None by default."""
    profile: Names = ()
    """Profiles measured on such a device: files, or names of shipped ones. The times of the profile of the
    scenario's model are used as measured."""
    service: ServiceChoice | None = None
    """Law of the service times of its passes, whose means come from the profile or the ceilings; constant by
    default."""
    lateness: LatenessEntry | None = Field(default=None, exclude_if=is_not_given)
    """Lateness at a sum over a group, in addition to the computing time; none by default."""
    power: PowerFigures
    """Power draw by state."""
    endpoint: EndpointFigures
    """Message costs at the device's own end."""

    @model_validator(mode="after")
    def _ceilings_together(self) -> DeviceKind:
        n_given = sum(part is not None for part in (self.bytes_per_s, self.compute, self.overhead_s))
        if n_given not in (0, 3):
            refuse("memory_bandwidth, compute and overhead_per_call belong together; give all three or none")
        return self

    def mode(self, board: str) -> PowerMode:
        """Return the active power mode.

        Raises
        ------
        InputError
            If the kind has no such mode.
        """
        if self.power_mode is None:
            return PowerMode()
        if self.power_mode not in self.power_modes:
            known = suggest(self.power_mode, self.power_modes) if self.power_modes else "it has none"
            raise InputError(f"device kind '{board}' has no power mode '{self.power_mode}'; {known}")
        return self.power_modes[self.power_mode]

    def peak_values(self, board: str) -> Peaks:
        """Return the peaks in the active power mode, as input of the runtime law.

        Raises
        ------
        InputError
            If the kind has no peaks or no such mode.
        """
        if self.peaks is None:
            raise InputError(f"device kind '{board}' has no 'peaks', which a device with a 'runtime' needs")
        at = self.mode(board)
        return Peaks(
            board=board,
            is_cpu=self.peaks.processor == "cpu",
            bytes_per_s=self.peaks.bytes_per_s.value * at.memory,
            vector_flop_per_s=self.peaks.vector_flop_per_s.value * at.compute,
            matrix_flop_per_s=self.peaks.matrix_flop_per_s.value * at.compute,
            eager_call_s=self.peaks.eager_call_s.value / at.host,
        )

    @property
    def is_profiled_host(self) -> bool:
        """Whether the device computes exactly like the machine on which the profile was measured."""
        return self.compute is None

    def ceilings(self, dtype: str) -> Ceilings | None:
        """Return the compute and memory ceilings for a number format.

        None for the profiled host itself, and for a format without a figure.
        """
        rate: Figure[float] | None = getattr(self.compute, dtype, None)
        if rate is None or self.bytes_per_s is None or self.overhead_s is None:
            return None
        return Ceilings(
            flop_per_s=rate.value, bytes_per_s=self.bytes_per_s.value, overhead_s=self.overhead_s.value
        )

    def power_values(self) -> Power:
        """Return the power draw for the engine."""
        power = self.power
        return Power(
            idle_w=power.idle_w.value,
            active_w=power.active_w.value,
            tx_w=power.tx_w.value,
            rx_w=power.rx_w.value,
            radio_idle_w=0.0 if power.radio_idle_w is None else power.radio_idle_w.value,
        )

    def endpoint_values(self) -> Endpoint:
        """Return the message costs for the engine."""
        staging, latency_s = self.endpoint.staging_bytes_per_s, self.endpoint.latency_s
        return Endpoint(
            overhead_s=self.endpoint.overhead_s.value,
            staging_bytes_per_s=math.inf if staging is None else staging.value,
            on_compute=self.endpoint.on_compute,
            latency_s=0.0 if latency_s is None else latency_s.value,
            tcp=None if self.endpoint.tcp is None else self.endpoint.tcp.value(),
        )
