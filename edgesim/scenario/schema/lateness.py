"""How late a device is at sums over a group, as a scenario says it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgesim.fields import PositiveSeconds, Seconds, refuse
from edgesim.model.lateness.laws import (
    EmpiricalLateness,
    ExponentialLateness,
    GammaLateness,
    Lateness,
    LognormalLateness,
)
from edgesim.scenario.text.section import Section, made

__all__ = ["LatenessEntry"]

Spread = Annotated[float, Field(gt=0)]
Values = Annotated[tuple[Seconds, ...], Field(min_length=1, max_length=100_000)]


class LatenessEntry(Section):
    """A law of lateness: ``{law: lognormal, median: 0.2 ms, spread: 1.5}``, drawn anew for every sum.

    A group waits for the latest of its members, computing and lateness together. A device that computes by
    itself is never late.
    """

    law: Literal["none", "exponential", "gamma", "lognormal", "empirical"]
    """Its family; `none` where the kind has a law and this device has none. `fit_lateness` chooses one for
    measured repeats."""
    mean_s: PositiveSeconds | None = Field(default=None, alias="mean")
    """Its mean."""
    median_s: PositiveSeconds | None = Field(default=None, alias="median")
    """Instead of the mean: its median."""
    spread: Spread | None = None
    """Of gamma and lognormal: standard deviation over mean. That of the exponential law is 1."""
    values: Values | None = None
    """Of empirical: measured times, each as likely as any other."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        has_place = (self.mean_s is None) + (self.median_s is None) == 1
        wanted = {
            "none": (False, False, False, "nothing else"),
            "exponential": (True, False, False, "either 'mean' or 'median', and nothing else"),
            "gamma": (True, True, False, "either 'mean' or 'median', and 'spread'"),
            "lognormal": (True, True, False, "either 'mean' or 'median', and 'spread'"),
            "empirical": (False, False, True, "'values', and nothing else"),
        }[self.law]
        is_placed = self.mean_s is not None or self.median_s is not None
        given = (is_placed, self.spread is not None, self.values is not None)
        if given != wanted[:3] or (is_placed and not has_place):
            refuse(f"a law '{self.law}' of lateness takes {wanted[3]}")
        made(self.value)
        return self

    def value(self) -> Lateness | None:
        """Return the law as the engine knows it; None: never late."""
        if self.law == "none":
            return None
        if self.law == "empirical":
            assert self.values is not None
            return EmpiricalLateness(self.values)
        if self.law == "exponential":
            if self.mean_s is not None:
                return ExponentialLateness(self.mean_s)
            assert self.median_s is not None
            return ExponentialLateness.from_median(self.median_s)
        family = GammaLateness if self.law == "gamma" else LognormalLateness
        assert self.spread is not None
        if self.mean_s is not None:
            return family(self.mean_s, self.spread)
        assert self.median_s is not None
        return family.from_median(self.median_s, self.spread)
