"""Kinds of options, as a scenario writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from edgesim.units import DATA_SIZE, TIME, Dimension, UnitError, parse

__all__ = ["Cuts", "DataSize", "Duration", "Names", "Stages", "Thresholds"]


def _seconds(text: object) -> object:
    return _parsed(text, TIME)


def _bytes(text: object) -> object:
    return _parsed(text, DATA_SIZE)


def _parsed(text: object, dimension: Dimension) -> object:
    if isinstance(text, bool):
        raise ValueError("expected a quantity with its unit")  # noqa: TRY004  # pydantic tells ValueErrors
    try:
        return parse(text, dimension) if isinstance(text, str) else text
    except UnitError as error:
        raise ValueError(str(error)) from None


def _each_a_tuple(value: object) -> object:
    """A stage that is one name is a list of one."""
    if isinstance(value, str):
        return ((value,),)
    if isinstance(value, list | tuple):
        return tuple((each,) if isinstance(each, str) else each for each in value)
    return value


def _numbers(value: object) -> object:
    """One threshold for all is a list of one."""
    return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value


Duration = Annotated[
    float, BeforeValidator(_seconds, json_schema_input_type=str), Field(gt=0, allow_inf_nan=False)
]

DataSize = Annotated[
    float, BeforeValidator(_bytes, json_schema_input_type=str), Field(ge=0, allow_inf_nan=False)
]

Names = tuple[str, ...]

Stages = Annotated[
    tuple[Annotated[Names, Field(min_length=1)], ...],
    BeforeValidator(_each_a_tuple, json_schema_input_type=tuple[str | Names, ...]),
]

Cuts = tuple[Annotated[int, Field(ge=1)], ...]

Threshold = Annotated[float, Field(ge=0, allow_inf_nan=False)]

Thresholds = Annotated[
    Literal["auto", "joint", "tuned", "none"] | Annotated[tuple[Threshold, ...], Field(min_length=1)],
    BeforeValidator(
        _numbers, json_schema_input_type=Literal["auto", "joint", "tuned", "none"] | float | tuple[float, ...]
    ),
]
