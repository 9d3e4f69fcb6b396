"""Scenario section of service-time variability."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from edgesim.fields import refuse
from edgesim.scenario.text.section import Choice, Section, made_or_refused
from edgesim.scenario.text.shorthand import Shorthand, Words
from edgesim.world.service import (
    ErlangService,
    Exponential,
    GammaService,
    Hyperexponential,
    Lognormal,
    ServiceLaw,
)

__all__ = ["AboveExponential", "ErlangLaw", "GammaShape", "NoParameters", "ServiceChoice", "Varied"]

PositiveNumber = Annotated[float, Field(gt=0)]
Stages = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class NoParameters(Section):
    """A law without parameters."""


class GammaShape(Section):
    """A gamma law: any coefficient of variation, below or above the exponential's."""

    cv: PositiveNumber | None = None
    """Coefficient of variation: standard deviation divided by the mean."""
    shape: PositiveNumber | None = None
    """Shape parameter, instead of `cv`: 1 / cv²."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.cv is None) == (self.shape is None):
            refuse("expected either 'cv' or 'shape'")
        made_or_refused(self.law)
        return self

    def law(self) -> GammaService:
        """Return the service law."""
        return GammaService(self.shape) if self.cv is None else GammaService.from_cv(self.cv)  # type: ignore[arg-type]


class ErlangLaw(Section):
    """An Erlang law, the sum of exponential stages: less variation than a single one."""

    stages: Stages
    """Number of stages k; the coefficient of variation is 1 / √k."""


class Varied(Section):
    """A law with any coefficient of variation."""

    cv: PositiveNumber
    """Coefficient of variation: standard deviation divided by the mean."""


class AboveExponential(Section):
    """A law with a coefficient of variation above the exponential's, which is 1."""

    cv: Annotated[float, Field(gt=1)]
    """Coefficient of variation: standard deviation divided by the mean, above 1."""


class ServiceChoice(Choice):
    """One service-time law of mean 1; ``constant`` and ``exponential`` can be written as single words."""

    shorthand: ClassVar[Shorthand | None] = Words(("constant", "exponential"))

    example: ClassVar[str] = "exponential or {gamma: {cv: 0.5}}"

    constant: NoParameters | None = None
    """No variation: every pass takes the time given by the profile."""
    exponential: NoParameters | None = None
    """Exponential: coefficient of variation 1, memoryless."""
    gamma: GammaShape | None = None
    """Gamma: any coefficient of variation."""
    erlang: ErlangLaw | None = None
    """Erlang: a sum of exponential stages."""
    lognormal: Varied | None = None
    """Lognormal: any coefficient of variation, with a longer tail than the gamma law."""
    hyperexponential: AboveExponential | None = None
    """Mixture of two exponential laws, mostly short and occasionally long; each contributes half of the
    mean."""

    def value(self) -> ServiceLaw | None:
        """Return the law for the engine; None means constant."""
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
