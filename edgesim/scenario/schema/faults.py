"""What goes wrong, and what happens then, as a scenario says it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from edgesim.fields import Joules, PositiveSeconds, Seconds, refuse
from edgesim.radio.motion.outages import AnyOutages, Outages, RandomOutages, ScheduledOutages
from edgesim.scenario.text.section import Section
from edgesim.world.battery import Battery
from edgesim.world.faults import Retry

__all__ = ["BatteryEntry", "FaultEntry", "RetryEntry"]

Shape = Annotated[float, Field(ge=0.1, le=100)]
LEAST_CYCLE_S = 1e-3  # of failing and being repaired: shorter ones are noise of a link, not faults


class FaultEntry(Section):
    """When a device, a group of devices, or a link is down: at random, at set times, or both."""

    device: str | None = None
    """A device or a group; each of a group fails by itself."""
    link: tuple[str, str] | None = None
    """The two ends of a link; groups stand for all links between them."""
    mtbf_s: PositiveSeconds | None = Field(default=None, alias="mtbf")
    """Mean time from a repair to the next failure."""
    mttr_s: PositiveSeconds | None = Field(default=None, alias="mttr")
    """Mean time to repair."""
    up_shape: Shape = 1.0
    """Weibull shape of the time up; 1 is exponential."""
    down_shape: Shape = 1.0
    """Weibull shape of the time down."""
    starts_up: bool = False
    """Whether it is up and as new at time zero, instead of in its steady state."""
    down_s: tuple[tuple[Seconds, Seconds], ...] = Field(default=(), alias="down")
    """Set times: [[10 s, 15 s], [1 min, 2 min]]."""

    @model_validator(mode="after")
    def _whole(self) -> FaultEntry:
        if (self.device is None) == (self.link is None):
            refuse("expected either 'device' or 'link', to say what fails")
        if (self.mtbf_s is None) != (self.mttr_s is None):
            refuse("'mtbf' and 'mttr' go together")
        if self.mtbf_s is not None and self.mtbf_s + (self.mttr_s or 0.0) < LEAST_CYCLE_S:
            refuse(
                f"it fails every {self.mtbf_s + (self.mttr_s or 0.0):g} s; expected {LEAST_CYCLE_S:g} s or "
                "more from one failure to the next"
            )
        if self.mtbf_s is None and not self.down_s:
            refuse("expected 'mtbf' and 'mttr', or set times in 'down', to say when it fails")
        for start_s, end_s in self.down_s:
            if not start_s < end_s:
                refuse(f"'down' from {start_s:g} s to {end_s:g} s; expected the earlier instant first")
        return self

    def outages(self, key: int) -> Outages:
        """Return when one of what the entry names is down."""
        told: list[Outages] = []
        if self.mtbf_s is not None and self.mttr_s is not None:
            shapes = (self.up_shape, self.down_shape)
            told.append(RandomOutages(key, self.mtbf_s, self.mttr_s, *shapes, self.starts_up))
        if self.down_s:
            told.append(ScheduledOutages(self.down_s))
        return told[0] if len(told) == 1 else AnyOutages(told)


class RetryEntry(Section):
    """How often a request is served again whose work was lost to a failure."""

    limit: Annotated[int, Field(strict=True, ge=0, le=1000)]
    """Attempts after the first."""
    backoff_s: Seconds = Field(default=1.0, alias="backoff")
    """Wait before the first of them."""
    growth: Annotated[float, Field(ge=1, le=1000)] = 1.0
    """Factor by which each further wait is longer; 2 doubles it."""

    def value(self) -> Retry:
        """Return it as the engine knows it."""
        return Retry(limit=self.limit, backoff_s=self.backoff_s, growth=self.growth)


class BatteryEntry(Section):
    """What a device runs on; when it is empty, the device is down for good."""

    capacity_j: Joules = Field(alias="capacity")
    """Energy of the full battery, such as 10 Wh."""
    charge: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of it that is there at time zero."""

    def value(self) -> Battery:
        """Return it as the engine knows it."""
        return Battery(capacity_j=self.capacity_j, charge=self.charge)
