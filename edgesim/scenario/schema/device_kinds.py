"""What a kind of device can do, every figure with its source."""

from __future__ import annotations

import math
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

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
    """A number and where it comes from; the plain number is short for one without a source."""

    value: Q
    """The quantity, with its unit."""
    source: str = ""
    """A datasheet, a paper, or how the figure was derived."""
    estimate: bool = False
    """Whether it is derived or estimated and not stated by the source."""

    @model_validator(mode="before")
    @classmethod
    def _from_plain(cls, data: object) -> object:
        return data if isinstance(data, dict | cls) else {"value": data}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the plain number, too."""
        mapping = handler(core_schema)
        plain: dict[str, Any] = handler.resolve_ref_schema(mapping)["properties"]["value"]
        return {"anyOf": [plain, mapping]}


class ComputeFigures(Section):
    """Achievable compute rate by number format: what a large matrix product reaches, not the peak."""

    float32: Figure[FlopPerSecond] | None = None
    """With 32-bit numbers."""
    float16: Figure[FlopPerSecond] | None = None
    """With IEEE half precision."""
    bfloat16: Figure[FlopPerSecond] | None = None
    """With bfloat16."""


class PowerFigures(Section):
    """Power draw by state; active, tx and rx come on top of idle."""

    idle_w: Figure[Watts] = Field(alias="idle")
    """The whole device, switched on and waiting."""
    active_w: Figure[Watts] = Field(alias="active")
    """What computing adds."""
    tx_w: Figure[Watts] = Field(alias="tx")
    """What sending adds."""
    rx_w: Figure[Watts] = Field(alias="rx")
    """What receiving adds."""
    radio_idle_w: Figure[Watts] | None = Field(default=None, alias="radio_idle")
    """What a radio adds that is ready, where `idle` does not have it in."""


class EndpointFigures(Section):
    """What a message costs a device at its own end."""

    overhead_s: Figure[Seconds] = Field(alias="overhead")
    """Fixed cost of one message: serialisation, system calls, copies. It occupies a messaging station beside
    the processor, or the processor (`on_compute`): messages wait for one another."""
    latency_s: Figure[Seconds] | None = Field(default=None, alias="latency", exclude_if=is_not_given)
    """What only delays a message besides, and occupies nothing: waking up, interrupts held back. None if not
    given: then all of the cost is in `overhead`."""
    staging_bytes_per_s: Figure[BytesPerSecond] | None = Field(default=None, alias="staging")
    """Rate of copying a message between network and accelerator memory; without one, copies cost nothing."""
    on_compute: bool = False
    """Whether messages occupy the processor that computes (single-threaded runtimes)."""
    tcp: TcpEntry | None = Field(default=None, exclude_if=is_not_given)
    """Small segments and acknowledgements that wait; none do if not given."""


class PeakFigures(Section):
    """What datasheets promise: what a `runtime` reaches its shares of."""

    processor: Literal["cpu", "gpu"]
    """What the model computes on: processor cores, or a GPU."""
    bytes_per_s: Figure[BytesPerSecond] = Field(alias="memory_bandwidth")
    """Of the memory."""
    vector_flop_per_s: Figure[FlopPerSecond] = Field(alias="vector")
    """Of float32 multiply-adds on vector units (a GPU's ordinary cores), at which weights are touched."""
    matrix_flop_per_s: Figure[FlopPerSecond] = Field(alias="matrix")
    """Of dense products of matrices in half precision, at which prompts are read."""
    eager_call_s: Figure[Seconds] = Field(alias="eager_call")
    """What an interpreter takes to dispatch and launch one block (eager PyTorch)."""


class PowerMode(Section):
    """What another power mode of the device changes, relative to its `peaks`."""

    memory: Positive = 1.0
    """Peak of the memory."""
    compute: Positive = 1.0
    """Peaks of vectors and matrices: the ratio of the clocks."""
    host: Positive = 1.0
    """Speed of the host's processor, on which dispatching takes its time."""
    active_w: Watts | None = Field(default=None, alias="active")
    """What computing adds to the power drawn; as the kind's if not given."""
    source: str = ""
    """Where the figures come from."""


class DeviceKind(Section):
    """A kind of device: memory, ceilings of computing, power, and the cost of messages.

    A kind without ``memory_bandwidth``, ``compute`` and ``overhead_per_call`` computes exactly as the machine
    on which the profile was measured: its own, if it names one in ``profile``.

    Not modelled: clock governors, memory shared with a display; throttling is a device's `speed`.
    """

    description: str = ""
    """What it is, in a line."""
    memory_bytes: Figure[PositiveBytes] = Field(alias="memory")
    """Memory that weights, KV caches and processes share."""
    process_bytes: Figure[Bytes] = Field(alias="process_memory")
    """What operating system and runtime occupy of it before any weight is loaded."""
    load_copies: Figure[Copies] | None = None
    """Copies of its weights that the device holds at the peak of loading them; 1 if not given. A loader that
    reads a checkpoint and then fills the model from it holds two where CPU and GPU share one memory."""
    bytes_per_s: Figure[BytesPerSecond] | None = Field(default=None, alias="memory_bandwidth")
    """Achievable rate of streaming weights from memory."""
    compute: ComputeFigures | None = None
    """Achievable compute rates."""
    overhead_s: Figure[Seconds] | None = Field(default=None, alias="overhead_per_call")
    """Fixed cost of calling one component of the model: dispatch and kernel launches."""
    peaks: PeakFigures | None = Field(default=None, exclude_if=is_not_given)
    """Peaks of datasheets, for devices with a `runtime`."""
    power_modes: dict[str, PowerMode] = Field(default_factory=dict, exclude_if=is_not_given)
    """Other modes than the one that `peaks` are of, by name."""
    power_mode: str | None = Field(default=None, exclude_if=is_not_given)
    """The one of `power_modes` that it runs in; the one that `peaks` are of if not given."""
    runtime: RuntimeChoice | None = Field(default=None, exclude_if=is_not_given)
    """The engine that runs on it (`edgesim list runtimes`), by whose shares of `peaks` it is charged,
    instead of by `memory_bandwidth`, `compute` and `overhead_per_call` or a profile."""
    start_up_s: Figure[Seconds] | None = Field(default=None, alias="start_up", exclude_if=is_not_given)
    """What the first pass takes besides: starting CUDA, compiling kernels, making caches at their full
    length. Once in a replication; nothing if not given."""
    profile: Names = ()
    """Profiles measured on such a device, as files or by the names of shipped ones; that of the scenario's
    model is charged as measured."""
    service: ServiceChoice | None = None
    """How the times of its passes vary about what profile or ceilings say, which are then their means; not at
    all if not given."""
    lateness: LatenessEntry | None = Field(default=None, exclude_if=is_not_given)
    """How much later than its computing takes it is ready for a sum over a group; never if not given."""
    power: PowerFigures
    """Power draw by state."""
    endpoint: EndpointFigures
    """Cost of messages."""

    @model_validator(mode="after")
    def _ceilings_together(self) -> DeviceKind:
        n_given = sum(part is not None for part in (self.bytes_per_s, self.compute, self.overhead_s))
        if n_given not in (0, 3):
            refuse(
                "memory_bandwidth, compute and overhead_per_call go together: give all three or none of them"
            )
        return self

    def mode(self, board: str) -> PowerMode:
        """Return what its power mode changes.

        Raises
        ------
        InputError
            If the kind does not know the mode.
        """
        if self.power_mode is None:
            return PowerMode()
        if self.power_mode not in self.power_modes:
            known = suggest(self.power_mode, self.power_modes) if self.power_modes else "it states none"
            raise InputError(f"device kind '{board}' has no power mode '{self.power_mode}'; {known}")
        return self.power_modes[self.power_mode]

    def peak_values(self, board: str) -> Peaks:
        """Return the peaks in its power mode, as the law of runtimes takes them.

        Raises
        ------
        InputError
            If the kind states no peaks, or does not know the mode.
        """
        if self.peaks is None:
            raise InputError(
                f"device kind '{board}' states no 'peaks', of which a 'runtime' reaches its shares"
            )
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
        """Whether it computes exactly as the machine on which the profile was measured."""
        return self.compute is None

    def ceilings(self, dtype: str) -> Ceilings | None:
        """Compute and memory ceilings for a number format.

        None where there are none: for the profiled host itself, and for a format without a figure.
        """
        rate: Figure[float] | None = getattr(self.compute, dtype, None)
        if rate is None or self.bytes_per_s is None or self.overhead_s is None:
            return None
        return Ceilings(
            flop_per_s=rate.value, bytes_per_s=self.bytes_per_s.value, overhead_s=self.overhead_s.value
        )

    def power_values(self) -> Power:
        """Power draw as the engine takes it."""
        power = self.power
        return Power(
            idle_w=power.idle_w.value,
            active_w=power.active_w.value,
            tx_w=power.tx_w.value,
            rx_w=power.rx_w.value,
            radio_idle_w=0.0 if power.radio_idle_w is None else power.radio_idle_w.value,
        )

    def endpoint_values(self) -> Endpoint:
        """Cost of messages as the engine takes it."""
        staging, latency_s = self.endpoint.staging_bytes_per_s, self.endpoint.latency_s
        return Endpoint(
            overhead_s=self.endpoint.overhead_s.value,
            staging_bytes_per_s=math.inf if staging is None else staging.value,
            on_compute=self.endpoint.on_compute,
            latency_s=0.0 if latency_s is None else latency_s.value,
            tcp=None if self.endpoint.tcp is None else self.endpoint.tcp.value(),
        )
