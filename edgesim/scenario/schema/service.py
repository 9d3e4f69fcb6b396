"""How a device's service times vary, as a scenario says it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.fields import refuse
from edgesim.scenario.text.section import Choice, Section, made
from edgesim.world.service import (
    ErlangService,
    Exponential,
    GammaService,
    Hyperexponential,
    Lognormal,
    ServiceLaw,
)

__all__ = ["ErlangLaw", "GammaShape", "Moderate", "Plainly", "ServiceChoice", "Varied"]

PositiveNumber = Annotated[float, Field(gt=0)]
Stages = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class Plainly(Section):
    """A law without parameters."""


class GammaShape(Section):
    """A gamma law: any variation, more or less than the exponential's."""

    cv: PositiveNumber | None = None
    """Coefficient of variation: standard deviation over mean."""
    shape: PositiveNumber | None = None
    """Instead of cv: the shape, which is one over its square."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.cv is None) == (self.shape is None):
            refuse("expected either 'cv' or 'shape'")
        made(self.law)
        return self

    def law(self) -> GammaService:
        """Make the law."""
        return GammaService(self.shape) if self.cv is None else GammaService.from_cv(self.cv)  # type: ignore[arg-type]


class ErlangLaw(Section):
    """The sum of so many exponential stages: less variation than one."""

    stages: Stages
    """How many; the coefficient of variation is one over their square root."""


class Varied(Section):
    """A law with any coefficient of variation."""

    cv: PositiveNumber
    """Coefficient of variation: standard deviation over mean."""


class Moderate(Section):
    """A law with more variation than the exponential's."""

    cv: Annotated[float, Field(gt=1)]
    """Coefficient of variation: standard deviation over mean, more than 1."""


class ServiceChoice(Choice):
    """One law, of mean 1; ``constant`` and ``exponential`` may be written as words."""

    example: ClassVar[str] = "exponential or {gamma: {cv: 0.5}}"

    constant: Plainly | None = None
    """No variation: every pass takes the time that the profile says."""
    exponential: Plainly | None = None
    """Coefficient of variation 1, without memory."""
    gamma: GammaShape | None = None
    """Any coefficient of variation."""
    erlang: ErlangLaw | None = None
    """A sum of exponential stages."""
    lognormal: Varied | None = None
    """Any coefficient of variation, with a longer tail than gamma's."""
    hyperexponential: Moderate | None = None
    """Mostly short and at times long: two exponential laws that each bring in half of the mean."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: object) -> object:
        """Read `exponential`, and `{exponential}`, which is a key without a value to YAML."""
        if isinstance(data, str):
            return {data: {}}
        if isinstance(data, dict):
            return {
                key: {} if value is None and key in ("constant", "exponential") else value
                for key, value in data.items()
            }
        return data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the single word, too."""
        words: dict[str, Any] = {"enum": ["constant", "exponential"]}
        return {"anyOf": [words, handler(core_schema)]}

    def value(self) -> ServiceLaw | None:
        """Return the law as the engine knows it; None is constant."""
        if self.exponential is not None:
            return Exponential()
        if self.gamma is not None:
            return self.gamma.law()
        if self.erlang is not None:
            return ErlangService(float(self.erlang.stages))
        if self.lognormal is not None:
            return Lognormal(self.lognormal.cv)
        if self.hyperexponential is not None:
            return Hyperexponential(self.hyperexponential.cv)
        return None
