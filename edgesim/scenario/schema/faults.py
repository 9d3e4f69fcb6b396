"""Scenario sections of failures, retries and batteries."""

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
LEAST_CYCLE_S = 1e-3  # shorter cycles of failure and repair are link noise, not faults


class FaultEntry(Section):
    """Failures of a device, a group of devices, or a link: random, scheduled, or both."""

    device: str | None = None
    """Device or group that fails; the devices of a group fail independently."""
    link: tuple[str, str] | None = None
    """Ends of the link that fails; groups select all links between them."""
    mtbf_s: PositiveSeconds | None = Field(default=None, alias="mtbf")
    """Mean time from a repair to the next failure."""
    mttr_s: PositiveSeconds | None = Field(default=None, alias="mttr")
    """Mean time to repair."""
    up_shape: Shape = 1.0
    """Weibull shape of the up time; 1 is exponential."""
    down_shape: Shape = 1.0
    """Weibull shape of the down time; 1 is exponential."""
    starts_up: bool = False
    """Whether the device or link is up and as new at time zero, instead of in its steady state."""
    down_s: tuple[tuple[Seconds, Seconds], ...] = Field(default=(), alias="down")
    """Scheduled down times: [[10 s, 15 s], [1 min, 2 min]]."""

    @model_validator(mode="after")
    def _whole(self) -> FaultEntry:
        if (self.device is None) == (self.link is None):
            refuse("expected either 'device' or 'link', naming what fails")
        if (self.mtbf_s is None) != (self.mttr_s is None):
            refuse("'mtbf' and 'mttr' belong together; give both or neither")
        if self.mtbf_s is not None and self.mtbf_s + (self.mttr_s or 0.0) < LEAST_CYCLE_S:
            refuse(
                f"'mtbf' and 'mttr' add up to {self.mtbf_s + (self.mttr_s or 0.0):g} s; expected "
                f"{LEAST_CYCLE_S:g} s or more from one failure to the next"
            )
        if self.mtbf_s is None and not self.down_s:
            refuse("expected 'mtbf' and 'mttr' (random failures), or scheduled times in 'down'")
        for start_s, end_s in self.down_s:
            if not start_s < end_s:
                refuse(f"'down' from {start_s:g} s to {end_s:g} s; expected the start before the end")
        return self

    def outages(self, key: int) -> Outages:
        """Return the outages of one device or link that the entry names."""
        given: list[Outages] = []
        if self.mtbf_s is not None and self.mttr_s is not None:
            shapes = (self.up_shape, self.down_shape)
            given.append(RandomOutages(key, self.mtbf_s, self.mttr_s, *shapes, self.starts_up))
        if self.down_s:
            given.append(ScheduledOutages(self.down_s))
        return given[0] if len(given) == 1 else AnyOutages(given)


class RetryEntry(Section):
    """Retries of a request whose work was lost in a failure."""

    limit: Annotated[int, Field(strict=True, ge=0, le=1000)]
    """Maximum number of attempts after the first."""
    backoff_s: Seconds = Field(default=1.0, alias="backoff")
    """Waiting time before the first retry."""
    growth: Annotated[float, Field(ge=1, le=1000)] = 1.0
    """Factor on the waiting time from one retry to the next; 2 doubles it."""

    def value(self) -> Retry:
        """Return the value for the engine."""
        return Retry(limit=self.limit, backoff_s=self.backoff_s, growth=self.growth)


class BatteryEntry(Section):
    """Battery of a device; when it is empty, the device is down permanently."""

    capacity_j: Joules = Field(alias="capacity")
    """Energy of the full battery, such as 10 Wh."""
    charge: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Charge at time zero as a share of the capacity."""

    def value(self) -> Battery:
        """Return the value for the engine."""
        return Battery(capacity_j=self.capacity_j, charge=self.charge)
