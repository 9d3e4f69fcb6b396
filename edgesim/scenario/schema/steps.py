"""Scenario sections of step schedules: device speeds, rates of wires and arrival rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.errors import InputError
from edgesim.fields import BitsPerSecond, Quantity, Seconds, refuse
from edgesim.scenario.schema.by_way import EachDirection
from edgesim.scenario.text.problems import Problem, explain_all, path_text
from edgesim.scenario.text.section import Section, known_keys, made_or_refused
from edgesim.scenario.text.shorthand import Plain, Shorthand
from edgesim.steps import Steps
from edgesim.units import DATA_RATE, FREQUENCY, TIME, written

__all__ = [
    "NOT_EMPTY",
    "ArrivalStep",
    "ChangingRate",
    "RateSchedule",
    "RateStep",
    "RateWays",
    "SpeedEntry",
    "SpeedStep",
    "steps",
]

CONSTANT = Quantity(DATA_RATE)
NOT_EMPTY: JsonDict = {"minItems": 1}  # for editors; validation rejects an empty list in `steps`


class SpeedStep(Section):
    """Speed factor of a device from an instant on."""

    from_s: Seconds = Field(alias="from")
    """Start of the step since time zero; before the first step the factor is 1."""
    factor: Annotated[float, Field(gt=0)]
    """Speed factor: passes that start from then on take the profile's time divided by it; at 0.5 twice as
    long."""


class SpeedEntry(Section):
    """Speed of a device relative to its profile; a plain number applies from 0 s on."""

    shorthand: ClassVar[Shorthand | None] = Plain(
        lambda factor: {"schedule": [{"from": "0 s", "factor": factor}]},
        lambda properties: {"type": "number", "exclusiveMinimum": 0},
        (int, float),
    )

    schedule: tuple[SpeedStep, ...] = Field(json_schema_extra=NOT_EMPTY)
    """Steps of the speed factor, ordered by time."""

    @model_validator(mode="after")
    def _in_order(self) -> SpeedEntry:
        made_or_refused(self.value)
        return self

    def value(self) -> Steps:
        """Return the factor as a function of time."""
        changes = [(step.from_s, step.factor) for step in self.schedule]
        return steps(changes if not changes or changes[0][0] == 0.0 else [(0.0, 1.0), *changes])


class ArrivalStep(Section):
    """Arrival rate from an instant on."""

    from_s: Seconds = Field(alias="from")
    """Start of the step since time zero; 0 s for the first."""
    rate_hz: Annotated[float, Quantity(FREQUENCY, "zero or more")] = Field(alias="rate")
    """Arrivals per second, all sources together; above 0 in the last step."""


class RateStep(Section):
    """Rate of a wire from an instant on."""

    from_s: Seconds = Field(alias="from")
    """Start of the step since time zero; 0 s for the first."""
    rate_bps: BitsPerSecond = Field(alias="rate")
    """Rate of transmissions that start from then on; a transmission in progress keeps the rate at which it
    started."""


class RateSchedule(Section):
    """A rate that changes at given instants."""

    schedule: tuple[RateStep, ...] = Field(json_schema_extra=NOT_EMPTY)
    """Steps of the rate, ordered by time."""

    @model_validator(mode="after")
    def _in_order(self) -> RateSchedule:
        made_or_refused(self.value)
        return self

    def value(self) -> Steps:
        """Return the rate [bit/s] as a function of time."""
        return steps([(step.from_s, step.rate_bps) for step in self.schedule])


def steps(changes: list[tuple[float, float]]) -> Steps:
    """Make a step function from pairs of instant and value.

    Raises
    ------
    InputError
        If there are no steps, the first is not at 0 s, or the instants do not increase.
    """
    if not changes:
        raise InputError("expected at least one step, got none; give a list of instants and values")
    return Steps(tuple(at_s for at_s, _ in changes), tuple(value for _, value in changes))


class ChangingRate:
    """Reader of a rate that is constant or follows a schedule."""

    def read(self, data: object) -> Any:
        """Read ``20 Mbit/s`` as a number [bit/s], ``{schedule: [...]}`` as :class:`Steps`."""
        if not _is_schedule(data):
            return CONSTANT.read(data)
        try:
            return RateSchedule.model_validate(data).value()
        except ValidationError as error:  # of a section inside a value: its paths become part of the message
            lines = explain_all(error, known_keys(RateSchedule))
            refuse("; ".join(_in_words(line) for line in lines))

    def written(self, value: object) -> object:
        """Write a rate or its schedule in the form that :meth:`read` accepts."""
        if not isinstance(value, Steps):
            return CONSTANT.written(value)
        changes = zip(value.at_s, value.values, strict=True)
        return {
            "schedule": [
                {"from": written(at_s, TIME), "rate": CONSTANT.written(rate)} for at_s, rate in changes
            ]
        }

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON Schema of both forms."""
        constant = CONSTANT.__get_pydantic_json_schema__(core_schema, handler)
        return {"anyOf": [constant, handler(RateSchedule.__pydantic_core_schema__)]}


class RateWays(EachDirection):
    """Reader of wire rates: one for both directions or a mapping of two, each constant or on a schedule."""

    def read(self, data: object) -> Any:
        """Read a rate, a schedule of rates, or ``{up: ..., down: ...}`` with either of them."""
        return self.one.read(data) if _is_schedule(data) else super().read(data)


def _is_schedule(data: object) -> bool:
    return isinstance(data, Mapping) and "schedule" in data


def _in_words(problem: Problem) -> str:
    where = path_text(problem.path).removeprefix("$").removeprefix(".")
    return f"{where}: {problem.message}" if where else problem.message
