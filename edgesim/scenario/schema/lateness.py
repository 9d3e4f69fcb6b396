"""Scenario section of a device's lateness at sums over a group."""

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
from edgesim.scenario.text.section import Section, made_or_refused

__all__ = ["LatenessEntry"]

Spread = Annotated[float, Field(gt=0)]
Values = Annotated[tuple[Seconds, ...], Field(min_length=1, max_length=100_000)]


class LatenessEntry(Section):
    """A law of lateness, ``{law: lognormal, median: 0.2 ms, spread: 1.5}``, drawn for every sum.

    A group waits for the member whose computing time plus lateness ends last. A device that computes alone
    has no lateness.
    """

    law: Literal["none", "exponential", "gamma", "lognormal", "empirical"]
    """Family of the law; `none` if the kind has a law and this device has none. `fit_lateness` selects a
    family for measured repeats."""
    mean_s: PositiveSeconds | None = Field(default=None, alias="mean")
    """Mean of the law."""
    median_s: PositiveSeconds | None = Field(default=None, alias="median")
    """Median of the law, instead of the mean."""
    spread: Spread | None = None
    """Of gamma and lognormal: standard deviation divided by the mean (1 for the exponential law)."""
    values: Values | None = None
    """Of empirical: measured times, all equally likely."""

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
            refuse(f"law '{self.law}' of lateness: expected {wanted[3]}")
        made_or_refused(self.value)
        return self

    def value(self) -> Lateness | None:
        """Return the law for the engine; None means no lateness."""
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
