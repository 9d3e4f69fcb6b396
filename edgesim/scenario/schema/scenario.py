"""Schema of a scenario file: the root section and its smaller parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, cast

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from edgesim.fields import Names, PositiveSeconds, Seconds, refuse
from edgesim.model.weights import WEIGHT_FORMATS
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.faults import FaultEntry, RetryEntry
from edgesim.scenario.schema.quality import QualityEntry
from edgesim.scenario.schema.topology import Count, Name, Topology
from edgesim.scenario.schema.workload import WorkloadEntry
from edgesim.scenario.text.problems import Path, path_text
from edgesim.scenario.text.section import Section
from edgesim.scenario.text.shorthand import Shorthand, value_of
from edgesim.units import LONGEST_RUN_S
from edgesim.world.objectives import Objectives

Value = TypeVar("Value")

__all__ = [
    "MemoryEntry",
    "ModelEntry",
    "ObjectivesEntry",
    "Origin",
    "ProfileEntry",
    "Scenario",
    "StrategyEntry",
]

MOST_REPLICATIONS = 100_000
"""Most replications of a scenario; intervals narrow with the square root of their number."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Source of a scenario; relative paths in it start at ``folder``.

    Attributes
    ----------
    text
        The whole scenario as YAML, with overrides and included files merged in.
    included
        Names of included files, relative to the scenario's folder, each with the SHA-256 of its contents.
    """

    name: str = "scenario"
    text: str = ""
    folder: FilePath = field(default_factory=FilePath)
    included: tuple[tuple[str, str], ...] = ()


class ModelEntry(Section):
    """The model that is served."""

    architecture: str
    """Model of the catalogue (`edgesim list models`), or path of a local Hugging Face folder or config
    file."""
    dtype: Literal["float32", "float16", "bfloat16"] = "bfloat16"
    """Number format of weights, activations and KV cache."""
    weights: Literal["q40", "q80", "int8", "int4"] | None = None
    """Quantised weights: blocks of 32 weights of 4 or 8 bits with a 16-bit scale (`q40`, `q80`), 8 bits with
    a scale per row (`int8`), or 4 bits in groups of 128 with scale and zero point (`int4`). Activations and
    cache keep `dtype`. Times are then scaled or analytic, never measured. Overrides the quantisation in the
    model's own config."""
    bytes_per_weight: Annotated[float, Field(gt=0, le=4)] | None = None
    """Size of one weight for other quantised formats, its share of the scales included."""
    kv_cache: bool = Field(default=True, exclude_if=bool)
    """Whether keys and values are kept from step to step. Without a KV cache, every step computes prompt and
    answer so far from scratch, stages transfer the hidden states of all these tokens, and no memory is
    reserved."""

    @model_validator(mode="after")
    def _one_size(self) -> ModelEntry:
        if self.weights is not None and self.bytes_per_weight is not None:
            refuse("'weights' and 'bytes_per_weight' both give the size of a weight; give one of them")
        return self

    @property
    def stored_bytes(self) -> float | None:
        """Bytes of one weight if weights are quantised; None if they are in the number format `dtype`."""
        return self.bytes_per_weight if self.weights is None else WEIGHT_FORMATS[self.weights]


class ProfileEntry(Section):
    """Source of compute times; a word or a path alone is short for ``{use: ...}``."""

    shorthand: ClassVar[Shorthand | None] = value_of(
        "use", str, schema={"type": "string", "examples": ["auto", "reference", "analytic"]}
    )

    use: str = "auto"
    """`auto` measures this machine once and keeps the profile; `reference` uses a profile shipped with
    edgesim; `analytic` uses each kind's roofline; anything else is the path of a saved profile, or the name
    of a shipped one (`edgesim list profiles`)."""
    threads: Count | None = None
    """Number of threads to measure with; by default one per core."""
    budget_s: PositiveSeconds | None = Field(default=None, alias="budget")
    """Time budget of measuring whole blocks and shards, the host's ceilings and warm-up; 60 s by default.
    Loading libraries and building modules is not included."""

    @property
    def is_named(self) -> bool:
        """Whether `use` is the path of a saved profile, or the name of a shipped one."""
        return self.use not in ("auto", "analytic", "reference")

    @model_validator(mode="after")
    def _measuring_options_when_measuring(self) -> ProfileEntry:
        if self.use != "auto" and (self.threads is not None or self.budget_s is not None):
            refuse(
                f"'threads' and 'budget' are options of measuring, but 'use: {self.use}' measures nothing; "
                "leave them out"
            )
        return self


class MemoryEntry(Section):
    """Admission of requests whose KV cache does not fit into a device's memory."""

    admission: Literal["queue", "reject"] = "queue"
    """`queue`: the request waits for memory; `reject`: it fails at once."""
    queue_limit: Count | None = None
    """Most requests that can wait for memory of one device; further ones fail."""
    patience_s: PositiveSeconds | None = Field(default=None, alias="patience")
    """Longest time that a request waits for memory before it fails."""


class ObjectivesEntry(Section):
    """Latency objectives; a request must meet all of them to count as goodput."""

    ttft_s: PositiveSeconds | None = Field(default=None, alias="ttft")
    """Time to the first token."""
    tpot_s: PositiveSeconds | None = Field(default=None, alias="tpot")
    """Mean time per token after the first."""
    e2e_s: PositiveSeconds | None = Field(default=None, alias="e2e")
    """Time to the last token."""

    def values(self) -> Objectives:
        """Return the objectives for the engine."""
        return Objectives(ttft_s=self.ttft_s, tpot_s=self.tpot_s, e2e_s=self.e2e_s)


class StrategyEntry(Section):
    """One strategy to compare; its options are written beside these keys."""

    model_config = ConfigDict(extra="allow")

    use: str
    """Name of an installed strategy (`edgesim list strategies`)."""
    label: str | None = None
    """Name in tables and trace folders; by default the strategy's name, with the options that distinguish it
    from others."""

    @property
    def options(self) -> dict[str, Any]:
        """The strategy's own options."""
        return dict(self.__pydantic_extra__ or {})


class _Cache:
    """Cache of values derived from a scenario, keyed by the function that made them.

    It is no part of the scenario's value: all instances compare equal, and copies and pickles start empty.
    """

    def __init__(self) -> None:
        self.values: dict[object, object] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Cache)

    def __hash__(self) -> int:
        return 0

    def __reduce__(self) -> tuple[type[_Cache], tuple[()]]:
        return _Cache, ()


class Scenario(Section):
    """A simulation study: a model, devices, requests, and the strategies to compare.

    Not modelled: more than one model at a time.
    """

    name: Name
    """Short name, also of the results' default folder."""
    description: str = ""
    """Question of the study, in a sentence."""
    include: Names = Field(default=(), exclude=True)
    """Files with further device kinds, devices, switches and links; paths are relative to this file's
    folder."""
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    """Seed of all random numbers."""
    replications: Annotated[int, Field(strict=True, ge=1, le=MOST_REPLICATIONS)] = 1
    """Number of independent replications, from which confidence intervals are computed."""
    horizon_s: PositiveSeconds | None = Field(default=None, alias="horizon")
    """End of the period in which arriving requests count; without it, all of `workload.requests`, or of a
    trace, count."""
    cooldown_s: Seconds | None = Field(default=None, alias="cooldown")
    """Longest time after the horizon to complete the requests that count; arrivals continue, but do not
    count. A replication ends as soon as these requests are complete; those in flight at this limit are cut
    off. By default as long as the horizon; 0 s cuts off at the horizon."""
    warmup_s: Seconds = Field(default=0.0, alias="warmup")
    """Warm-up period: requests that arrive before this instant are simulated, but left out of the
    statistics."""
    model: ModelEntry
    """The model that is served."""
    profile: ProfileEntry = ProfileEntry()
    """Source of compute times for devices without a profile of their own."""
    profiles: Names = ("profiles",)
    """Profiles measured on devices (`edgesim profile MODEL --kind KIND -o FILE`): files, and folders of
    files. For the devices of its kind, a profile of the scenario's model takes precedence over scaling. By
    default the folder `profiles` beside the scenario, if it exists."""
    quality: QualityEntry | None = None
    """Measured answers that give the effect of noise, losses and early exits on answer quality; by default
    answer quality is not evaluated."""
    topology: Topology
    """Devices and links."""
    kinds: dict[Name, DeviceKind] = Field(default_factory=dict)
    """Device kinds of this scenario; they take precedence over the catalogue's."""
    workload: WorkloadEntry
    """Arrivals, lengths and sources of requests."""
    objectives: ObjectivesEntry = ObjectivesEntry()
    """Latency objectives that define goodput."""
    memory: MemoryEntry = MemoryEntry()
    """Admission of requests when memory is short."""
    faults: tuple[FaultEntry, ...] = ()
    """Failures of devices and links."""
    retry: RetryEntry | None = None
    """Retries of requests whose work was lost in a failure; by default they fail."""
    strategies: tuple[StrategyEntry, ...]
    """Strategies to compare; differences are computed relative to the first."""

    _origin: Origin = PrivateAttr(default_factory=Origin)
    _made: _Cache = PrivateAttr(default_factory=_Cache)

    def once(self, make: Callable[[Self], Value]) -> Value:
        """Return ``make(self)``, computed at the first call and cached."""
        known = self._made.values
        if make not in known:
            known[make] = make(self)
        return cast("Value", known[make])

    def place(self, path: Path) -> str:
        """Return a value's position in its file, for messages: ``street.yaml:12:7: $.topology.links[0]``."""
        find = cast("Callable[[Path], str] | None", self._made.values.get("place"))
        return f"{self.origin.name}: {path_text(path)}" if find is None else find(path)

    def placed_by(self, find: Callable[[Path], str]) -> None:
        """Set the function with which :meth:`place` finds positions in the file."""
        self._made.values["place"] = find

    def __copy__(self) -> Self:
        """Copy the scenario without its cached values, since the copy may be changed."""
        copied = super().__copy__()
        copied._made = _Cache()
        return copied

    def model_post_init(self, context: object) -> None:
        """Store the source of this scenario, given as validation context."""
        if isinstance(context, Origin):
            self._origin = context

    @property
    def origin(self) -> Origin:
        """The source of this scenario."""
        return self._origin

    @property
    def longest_cooldown_s(self) -> float:
        """Longest time that a replication continues after the horizon [s]; 0 without a horizon."""
        return (self.horizon_s or 0.0) if self.cooldown_s is None else self.cooldown_s

    @property
    def limit_s(self) -> float | None:
        """Latest end of a replication [s]; None without a horizon."""
        return None if self.horizon_s is None else self.horizon_s + self.longest_cooldown_s

    @property
    def digest(self) -> str:
        """SHA-256 of all values, independent of the order of keys, the spelling of units and comments."""
        values = self.model_dump(mode="json", by_alias=True)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @model_validator(mode="after")
    def _included_already(self) -> Scenario:
        if self.include:
            refuse(
                "'include' is resolved only when a scenario's file or text is read; load it, or write "
                "everything into one file"
            )
        return self

    @model_validator(mode="after")
    def _ends(self) -> Scenario:
        if self.horizon_s is None and not self.workload.is_finite:
            refuse("a replication would never end; give 'horizon', such as '10 min', or 'workload.requests'")
        for name, end_s in (("horizon", self.horizon_s), ("cooldown", self.cooldown_s)):
            if end_s is not None and end_s > LONGEST_RUN_S:
                refuse(f"'{name}' is {end_s:g} s; expected at most {LONGEST_RUN_S:g} s (about three years)")
        if self.horizon_s is None and self.cooldown_s is not None:
            refuse(
                "'cooldown' without 'horizon': all requests are simulated to their end anyway; leave it out"
            )
        if self.horizon_s is not None and self.warmup_s >= self.horizon_s:
            refuse(
                f"'warmup' is {self.warmup_s:g} s; expected less than 'horizon', {self.horizon_s:g} s: "
                "no request would count"
            )
        return self
