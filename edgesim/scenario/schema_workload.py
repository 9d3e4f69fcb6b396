"""What a scenario's ``workload`` may contain."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.scenario.quantities import Hertz, PositiveSeconds, Seconds
from edgesim.scenario.schema_topology import Count
from edgesim.scenario.section import Choice, Names, Section, made, refuse
from edgesim.workload.arrivals import Arrivals, Bursts, Deterministic, Gamma, Poisson
from edgesim.workload.lengths import Fixed, Lengths, Lognormal, Uniform

__all__ = [
    "ArrivalsChoice",
    "BurstsLaw",
    "DeterministicLaw",
    "GammaLaw",
    "Law",
    "LengthsChoice",
    "LognormalLaw",
    "UniformLaw",
    "WorkloadEntry",
]

PositiveNumber = Annotated[float, Field(gt=0)]


class Law(Section):
    """The parameters of a law; what they do not allow is found when they are read."""

    def law(self) -> Arrivals | Lengths:
        """Make the law."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _makes_a_law(self) -> Self:
        made(self.law)
        return self


class GammaLaw(Law):
    """Independent gamma gaps: burstier than Poisson, or more regular, at the same rate."""

    rate_hz: Hertz = Field(alias="rate")
    """Arrivals per second, all sources together."""
    burstiness: PositiveNumber | None = None
    """Shape of the gamma law: 1 is Poisson, below 1 arrivals clump."""
    cv: PositiveNumber | None = None
    """Instead of burstiness: the coefficient of variation of the gaps."""

    def law(self) -> Arrivals:
        """Make the law of arrivals."""
        if self.cv is not None and self.burstiness is None:
            return Gamma.from_cv(self.rate_hz, self.cv)
        if self.burstiness is not None and self.cv is None:
            return Gamma(self.rate_hz, self.burstiness)
        refuse("expected either 'burstiness' or 'cv'")


class DeterministicLaw(Law):
    """Evenly spaced arrivals, the first at time zero."""

    rate_hz: Hertz | None = Field(default=None, alias="rate")
    """Arrivals per second, all sources together."""
    every_s: PositiveSeconds | None = Field(default=None, alias="every")
    """Instead of a rate: the time between arrivals."""

    def law(self) -> Arrivals:
        """Make the law of arrivals."""
        if self.every_s is not None and self.rate_hz is None:
            return Deterministic(1 / self.every_s)
        if self.rate_hz is not None and self.every_s is None:
            return Deterministic(self.rate_hz)
        refuse("expected either 'rate' or 'every'")


class BurstsLaw(Law):
    """Bursts of requests at regular intervals, the first at time zero."""

    requests: Count
    """Requests in a burst."""
    every_s: PositiveSeconds = Field(alias="every")
    """Time from the start of one burst to the start of the next."""
    spacing_s: Seconds = Field(default=0.0, alias="spacing")
    """Time between requests inside a burst."""

    def law(self) -> Arrivals:
        """Make the law of arrivals."""
        return Bursts(self.requests, self.every_s, self.spacing_s)


class ArrivalsChoice(Choice):
    """When requests arrive, all sources together; every request's source is drawn uniformly."""

    example: ClassVar[str] = "{poisson: 0.4 Hz}"

    poisson: Hertz | None = None
    """Rate of a Poisson process."""
    gamma: GammaLaw | None = None
    """Burstier or more regular than Poisson."""
    deterministic: DeterministicLaw | None = None
    """Evenly spaced."""
    bursts: BurstsLaw | None = None
    """Many at once, at regular intervals."""

    def law(self) -> Arrivals:
        """Make the law of arrivals."""
        for entry in (self.gamma, self.deterministic, self.bursts):
            if entry is not None:
                return entry.law()
        assert self.poisson is not None, "a choice has exactly one key"
        return Poisson(self.poisson)


class UniformLaw(Law):
    """Every length from min to max is equally likely."""

    min: Count
    """Shortest length in tokens."""
    max: Count
    """Longest length in tokens."""

    def law(self) -> Lengths:
        """Make the law of lengths."""
        return Uniform(self.min, self.max)


class LognormalLaw(Law):
    """Lengths whose logarithm is normal; draws are rounded, and clipped to min and max."""

    median: PositiveNumber
    """Median length in tokens."""
    sigma: Annotated[float, Field(ge=0)]
    """Standard deviation of the natural logarithm."""
    min: Count = 1
    """Shorter draws become this long."""
    max: Count | None = None
    """Longer draws become this long; without it the tail is left whole."""

    def law(self) -> Lengths:
        """Make the law of lengths."""
        return Lognormal(self.median, self.sigma, self.min, self.max)


class LengthsChoice(Choice):
    """How many tokens; a plain whole number is short for ``{fixed: n}``."""

    example: ClassVar[str] = "32 or {lognormal: {median: 64, sigma: 0.6}}"

    fixed: Count | None = None
    """Always so many."""
    uniform: UniformLaw | None = None
    """Evenly between two lengths."""
    lognormal: LognormalLaw | None = None
    """Many short ones and a long tail."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, data: object) -> object:
        return {"fixed": data} if isinstance(data, int | float) else data

    def law(self) -> Lengths:
        """Make the law of lengths."""
        for entry in (self.uniform, self.lognormal):
            if entry is not None:
                return entry.law()
        assert self.fixed is not None, "a choice has exactly one key"
        return Fixed(self.fixed)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow a plain number, too."""
        return {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                super().__get_pydantic_json_schema__(core_schema, handler),
            ]
        }


class WorkloadEntry(Section):
    """Who asks, when, and how much."""

    sources: Names = ()
    """Groups or devices that requests come from; by default the first entry of the topology."""
    arrivals: ArrivalsChoice
    """When requests arrive."""
    prompt_tokens: LengthsChoice
    """Lengths of prompts."""
    output_tokens: LengthsChoice
    """Lengths of answers; every request runs to its length."""
    requests: Count | None = None
    """No more than so many requests in one replication."""
    prompt_bytes_per_token: Count = 4
    """Size of a prompt token on the wire; the default is a 32-bit token id."""
