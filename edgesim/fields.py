"""Fields of options: text with a unit in YAML and an SI number in Python; names; and how a value is refused.

For scenarios and for the options of strategies alike, anybody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NoReturn

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import (
    CoreSchema,
    PydanticCustomError,
    PydanticSerializationUnexpectedValue,
    core_schema,
)

from edgesim.units import (
    BYTE_RATE,
    COMPUTE_RATE,
    DATA_RATE,
    DATA_SIZE,
    DECIBELS,
    DECIBELS_ISOTROPIC,
    DECIBELS_MILLIWATT,
    DISTANCE,
    ENERGY,
    FREQUENCY,
    POWER,
    SPEED,
    TIME,
    Dimension,
    parse,
    written,
)

__all__ = [
    "AS_WRITTEN",
    "OWN_MESSAGE",
    "BitsPerSecond",
    "Bytes",
    "BytesPerSecond",
    "Decibels",
    "DecibelsIsotropic",
    "DecibelsMilliwatt",
    "FlopPerSecond",
    "Hertz",
    "Joules",
    "Metres",
    "MetresPerSecond",
    "Names",
    "NonNegativeDecibels",
    "PositiveBytes",
    "PositiveMetres",
    "PositiveMetresPerSecond",
    "PositiveSeconds",
    "Quantity",
    "Seconds",
    "Watts",
    "is_not_given",
    "refuse",
]


OWN_MESSAGE = "edgesim"
"""The type of the pydantic errors whose message is already a finished sentence."""


AS_WRITTEN = "as written"
"""Context of ``model_dump`` under which quantities become text with a unit again, as they stand in files."""


def refuse(message: str) -> NoReturn:
    """Refuse a value, from inside a validator, with a finished sentence."""
    raise PydanticCustomError(OWN_MESSAGE, "{sentence}", {"sentence": message})


def is_not_given(value: object) -> bool:
    """Whether an optional field is left out where a scenario is written or digested."""
    return value is None or value == () or value == {}


def _listed(data: object) -> object:
    return [data] if isinstance(data, str) else data


Names = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...])]
"""A list of names; a list of one may be written without brackets."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """How a field's text is read: its dimension, and which values make sense there."""

    dimension: Dimension
    bound: Literal["any", "zero or more", "more than zero"] = "more than zero"
    whole: bool = False

    def read(self, text: object) -> float | int:
        """Read ``'5 ms'`` as 0.005, or refuse it."""
        value = parse(text, self.dimension)
        if (self.bound == "more than zero" and value <= 0) or (self.bound == "zero or more" and value < 0):
            refuse(
                f"expected {self.dimension.name} of {self.bound}, such as '{self.dimension.example}', "
                f"got {text!r}"
            )
        if self.whole and not value.is_integer():
            refuse(f"expected a whole number of {self.dimension.base_unit}, got {text!r}, which is {value:g}")
        return int(value) if self.whole else value

    def written(self, value: object) -> str:
        """Write a value as text that :meth:`read` takes for the same."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PydanticSerializationUnexpectedValue(f"{value!r} is no {self.dimension.name}")
        return written(float(value), self.dimension)

    def _serialised(self, value: object, info: SerializationInfo) -> object:
        return self.written(value) if info.context == AS_WRITTEN else value

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic call :meth:`read`, and :meth:`written` where a file is written."""
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(self._serialised, info_arg=True),
        )

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the text to an editor."""
        pattern = self.dimension.pattern
        if self.bound != "any":
            pattern = pattern.replace("[+-]?", "[+]?", 1)
        return {"type": "string", "pattern": pattern, "examples": [self.dimension.example]}


Seconds = Annotated[float, Quantity(TIME, "zero or more")]
PositiveSeconds = Annotated[float, Quantity(TIME)]
Hertz = Annotated[float, Quantity(FREQUENCY)]
Bytes = Annotated[int, Quantity(DATA_SIZE, "zero or more", whole=True)]
PositiveBytes = Annotated[int, Quantity(DATA_SIZE, whole=True)]
BitsPerSecond = Annotated[float, Quantity(DATA_RATE)]
BytesPerSecond = Annotated[float, Quantity(BYTE_RATE)]
Watts = Annotated[float, Quantity(POWER, "zero or more")]
Metres = Annotated[float, Quantity(DISTANCE, "any")]
PositiveMetres = Annotated[float, Quantity(DISTANCE)]
FlopPerSecond = Annotated[float, Quantity(COMPUTE_RATE)]
MetresPerSecond = Annotated[float, Quantity(SPEED, "zero or more")]
PositiveMetresPerSecond = Annotated[float, Quantity(SPEED)]
Joules = Annotated[float, Quantity(ENERGY)]
Decibels = Annotated[float, Quantity(DECIBELS, "any")]
NonNegativeDecibels = Annotated[float, Quantity(DECIBELS, "zero or more")]
DecibelsMilliwatt = Annotated[float, Quantity(DECIBELS_MILLIWATT, "any")]
DecibelsIsotropic = Annotated[float, Quantity(DECIBELS_ISOTROPIC, "any")]
