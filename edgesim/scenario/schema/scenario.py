"""What a scenario file may contain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, Self, TypeVar, cast

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, PrivateAttr, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.fields import Names, PositiveSeconds, Seconds, refuse
from edgesim.model.weights import WEIGHT_FORMATS
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.faults import FaultEntry, RetryEntry
from edgesim.scenario.schema.quality import QualityEntry
from edgesim.scenario.schema.topology import Count, Name, Topology
from edgesim.scenario.schema.workload import WorkloadEntry
from edgesim.scenario.text.problems import Path, path_text
from edgesim.scenario.text.section import Section
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
"""Most replications of a scenario: intervals narrow with the root of their number."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a scenario was read from; relative paths in it start at ``folder``.

    Attributes
    ----------
    text
        The whole scenario as YAML: with overrides, and with what it includes.
    included
        Names of included files, from the scenario's folder, each with the SHA-256 of its contents.
    """

    name: str = "scenario"
    text: str = ""
    folder: FilePath = field(default_factory=FilePath)
    included: tuple[tuple[str, str], ...] = ()


class ModelEntry(Section):
    """The model that is served."""

    architecture: str
    """A model of the catalogue (`edgesim list models`), or the path of a local Hugging Face folder or config
    file."""
    dtype: Literal["float32", "float16", "bfloat16"] = "bfloat16"
    """Number format of weights, activations and cache."""
    weights: Literal["q40", "q80", "int8", "int4"] | None = None
    """Quantised weights: blocks of 32 weights of 4 or 8 bits with a 16-bit scale (`q40`, `q80`), 8 bits with
    a scale per row (`int8`), or 4 bits in groups of 128 with scale and zero point (`int4`). Activations and
    cache keep `dtype`. Times are then scaled or analytic, never measured. Goes before what the model's own
    config says of its quantisation."""
    bytes_per_weight: Annotated[float, Field(gt=0, le=4)] | None = None
    """Quantised weights of another kind: the size of one, its share of the scales included."""
    kv_cache: bool = Field(default=True, exclude_if=bool)
    """Whether keys and values are kept from step to step. Without, every step computes prompt and answer so
    far anew, stages hand on the hidden states of all of it, and no memory is set aside."""

    @model_validator(mode="after")
    def _one_size(self) -> ModelEntry:
        if self.weights is not None and self.bytes_per_weight is not None:
            refuse("'weights' names a format, and 'bytes_per_weight' says the size itself; give one of them")
        return self

    @property
    def stored_bytes(self) -> float | None:
        """Bytes of one weight where weights are quantised; None where they are in the number format."""
        return self.bytes_per_weight if self.weights is None else WEIGHT_FORMATS[self.weights]


class ProfileEntry(Section):
    """Where compute times come from; a word or a path alone is short for ``{use: ...}``."""

    use: str = "auto"
    """`auto` measures this machine once and keeps the profile; `reference` takes a profile that comes with
    edgesim; `analytic` charges each kind's roofline; anything else is the path of a saved profile, or the
    name of a shipped one (`edgesim list profiles`)."""
    threads: Count | None = None
    """Threads to measure with; by default one per core."""
    budget_s: PositiveSeconds | None = Field(default=None, alias="budget")
    """How long measuring may take, of whole blocks and shards, warming up and the host's ceilings together;
    60 s by default. Loading libraries and building modules comes on top."""

    @property
    def is_named(self) -> bool:
        """Whether `use` is the path of a saved profile, or the name of a shipped one."""
        return self.use not in ("auto", "analytic", "reference")

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: object) -> object:
        return {"use": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _measuring_options_when_measuring(self) -> ProfileEntry:
        if self.use != "auto" and (self.threads is not None or self.budget_s is not None):
            refuse(f"'threads' and 'budget' say how to measure, but 'use: {self.use}' measures nothing")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the single word, too."""
        return {
            "anyOf": [{"type": "string", "examples": ["auto", "reference", "analytic"]}, handler(core_schema)]
        }


class MemoryEntry(Section):
    """What happens when a device has no room for a request's KV cache."""

    admission: Literal["queue", "reject"] = "queue"
    """`queue`: the request waits for room; `reject`: it fails at once."""
    queue_limit: Count | None = None
    """Requests that may wait for room on one device; one more fails."""
    patience_s: PositiveSeconds | None = Field(default=None, alias="patience")
    """How long a request waits for room before it fails."""


class ObjectivesEntry(Section):
    """What a request must meet, all of it, to count as goodput."""

    ttft_s: PositiveSeconds | None = Field(default=None, alias="ttft")
    """Time to the first token."""
    tpot_s: PositiveSeconds | None = Field(default=None, alias="tpot")
    """Mean time per token after the first."""
    e2e_s: PositiveSeconds | None = Field(default=None, alias="e2e")
    """Time to the last token."""

    def values(self) -> Objectives:
        """Return the objectives as the engine knows them."""
        return Objectives(ttft_s=self.ttft_s, tpot_s=self.tpot_s, e2e_s=self.e2e_s)


class StrategyEntry(Section):
    """One strategy to compare; its options stand beside these keys."""

    model_config = ConfigDict(extra="allow")

    use: str
    """Name of an installed strategy (`edgesim list strategies`)."""
    label: str | None = None
    """Name in tables and trace folders; by default the strategy's, told apart by the options that differ."""

    @property
    def options(self) -> dict[str, Any]:
        """The strategy's own options."""
        return dict(self.__pydantic_extra__ or {})


class _Made:
    """What was made of a scenario once, by what made it; no part of the scenario's value, so it goes nowhere.

    Equal to any other, for scenarios compare by what they say; left behind by copies and pickles.
    """

    def __init__(self) -> None:
        self.values: dict[object, object] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Made)

    def __hash__(self) -> int:
        return 0

    def __reduce__(self) -> tuple[type[_Made], tuple[()]]:
        return _Made, ()


class Scenario(Section):
    """One question: a model, devices, requests, and the strategies that compete.

    Not modelled: more than one model at a time.
    """

    name: Name
    """Short name; the results' default folder is called after it."""
    description: str = ""
    """What is asked, in a sentence."""
    include: Names = Field(default=(), exclude=True)
    """Files from which device kinds, devices, switches and links are taken, from the folder of this one."""
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    """Seed of all randomness."""
    replications: Annotated[int, Field(strict=True, ge=1, le=MOST_REPLICATIONS)] = 1
    """Independent repetitions, from which confidence intervals come."""
    horizon_s: PositiveSeconds | None = Field(default=None, alias="horizon")
    """Until when requests count; without it, all of `workload.requests`, or of a trace, do."""
    cooldown_s: Seconds | None = Field(default=None, alias="cooldown")
    """How much longer a replication may last to see the end of the requests that count; arrivals go on, and
    do not count. It ends as soon as it has; what is in flight at this limit is cut off. As long as the
    horizon if not given; 0 s cuts off at the horizon."""
    warmup_s: Seconds = Field(default=0.0, alias="warmup")
    """Requests that arrive before this instant are simulated, and left out of the statistics."""
    model: ModelEntry
    """The model that is served."""
    profile: ProfileEntry = ProfileEntry()
    """Where compute times come from, of devices that no profile of their own is known of."""
    profiles: Names = ("profiles",)
    """Profiles measured on devices (`edgesim profile MODEL --kind KIND -o FILE`): files, and folders of them.
    One of the scenario's model wins over scaling for the devices of its kind. By default a folder `profiles`
    beside the scenario, if there is one."""
    quality: QualityEntry | None = None
    """Whose measured answers tell what noise, losses and early exits do to this scenario's; not asked if not
    given."""
    topology: Topology
    """Devices and links."""
    kinds: dict[Name, DeviceKind] = Field(default_factory=dict)
    """Device kinds of this scenario's own; they come before the catalogue's."""
    workload: WorkloadEntry
    """Requests."""
    objectives: ObjectivesEntry = ObjectivesEntry()
    """What counts as goodput."""
    memory: MemoryEntry = MemoryEntry()
    """What happens when memory is short."""
    faults: tuple[FaultEntry, ...] = ()
    """When devices and links are down."""
    retry: RetryEntry | None = None
    """What happens to requests whose work was lost to a failure; they fail if nothing is said."""
    strategies: tuple[StrategyEntry, ...]
    """Strategies to compare; differences are taken to the first."""

    _origin: Origin = PrivateAttr(default_factory=Origin)
    _made: _Made = PrivateAttr(default_factory=_Made)

    def once(self, make: Callable[[Self], Value]) -> Value:
        """Return what a function makes of this scenario; it is made when it is first asked for, and kept."""
        known = self._made.values
        if make not in known:
            known[make] = make(self)
        return cast("Value", known[make])

    def place(self, path: Path) -> str:
        """Where in its file something stands, for messages: ``street.yaml:12:7: $.topology.links[0]``."""
        find = cast("Callable[[Path], str] | None", self._made.values.get("place"))
        return f"{self.origin.name}: {path_text(path)}" if find is None else find(path)

    def placed_by(self, find: Callable[[Path], str]) -> None:
        """Let something that knows the file say where what stands."""
        self._made.values["place"] = find

    def __copy__(self) -> Self:
        """Copy what the scenario says; a copy may be changed, so nothing that was made of it goes along."""
        copied = super().__copy__()
        copied._made = _Made()
        return copied

    def model_post_init(self, context: object) -> None:
        """Remember the file that this scenario came from."""
        if isinstance(context, Origin):
            self._origin = context

    @property
    def origin(self) -> Origin:
        """The file that this scenario came from."""
        return self._origin

    @property
    def longest_cooldown_s(self) -> float:
        """How much longer than to the horizon a replication may last; 0 without a horizon."""
        return (self.horizon_s or 0.0) if self.cooldown_s is None else self.cooldown_s

    @property
    def limit_s(self) -> float | None:
        """Instant at which a replication ends at the latest; None without a horizon."""
        return None if self.horizon_s is None else self.horizon_s + self.longest_cooldown_s

    @property
    def digest(self) -> str:
        """SHA-256 of all values: the same for any order of keys, spelling of units and comments."""
        values = self.model_dump(mode="json", by_alias=True)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @model_validator(mode="after")
    def _included_already(self) -> Scenario:
        if self.include:
            refuse(
                "'include' is resolved where a scenario's file or text is read; load it, or write all in one"
            )
        return self

    @model_validator(mode="after")
    def _ends(self) -> Scenario:
        if self.horizon_s is None and not self.workload.is_finite:
            refuse("this would never end: give 'horizon', such as '10 min', or 'workload.requests'")
        for name, end_s in (("horizon", self.horizon_s), ("cooldown", self.cooldown_s)):
            if end_s is not None and end_s > LONGEST_RUN_S:
                refuse(f"a {name} of {end_s:g} s; expected {LONGEST_RUN_S:g} s at most, some three years")
        if self.horizon_s is None and self.cooldown_s is not None:
            refuse("a 'cooldown' without a 'horizon': every request is seen to its end; leave it out")
        if self.horizon_s is not None and self.warmup_s >= self.horizon_s:
            refuse(f"the warmup ({self.warmup_s:g} s) leaves nothing of the horizon ({self.horizon_s:g} s)")
        return self
